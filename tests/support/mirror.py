"""
A catalog mirrored from a simulated source into a real database, under the source's own clock.

Owns the plumbing of the promise tests: each job is what a freshly started process would do, over
HTTP on the loopback. Never sleeps; ``SourceTime`` moves only when a test moves it, and syncer's own
wall clock is wrong by decades, because nothing that is stored may depend on it.
Kind: edge (simulator, database).
"""

from __future__ import annotations

import json
import random
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import asyncpg
from structlog.testing import capture_logs

from syncer.api.decode import decode_model
from syncer.clock import SystemClock
from syncer.config import Settings, load_credentials, load_settings
from syncer.context import CatalogContext
from syncer.crawl import StopSignal
from syncer.domain import Model, to_datetime
from syncer.engine import Engine
from syncer.errors import ExitCode, SyncerError
from syncer.jobs import Job, SweepJob
from syncer.oneshot import CatalogResult, JobResult, run_job
from syncer.outcome import CycleOutcome, Tally
from syncer.progress import NoProgress
from syncer.runtime import Runtime, open_runtime
from syncer.simulator import SimulatedSource, SimulatorOptions

if TYPE_CHECKING:
    from collections.abc import (
        AsyncIterator,
        Callable,
        Collection,
        Iterable,
        MutableMapping,
    )

    from syncer.domain import Clock

START = datetime(2026, 11, 1, 12, tzinfo=UTC)
CATALOG = "public"
SLIM: dict[str, Any] = {"exampleAssetIds": [], "capabilities": [], "complianceMetadata": {}}
"""Overrides that make a generated model small: 1,200 of them are then cheap."""


class SourceTime:
    """The source's clock."""

    def __init__(self, start: datetime = START) -> None:
        self.now = start
        self.tick_ms = 0
        """Passes at each look at the clock: an answer takes time, its ``Date`` comes last."""

    def __call__(self) -> datetime:
        now = self.now
        self.now += timedelta(milliseconds=self.tick_ms)
        return now

    def advance(self, seconds: float) -> datetime:
        """Let time pass; returns the new time."""
        self.now += timedelta(seconds=seconds)
        return self.now


class WrongClock(SystemClock):
    """A machine that believes it is 2100: our clock is never taken for the source's."""

    def now(self) -> datetime:
        return datetime(2100, 1, 1, tzinfo=UTC)


class RightClock(SystemClock):
    """A machine whose wall clock is the source's."""

    def __init__(self, time: SourceTime) -> None:
        self._time = time

    def now(self) -> datetime:
        return self._time.now


class NoJitter(random.Random):
    """Retries at once."""

    def uniform(self, a: float, b: float) -> float:
        del a, b
        return 0.0


@dataclass(frozen=True, slots=True)
class Done:
    """What became of one job."""

    result: JobResult
    exit_code: ExitCode
    requests: int
    """List requests that the source saw meanwhile."""

    @property
    def catalog(self) -> CatalogResult:
        return self.result.catalogs[0]

    @property
    def last(self) -> CycleOutcome:
        return self.catalog.cycles[-1]

    @property
    def tally(self) -> Tally:
        return self.last.tally

    @property
    def complete(self) -> bool:
        cycles = self.catalog.cycles
        return self.catalog.error is None and all(each.complete for each in cycles)


@dataclass(slots=True)
class Mirror:
    """A source and the database it is mirrored into."""

    source: SimulatedSource
    time: SourceTime
    database_url: str
    observer: asyncpg.Connection[asyncpg.Record]
    """Looks at the database from outside."""
    events: list[MutableMapping[str, Any]]
    """What was logged."""
    keys: dict[str, str] = field(default_factory=dict)
    """Configuration, by environment name."""
    clock: Clock = field(default_factory=WrongClock)
    """What syncer is given for a clock."""
    credentials: dict[str, str] = field(default_factory=dict)
    """As in the environment; none: the public listing only."""
    privacy: str = "public"
    """Which listing is compared."""

    def settings(self, **keys: object) -> Settings:
        """The configuration; keys as ``source__page_size`` or, of the catalog, plain ``tags``."""
        chosen = self.keys | _environment(keys)
        return load_settings(None, chosen)

    @asynccontextmanager
    async def process(self, **keys: object) -> AsyncIterator[Runtime]:
        """Everything that a process opens, until the block ends."""
        async with open_runtime(
            self.settings(**keys),
            load_credentials("auto", self.credentials),
            clock=self.clock,
            rng=NoJitter(),
            progress=NoProgress(),
            stop=StopSignal(),
        ) as runtime:
            yield runtime

    @asynccontextmanager
    async def context(self, **keys: object) -> AsyncIterator[CatalogContext]:
        """A process that holds the catalog's lease."""
        async with self.process(**keys) as runtime:
            catalog = runtime.settings.catalogs[0]
            lease = await runtime.keeper.acquire(catalog.name)
            yield runtime.context(catalog, lease)

    async def backfill(self, **keys: object) -> Done:
        """``syncer backfill``."""
        return await self._run(Job(follow=False), keys)

    async def refill(self, **keys: object) -> Done:
        """``syncer backfill --restart``: everything is listed again."""
        return await self._run(Job(follow=False, restart=True), keys)

    async def sync(self, **keys: object) -> Done:
        """``syncer sync``: the backfill, if one is due, and one delta cycle."""
        return await self._run(Job(follow=True), keys)

    async def sweep(self, *, allow_removals: int | None = None, **keys: object) -> Done:
        """``syncer sweep``."""
        job = Job(follow=False, sweep=SweepJob(allow_removals=allow_removals))
        return await self._run(job, keys)

    async def work(self, runtime: Runtime) -> Done:
        """``syncer sync`` within a process that goes on living."""
        return await self._work(runtime, Job(follow=True))

    async def run_until(
        self, should_stop: Callable[[], bool], reason: SyncerError, **keys: object
    ) -> Done:
        """``syncer sync`` that is asked to stop when the condition holds before an answer."""
        hook = self.source.on_request
        async with self.process(**keys) as runtime:

            async def stop_then(params: dict[str, str]) -> None:
                if should_stop():
                    runtime.stop.set(reason)
                if hook is not None and (waiting := hook(params)) is not None:
                    await waiting

            self.source.on_request = stop_then
            try:
                return await self._work(runtime, Job(follow=True))
            finally:
                self.source.on_request = hook

    async def settle(self, *, cycles: int = 8, **keys: object) -> Done:
        """Cycles over a source that has become quiet, until one is complete."""
        errors: tuple[SyncerError, ...] = ()
        for _ in range(cycles):
            self.time.advance(1)
            done = await self.sync(**keys)
            if done.complete:
                return done
            errors = done.catalog.errors
        raise AssertionError(f"no complete cycle in {cycles}: {errors}")

    async def differences(self, *, removed: Collection[str] = ()) -> list[str]:
        """Where mirror and source differ, by model; ``removed`` ones may still be mirrored."""
        decoded = _decode_all(self.source.live_models(self.privacy).values())
        rows = {row["id"]: row for row in await self._rows()}
        missing = sorted(decoded.keys() - rows.keys())
        extra = sorted(rows.keys() - decoded.keys() - set(removed))
        with_body = not self.source.options.volatile
        stale = [
            model_id
            for model_id in sorted(decoded.keys() & rows.keys())
            if _differs(decoded[model_id], rows[model_id], with_body=with_body)
        ]
        return [
            *(f"missing {model_id}" for model_id in missing),
            *(f"extra {model_id}" for model_id in extra),
            *(f"stale {model_id}" for model_id in stale),
        ]

    async def value(self, query: str, *arguments: object) -> Any:
        """One value, as an outsider sees it."""
        return await self.observer.fetchval(query, *arguments)

    async def _run(self, job: Job, keys: dict[str, object]) -> Done:
        async with self.process(**keys) as runtime:
            return await self._work(runtime, job)

    async def _work(self, runtime: Runtime, job: Job) -> Done:
        before = len(self.source.requests)
        result = await run_job(runtime, runtime.settings.catalogs, job)
        requests = len(self.source.requests) - before
        return Done(result, result.exit_code(runtime.stop.reason), requests)

    async def _rows(self) -> list[asyncpg.Record]:
        return await self.observer.fetch(
            "SELECT id, name, type, tags, created_at, updated_at, content_hash, body"
            " FROM scenario.models WHERE catalog = $1 AND removed_at IS NULL",
            CATALOG,
        )


@asynccontextmanager
async def mirroring(
    database_url: str,
    source: SimulatedSource | None = None,
    *,
    time: SourceTime | None = None,
    **keys: object,
) -> AsyncIterator[Mirror]:
    """A served source before a database; ``keys`` as in ``Mirror.settings``."""
    time = time or SourceTime()
    source = source or new_source(time)
    observer = await asyncpg.connect(database_url)
    fixed = {"source__max_requests_per_minute": 1_000_000, "database__url": database_url}
    try:
        # Captured, not printed: thousands of lines that only slow the tests down.
        with capture_logs() as events:
            async with source.serve() as base_url:
                chosen = _environment(fixed | {"source__base_url": base_url} | keys)
                yield Mirror(source, time, database_url, observer, events, chosen)
    finally:
        await observer.close(timeout=2)


@asynccontextmanager
async def engine_of(mirror: Mirror, **keys: object) -> AsyncIterator[Engine]:
    """The engine of a process that goes on living, as in the daemon."""
    async with mirror.context(**keys) as context:
        yield Engine(context)


def new_source(time: SourceTime, *, models: int = 0, **options: Any) -> SimulatedSource:
    """A source under the test's clock; without volatile values unless asked for."""
    chosen: dict[str, Any] = {"private_models": 0, "volatile": False} | options
    return SimulatedSource(SimulatorOptions(models=models, **chosen), clock=time)


def sweep_job() -> Job:
    """One reconciliation and nothing else."""
    return Job(follow=False, sweep=SweepJob())


def add_models(source: SimulatedSource, count: int, prefix: str, **overrides: Any) -> list[str]:
    """Small models whose ids sort as they are numbered; an override may be a function of that."""
    ids = []
    for number in range(count):
        model_id = f"{prefix}{number:05}"
        chosen = {name: _of(value, number) for name, value in overrides.items()}
        source.add_model(**(SLIM | {"id": model_id} | chosen))
        ids.append(model_id)
    return ids


def spread(start: datetime, *, step_ms: int) -> Callable[[int], datetime]:
    """Instants one after the other, for ``add_models``."""
    return lambda number: start + timedelta(milliseconds=number * step_ms)


def _of(value: Any, number: int) -> Any:
    return value(number) if callable(value) else value


def _environment(keys: dict[str, object]) -> dict[str, str]:
    named = {}
    for name, value in keys.items():
        section = "" if "__" in name else f"CATALOG__{CATALOG.upper()}__"
        text = json.dumps(value) if isinstance(value, list) else str(value)
        named[f"SYNCER_{section}{name.upper()}"] = text
    return named


def _decode_all(models: Iterable[dict[str, Any]]) -> dict[str, Model]:
    decoded = [decode_model(json.dumps(model).encode()) for model in models]
    return {model.id: model for model in decoded if isinstance(model, Model)}


def _differs(model: Model, row: asyncpg.Record, *, with_body: bool) -> bool:
    columns = (row["name"], row["type"], row["content_hash"])
    if columns != (model.name, model.type, model.content_hash):
        return True
    # The columns are derived from the body, but by another path than the hash.
    if row["updated_at"] != to_datetime(model.updated_ms):
        return True
    return with_body and json.loads(row["body"]) != json.loads(model.body)

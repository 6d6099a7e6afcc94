"""
Keep what the HTTP side shows: the status document, the vital signs, the figures of the budget.

Owns when the database is looked at, and that a standstill is said once with the stacks of all
tasks. Never crawls, never answers a request.
Invariant: whoever asks is answered from memory; the database is read in the background, and for no
more than a fiftieth of the time, or once in 20 s.
Kind: conductor.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections import deque
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from syncer.api.normalise import redact_text
from syncer.config import Credentials, Settings
from syncer.database import open_reader
from syncer.domain import Clock, format_millis, to_millis
from syncer.errors import SchemaMismatch, StoreUnavailable, SyncerError
from syncer.runtime import Runtime
from syncer.status import build_status, freshness_limit
from syncer.store.migrate import read_state
from syncer.store.pool import Pool, refuses_writes
from syncer.store.queries import Queries, load_queries
from syncer.store.status import read_status
from syncer.telemetry import Event, Redactor, logger
from syncer.web.health import Duty, Vitals, health_document, lateness, unready_reasons
from syncer.web.metrics import Budget, Metrics, Verified
from syncer.web.minutes import Minutes
from syncer.web.observing import Observing
from syncer.worker import wait_for_any

TICK_S = 0.5
LAG_WINDOW_S = 60.0
SLOWEST_LOOK_S = 10.0
"""Between two looks at the database while nothing happens here: others may work on it."""

SHORTEST_LOOK_S = 1.0
REST_SHARE = 50
"""A look is followed by a rest of so many times what it took."""

LONGEST_REST_S = 20.0
"""A look that took long because much was asked of this process must not make the page call itself
old (``syncer.web.page.view.OLD_AFTER_S``)."""
READ_ONLY = "database: it takes no writes (a standby, or default_transaction_read_only is on)"

MAX_FRAMES = 12
MAX_TASKS = 100


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What one look at the database showed."""

    document: Mapping[str, Any]
    freshness_limits_s: Mapping[str, float]
    feed_ages_s: Mapping[str, float]
    verified: Mapping[str, Verified]
    read_at_s: float
    """On the monotonic clock."""


@dataclass(slots=True)
class Lookout:
    """What is known of a daemon at any moment; ``Known`` for its metrics."""

    settings: Settings
    credentials: Credentials
    clock: Clock
    metrics: Metrics = field(default_factory=Metrics)
    vitals: Vitals = field(init=False)
    requests: Minutes = field(default_factory=Minutes)
    """Sent by this process, catalogs together."""
    snapshot: Snapshot | None = None
    """The last look that succeeded."""
    problem: str | None = None
    """Why the newest look did not succeed."""
    is_asked: bool = True
    """Whether anybody may ask: without a listener the database is not looked at."""
    _runtime: Runtime | None = None
    _duties: dict[str, Duty] = field(default_factory=dict)
    _late: deque[tuple[float, float]] = field(default_factory=deque)
    _told_stalled: set[str] = field(default_factory=set)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _queries: Queries = field(default_factory=load_queries)

    def __post_init__(self) -> None:
        self.vitals = Vitals(self.settings.limits.stall_after_s)
        self.configure(self.settings, self.credentials)
        self.metrics.show(self)

    @property
    def observer(self) -> Observing:
        """What cycles are to tell of themselves."""
        return Observing(self.metrics, self.vitals, self.requests, self.clock, self._changed.set)

    def configure(self, settings: Settings, credentials: Credentials) -> None:
        """Go by this configuration from now on."""
        self.settings, self.credentials = settings, credentials
        self.vitals.stall_after_s = settings.limits.stall_after_s
        self.vitals.rest()
        self._duties = dict.fromkeys((each.name for each in settings.catalogs), Duty.NONE)
        self.metrics.expect(self._duties)
        self._changed.set()

    @contextlib.contextmanager
    def attached(self, runtime: Runtime) -> Iterator[None]:
        """Look at what is open until the block ends."""
        self._runtime = runtime
        self._changed.set()
        try:
            yield
        finally:
            self.metrics.note_throttled(runtime.limiter.throttled_s)
            self.metrics.note_throttled(None)
            self._runtime = None
            self.vitals.rest()
            self._duties = dict.fromkeys(self._duties, Duty.NONE)

    def take_duty(self, catalog: str, duty: Duty) -> None:
        """The daemon's part in a catalog changes."""
        self._duties[catalog] = duty
        if duty is not Duty.HOLDER:
            self.vitals.rest(catalog)
        self._changed.set()

    @contextlib.asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Look at clock, loop and database until the block ends."""
        error: SyncerError | None = None
        async with asyncio.TaskGroup() as group:
            companions = [
                group.create_task(self._tick_forever(), name="watch the crawls"),
                group.create_task(self._look_forever(), name="read the status"),
            ]
            try:
                yield
            except SyncerError as caught:
                # Raised here, it would come out wrapped in a group.
                error = caught
            for companion in companions:
                companion.cancel()
        if error is not None:
            raise error

    @property
    def document(self) -> Mapping[str, Any] | None:
        """The newest status document, secrets cut out; ``None`` before there is one."""
        return None if self.snapshot is None else self.snapshot.document

    @property
    def document_age_s(self) -> float:
        """Seconds since it was read."""
        if self.snapshot is None:
            return 0.0
        return self.clock.monotonic() - self.snapshot.read_at_s

    @property
    def freshness_limits_s(self) -> Mapping[str, float]:
        """By catalog, for all that is known."""
        return {} if self.snapshot is None else self.snapshot.freshness_limits_s

    @property
    def feed_ages_s(self) -> Mapping[str, float]:
        """When the document was read; add its age."""
        return {} if self.snapshot is None else self.snapshot.feed_ages_s

    @property
    def verified(self) -> Mapping[str, Verified]:
        """As of the document."""
        return {} if self.snapshot is None else self.snapshot.verified

    @property
    def pool(self) -> Pool | None:
        """Of the runtime that is open; ``None`` while none is."""
        return None if self._runtime is None else self._runtime.pool

    @property
    def held(self) -> Mapping[str, bool]:
        """Whether this process believes to hold the lease; only the fence knows."""
        leases = {} if self._runtime is None else self._runtime.keeper.held
        return {name: name in leases for name in self._duties}

    @property
    def stalled(self) -> Mapping[str, bool]:
        """By configured catalog."""
        since = self.stalled_since
        return {name: name in since for name in self._duties}

    @property
    def stalled_since(self) -> Mapping[str, datetime]:
        """When catalogs that stand still moved last."""
        return {stall.catalog: self._wall(stall.since) for stall in self.vitals.stalls}

    @property
    def budget(self) -> Budget | None:
        """Figures of the limiter in use."""
        if self._runtime is None:
            return None
        limiter = self._runtime.limiter
        return Budget(
            requests_per_minute=limiter.allowance,
            requests_in_window=limiter.requests_in_window,
            wait_s=limiter.delay_s,
            throttled_s=limiter.throttled_s,
        )

    @property
    def loop_lag_s(self) -> float:
        """The worst of the last minute."""
        return lateness(self._late, since=self.clock.monotonic() - LAG_WINDOW_S)

    def exposition(self) -> bytes:
        """The metrics as they are now."""
        if (budget := self.budget) is not None:
            self.metrics.note_throttled(budget.throttled_s)
        return self.metrics.exposition()

    def health(self) -> Mapping[str, Any]:
        """What ``/healthz`` says."""
        stalls = self.vitals.stalls
        since = [format_millis(to_millis(self._wall(stall.since))) for stall in stalls]
        return health_document(stalls, since)

    def unready(self) -> list[str]:
        """Why ``/readyz`` is red; empty when it is green."""
        return unready_reasons(self.document, self._duties, self.problem)

    def status(self) -> dict[str, Any]:
        """As ``status --json``; what is wrong beside the last document is among its reasons."""
        document = self.document or build_status(self.settings, (), (), now=self.clock.now())
        reasons = self.unready()
        return {**document, "ready": not reasons, "reasons": reasons}

    async def _tick_forever(self) -> None:
        while True:
            began_s = self.clock.monotonic()
            await self.clock.sleep(TICK_S)
            now = self.clock.monotonic()
            self._note_late(now, now - began_s - TICK_S)
            limiter = None if self._runtime is None else self._runtime.limiter
            has_stalled = self.vitals.tick(
                # A process that was stopped and goes on has not stood still for so long.
                min(now - began_s, 2 * TICK_S),
                is_budget_short=limiter is not None and limiter.holds_up,
                is_database_away=self._runtime is None or self.problem is not None,
            )
            if has_stalled:
                self._say_stalled()
            self._say_moving()

    def _note_late(self, now: float, late_s: float) -> None:
        self._late.append((now, max(0.0, late_s)))
        while self._late[0][0] < now - LAG_WINDOW_S:
            self._late.popleft()

    def _say_stalled(self) -> None:
        logger(stalled=self.health()["stalled"]).error(
            Event.CRAWL_STALLED,
            stall_after_s=self.vitals.stall_after_s,
            tasks=_stacks(),
            hint="/healthz is red until it moves; please report the stacks of the tasks with it",
        )

    def _say_moving(self) -> None:
        """Of what was told to stand still, once it moves again, has ended, or is another's."""
        stalled = self.stalled_since
        for catalog in self._told_stalled - stalled.keys():
            logger(catalog=catalog).info(Event.CRAWL_RESUMED)
        self._told_stalled = set(stalled)

    def _wall(self, at_s: float) -> datetime:
        """The time of day of a moment of the monotonic clock."""
        return self.clock.now() - timedelta(seconds=self.clock.monotonic() - at_s)

    async def _look_forever(self) -> None:
        while True:
            began_s = self.clock.monotonic()
            self._changed.clear()
            if self.is_asked:
                await self._look()
            if self.problem is not None:
                # A look that fails costs the database nothing, and its return is to be seen soon.
                await self.clock.sleep(SHORTEST_LOOK_S)
                continue
            rest_s = min(LONGEST_REST_S, REST_SHARE * (self.clock.monotonic() - began_s))
            await self.clock.sleep(max(SHORTEST_LOOK_S, rest_s))
            await wait_for_any(self.clock, SLOWEST_LOOK_S, self._changed.wait())

    async def _look(self) -> None:
        settings = self.settings
        try:
            snapshot = await self._read(settings)
        except SchemaMismatch as error:
            self.problem = f"schema: {self._clean(error.message)}"
        except SyncerError as error:
            self.problem = f"database: {self._clean(error.message)}"
        else:
            if settings is self.settings:
                self.snapshot, self.problem = snapshot, None

    async def _read(self, settings: Settings) -> Snapshot:
        url = settings.database.url if self._runtime is None else self._runtime.database.url
        if not url:
            raise StoreUnavailable("the embedded PostgreSQL is not started yet")
        async with open_reader(settings, url) as connection:
            state = await read_state(connection)
            if state.pending:
                raise SchemaMismatch(
                    f"{len(state.pending)} migrations are missing; this build needs "
                    f"{state.newest_known:04d}"
                )
            problems = [READ_ONLY] if refuses_writes(connection) else []
            rows, partitions = await read_status(
                connection, self._queries, detailed=settings.detailed
            )
        document = build_status(settings, rows, partitions, now=self.clock.now(), problems=problems)
        by_name = {row.catalog: row for row in rows}
        size = settings.source.page_size
        return Snapshot(
            document=self._redactor()(None, "", document),
            freshness_limits_s={
                each.name: freshness_limit(each, by_name.get(each.name), page_size=size)
                for each in settings.catalogs
            },
            feed_ages_s={
                row.catalog: row.feed_s
                for row in rows
                if row.feed_s is not None and row.phase != "retired"
            },
            verified={
                row.catalog: Verified(row.verified_at.timestamp(), row.verify_differences or 0)
                for row in rows
                if row.verified_at is not None and row.phase != "retired"
            },
            read_at_s=self.clock.monotonic(),
        )

    def _redactor(self) -> Redactor:
        secrets = (*self.credentials.secrets(), *self.settings.database.secrets())
        return Redactor(secrets=secrets, redact=redact_text)

    def _clean(self, text: str) -> str:
        return str(self._redactor()(None, "", {"text": text})["text"])


def _stacks() -> list[str]:
    """Where each task stands, innermost call last: names and lines of code, no values."""
    tasks = sorted(asyncio.all_tasks(), key=lambda task: task.get_name())
    return [
        f"{task.get_name()}: {' > '.join(_frames(task)) or 'no frame'}"
        for task in itertools.islice(tasks, MAX_TASKS)
    ]


def _frames(task: asyncio.Task[Any]) -> list[str]:
    """A task's own stack is one frame: the rest hangs on what each coroutine awaits."""
    found: list[str] = []
    awaited: Any = task.get_coro()
    while awaited is not None and len(found) < MAX_FRAMES:
        frame = getattr(awaited, "cr_frame", None) or getattr(awaited, "gi_frame", None)
        frame = frame or getattr(awaited, "ag_frame", None)
        if frame is None:
            break
        module = frame.f_globals.get("__name__", "?")
        found.append(f"{module}:{frame.f_code.co_name}:{frame.f_lineno}")
        awaited = (
            getattr(awaited, "cr_await", None)
            or getattr(awaited, "gi_yieldfrom", None)
            or getattr(awaited, "ag_await", None)
        )
    return found

"""
The story of the demo: fill a mirror, let the source change, follow, and prove that they agree.

Owns the steps and what is changed at the source. Never prints, never opens or stops a server; the
crawling is done by the code that ``syncer backfill`` and ``syncer sync`` run.
Invariant: every number that a step returns was read from the database, the source's log of
requests or a committed cycle; a step that went otherwise than told is an error.
Kind: conductor.
"""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

from syncer.api.decode import read_entries
from syncer.config import load_credentials
from syncer.crawl import PageSource, StopSignal
from syncer.demo.comparison import (
    Comparison,
    Listing,
    Version,
    compare,
    count_types,
    find_changes,
)
from syncer.demo.place import DemoPlace
from syncer.domain import (
    Clock,
    Lane,
    Model,
    Question,
    Scope,
    SentOrder,
    SortKey,
    format_millis,
    known_id,
    to_millis,
)
from syncer.errors import SyncerError
from syncer.jobs import Job, SweepJob
from syncer.oneshot import run_job
from syncer.outcome import Tally
from syncer.progress import NoProgress, Progress
from syncer.runtime import open_runtime
from syncer.status import Document, build_status
from syncer.store.pool import Connection, translate
from syncer.store.queries import Queries, load_queries
from syncer.store.status import list_quarantine, read_status

UNHEARD_OF_TYPE: Final = "hologram-lora"
"""In no list of types, ours or the source's."""
BROKEN_ID: Final = "model_broken"
READING_PAGE_SIZE: Final = 500
"""The source's largest page: proofs shall not take long."""

_EXAMPLES: Final = (
    ("Which types are most frequent, and what does the free plan include?", "count_types"),
    ("Which tags are used most?", "rank_tags"),
    ("What is new, and from which plan on (0 free … 100 enterprise)?", "list_newest"),
)


@dataclass(frozen=True, slots=True)
class Run:
    """One command's worth of work."""

    tally: Tally
    requests: int
    """As the source counted them."""
    duration_s: float


@dataclass(frozen=True, slots=True)
class Filled:
    """After the backfill."""

    run: Run
    types: tuple[tuple[str, int, int], ...]
    """Type, models at the source, models in the mirror."""
    comparison: Comparison


@dataclass(frozen=True, slots=True)
class Followed:
    """After a few models changed."""

    run: Run
    updated: int
    untouched: int
    before: Version
    after: Version
    """The renamed one."""


@dataclass(frozen=True, slots=True)
class Polled:
    """After nothing changed."""

    run: Run
    written: int


@dataclass(frozen=True, slots=True)
class Added:
    """After models appeared."""

    run: Run
    mirrored: tuple[Version, ...]
    quarantined: tuple[tuple[str, str], ...]
    """Id and reason."""


@dataclass(frozen=True, slots=True)
class Swept:
    """After models vanished and one was edited in silence, which no delta walk can see."""

    run: Run
    polled: Run
    """The delta cycle before, which found nothing of it."""
    removed: tuple[str, ...]
    """Names of the models that are gone."""
    edited: Version
    """The one that was edited without a word in ``updatedAt``."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An example question, with its answer."""

    question: str
    sql: str
    columns: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]


@dataclass(frozen=True, slots=True)
class Story:
    """The steps, to be taken once each, in the order in which they stand here."""

    place: DemoPlace
    connection: Connection
    clock: Clock
    rng: random.Random
    queries: Queries = field(default_factory=load_queries)

    async def backfill(self, progress: Progress) -> Filled:
        """Fill the empty mirror, then count both sides."""
        run = await self._run(Job(follow=False), progress)
        source, mirror = await self._read_source(), await self._read_mirror()
        types = count_types(source.models, mirror)
        return Filled(run, types, compare(source, mirror, quarantine=()))

    async def follow(self) -> Followed:
        """Change three models at the source, one of them by name, and run a delta cycle."""
        before = await self._read_mirror()
        renamed, *others = self._pick()
        name = f"{before[renamed].name or 'Nameless'} II"
        self.place.source.update_model(renamed, name=name)
        for model_id in others:
            self.place.source.update_model(model_id, shortDescription="Edited during the demo.")
        run = await self._run(Job(follow=True))
        after = await self._read_mirror()
        inserted, written = find_changes(before, after)
        _expect("rows written", {renamed, *others}, written | inserted)
        return Followed(
            run, len(written), len(after) - len(written), before[renamed], after[renamed]
        )

    async def poll(self) -> Polled:
        """Run a delta cycle with nothing new to find."""
        before = await self._read_mirror()
        run = await self._run(Job(follow=True))
        inserted, written = find_changes(before, await self._read_mirror())
        _expect("rows written", set(), inserted | written)
        return Polled(run, len(inserted | written))

    async def add(self) -> Added:
        """Let a model appear, one of a type that nobody has listed, and one that is broken."""
        source, before = self.place.source, await self._read_mirror()
        added = [
            source.add_model(name="Paper Lanterns", type="flux.1-lora", accessRestrictions=25),
            source.add_model(name="Light Sculptures", type=UNHEARD_OF_TYPE, accessRestrictions=50),
        ]
        source.put_raw(BROKEN_ID, _broken_record(format_millis(source.now_ms())))
        run = await self._run(Job(follow=True))
        after = await self._read_mirror()
        inserted, written = find_changes(before, after)
        _expect("rows inserted", {str(model["id"]) for model in added}, inserted)
        _expect("rows updated", set(), written)
        quarantine = await self._read_quarantine()
        _expect("models in quarantine", {BROKEN_ID}, quarantine.keys())
        mirrored = tuple(after[str(model["id"])] for model in added)
        return Added(run, mirrored, tuple(quarantine.items()))

    async def sweep(self) -> Swept:
        """Remove two models, edit one in silence, and compare everything."""
        source, before = self.place.source, await self._read_mirror()
        edited, *gone = self._pick()
        for model_id in gone:
            source.remove_model(model_id)
        name = f"{before[edited].name or 'Nameless'} (silently)"
        source.update_model(edited, touch=False, name=name)
        polled = await self._run(Job(follow=True))
        run = await self._run(Job(follow=False, sweep=SweepJob()))
        after = await self._read_mirror()
        inserted, written = find_changes(before, after)
        _expect("rows removed", set(gone), before.keys() - after.keys())
        _expect("rows written", {edited}, written | inserted)
        names = tuple(before[model_id].name or model_id for model_id in gone)
        return Swept(run, polled, names, after[edited])

    async def prove(self) -> Comparison:
        """Read source and mirror completely and compare them, by other code than the sweep's."""
        source, mirror = await self._read_source(), await self._read_mirror()
        return compare(source, mirror, quarantine=await self._read_quarantine())

    async def ask(self) -> tuple[Answer, ...]:
        """Example questions, as a reader would ask them."""
        return tuple([await self._answer(question, name) for question, name in _EXAMPLES])

    async def read_status(self) -> Document:
        """What ``syncer status`` would say."""
        rows, partitions = await read_status(self.connection, self.queries)
        return build_status(self.place.settings, rows, partitions, now=self.clock.now())

    async def _run(self, job: Job, progress: Progress | None = None) -> Run:
        """What the command does, with its own lease and connections.

        Raises:
            SyncerError: the cycle is not complete.
        """
        place, began_s = self.place, self.clock.monotonic()
        asked = len(place.source.requests)
        async with open_runtime(
            place.settings,
            load_credentials("public", {}),
            clock=self.clock,
            rng=self.rng,
            progress=progress or NoProgress(),
            stop=StopSignal(),
        ) as runtime:
            result = await run_job(runtime, place.settings.catalogs, job)
        for error in result.catalogs[0].errors:
            raise error
        return Run(
            result.catalogs[0].cycles[-1].tally,
            len(place.source.requests) - asked,
            self.clock.monotonic() - began_s,
        )

    def _pick(self) -> list[str]:
        """Three models from all over the catalog."""
        ids = sorted(self.place.source.live_models().keys() - {BROKEN_ID})
        return [ids[len(ids) * quarter // 4] for quarter in (1, 2, 3)]

    @property
    def _catalog(self) -> str:
        return self.place.settings.catalogs[0].name

    async def _read_source(self) -> Listing:
        async with open_runtime(
            self.place.settings,
            load_credentials("public", {}),
            clock=self.clock,
            rng=self.rng,
            progress=NoProgress(),
            stop=StopSignal(),
        ) as runtime:
            return await read_listing(runtime.source, self.place.settings.catalogs[0].scope)

    async def _read_mirror(self) -> dict[str, Version]:
        with translate():
            records = await self.connection.fetch(self.queries["read_versions"], self._catalog)
        return {
            record["id"]: Version(
                record["name"],
                record["type"],
                to_millis(record["updated_at"]),
                record["changed_at"],
            )
            for record in records
        }

    async def _read_quarantine(self) -> dict[str, str]:
        rows = await list_quarantine(self.connection, self.queries, catalogs=[self._catalog])
        return {row.key: row.reason for row in rows}

    async def _answer(self, question: str, name: str) -> Answer:
        with translate():
            records = await self.connection.fetch(self.queries[name])
        columns = tuple(records[0].keys()) if records else ()
        sql = self.queries[name].partition("*/ ")[2]
        return Answer(question, sql, columns, tuple(tuple(record.values()) for record in records))


async def read_listing(source: PageSource, scope: Scope) -> Listing:
    """The whole listing, by token: whole only while nothing changes, which here is in our hands."""
    models: dict[str, Version] = {}
    unusable: set[str] = set()
    numbers = itertools.count(1)
    token: str | None = None
    while True:
        page = await source.fetch_page(
            scope,
            Question(SortKey.CREATED, None, None, READING_PAGE_SIZE, token),
            lane=Lane.VERIFY,
            next_sent_order=lambda: SentOrder(next(numbers)),
        )
        for entry in read_entries(page.entries):
            if isinstance(entry, Model):
                models[entry.id] = Version(entry.name, entry.type, entry.updated_ms)
            else:
                unusable.add(known_id(entry))
        token = page.next_token
        if token is None:
            return Listing(models, frozenset(unusable))


def _broken_record(now: str) -> bytes:
    """A model whose name holds the one character that PostgreSQL cannot store."""
    record: Mapping[str, object] = {
        "id": BROKEN_ID,
        "name": "Broken\0Name",
        "type": "custom",
        "privacy": "public",
        "createdAt": now,
        "updatedAt": now,
    }
    return json.dumps(record).encode()


def _expect(what: str, expected: Collection[str], found: Collection[str]) -> None:
    """Tell no story that is not true."""
    if set(expected) != set(found):
        raise SyncerError(
            f"the demo went otherwise than it should: {what}: {len(found)} instead of "
            f"{len(expected)}, or other ones",
            hint="This is a bug of syncer; please report it with the output of "
            "'syncer --log-level debug demo'.",
        )

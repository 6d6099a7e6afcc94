"""``scenario.models_at`` gives the catalog as it was: held to what was true at the time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.hand_made import AT_MS, CATALOG, make_batch, make_model
from support.history import content_of
from support.mirror import Mirror, SourceTime, mirroring, new_source
from support.oracle_snapshot import empty

from syncer.domain import Cycle, CycleKind, Millis, Seen, SentOrder
from syncer.store.effects import Merged, NoEffect, NoteSeen, insert_seen

if TYPE_CHECKING:
    from syncer.context import CatalogContext

COLUMNS = (
    *("name", "type", "privacy", "status", "source", "custom", "author_id", "owner_id"),
    *("parent_model_id", "short_description", "access_restrictions", "training_images_number"),
    *("thumbnail_asset_id", "created_at", "updated_at", "first_seen_at"),
)
SETS = ("tags", "capabilities", "collection_ids")

Row = tuple[Any, ...]
Truth = dict[str, Row]

fields = st.fixed_dictionaries(
    {"name": st.sampled_from(("a", "b", 7, None))},
    optional={
        "tags": st.sampled_from((["x", "y"], ["y", "x"], ["x"], [], "no list")),
        "custom": st.booleans(),
        "accessRestrictions": st.sampled_from((25, 25.0, 26, "25", 2**40)),
        "thumbnail": st.sampled_from(
            ({"assetId": "1", "url": "u"}, {"url": "v", "assetId": "1"}, {"assetId": "2"}, None)
        ),
        "trainingProgress": st.sampled_from(({}, {"progress": 1}, {"progress": 2})),
        "parameters": st.sampled_from(({"l": ["http://1", 3]}, {"l": ["http://2", 3]}, {"l": [4]})),
        "unheardOf": st.sampled_from((None, {"deep": [1]}, {"deep": [2]})),
    },
)
ids = st.sampled_from(("m1", "m2", "m3"))
versions = st.dictionaries(ids, st.tuples(st.integers(0, 1), fields), min_size=1, max_size=3)
steps = st.one_of(
    st.tuples(st.just("page"), versions),
    st.tuples(st.just("page"), versions),
    st.tuples(st.just("remove"), st.sets(ids, min_size=1)),
    st.tuples(st.just("rewind"), st.dictionaries(ids, fields, min_size=1, max_size=2)),
)


@dataclass(slots=True)
class Played:
    """A catalog that is written by hand, and what was true after each commit."""

    runner: asyncio.Runner
    stack: AsyncExitStack
    mirror: Mirror
    context: CatalogContext
    sent: int = 0
    now_ms: int = AT_MS
    truths: dict[datetime, Truth] = field(default_factory=dict)

    async def play(self, script: list[tuple[str, Any]]) -> None:
        """From an empty catalog on."""
        await empty(self.mirror.observer)
        await self.mirror.observer.execute("INSERT INTO syncer.history DEFAULT VALUES")
        await self.mirror.observer.execute(
            "INSERT INTO syncer.lease (catalog, holder, epoch, expires_at)"
            " VALUES ($1, 'us', $2, now() + interval '1 hour')",
            CATALOG,
            self.context.lease.epoch,
        )
        await self.context.catalogs.register(self.context.name, self.context.settings.scope)
        self.truths.clear()
        for kind, what in script:
            self.sent += 1
            await getattr(self, f"_{kind}")(what)
            await self._note()

    async def _page(self, listed: dict[str, tuple[int, dict[str, Any]]]) -> None:
        models = []
        for model_id, (later, content) in listed.items():
            self.now_ms += later
            models.append(make_model(model_id, updated_ms=self.now_ms, **content))
        await self.context.pages.commit_page(make_batch(*models, sent=self.sent), NoEffect())

    async def _remove(self, which: set[str]) -> None:
        await self.context.sweeps.remove_deleted(sorted(which), SentOrder(self.sent))

    async def _rewind(self, listed: dict[str, dict[str, Any]]) -> None:
        """A sweep that shows older versions, twice."""
        far = Millis(self.now_ms + 10_000_000)
        sweep, _ = await self.context.pages.open_cycle(
            Cycle(0, CATALOG, CycleKind.SWEEP, "s", "r", far, None, low_ms=far), []
        )
        async with self.context.pages.pool.acquire() as connection:
            shown = Merged(wrote=False, older_ids=tuple(listed))
            await insert_seen(
                connection, self.context.pages.queries, sweep, Seen(tuple(listed)), shown
            )
        models = [make_model(each, updated_ms=AT_MS - 5, **listed[each]) for each in listed]
        effect = NoteSeen(sweep, Seen(tuple(listed)))
        await self.context.pages.commit_page(make_batch(*models, sent=self.sent), effect)
        await self.mirror.observer.execute(
            "UPDATE syncer.cycle SET finished_at = now(), outcome = 'complete'"
        )

    async def _note(self) -> None:
        at = await self.mirror.value("SELECT max(committed_at) FROM scenario.model_changes")
        if at is not None:
            self.truths[at] = await self.shown("scenario.live_models")

    async def shown(self, relation: str, *arguments: object) -> Truth:
        """Models by id: columns, sets, content."""
        names = ", ".join(("id", *COLUMNS, *SETS, "body::text"))
        query = f"SELECT {names} FROM {relation}"  # noqa: S608 - our own names
        records = await self.mirror.observer.fetch(query, *arguments)
        return {record["id"]: _comparable(record) for record in records}

    async def lies(self) -> list[str]:
        """Instants at which the history tells something else than was true."""
        wrong: list[str] = []
        earlier: Truth = {}
        instants = sorted(self.truths)
        for place, at in enumerate(instants):
            before = at - timedelta(microseconds=1)
            if place and before < instants[place - 1]:
                continue
            asked = {before: earlier, at: self.truths[at]}
            if place + 1 < len(instants):
                asked[at + (instants[place + 1] - at) / 2] = self.truths[at]
            else:
                asked[at + timedelta(days=1)] = self.truths[at]
            for instant, truth in asked.items():
                told = await self.shown("scenario.models_at($1)", instant)
                if told != truth:
                    wrong.append(f"{instant}: {told} instead of {truth}")
            earlier = self.truths[at]
        return wrong


def _comparable(record: asyncpg.Record) -> Row:
    sets = [None if record[name] is None else frozenset(record[name]) for name in SETS]
    return (*(record[name] for name in COLUMNS), *sets, tuple(content_of(record["body"]).items()))


@pytest.fixture(name="played")
def played_fixture(migrated_database_url: str) -> Iterator[Played]:
    async def begin() -> Played:
        time = SourceTime()
        stack = AsyncExitStack()
        mirror = await stack.enter_async_context(
            mirroring(migrated_database_url, new_source(time), time=time)
        )
        context = await stack.enter_async_context(mirror.context())
        return Played(runner, stack, mirror, context)

    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        played = runner.run(begin())
        yield played
        runner.run(played.stack.aclose())


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(script=st.lists(steps, min_size=1, max_size=8))
def test_the_catalog_as_it_was_is_what_was_true(
    played: Played, script: list[tuple[str, Any]]
) -> None:
    """After every commit, just before it and halfway to the next: rows, columns and contents."""
    played.runner.run(played.play(script))

    assert [] == played.runner.run(played.lies())


@pytest.fixture(name="connection")
async def connection_fixture(
    migrated_database_url: str,
) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    connection = await asyncpg.connect(migrated_database_url)
    yield connection
    await connection.close()


HISTORY = """
INSERT INTO syncer.catalog (catalog, scope, last_complete_at) VALUES ('public', '{}', now());
INSERT INTO scenario.models
    (catalog, id, name, created_at, updated_at, body, content_hash, sent_order, first_seen_at,
     changed_at)
VALUES ('public', 'm', 'now', '2026-01-01Z', '2026-01-01Z',
    '{"id": "m", "name": "now", "odd\\"name ü": 2, "performanceStats": 1}', '', 1,
    '2026-01-01 00:00Z', '2026-03-01 00:00Z');
INSERT INTO scenario.model_changes
    (catalog, id, operation, changed_fields, before, after, source_updated_at, committed_at)
VALUES
    ('public', 'm', 'insert', NULL, NULL, NULL, '2026-01-01Z', '2026-01-01Z'),
    ('public', 'm', 'update', '{name,"odd\\"name ü"}', '{"name": "then", "odd\\"name ü": null}',
     '{"name": "now", "odd\\"name ü": 2}', '2026-01-01Z', '2026-03-01Z'),
    ('public', 'm', 'remove', NULL, NULL, NULL, '2026-01-01Z', '2026-04-01Z'),
    ('public', 'm', 'restore', '{}', '{}', '{}', '2026-01-01Z', '2026-05-01Z');
"""


async def asked(connection: asyncpg.Connection[asyncpg.Record], at: str | None) -> list[Any]:
    query = (
        "SELECT name, body::text AS body, changed_at FROM scenario.models_at($1::text::timestamptz)"
    )
    return [tuple(row) for row in await connection.fetch(query, at)]


async def test_the_columns_are_those_of_the_view_of_live_models(connection: Any) -> None:
    """Whoever asked the present can ask the past: at no time but now, the rows are equal."""
    await connection.execute(HISTORY)
    view = await connection.prepare("SELECT * FROM scenario.live_models")
    past = await connection.prepare("SELECT * FROM scenario.models_at(now())")

    assert [(each.name, each.type.name) for each in view.get_attributes()] == [
        (each.name, each.type.name) for each in past.get_attributes()
    ]
    assert await view.fetch() == await past.fetch()


async def test_a_past_row_says_since_when_it_was_so(connection: Any) -> None:
    """``changed_at`` is of the version shown; a removal is no version."""
    await connection.execute(HISTORY)
    times = [datetime(2026, month, 1, tzinfo=UTC) for month in (1, 3, 5)]

    assert [("then", '{"id": "m", "name": "then", "odd\\"name ü": null}', times[0])] == await asked(
        connection, "2026-02-01Z"
    )
    now = '{"id": "m", "name": "now", "odd\\"name ü": 2}'
    assert [("now", now, times[1])] == await asked(connection, "2026-03-01Z")
    assert [] == await asked(connection, "2026-04-10Z")
    assert [] == await asked(connection, "2025-12-31Z")


async def test_a_time_to_come_shows_the_present(connection: Any) -> None:
    """Nothing is known to change until then."""
    await connection.execute(HISTORY)

    assert await asked(connection, "2400-01-01Z") == await asked(connection, "infinity")
    assert 1 == len(await asked(connection, "infinity"))


async def test_no_time_is_refused_rather_than_answered_with_nothing(connection: Any) -> None:
    """An empty answer would look like an empty catalog."""
    with pytest.raises(asyncpg.NullValueNotAllowedError, match="asked for no time") as raised:
        await asked(connection, None)
    assert raised.value.hint == "Name a time; now() gives the catalog as it is."


async def test_a_time_before_the_history_is_refused(connection: Any) -> None:
    """Rather than an answer that leaves out what nobody wrote down."""
    await connection.execute(HISTORY)
    await connection.execute("UPDATE syncer.history SET kept_since = '2026-02-01Z'")

    assert 1 == len(await asked(connection, "2026-02-01Z"))
    with pytest.raises(
        asyncpg.InvalidParameterValueError, match=r"at 2026-01-31 .* changes are kept since 2026-02"
    ) as raised:
        await asked(connection, "2026-01-31 23:59:59Z")
    assert str(raised.value.hint).startswith("Ask for a later time.")


async def test_a_retired_catalog_is_shown_as_it_was_until_then(connection: Any) -> None:
    """Of one that is being forgotten nothing is shown: part of it is gone already."""
    await connection.execute(HISTORY)
    await connection.execute("UPDATE syncer.catalog SET retired_at = '2026-06-01Z'")

    assert 1 == len(await asked(connection, "2026-05-31Z"))
    assert [] == await asked(connection, "2026-06-01Z")
    await connection.execute("UPDATE syncer.catalog SET last_complete_at = NULL")
    assert [] == await asked(connection, "2026-05-31Z")


async def test_a_reader_of_the_schema_needs_no_right_on_ours(connection: Any) -> None:
    """Nor can names of the reader's own stand in for ours."""
    await connection.execute(HISTORY)
    role = f"reader_{connection.get_server_pid()}"
    await connection.execute(f"CREATE ROLE {role}; GRANT USAGE ON SCHEMA scenario TO {role}")
    await connection.execute(f"SET ROLE {role}")
    try:
        seen = await asked(connection, "2026-02-01Z")
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="syncer"):
            await connection.fetch("SELECT * FROM syncer.history")
    finally:
        await connection.execute(f"RESET ROLE; DROP OWNED BY {role}; DROP ROLE {role}")

    assert ["then"] == [row[0] for row in seen]

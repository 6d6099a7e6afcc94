"""Numbers by day are those that were true on that day, whatever part of the history is kept."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from support.analysts import analyst, change, ordered, record, register, remove, rows, store

if TYPE_CHECKING:
    from syncer.store.pool import Connection

FIRST = datetime(2026, 1, 30, tzinfo=UTC)
DAYS = 12
TYPES = ("custom", "flux.1-lora", None)
PROVIDERS = ("OpenAI", None)


class World:
    """Two catalogs that live for some days, and what was true at the end of each."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)  # noqa: S311 - reproducible, not secret
        self.live: dict[tuple[str, str], Any] = {}
        self.removed: dict[tuple[str, str], Any] = {}
        self.changes: list[tuple[Any, ...]] = []
        self.truth: dict[tuple[Any, ...], int] = {}
        for number in range(DAYS):
            day = FIRST + timedelta(days=number)
            # A day may pass without anything; the instants around midnight are UTC's.
            for _ in range(0 if number == 4 else 8):
                self._step(day + timedelta(seconds=self.rng.choice((0, 40_000, 86_399))))
            for catalog in ("a", "b"):
                for kind in TYPES:
                    of_it = [k for k in self.live if k[0] == catalog and self.live[k] == kind]
                    self.truth[catalog, day.date(), kind] = len(of_it)
        self.changes.sort(key=lambda each: each[-1])

    def _step(self, at: datetime) -> None:
        rng = self.rng
        at = max([at, *(each[-1] for each in self.changes)])
        kind = rng.choice(TYPES)
        doing = rng.choice(("insert", "insert", "update", "retype", "remove", "restore"))
        of = self.removed if doing == "restore" else self.live
        if doing == "insert" or not of:
            key = (rng.choice("ab"), f"m{len(self.live) + len(self.removed)}")
            self.live[key] = kind
            self._note(key, "insert", None, None, at)
            return
        key = rng.choice(sorted(of))
        if doing == "remove":
            self.removed[key] = self.live.pop(key)
            self._note(key, "remove", None, None, at)
        elif doing == "restore":
            old = self.removed.pop(key)
            self.live[key] = kind
            retyped = old != kind
            fields = ({"type": old}, {"type": kind}) if retyped else ({"name": "x"}, {"name": "y"})
            self._note(key, "restore", *fields, at)
        elif doing == "retype" and self.live[key] != kind:
            old, self.live[key] = self.live[key], kind
            self._note(key, "update", {"type": old, "name": "x"}, {"type": kind, "name": "y"}, at)
        else:
            self._note(key, "update", {"name": "x"}, {"name": "y"}, at)

    def _note(self, key: Any, operation: str, before: Any, after: Any, at: datetime) -> None:
        self.changes.append((*key, operation, before, after, at))


def provider_of(model_id: str) -> str | None:
    return PROVIDERS[int(model_id[1:]) % 2]


async def build(connection: Connection, world: World, *, kept_from: datetime = FIRST) -> None:
    await register(connection, "a", "b")
    for catalog in ("a", "b"):
        records = [
            record(
                model_id,
                type=kind,
                complianceMetadata={"modelProvider": provider_of(model_id)},
            )
            for (where, model_id), kind in (world.live | world.removed).items()
            if where == catalog
        ]
        await store(connection, catalog, records)
    for catalog, model_id in world.removed:
        await remove(connection, catalog, model_id)
    for catalog, model_id, operation, before, after, at in world.changes:
        if at >= kept_from:
            await change(
                connection, catalog, model_id, operation, at.isoformat(), before=before, after=after
            )


def first_days(world: World, kept_from: datetime) -> dict[str, Any]:
    """The first day on which each catalog has a change."""
    days: dict[str, Any] = {}
    for catalog, *_, at in world.changes:
        if at >= kept_from:
            days.setdefault(catalog, at.date())
    return days


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kept_days", [DAYS, 5])
async def test_types_by_day_are_what_was_live_then(
    migrated_database_url: str, seed: int, kept_days: int
) -> None:
    """Also where a retention has dropped the beginning, inserts included."""
    world = World(seed)
    kept_from = FIRST + timedelta(days=DAYS - kept_days)
    async with analyst(migrated_database_url) as connection:
        await build(connection, world, kept_from=kept_from)
        found = await rows(connection, "type_counts_daily", "catalog, day, type, models")
        today = await connection.fetchval("SELECT (now() AT TIME ZONE 'UTC')::date")

    last = (FIRST + timedelta(days=DAYS - 1)).date()
    shown = {row[:3]: row[3] for row in found}
    begins = first_days(world, kept_from)
    expected = {key: count for key, count in world.truth.items() if key[1] >= begins[key[0]]}
    assert {key: shown.get(key, 0) for key in expected} == expected
    assert {(c, kind): n for (c, day, kind), n in shown.items() if day == max(today, last)} == {
        (c, kind): n for (c, day, kind), n in shown.items() if day == last
    }
    assert {c: min(day for other, day, _ in shown if other == c) for c in begins} == begins


async def test_what_is_added_and_gone_makes_the_difference(migrated_database_url: str) -> None:
    """Within each type, from one day to the next."""
    async with analyst(migrated_database_url) as connection:
        await build(connection, World(7))
        wrong = await connection.fetch(
            "SELECT * FROM (SELECT *, lag(models) OVER (PARTITION BY catalog, type ORDER BY day)"
            " AS earlier FROM scenario.type_counts_daily) AS d"
            " WHERE models <> coalesce(earlier, 0) + added - gone"
        )
        moved = await connection.fetchval(
            "SELECT sum(added + gone)::int FROM scenario.type_counts_daily"
        )

    assert wrong == []
    assert moved > DAYS


async def test_changes_are_counted_by_utc_day_and_by_provider(migrated_database_url: str) -> None:
    """``restore`` on its own; a session in another zone sees the same days."""
    world = World(3)
    operations = ("insert", "update", "remove", "restore")
    by_day: Counter[Any] = Counter()
    by_provider: Counter[Any] = Counter()
    for catalog, model_id, operation, *_, at in world.changes:
        by_day[catalog, at.date(), operation] += 1
        by_provider[catalog, at.date(), provider_of(model_id), operation] += 1

    async with analyst(migrated_database_url) as connection:
        await connection.execute("SET TIME ZONE 'Pacific/Auckland'")
        await build(connection, world)
        names = "inserted, updated, removed, restored"
        daily = await rows(connection, "changes_daily", f"catalog, day, {names}")
        provided = await rows(
            connection, "provider_changes_daily", f"catalog, day, provider, {names}"
        )

    assert daily == ordered(
        (*key, *(by_day[*key, each] for each in operations)) for key in {k[:2] for k in by_day}
    )
    assert provided == ordered(
        (*key, *(by_provider[*key, each] for each in operations))
        for key in {k[:3] for k in by_provider}
    )

"""Forgetting a catalog: in pieces, under its lease, and whatever ends it, the rest stays right."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
from structlog.testing import capture_logs
from support.interrupt import run_cancelled
from support.mirror import NoJitter
from support.retired import everything_of, fill, rows_left, slow_down
from support.stored import fetch, fetch_value, lease_holder

from syncer.clock import SystemClock
from syncer.config import AuthKind, Credentials, Settings, load_settings
from syncer.crawl import StopSignal
from syncer.domain import CycleKind, Scope
from syncer.errors import ConfigError, LeaseHeld, LeaseLost, Stopped, StoreUnavailable
from syncer.forget import Forgotten, find_retired, forget_catalog
from syncer.progress import NoProgress
from syncer.runtime import Runtime, open_runtime
from syncer.store.catalogs import CatalogStore
from syncer.store.forget import ForgetStore
from syncer.store.lease import Lease, fence
from syncer.store.progress import read_open_cycle

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from support.interrupt import When

    from syncer.forget import RetiredCatalog

NOTHING = {
    "models": 0,
    "model_changes": 0,
    "model_details": 0,
    "model_inputs": 0,
    "detail_failure": 0,
    "quarantine": 0,
    "cycle": 0,
    "catalog": 0,
    "checkpoint": 0,
}
MODELS = 20
CONFIG = {"SYNCER_SOURCE__BASE_URL": "http://127.0.0.1:0/v1"}


class Watching(NoProgress):
    """Does something after each batch of models."""

    def __init__(self, then: Callable[[int], None]) -> None:
        self._then = then
        self.batches: list[int] = []

    def page_committed(self, **facts: Any) -> None:
        self.batches.append(facts["models"])
        self._then(len(self.batches))


def settings_of(url: str, **keys: object) -> Settings:
    chosen = {f"SYNCER_{name.upper()}": str(value) for name, value in keys.items()}
    return load_settings(None, CONFIG | {"SYNCER_DATABASE__URL": url} | chosen)


@asynccontextmanager
async def process(
    url: str, progress: Any = None, stop: StopSignal | None = None, **keys: object
) -> AsyncIterator[Runtime]:
    """What the command opens; its source is nobody's."""
    async with open_runtime(
        settings_of(url, **keys),
        Credentials(AuthKind.PUBLIC),
        clock=SystemClock(),
        rng=NoJitter(),
        progress=progress or NoProgress(),
        stop=stop or StopSignal(),
    ) as runtime:
        yield runtime


async def found(url: str, name: str = "old") -> RetiredCatalog:
    return await find_retired(settings_of(url), name, SystemClock())


async def forget(url: str, name: str = "old", *, batch_size: int = 7, **how: Any) -> Forgotten:
    catalog = await found(url, name)
    async with process(url, **how) as runtime:
        return await forget_catalog(runtime, catalog, batch_size=batch_size)


@pytest.fixture(name="url")
async def database_with_two_catalogs(migrated_database_url: str) -> str:
    """``old`` is retired; ``older`` and ``ol`` sort around it and are none of its business."""
    for name in ("ol", "old", "older"):
        await fill(migrated_database_url, name)
    return migrated_database_url


async def test_what_would_be_removed_is_counted_and_nothing_is_written(url: str) -> None:
    before = await everything_of(url, "old")
    catalog = await found(url)

    count = catalog.count
    assert (17, 3, 5) == (count.live_models, count.removed_models, count.quarantined_models)
    assert f"{catalog.retired_at:%Y-%m-%d %H:%M}" == "2026-01-02 03:04"
    assert await everything_of(url, "old") == before


async def test_a_catalog_is_forgotten_in_batches_and_no_other_is_touched(url: str) -> None:
    others = [await everything_of(url, name) for name in ("ol", "older")]
    progress = Watching(lambda _: None)

    gone = await forget(url, progress=progress)

    assert gone == Forgotten(models=20, changes=23, quarantined_models=5, cycles=4)
    assert progress.batches == [7, 7, 6]
    assert await rows_left(url, "old") == NOTHING
    assert [await everything_of(url, name) for name in ("ol", "older")] == others
    assert await lease_holder(url, "old") is None


async def test_an_empty_catalog_is_forgotten_too(url: str) -> None:
    await fill(url, "empty", models=0, removed=0, quarantined=0, cycles=0)

    assert await forget(url, "empty") == Forgotten(0, 0, 0, 0)
    assert await rows_left(url, "empty") == NOTHING


async def test_a_batch_goes_on_after_the_last_key_and_is_no_larger_than_asked(url: str) -> None:
    async with process(url) as runtime:
        store = ForgetStore(runtime.pool, runtime.queries, await runtime.keeper.acquire("old"))

        assert await store.delete_models("", 6) == (6, "m0000006")
        assert await store.delete_models("m0000010", 6) == (6, "m0000016")
        assert await store.delete_models("m0000020", 6) == (0, "m0000020")
        # The first model has two changes: where a batch ends between them, the next goes on there.
        assert await store.delete_changes("", 1) == (1, "m0000001")
        assert await store.delete_changes("m0000001", 5) == (5, "m0000003")
        assert await store.delete_quarantine("q1", 2) == (2, "q3")
        assert (await store.delete_cycles(0, 3))[0] == 3
        assert await rows_left(url, "old") == {
            "models": 8,
            "model_changes": 17,
            "model_details": 20,
            "model_inputs": 40,
            "detail_failure": 20,
            "quarantine": 3,
            "cycle": 1,
            "catalog": 1,
            "checkpoint": 2,
        }


async def test_a_stop_between_two_batches_keeps_what_was_done_and_the_next_run_goes_on(
    url: str,
) -> None:
    stop = StopSignal()
    progress = Watching(lambda batch: stop.set(Stopped()) if batch == 2 else None)

    with pytest.raises(Stopped, match="SIGTERM"):
        await forget(url, progress=progress, stop=stop)

    assert (await rows_left(url, "old"))["models"] == MODELS - 2 * 7
    assert await shown(url, "old") == 0
    assert await lease_holder(url, "old") is None
    assert await forget(url) == Forgotten(models=6, changes=23, quarantined_models=5, cycles=4)
    assert await rows_left(url, "old") == NOTHING


async def shown(url: str, catalog: str) -> int:
    count: int = await fetch_value(
        url, "SELECT count(*) FROM scenario.live_models WHERE catalog = $1", catalog
    )
    return count


async def test_a_catalog_nobody_has_retired_yet_leaves_the_view_before_its_first_row_goes(
    url: str,
) -> None:
    await fill(url, "loose", retired=False)
    assert await shown(url, "loose") == 17
    stop = StopSignal()
    stop.set(Stopped())

    with pytest.raises(Stopped, match="SIGTERM"):
        await forget(url, "loose", stop=stop)

    assert (await rows_left(url, "loose"))["models"] == MODELS
    assert await shown(url, "loose") == 0


async def test_a_half_forgotten_catalog_that_is_configured_again_is_as_good_as_new(
    url: str,
) -> None:
    """Else it would be taken for filled, and the rows that are gone would stay away."""
    scope = Scope()
    async with process(url) as runtime:
        store = CatalogStore(runtime.pool, runtime.queries)
        await store.register("fresh", scope)
        lease = await runtime.keeper.acquire("old")
        assert await ForgetStore(runtime.pool, runtime.queries, lease).void(unretired=False)
        await store.restore(lease)
        state = await store.register("old", scope)
        async with runtime.pool.acquire() as connection:
            resumed = await read_open_cycle(connection, runtime.queries, "old", CycleKind.BACKFILL)

    rows = await fetch(
        url,
        "SELECT (to_jsonb(c) - 'catalog' - 'scope')::text AS row FROM syncer.catalog AS c"
        " WHERE catalog IN ('old', 'fresh')",
    )
    assert (state.retired, state.backfilled_at, state.pin, resumed) == (False, None, None, None)
    # A column that a later migration adds must be reset by void_catalog.sql, too.
    assert len(rows) == 2
    assert rows[0] == rows[1]


@pytest.mark.parametrize("step", ["void", "models", "quarantine", "cycles", "catalog"])
async def test_without_the_lease_no_step_removes_anything(url: str, step: str) -> None:
    before = await everything_of(url, "old")
    async with process(url) as runtime:
        lease = await runtime.keeper.acquire("old")
        store = ForgetStore(runtime.pool, runtime.queries, replace(lease, epoch=lease.epoch + 1))
        steps: dict[str, Callable[[], Any]] = {
            "void": lambda: store.void(unretired=True),
            "models": lambda: store.delete_models("", 5),
            "quarantine": lambda: store.delete_quarantine("", 5),
            "cycles": lambda: store.delete_cycles(0, 5),
            "catalog": store.delete_catalog,
        }
        with pytest.raises(LeaseLost, match="the lease of catalog old is no longer ours"):
            await steps[step]()

    assert await everything_of(url, "old") == before


async def test_a_lease_that_is_lost_after_a_batch_stops_the_next_one(url: str) -> None:
    await run_sql(
        url,
        "CREATE FUNCTION public.take_over() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " UPDATE syncer.lease SET epoch = epoch + 1, holder = 'somebody' WHERE catalog = 'old';"
        " RETURN NULL; END $$;"
        "CREATE TRIGGER take_over AFTER DELETE ON scenario.models FOR EACH STATEMENT"
        " EXECUTE FUNCTION public.take_over()",
    )

    with pytest.raises(LeaseLost, match="epoch 1 is over"):
        await forget(url)

    assert await rows_left(url, "old") == {
        "models": MODELS - 7,
        "model_changes": 23,
        "model_details": 20,
        "model_inputs": 40,
        "detail_failure": 20,
        "quarantine": 5,
        "cycle": 4,
        "catalog": 1,
        "checkpoint": 8,
    }
    assert await lease_holder(url, "old") == "somebody"


async def run_sql(url: str, script: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(script)
    finally:
        await connection.close()


async def test_a_lease_that_is_held_is_refused_with_its_holder(url: str) -> None:
    before = await everything_of(url, "old")
    async with process(url) as holder:
        lease = await holder.keeper.acquire("old")

        with pytest.raises(LeaseHeld, match=f"is held by {lease.holder}"):
            await forget(url)

    assert await everything_of(url, "old") == before


async def test_a_holder_from_before_is_fenced_when_the_name_is_used_again(url: str) -> None:
    """An epoch that begins at 1 again would let a process write that was frozen all the while."""
    async with process(url) as frozen, process(url) as other:
        before = await frozen.keeper.acquire("old")
        await run_sql(url, "UPDATE syncer.lease SET expires_at = now() - interval '1 s'")
        await forget(url)
        now: Lease = await other.keeper.acquire("old")

        assert now.epoch > before.epoch
        async with frozen.pool.acquire() as connection, connection.transaction():
            with pytest.raises(LeaseLost, match="no longer ours"):
                await fence(connection, before, frozen.queries)


@pytest.mark.parametrize(
    "meanwhile",
    [
        "UPDATE syncer.catalog SET retired_at = NULL WHERE catalog = 'old'",
        "DELETE FROM syncer.catalog WHERE catalog = 'old'",
    ],
    ids=["configured again", "forgotten by somebody else"],
)
async def test_a_catalog_that_changed_since_it_was_shown_is_left_alone(
    url: str, meanwhile: str
) -> None:
    catalog = await found(url)
    await run_sql(url, meanwhile)
    before = await everything_of(url, "old")

    async with process(url) as runtime:
        with pytest.raises(ConfigError, match=r"no longer what it was.*nothing was removed"):
            await forget_catalog(runtime, catalog)

    assert await everything_of(url, "old") == before


async def test_a_batch_that_takes_too_long_is_made_smaller_and_that_is_said(url: str) -> None:
    await slow_down(url, "ROW", 0.05)
    progress = Watching(lambda _: None)

    # Statements may take 0.6 s: 20 rows do not fit, a quarter does.
    with capture_logs() as events:
        await forget(url, progress=progress, batch_size=MODELS, lease__ttl_s=1)

    sizes = [each["batch_size"] for each in events if each["event"] == "batch_reduced"]
    assert sizes[0] == 5
    assert sum(progress.batches) == MODELS
    assert await rows_left(url, "old") == NOTHING


async def test_one_row_that_takes_too_long_is_the_databases_trouble(url: str) -> None:
    await slow_down(url, "ROW", 30)

    with pytest.raises(StoreUnavailable, match="did not answer in time"):
        await forget(url, batch_size=1, lease__ttl_s=1)

    assert (await rows_left(url, "old"))["models"] == MODELS


@pytest.mark.parametrize("when", ["while", "after"])
async def test_cancelled_at_any_await_it_leaves_a_retired_catalog_and_the_others_alone(
    url: str, when: When
) -> None:
    """P4: whatever the outcome of the transaction in hand, running it again goes on."""
    others = await everything_of(url, "older")
    left, number, got_there = MODELS, 0, True
    async with process(url) as runtime:
        while got_there:
            number += 1
            await fill_again(url)
            work = forget_catalog(runtime, await found(url), batch_size=9)
            got_there, _ = await run_cancelled(work, number, when)
            left = (await rows_left(url, "old"))["models"]

            assert await shown(url, "old") == 0
            assert left == 0 or await found(url)
    assert number > 20
    assert await rows_left(url, "old") == NOTHING
    assert await everything_of(url, "older") == others


async def fill_again(url: str) -> None:
    """What an earlier round has left of ``old`` is made whole."""
    await run_sql(
        url,
        "DELETE FROM scenario.models WHERE catalog = 'old';"
        "DELETE FROM syncer.quarantine WHERE catalog = 'old';"
        "DELETE FROM syncer.cycle WHERE catalog = 'old';"
        "DELETE FROM syncer.catalog WHERE catalog = 'old'",
    )
    await fill(url, "old")

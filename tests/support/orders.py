"""
Pages that arrive in another order than they were sent, and what the mirror then holds.

Each scene commits hand-made pages and says what was stored; P3 knows what should be.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from support.hand_made import AT_MS, make_batch, make_model
from support.mirror import Mirror, SourceTime, add_models, mirroring, new_source

from syncer.store.effects import NoEffect

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from syncer.context import CatalogContext
    from syncer.store.merging import CommitResult

Version = tuple[str, int, int]
"""Name, ``updatedAt`` as milliseconds after ``AT_MS``, and the number of the request."""


async def commit(context: CatalogContext, version: Version, *, model_id: str = "m") -> CommitResult:
    """Commit a page with one version of a model."""
    name, updated_ms, sent = version
    model = make_model(model_id, updated_ms=AT_MS + updated_ms, name=name)
    return await context.pages.commit_page(make_batch(model, sent=sent), NoEffect())


async def stored_name(mirror: Mirror, model_id: str = "m") -> Any:
    return await mirror.value("SELECT name FROM scenario.live_models WHERE id = $1", model_id)


async def arrivals(url: str, *orders: Sequence[Version]) -> list[Any]:
    """The names that are stored after versions arrived in each order, a model for each."""
    async with mirroring(url) as mirror, mirror.context() as context:
        for number, versions in enumerate(orders):
            for version in versions:
                await commit(context, version, model_id=f"m{number}")
        return [await stored_name(mirror, f"m{number}") for number in range(len(orders))]


async def overtaken_while_waiting(url: str, *, newer: Version, older: Version) -> Any:
    """A page compares its version, waits for a row lock, and meets a newer one behind it."""
    async with mirroring(url) as mirror, mirror.context() as context:
        await commit(context, ("first", 0, 1))
        name, updated_ms, sent = newer
        model = make_model("m", updated_ms=AT_MS + updated_ms, name=name)
        transaction = mirror.observer.transaction()
        await transaction.start()
        await mirror.observer.execute(
            "UPDATE scenario.models SET name = $1, content_hash = $2, sent_order = $3,"
            " updated_at = to_timestamp($4::float8 / 1000) WHERE id = 'm'",
            name,
            model.content_hash,
            sent,
            model.updated_ms,
        )
        async with asyncio.TaskGroup() as group:
            group.create_task(commit(context, older), name="older page")
            await until_blocked(mirror)
            await transaction.commit()
        return await stored_name(mirror)


async def inserted_while_waiting(url: str) -> tuple[list[CommitResult], int]:
    """Another transaction inserts the same new model, and commits while our page waits for it."""
    async with mirroring(url) as mirror, mirror.context() as context:
        transaction = mirror.observer.transaction()
        await transaction.start()
        await mirror.observer.execute(
            "INSERT INTO scenario.models (catalog, id, created_at, updated_at, body, content_hash,"
            " sent_order) VALUES ('public', 'm', now(), '2020-01-01', '{}', '', 0)"
        )
        results: list[CommitResult] = []

        async def insert() -> None:
            results.append(await commit(context, ("ours", 0, 1)))

        async with asyncio.TaskGroup() as group:
            group.create_task(insert(), name="our page")
            await until_blocked(mirror)
            await transaction.commit()
        return results, await mirror.value("SELECT count(*) FROM scenario.models")


async def until_blocked(mirror: Mirror) -> None:
    """Come back when a page of ours waits for the observer's transaction."""
    for _ in range(2000):
        waiting = await mirror.value(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND pg_backend_pid() = ANY (pg_blocking_pids(pid))"
        )
        if waiting:
            return
    raise AssertionError("no page ever waited")


async def after_a_tombstone(url: str, *versions: Version) -> list[tuple[int, Any]]:
    """Models are removed by request 10; then a version of each arrives.

    Returns:
        for each, how many rows were restored and what name readers see.
    """
    seen = []
    async with mirroring(url) as mirror, mirror.context() as context:
        for number, version in enumerate(versions):
            model_id = f"m{number}"
            await commit(context, ("first", 0, 1), model_id=model_id)
            await mirror.value(
                "UPDATE scenario.models SET removed_at = now(), removed_reason = 'absent',"
                " sent_order = 10 WHERE id = $1 RETURNING id",
                model_id,
            )
            result = await commit(context, version, model_id=model_id)
            seen.append((result.restored, await stored_name(mirror, model_id)))
    return seen


async def page_with_what_only_postgresql_refuses(
    url: str, look: Callable[[Mirror], Awaitable[None]] | None = None
) -> CommitResult:
    """Twenty models, three of them with a value that slipped through the decoder."""
    models = [make_model(f"m{number:02}") for number in range(20)]
    models[7] = models[7]._replace(body=b'{"n":1e200000}')
    models[13] = models[13]._replace(name="a\0b")
    models[19] = models[19]._replace(body=b'{"broken"')
    async with mirroring(url) as mirror, mirror.context() as context:
        result = await context.pages.commit_page(make_batch(*models), NoEffect())
        if look is not None:
            await look(mirror)
        return result


async def watermarks_over_a_swaying_date(url: str) -> tuple[list[str], list[Any]]:
    """Models change while the ``Date`` of the answers is ten minutes behind, right, or ahead."""
    time = SourceTime()
    source = new_source(time)
    ids = add_models(source, 20, "m")
    watermarks = []
    async with mirroring(url, source, time=time) as mirror:
        for number, fault in enumerate(("", "behind", "", "ahead", "", "behind", "ahead", "")):
            time.advance(40)
            source.update_model(ids[number], name=f"edit {number}")
            if fault:
                source.add_fault(f"clock-{fault}-10m")
            await mirror.sync()
            source.clear_faults()
            watermarks.append(await mirror.value("SELECT watermark FROM syncer.catalog"))
        return await mirror.differences(), watermarks

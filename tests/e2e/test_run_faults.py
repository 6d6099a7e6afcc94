"""``syncer run`` outlives everything that can go wrong, and has caught up when it is over."""

from __future__ import annotations

from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
from support.command import Place, Running
from support.postgres import execute
from support.serving import Serve
from support.stored import assert_mirrors, live_bodies
from support.tcp_proxy import address_of, proxy_to, through
from support.trap import END_SESSION, REPORTED, report, times_sprung, trap

from syncer.domain import Millis, format_millis
from syncer.simulator import SimulatedSource
from syncer.simulator.faults import FAULTS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

PAGE_SIZE = 4
FAST = f"""
    [source]
    page_size = {PAGE_SIZE}
    request_timeout_s = 0.3
    [limits]
    retry_deadline_s = 0.1
    [[catalog]]
    name = "public"
    poll_interval_s = 0.02
"""
END_ALL = """
    SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name LIKE 'syncer%'
"""


class Editor:
    """Keeps the source changing: more models on one instant than fit a page, and two after it."""

    def __init__(self, source: SimulatedSource) -> None:
        self._source = source
        self._ids = list(source.live_models())[: PAGE_SIZE + 4]
        self._edits = 0

    def edit(self) -> None:
        self._edits += 1
        now_ms = self._source.now_ms()
        for number, model_id in enumerate(self._ids):
            at_ms = Millis(now_ms + max(0, number - PAGE_SIZE - 1))
            self._source.update_model(
                model_id, name=f"edit {self._edits}", updatedAt=format_millis(at_ms)
            )

    async def until_mirrored(self, daemon: Running, url: str) -> None:
        async def is_there() -> bool:
            bodies = await live_bodies(url)
            names = {bodies.get(each, {}).get("name") for each in self._ids}
            return names == {f"edit {self._edits}"}

        await daemon.until(is_there, f"edit {self._edits}")


def struck_by(source: SimulatedSource, fault: str, editor: Editor) -> Callable[[], bool]:
    """Arm a fault while something changes; whether it has struck."""
    struck = 0

    def count(_: object) -> bool:
        nonlocal struck
        struck += 1
        return True

    # Each 429 costs a second of pause: one is enough.
    source.add_fault(fault, 1 if fault.startswith("rate-limit") else None, when=count)
    editor.edit()
    return lambda: struck > 0


@asynccontextmanager
async def watching(url: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


async def test_it_outlives_every_fault_of_the_source(
    place: Place, serve: Serve, migrated_database_url: str, tmp_path: Path
) -> None:
    """P1, P8: one after the other, each until it struck; and what changed meanwhile is there."""
    place.write_config(FAST)
    token = tmp_path / "jwt"
    token.write_text("a.b.c")
    place.environment["SCENARIO_SDK_JWT_FILE"] = str(token)
    async with serve(models=20, retry_after_s=0.1) as source, place.start("run") as daemon:
        await daemon.until_poll()
        editor = Editor(source)
        for fault in FAULTS:
            await daemon.until(struck_by(source, fault, editor), f"{fault} to strike")
            source.clear_faults()
            if fault.startswith("rate-limit"):
                # Without an answer in between the pauses would double.
                await editor.until_mirrored(daemon, migrated_database_url)
        await editor.until_mirrored(daemon, migrated_database_url)
        ended = await daemon.stop()

        assert 0 == ended.code, ended.stderr
        assert "Traceback" not in ended.stderr
        await assert_mirrors(migrated_database_url, source)


async def test_it_outlives_every_fault_of_the_database(
    place: Place, serve: Serve, migrated_database_url: str, postgres_dsn: str
) -> None:
    """P1, P8: reported, ended, cut, read-only, closed; and what changed meanwhile is there."""
    place.write_config(FAST)
    place.set(lease__ttl_s=3)
    url = migrated_database_url
    async with (
        serve(models=20) as source,
        watching(url) as observer,
        proxy_to(address_of(url)) as proxy,
    ):
        place.set(database__url=through(proxy, url))
        await proxy.restore()
        name = await observer.fetchval("SELECT current_database()")
        async with place.start("run") as daemon:
            await daemon.until_poll()
            editor = Editor(source)

            for act in (*map(report, REPORTED), END_SESSION):
                async with trap(observer, act, ids="", times=3):
                    editor.edit()

                    async def is_sprung() -> bool:
                        return await times_sprung(observer) > 3

                    await daemon.until(is_sprung, act)

            editor.edit()
            failed = daemon.count("cycle_failed")
            await proxy.cut()
            await daemon.until_event("cycle_failed", failed + 1)
            await proxy.restore()
            await editor.until_mirrored(daemon, url)

            for close, open_again in (
                ("SET default_transaction_read_only = on", "RESET default_transaction_read_only"),
                ("ALLOW_CONNECTIONS false", "ALLOW_CONNECTIONS true"),
            ):
                await execute(postgres_dsn, f'ALTER DATABASE "{name}" {close}')
                await observer.fetchval(END_ALL)
                editor.edit()
                failed = daemon.count("cycle_failed")
                await daemon.until_event("cycle_failed", failed + 1)
                await execute(postgres_dsn, f'ALTER DATABASE "{name}" {open_again}')
                await observer.fetchval(END_ALL)
                await editor.until_mirrored(daemon, url)
            ended = await daemon.stop()

        assert 0 == ended.code, ended.stderr
        assert "Traceback" not in ended.stderr
        await assert_mirrors(url, source)

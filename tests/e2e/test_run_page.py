"""``/`` of a real daemon: what is mirrored, and what is not known, for people."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from support.tcp_proxy import address_of as address_of_database
from support.tcp_proxy import proxy_to, through
from support.web import ask, is_answered, listening

if TYPE_CHECKING:
    from support.command import Place
    from support.serving import Serve

FAST = '[[catalog]]\nname = "public"\npoll_interval_s = 0.2\n'
ANY_PORT = "127.0.0.1:0"


async def test_a_person_sees_what_is_mirrored(place: Place, serve: Serve) -> None:
    place.write_config(FAST)
    place.set(http__listen=ANY_PORT)
    async with serve(models=60), place.start("run") as daemon:
        address = await listening(daemon)
        await daemon.until(lambda: is_answered(address, "/readyz", 200), "ready")
        page = await ask(address, "/")
        files = [await ask(address, f"/{name}") for name in ("page.css", "page.js", "page.svg")]

        assert 200 == page.status
        assert "text/html; charset=utf-8" == page.headers["Content-Type"]
        assert "script-src 'self'" in page.headers["Content-Security-Policy"]
        assert "unsafe" not in page.headers["Content-Security-Policy"]
        for text in ("public", "60", "backfill", "complete"):
            assert text in page.text, text
        assert [200, 200, 200] == [each.status for each in files]
        assert [] == re.findall(r"Signature=|Policy=|https?://[^\"']*\?", page.text)
        assert (await daemon.stop()).code == 0


async def test_a_person_sees_that_the_database_is_away(
    place: Place, serve: Serve, migrated_database_url: str
) -> None:
    place.write_config(FAST)
    place.set(http__listen=ANY_PORT, lease__ttl_s=3, limits__retry_deadline_s=1)
    target = address_of_database(migrated_database_url)
    async with proxy_to(target) as proxy, serve(models=60):
        place.set(database__url=through(proxy, migrated_database_url))
        await proxy.restore()
        async with place.start("run") as daemon:
            address = await listening(daemon)
            await daemon.until(lambda: is_answered(address, "/readyz", 200), "ready")
            await proxy.cut()
            await daemon.until(lambda: is_answered(address, "/readyz", 503), "not ready")
            page = await ask(address, "/")

            assert 200 == page.status
            assert "database" in page.text
            assert "60" in page.text
            assert (await daemon.stop()).code == 0

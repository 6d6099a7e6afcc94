"""``/`` of a real daemon: what is mirrored, and what is not known, for people."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from support.web import ANY_PORT, FAST, ask, is_answered, listening, parted

if TYPE_CHECKING:
    from support.command import Place
    from support.serving import Serve


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
    async with (
        serve(models=60),
        parted(place, migrated_database_url) as proxy,
        place.start("run") as daemon,
    ):
        address = await listening(daemon)
        await daemon.until(lambda: is_answered(address, "/readyz", 200), "ready")
        await proxy.cut()
        await daemon.until(lambda: is_answered(address, "/readyz", 503), "not ready")
        page = await ask(address, "/")

        assert 200 == page.status
        assert "database" in page.text
        assert "60" in page.text
        assert (await daemon.stop()).code == 0

"""Large pages are decoded beside the event loop, with the same outcome."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

import pytest
from aiohttp import web
from support.desk import PAGE, decode, serving

from syncer.api.client import DECODE_HERE_BYTES
from syncer.api.decode import DecodedPage
from syncer.errors import SourceUnavailable, WalkBroken

ROOMY: dict[str, Any] = {"max_page_bytes": 4 * DECODE_HERE_BYTES}
SMALL = json.dumps(PAGE).encode()
LARGE = SMALL + b" " * DECODE_HERE_BYTES


def answering(body: bytes) -> Any:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(body=body)

    return handler


@pytest.mark.parametrize(("body", "is_here"), [(SMALL, True), (LARGE, False)])
async def test_where_a_page_is_decoded_depends_on_its_size(body: bytes, is_here: bool) -> None:
    threads: list[threading.Thread] = []

    def note_thread(given: bytes) -> DecodedPage:
        threads.append(threading.current_thread())
        return decode(given)

    async with serving(answering(body), decode=note_thread, **ROOMY) as desk:
        page = await desk.fetch()

    assert page.next_token == "more"
    assert [each is threading.main_thread() for each in threads] == [is_here]


@pytest.mark.parametrize(
    ("body", "error", "message"),
    [
        (b'{"models": "broken"}', WalkBroken, "envelope is broken"),
        (b"<html>", SourceUnavailable, "GET /models answered 200: the body is not JSON"),
    ],
)
async def test_what_is_wrong_with_a_large_page_is_said_as_of_a_small_one(
    body: bytes, error: type[Exception], message: str
) -> None:
    async with serving(answering(body + b" " * DECODE_HERE_BYTES), **ROOMY) as desk:
        with pytest.raises(error, match=message):
            await desk.fetch()

        assert desk.client.room.used_bytes == 0


async def test_a_request_that_is_cancelled_does_not_wait_for_its_decoding() -> None:
    began, let_go = threading.Event(), threading.Event()

    def hang(body: bytes) -> DecodedPage:
        began.set()
        let_go.wait()
        return decode(body)

    async with serving(answering(LARGE), decode=hang, **ROOMY) as desk:
        async with asyncio.TaskGroup() as group:
            fetching = group.create_task(desk.fetch())
            while not began.is_set():
                await asyncio.sleep(0)
            fetching.cancel()

        assert fetching.cancelled()
        assert desk.client.room.used_bytes == 0
        let_go.set()
    assert desk.observer.finished == ["cancelled"]

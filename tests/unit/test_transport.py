"""What happens on the wire: headers, compression, caps, timeouts and broken connections."""

from __future__ import annotations

import asyncio
import gzip
import itertools
import json
import socket
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import pytest
from aiohttp import web
from support.desk import DATE, DATE_MS, EXPIRED, PAGE, Credentials, Desk, serving
from support.virtual_clock import VirtualClock

from syncer.api.decode import decode_page
from syncer.domain import Lane, known_id
from syncer.errors import PageTooLarge, SourceRejected, SourceUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


async def write_until_hung_up(
    response: web.StreamResponse, chunk: bytes, every_s: float = 0.0
) -> None:
    with suppress(ConnectionError):
        while True:
            await response.write(chunk)
            await asyncio.sleep(every_s)


async def test_headers_and_path_are_what_the_source_expects() -> None:
    seen: list[web.Request] = []

    async def handler(request: web.Request) -> web.Response:
        seen.append(request)
        return web.json_response(PAGE)

    async with serving(handler) as desk:
        await desk.fetch()
        await desk.client.fetch_model("a/b ü", project_id=None, lane=Lane.VERIFY)

    assert [request.method for request in seen] == ["GET", "GET"]
    assert seen[0].headers.getall("Authorization") == ["public-auth-token"]
    assert seen[0].headers["User-Agent"] == "syncer/test"
    assert seen[0].headers["Accept-Encoding"] == "gzip"
    assert seen[0].query["tags"] == "Video,3D"
    assert seen[1].raw_path == "/v1/models/a%2Fb%20%C3%BC"


async def test_a_fresh_token_is_on_the_second_try() -> None:
    seen: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        seen.append(request.headers["Authorization"])
        if seen[-1] == "Bearer old":
            return web.Response(status=403, headers=EXPIRED)
        return web.json_response(PAGE)

    async with serving(
        handler, credentials=Credentials("bearer", "Bearer old", "Bearer new")
    ) as desk:
        await desk.fetch()

    assert seen == ["Bearer old", "Bearer new"]


@asynccontextmanager
async def proxy(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[list[str]]:
    """A proxy that the environment names; yields the heads of the requests it was given."""
    asked: list[str] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n" + b'{"models":[]}')
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        monkeypatch.setenv("http_proxy", f"http://user:pw@127.0.0.1:{port}")
        monkeypatch.delenv("no_proxy", raising=False)
        yield asked


async def test_a_netrc_entry_for_the_host_does_not_replace_the_credentials(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login somebody password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))

    async with (
        proxy(monkeypatch) as asked,
        Desk("http://api.invalid/v1", retry_deadline_s=0.0) as desk,
    ):
        await desk.fetch()

    assert asked[0].count("\r\nAuthorization: ") == 1
    assert "\r\nAuthorization: public-auth-token\r\n" in asked[0]


async def test_a_proxy_from_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with (
        proxy(monkeypatch) as asked,
        Desk("http://api.invalid/v1", retry_deadline_s=0.0) as desk,
    ):
        await desk.fetch()

    assert asked[0].startswith("GET http://api.invalid/v1/models?")


async def test_what_runs_on_this_machine_is_asked_past_the_proxy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def handler(_: web.Request) -> web.Response:
        return web.json_response(PAGE)

    async with proxy(monkeypatch) as asked, serving(handler) as desk:
        page = await desk.fetch()

    assert page.next_token == "more"
    assert asked == []


async def test_a_compressed_page_is_read() -> None:
    async def handler(_: web.Request) -> web.Response:
        packed = gzip.compress(json.dumps(PAGE).encode())
        return web.Response(body=packed, headers={"Content-Encoding": "gzip"})

    async with serving(handler) as desk:
        page = await desk.fetch()

    assert page.next_token == "more"
    assert page.size_bytes == len(json.dumps(PAGE))


async def test_the_byte_cap_counts_decompressed_bytes() -> None:
    async def handler(_: web.Request) -> web.Response:
        packed = gzip.compress(b" " * 3_000_000)
        return web.Response(body=packed, headers={"Content-Encoding": "gzip"})

    async with serving(handler, retry_deadline_s=60.0) as desk:
        with pytest.raises(PageTooLarge, match="more than 1000000 bytes"):
            await desk.fetch()

    assert desk.client.requests_sent == 1
    assert desk.observer.finished == ["too_large"]


async def test_a_page_of_exactly_the_cap_is_read() -> None:
    content = json.dumps(PAGE).encode()

    async def handler(_: web.Request) -> web.Response:
        return web.Response(body=content)

    async with serving(handler, max_page_bytes=len(content)) as desk:
        assert (await desk.fetch()).next_token == "more"
    async with serving(handler, max_page_bytes=len(content) - 1) as desk:
        with pytest.raises(PageTooLarge, match="max_page_bytes"):
            await desk.fetch()


async def test_an_endless_error_body_is_cut_and_still_judged() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=400)
        await response.prepare(request)
        await write_until_hung_up(response, b"x" * 65_536)
        return response

    async with serving(handler) as desk:
        with pytest.raises(SourceRejected, match="answered 400"):
            await desk.fetch()


async def test_a_body_that_cannot_be_decompressed_is_trouble() -> None:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(body=b"not gzip", headers={"Content-Encoding": "gzip"})

    async with serving(handler) as desk:
        with pytest.raises(SourceUnavailable, match="GET /models"):
            await desk.fetch()


async def test_a_dripping_body_ends_at_the_request_timeout() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await write_until_hung_up(response, b" ", every_s=0.01)
        return response

    async with serving(handler, request_timeout_s=0.05) as desk:
        async with asyncio.timeout(3):
            with pytest.raises(SourceUnavailable, match=r"in time \(0\.05 s\)"):
                await desk.fetch()

    assert desk.observer.finished == ["unavailable"]


async def test_a_silent_source_ends_at_the_request_timeout() -> None:
    hung_up = asyncio.Event()

    async def handler(_: web.Request) -> web.Response:
        await hung_up.wait()
        return web.Response()

    async with serving(handler, request_timeout_s=0.05) as desk:
        async with asyncio.timeout(3):
            with pytest.raises(SourceUnavailable, match="did not answer completely in time"):
                await desk.fetch()
        hung_up.set()


async def test_a_truncated_body_is_trouble_and_asked_again() -> None:
    served = itertools.count()

    async def handler(request: web.Request) -> web.StreamResponse:
        if next(served):
            return web.json_response(PAGE)
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b'{"models": [')
        assert request.transport is not None
        request.transport.close()
        return response

    async with serving(handler, retry_deadline_s=60.0) as desk:
        assert (await desk.fetch()).next_token == "more"

    assert desk.observer.finished == ["unavailable", "ok"]


async def test_a_dead_kept_alive_connection_is_not_asked_again_behind_the_limiters_back() -> None:
    """Taken out of the middleware, aiohttp repeats the GET itself and P7 is broken."""
    served: list[int] = []

    async def handler(request: web.Request) -> web.Response:
        served.append(len(served))
        if len(served) == 2:
            assert request.transport is not None
            request.transport.close()
        return web.json_response(PAGE)

    async with serving(handler, retry_deadline_s=60.0) as desk:
        await desk.fetch()
        await desk.fetch()

    assert desk.client.requests_sent == len(served) == 3
    assert desk.observer.finished == ["ok", "unavailable", "ok"]
    assert desk.limiter.requests_in_window == 3


async def test_a_closed_port_is_trouble_that_names_host_and_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    async with Desk(f"http://127.0.0.1:{port}/v1", retry_deadline_s=0.0) as desk:
        with pytest.raises(SourceUnavailable, match=rf"127\.0\.0\.1:{port} cannot be reached"):
            await desk.fetch()


async def test_a_redirect_is_not_followed() -> None:
    asked: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        asked.append(request.path)
        raise web.HTTPFound("/v1/elsewhere")

    async with serving(handler) as desk:
        with pytest.raises(SourceRejected, match="redirects") as raised:
            await desk.fetch()

    assert asked == ["/v1/models"]
    assert "source.base_url" in str(raised.value)


async def test_a_cancelled_request_is_reported_and_gives_its_place_back() -> None:
    arrived, hung_up = asyncio.Event(), asyncio.Event()

    async def handler(_: web.Request) -> web.Response:
        arrived.set()
        await hung_up.wait()
        return web.json_response(PAGE)

    async with serving(handler, at_once=1) as desk:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(desk.fetch())
            await arrived.wait()
            task.cancel()
        hung_up.set()
        await desk.fetch()

    assert desk.observer.finished == ["cancelled", "ok"]


async def test_the_answer_is_released_before_any_wait() -> None:
    """With one connection slot, a throttled request must not hold it while it waits."""
    clock = VirtualClock()
    served = itertools.count()

    async def handler(_: web.Request) -> web.Response:
        if next(served) == 0:
            return web.Response(status=503)
        return web.json_response(PAGE)

    async with (
        serving(handler, clock=clock, at_once=1, retry_deadline_s=60.0) as desk,
        asyncio.TaskGroup() as group,
    ):
        failed = group.create_task(desk.fetch())
        await desk.observer.retry_heard.wait()
        # The first one sleeps before its second attempt; the second is served meanwhile.
        await desk.fetch()
        assert not failed.done()
        await clock.advance(1.0)

    assert desk.observer.finished == ["unavailable", "ok", "ok"]


async def test_the_default_decoder_reads_a_real_page() -> None:
    model = {
        "id": "model_a",
        "createdAt": "2026-01-01T00:00:00.000Z",
        "updatedAt": "2026-01-02T00:00:00.000Z",
    }

    async def handler(_: web.Request) -> web.Response:
        return web.json_response({"models": [model]}, headers=DATE)

    async with serving(handler, decode=decode_page) as desk:
        page = await desk.fetch()

    assert [known_id(entry) for entry in page.entries] == ["model_a"]
    assert page.next_token is None
    assert page.source_now_ms == DATE_MS

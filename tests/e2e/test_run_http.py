"""``syncer run`` over HTTP: well, ready, counted, and honest about what it cannot know."""

from __future__ import annotations

import asyncio
import re
import signal
import socket
from typing import TYPE_CHECKING

import aiohttp
import pytest
from support.postgres import execute
from support.serving import Gate
from support.stored import fetch_value
from support.web import ANY_PORT, FAST, ask, is_answered, listening, parted, scrape

if TYPE_CHECKING:
    from support.command import Place, Running
    from support.serving import Serve


async def until(daemon: Running, address: str, path: str, status: int) -> dict[str, object]:
    """Wait for an answer with this status; returns its document."""
    answer = await daemon.until(
        lambda: is_answered(address, path, status), f"{path} to answer {status}"
    )
    found: dict[str, object] = answer.document
    return found


async def test_it_tells_that_it_is_well_and_ready_and_what_it_holds(
    place: Place, serve: Serve
) -> None:
    place.write_config(FAST)
    place.set(http__listen=ANY_PORT)
    async with serve(models=60), place.start("run") as daemon:
        address = await listening(daemon)
        ready = await until(daemon, address, "/readyz", 200)
        health = await ask(address, "/healthz")
        status = await ask(address, "/status.json")
        told = (await place.run("status", "--json")).document
        metrics = await scrape(address)

        assert {"ready": True, "reasons": []} == ready
        assert (200, {"healthy": True, "stalled": []}) == (health.status, health.document)
        (catalog,) = status.document["catalogs"]
        assert told.keys() == status.document.keys()
        assert told["catalogs"][0].keys() == catalog.keys()
        assert 60 == catalog["live_models"] == metrics.value("syncer_live_models", catalog="public")
        assert 1 == metrics.value("syncer_lease_held", catalog="public")
        assert 0 == metrics.value("syncer_stalled", catalog="public")
        assert 100_000 == metrics.value("syncer_budget_requests_per_minute")
        ended = await daemon.stop()

        assert 0 == ended.code, ended.stderr
        with pytest.raises(aiohttp.ClientConnectionError):
            await ask(address, "/healthz")


async def test_it_only_answers_what_is_asked_and_names_no_software(
    place: Place, serve: Serve
) -> None:
    place.set(http__listen=ANY_PORT)
    async with serve(models=3), place.start("run") as daemon:
        address = await listening(daemon)
        answers = {
            (method, path): await ask(address, path, method)
            for method, path in (
                ("GET", "/healthz"),
                ("HEAD", "/healthz"),
                ("POST", "/healthz"),
                ("DELETE", "/nowhere"),
                ("OPTIONS", "/metrics"),
                ("GET", "/nowhere"),
                ("GET", "/../etc/passwd"),
            )
        }

        assert [200, 200, 405, 405, 405, 404, 404] == [each.status for each in answers.values()]
        assert "" == answers["HEAD", "/healthz"].text
        assert {"error": "not found"} == answers["GET", "/nowhere"].document
        assert "GET, HEAD" == answers["POST", "/healthz"].headers["Allow"]
        for answer in answers.values():
            assert "Server" not in answer.headers
            assert "nosniff" == answer.headers["X-Content-Type-Options"]
            assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert (await daemon.stop()).code == 0


async def test_what_is_no_request_is_refused_and_is_no_traceback_of_ours(
    place: Place, serve: Serve
) -> None:
    place.set(http__listen=ANY_PORT)
    async with serve(models=3), place.start("run") as daemon:
        host, _, port = (await listening(daemon)).rpartition(":")
        for rubbish in (b"\x16\x03\x01 no request\r\n\r\n", b"GET / HTTP/9.9.9\r\n\r\n"):
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            await reader.readuntil(b"}\n")
            writer.write(rubbish)
            assert (await reader.readline()).split()[1] == b"400"
            writer.close()
        ended = await daemon.stop()

        assert ended.code == 0
        assert [line for line in ended.events if line["event"] == "library_reported"] == []


async def test_without_the_database_it_is_well_and_counted_but_not_ready(
    place: Place, serve: Serve, migrated_database_url: str
) -> None:
    """P8: what was known is shown, its age is not hidden, and the reason is named."""
    async with (
        serve(models=60),
        parted(place, migrated_database_url) as proxy,
        place.start("run") as daemon,
    ):
        address = await listening(daemon)
        await until(daemon, address, "/readyz", 200)
        before = await scrape(address)
        await proxy.cut()
        unready = await until(daemon, address, "/readyz", 503)
        health = await ask(address, "/healthz")
        status = (await ask(address, "/status.json")).document

        async def has_aged() -> bool:
            fresh = (await scrape(address)).value("syncer_freshness_seconds", catalog="public")
            return fresh is not None and fresh > 1

        await daemon.until(has_aged, "freshness to grow")
        after = await scrape(address)
        await proxy.restore()
        await until(daemon, address, "/readyz", 200)
        ended = await daemon.stop()

    assert 0 == ended.code, ended.stderr
    reasons = unready["reasons"]
    assert isinstance(reasons, list)
    assert any(each.startswith("database: ") for each in reasons), reasons
    assert 200 == health.status
    assert (False, 60) == (status["ready"], status["catalogs"][0]["live_models"])
    pages = before.value("syncer_pages_total", catalog="public")
    assert pages is not None
    assert (after.value("syncer_pages_total", catalog="public") or 0) >= pages
    assert 60 == after.value("syncer_live_models", catalog="public")


async def test_a_database_that_takes_no_writes_is_not_ready(
    place: Place, serve: Serve, migrated_database_url: str
) -> None:
    """P8: it is read as before, so freshness alone would tell minutes later."""
    name = await fetch_value(migrated_database_url, "SELECT quote_ident(current_database())")
    place.write_config(FAST)
    place.set(http__listen=ANY_PORT)
    async with serve(models=3), place.start("run") as daemon:
        address = await listening(daemon)
        await until(daemon, address, "/readyz", 200)
        alter = f"ALTER DATABASE {name} SET default_transaction_read_only"
        await execute(migrated_database_url, f"{alter} = on")
        unready = await until(daemon, address, "/readyz", 503)
        await execute(migrated_database_url, f"BEGIN READ WRITE; {alter} = off; COMMIT")
        await until(daemon, address, "/readyz", 200)
        await daemon.stop()

    assert any("takes no writes" in each for each in unready["reasons"])  # type: ignore[attr-defined]


async def test_a_source_that_never_answers_turns_it_red_and_the_log_says_where_it_stands(
    place: Place, serve: Serve
) -> None:
    place.write_config(FAST)
    place.set(http__listen=ANY_PORT, limits__stall_after_s=1)
    async with serve(models=60) as source, place.start("run") as daemon:
        address = await listening(daemon)
        await until(daemon, address, "/readyz", 200)
        gate = Gate(source)
        red = await until(daemon, address, "/healthz", 503)
        metrics = await scrape(address)
        await daemon.until_event("crawl_stalled")
        page = (await ask(address, "/")).text
        gate.open()
        await until(daemon, address, "/healthz", 200)
        await daemon.until_event("crawl_resumed")
        ended = await daemon.stop()

    assert 0 == ended.code, ended.stderr
    assert "Catalog public has not moved since" in page
    assert False is red["healthy"]
    (stall,) = red["stalled"]  # type: ignore[misc]
    assert "public" == stall["catalog"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", stall["since"])
    assert 1 == metrics.value("syncer_stalled", catalog="public")
    (said,) = [line for line in ended.events if line["event"] == "crawl_stalled"]
    assert any(task.startswith("catalog public: ") for task in said["tasks"])
    assert any("syncer.api.transport" in task for task in said["tasks"]), said["tasks"]
    assert said["hint"]


async def test_waiting_for_the_request_budget_is_no_stall(place: Place, serve: Serve) -> None:
    """Of three requests a minute some polls get none for longer than that."""
    place.write_config(FAST)
    place.set(http__listen=ANY_PORT, limits__stall_after_s=1, source__max_requests_per_minute=3)
    async with serve(models=60), place.start("run") as daemon:
        address = await listening(daemon)

        async def is_waiting_for_long() -> bool:
            found = await scrape(address)
            wait_s = found.value("syncer_budget_wait_seconds") or 0
            age_s = found.value("syncer_freshness_seconds", catalog="public") or 0
            return wait_s > 1 and age_s > 3

        await daemon.until(is_waiting_for_long, "polls that wait for the budget")
        health = await ask(address, "/healthz")
        ended = await daemon.stop()

        assert 200 == health.status, health
        assert 0 == ended.code, ended.stderr
        assert [] == [line for line in ended.events if line["event"] == "crawl_stalled"]


async def test_of_two_the_one_that_stands_by_is_ready_too(place: Place, serve: Serve) -> None:
    place.write_config(FAST)
    place.set(http__listen=ANY_PORT, limits__stall_after_s=1)
    async with serve(models=60), place.start("run") as first:
        await until(first, await listening(first), "/readyz", 200)
        async with place.start("run") as second:
            address = await listening(second)
            await second.until_event("standby_started")
            await until(second, address, "/readyz", 200)
            metrics = await scrape(address)
            health = await ask(address, "/healthz")

            assert 200 == health.status
            assert 0 == metrics.value("syncer_lease_held", catalog="public")
            assert 60 == metrics.value("syncer_live_models", catalog="public")
            assert (await second.stop()).code == 0
        assert (await first.stop()).code == 0


async def test_an_address_in_use_ends_it_with_2_and_says_what_to_do(place: Place) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        place.set(http__listen=f"127.0.0.1:{taken.getsockname()[1]}")
        said = (await place.run("run")).failed_with(2)

    assert "http.listen" in said
    assert "in use" in said


async def test_a_host_that_is_not_ours_ends_it_with_2(place: Place) -> None:
    place.set(http__listen="192.0.2.1:0")

    assert "http.listen" in (await place.run("run")).failed_with(2)


async def test_sighup_moves_the_listener_and_an_address_in_use_leaves_it_where_it_is(
    place: Place, serve: Serve
) -> None:
    del place.environment["SYNCER_HTTP__LISTEN"]
    place.write_config(FAST + f'[http]\nlisten = "{ANY_PORT}"\n')
    async with serve(models=3), place.start("run") as daemon:
        first = await listening(daemon)
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            place.write_config(FAST + f'[http]\nlisten = "127.0.0.1:{port}"\n')
            daemon.send(signal.SIGHUP)
            await daemon.until_event("config_rejected")
            assert daemon.count("config_reloaded") == 0
            await until(daemon, first, "/readyz", 200)
        daemon.send(signal.SIGHUP)
        await daemon.until_event("listener_opened", 2)
        await until(daemon, f"127.0.0.1:{port}", "/readyz", 200)
        with pytest.raises(aiohttp.ClientConnectionError):
            await ask(first, "/healthz")
        place.write_config(FAST + '[http]\nlisten = ""\n')
        daemon.send(signal.SIGHUP)
        await daemon.until_event("listener_closed")
        with pytest.raises(aiohttp.ClientConnectionError):
            await ask(f"127.0.0.1:{port}", "/healthz")

        assert (await daemon.stop()).code == 0

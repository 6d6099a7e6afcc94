"""Each fault of the simulated source, over HTTP, by name."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from itertools import chain
from typing import Any

import aiohttp
import pytest

from syncer.simulator import FAULTS, SimulatedSource, SimulatorOptions
from syncer.simulator.faults import FaultBox

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
ASKED = {"privacy": "public", "sortBy": "createdAt", "sortDirection": "asc", "pageSize": "8"}


class Probe:
    """Asks a source of 20 models with one fault armed."""

    def __init__(self, source: SimulatedSource, url: str, session: aiohttp.ClientSession) -> None:
        self.source = source
        self.url = url
        self.session = session

    async def ask(
        self, auth: str = "public-auth-token", **params: str
    ) -> tuple[int, bytes, dict[str, str]]:
        headers = {"Authorization": auth}
        async with self.session.get(self.url, params=ASKED | params, headers=headers) as got:
            return got.status, await got.read(), dict(got.headers)

    async def page(self, **params: str) -> Any:
        return json.loads((await self.ask(**params))[1])

    async def created(self, **params: str) -> list[str]:
        return [row["createdAt"] for row in (await self.page(**params))["models"]]

    async def walk(self, limit: int = 20) -> list[list[str]]:
        pages: list[list[str]] = []
        params: dict[str, str] = {}
        while len(pages) < limit:
            page = await self.page(**params)
            pages.append([row["id"] for row in page["models"]])
            if not page.get("nextPaginationToken"):
                break
            params = {"paginationToken": page["nextPaginationToken"]}
        return pages


@pytest.fixture(name="waited")
def fixture_waited() -> list[float]:
    return []


@pytest.fixture(name="probe")
async def fixture_probe(waited: list[float]) -> AsyncIterator[Probe]:
    async def sleep(delay_s: float) -> None:
        waited.append(delay_s)

    options = SimulatorOptions(models=20, oversized_row_bytes=4096, retry_after_s=2)
    source = SimulatedSource(options, clock=lambda: NOW, sleep=sleep)
    async with (
        source.serve() as base_url,
        # A connection for each request: aiohttp repeats a GET by itself when a reused one is reset.
        aiohttp.TCPConnector(force_close=True) as connector,
        aiohttp.ClientSession(connector=connector) as session,
    ):
        yield Probe(source, f"{base_url}/models", session)


Check = Callable[[Probe], Awaitable[None]]
CHECKS: dict[str, Check] = {}


def checks(*names: str) -> Callable[[Check], Check]:
    def register(check: Check) -> Check:
        CHECKS.update(dict.fromkeys(names, check))
        return check

    return register


@pytest.mark.parametrize("name", FAULTS)
async def test_each_fault_does_what_its_name_says(probe: Probe, name: str) -> None:
    probe.source.add_fault(name)

    await CHECKS[name](probe)


ERRORS: dict[str, tuple[int, str, dict[str, str]]] = {
    "rate-limit-seconds": (429, '"message"', {"Retry-After": "2"}),
    "rate-limit-date": (429, '"message"', {"Retry-After": "Wed, 04 Mar 2026 05:06:09 GMT"}),
    "rate-limit-ms": (429, '"message"', {"retry-after-ms": "2000"}),
    "rate-limit-bare": (429, '"message"', {}),
    "rate-limit-body": (429, '"remainingSeconds":2', {}),
    "plan-limit": (429, '"name":"PlanLimitReachedError"', {}),
    "error-400": (400, '"reason"', {}),
    "error-404": (404, '"reason"', {}),
    "error-408": (408, '"message"', {}),
    "error-500": (500, '"message"', {}),
    "error-502-html": (502, "<html>", {"Content-Type": "text/html"}),
    "error-503": (503, '"message"', {}),
    "unauthorized": (401, '"message"', {}),
    "forbidden": (403, '"message"', {}),
    "html-200": (200, "<html>", {"Content-Type": "text/html"}),
    "no-models-key": (200, '"message"', {}),
}


@pytest.mark.parametrize("name", ERRORS)
async def test_an_error_fault_has_its_status_body_and_headers(probe: Probe, name: str) -> None:
    probe.source.add_fault(name, 1)
    status, body, headers = await probe.ask()
    expected_status, part, expected_headers = ERRORS[name]

    assert expected_status == status
    assert part in body.decode()
    assert expected_headers.items() <= headers.items()
    retry_headers = {"Retry-After", "retry-after-ms"} & headers.keys()
    assert retry_headers == {"Retry-After", "retry-after-ms"} & expected_headers.keys()
    assert "x-amzn-errortype" not in headers
    assert (await probe.ask())[0] == 200


@checks(*ERRORS)
async def check_error(probe: Probe) -> None:
    status, body, _ = await probe.ask()
    assert status != 200 or b'"models"' not in body


@checks("expired-jwt")
async def check_expired_jwt(probe: Probe) -> None:
    status, _, headers = await probe.ask("Bearer token")
    assert (status, headers["x-amzn-errortype"]) == (403, "AccessDeniedException")
    assert (await probe.ask())[0] == 200


@checks("invalid-json")
async def check_invalid_json(probe: Probe) -> None:
    with pytest.raises(json.JSONDecodeError):
        await probe.page()


@checks("invalid-utf8")
async def check_invalid_utf8(probe: Probe) -> None:
    with pytest.raises(UnicodeDecodeError):
        await probe.page()


@checks("rejected-token")
async def check_rejected_token(probe: Probe) -> None:
    token = (await probe.page())["nextPaginationToken"]
    assert (await probe.ask(paginationToken=token))[0] == 400


@checks("repeated-token")
async def check_repeated_token(probe: Probe) -> None:
    token = (await probe.page())["nextPaginationToken"]
    assert (await probe.page(paginationToken=token))["nextPaginationToken"] == token


@checks("endless-empty-pages")
async def check_endless_empty_pages(probe: Probe) -> None:
    assert await probe.walk(limit=30) == [[]] * 30


@checks("empty-page-with-token")
async def check_empty_page_with_token(probe: Probe) -> None:
    pages = await probe.walk()
    assert [len(page) for page in pages] == [0, 8, 0, 8, 0, 4]
    assert set(chain.from_iterable(pages)) == set(probe.source.live_models())


@checks("short-pages")
async def check_short_pages(probe: Probe) -> None:
    pages = await probe.walk()
    assert max(len(page) for page in pages) < 8
    assert sorted(chain.from_iterable(pages)) == sorted(probe.source.live_models())


@checks("unsorted-page")
async def check_unsorted_page(probe: Probe) -> None:
    created = await probe.created()
    assert sorted(created) != created


@checks("duplicate-rows")
async def check_duplicate_rows(probe: Probe) -> None:
    created = await probe.created()
    assert len(created) == 9
    assert created[0] == created[-1]


@checks("out-of-bounds-row")
async def check_out_of_bounds_row(probe: Probe) -> None:
    times = sorted(model["createdAt"] for model in probe.source.live_models().values())
    assert await probe.created() == times[:8]
    assert times[3] in await probe.created(createdAfter=times[3])
    assert await probe.created(createdBefore=times[3]) == times[:4]


@checks("empty-string-end-token")
async def check_empty_string_end_token(probe: Probe) -> None:
    assert (await probe.page(pageSize="500"))["nextPaginationToken"] == ""
    assert (await probe.page())["nextPaginationToken"]


@checks("null-end-token")
async def check_null_end_token(probe: Probe) -> None:
    assert (await probe.page(pageSize="500"))["nextPaginationToken"] is None


@checks("oversized-page")
async def check_oversized_page(probe: Probe) -> None:
    one, eight = await probe.ask(pageSize="1"), await probe.ask()
    assert len(one[1]) > 4096
    assert len(eight[1]) > 8 * 4096
    assert len(json.loads(eight[1])["models"]) == 8


@checks("no-date-header")
async def check_no_date_header(probe: Probe) -> None:
    assert "Date" not in (await probe.ask())[2]


@checks("clock-ahead-10m")
async def check_clock_ahead(probe: Probe) -> None:
    assert (await probe.ask())[2]["Date"] == "Wed, 04 Mar 2026 05:16:07 GMT"


@checks("clock-behind-10m")
async def check_clock_behind(probe: Probe) -> None:
    assert (await probe.ask())[2]["Date"] == "Wed, 04 Mar 2026 04:56:07 GMT"


@checks("reset-before-headers")
async def check_reset_before_headers(probe: Probe) -> None:
    with pytest.raises(aiohttp.ClientOSError, match="reset by peer"):
        await probe.ask()
    assert probe.source.requests[-1].status == 0


@checks("reset-after-headers", "truncated-body")
async def check_cut_body(probe: Probe) -> None:
    with pytest.raises(aiohttp.ClientPayloadError):
        await probe.ask()


@checks("dripping-body")
async def check_dripping_body(probe: Probe) -> None:
    assert len((await probe.page())["models"]) == 8


async def test_a_dripping_body_pauses_before_each_piece(probe: Probe, waited: list[float]) -> None:
    probe.source.add_fault("dripping-body", 1)
    await probe.ask()

    assert waited == [0.2] * 20


@checks("hanging-body")
async def check_hanging_body(probe: Probe) -> None:
    async with probe.session.get(
        probe.url, params=ASKED, headers={"Authorization": "public-auth-token"}
    ) as got:
        assert await got.content.read(10)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await got.read()


async def test_a_fault_strikes_as_often_as_asked_and_is_in_the_log(probe: Probe) -> None:
    probe.source.add_fault("error-500", 2)
    answered = [(await probe.ask())[0] for _ in range(3)]

    assert answered == [500, 500, 200]
    assert [got.fault for got in probe.source.requests] == ["error-500", "error-500", None]


async def test_a_fault_strikes_only_the_requests_that_it_is_meant_for(probe: Probe) -> None:
    probe.source.add_fault("error-500", when=lambda params: params.get("type") == "custom")

    assert (await probe.ask())[0] == 200
    assert (await probe.ask(type="custom"))[0] == 500
    probe.source.clear_faults()
    assert (await probe.ask(type="custom"))[0] == 200


def test_faults_can_be_given_as_text() -> None:
    box = FaultBox(random.Random(1))  # noqa: S311 - reproducible, not secret
    box.add_spec("error-500:2")
    box.add_spec("error-503:25%")
    box.add_spec("error-408")

    assert [box.strikes("error-500", {}) for _ in range(3)] == [True, True, False]
    assert 150 < sum(box.strikes("error-503", {}) for _ in range(1000)) < 350
    assert all(box.strikes("error-408", {}) for _ in range(10))


@pytest.mark.parametrize(
    "spec", ["error-999", "error-500:many", "error-500:0", "error-500:0%", "error-500:101%"]
)
def test_a_fault_that_is_not_understood_is_refused(spec: str) -> None:
    with pytest.raises(ValueError, match=f"fault {spec} is not understood"):
        SimulatedSource(SimulatorOptions(models=0, faults=(spec,)))

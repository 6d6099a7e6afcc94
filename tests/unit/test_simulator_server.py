"""The simulated source over HTTP: credentials, headers, bodies, limits, and the request log."""

from __future__ import annotations

import asyncio
import base64
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from syncer.simulator import SimulatedSource, SimulatorOptions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
PUBLIC = {"Authorization": "public-auth-token"}
BASIC = {"Authorization": "Basic " + base64.b64encode(b"key:secret").decode()}
LIST = {"privacy": "public"}


class Time:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


class Client:
    """Asks one running source."""

    def __init__(self, base_url: str, session: aiohttp.ClientSession) -> None:
        self.base_url = base_url
        self.session = session

    async def get(
        self, path: str, params: dict[str, str] | None = None, headers: dict[str, str] = PUBLIC
    ) -> tuple[int, Any, Any]:
        async with self.session.get(self.base_url + path, params=params, headers=headers) as got:
            return got.status, await got.json(), got.headers


@pytest.fixture(name="time")
def fixture_time() -> Time:
    return Time()


@pytest.fixture(name="source")
def fixture_source(time: Time) -> SimulatedSource:
    return SimulatedSource(SimulatorOptions(models=30, private_models=10), clock=time)


@pytest.fixture(name="client")
async def fixture_client(source: SimulatedSource) -> AsyncIterator[Client]:
    async with source.serve() as base_url, aiohttp.ClientSession() as session:
        yield Client(base_url, session)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.parametrize(
    ("headers", "params", "status"),
    [
        ({}, LIST, 401),
        ({"Authorization": "Basic !!"}, LIST, 401),
        ({"Authorization": "Basic " + base64.b64encode(b"key:").decode()}, LIST, 401),
        ({"Authorization": "Digest x"}, LIST, 401),
        ({"Authorization": "Bearer public-auth-token"}, LIST, 200),
        (PUBLIC, LIST, 200),
        (PUBLIC, {}, 401),
        (PUBLIC, LIST | {"blacklisted": "true"}, 403),
        (BASIC, LIST, 200),
        (BASIC, {}, 200),
    ],
)
async def test_credentials_are_judged_by_the_gateway(
    client: Client, headers: dict[str, str], params: dict[str, str], status: int
) -> None:
    answered, body, _ = await client.get("/models", params, headers)

    assert status == answered
    assert {200: "models", 401: "message", 403: "reason"}[status] in body


async def test_only_known_keys_and_tokens_are_accepted_where_they_are_named(time: Time) -> None:
    options = SimulatorOptions(
        models=1, keys={"key": "other"}, bearer_tokens=frozenset({"a-token"})
    )
    source = SimulatedSource(options, clock=time)
    right = {"Authorization": "Basic " + base64.b64encode(b"key:other").decode()}
    async with source.serve() as base_url, aiohttp.ClientSession() as session:
        client = Client(base_url, session)

        assert (await client.get("/models", headers=BASIC))[0] == 401
        assert (await client.get("/models", headers=right))[0] == 200
        assert (await client.get("/models", headers=bearer("b-token")))[0] == 401
        assert (await client.get("/models", headers=bearer("a-token")))[0] == 200


@pytest.mark.parametrize("token", ["a.b.c", "a.bnVsbA.c", "a.eyJleHAiOiJ4In0.c"])
async def test_a_token_without_a_readable_expiry_does_not_expire(
    client: Client, token: str
) -> None:
    assert (await client.get("/models", headers=bearer(token)))[0] == 200


async def test_an_expired_jwt_is_a_403_with_the_header_that_says_so(
    client: Client, source: SimulatedSource, time: Time
) -> None:
    token = source.issue_jwt(ttl_s=60)

    assert (await client.get("/models", headers=bearer(token)))[0] == 200
    time.now += timedelta(seconds=60)
    status, _, headers = await client.get("/models", headers=bearer(token))
    assert (status, headers["x-amzn-errortype"]) == (403, "AccessDeniedException")


async def test_the_date_is_the_source_clock(client: Client) -> None:
    _, _, headers = await client.get("/models", LIST)

    assert headers.getall("Date") == ["Wed, 04 Mar 2026 05:06:07 GMT"]


async def test_an_empty_account_gets_no_token_key(client: Client) -> None:
    _, body, _ = await client.get("/models", {"projectId": "proj_other"}, BASIC)

    assert body == {"models": []}


async def test_a_bad_question_is_a_400_with_a_reason(client: Client) -> None:
    status, body, _ = await client.get("/models", LIST | {"pageSize": "0"})

    assert status == 400
    assert body == {"reason": "pageSize must be an integer between 1 and 500"}


@pytest.mark.parametrize("token", ["x", "e30=", "eyJvZmZzZXQiOi0xfQ==", "eyJsYXN0S2V5IjoxfQ=="])
async def test_a_broken_token_is_a_400(client: Client, token: str) -> None:
    status, body, _ = await client.get("/models", LIST | {"paginationToken": token})

    assert (status, body) == (400, {"reason": "paginationToken is invalid"})


async def test_a_retrieve_has_the_form_that_no_list_row_has(
    client: Client, source: SimulatedSource
) -> None:
    source.add_model(id="model_a.b-c", custom=True, type="custom")
    source.add_model(id="lora", custom=False, type="flux.1-lora")
    _, listed, _ = await client.get("/models", LIST)
    _, custom, _ = await client.get("/models/model_a.b-c")
    _, lora, _ = await client.get("/models/lora")

    assert not any("inputs" in row or "uiConfig" in row for row in listed["models"])
    assert {"inputs", "uiConfig"} <= custom["model"].keys()
    assert not {"inputs", "uiConfig"} & lora["model"].keys()


async def test_an_unlisted_model_answers_by_id_and_a_private_one_only_to_its_owner(
    client: Client, source: SimulatedSource
) -> None:
    source.add_model(id="hidden", privacy="unlisted")
    source.add_model(id="mine", privacy="private")

    assert "hidden" not in source.live_models()
    assert (await client.get("/models/hidden"))[0] == 200
    assert (await client.get("/models/mine", headers=BASIC))[0] == 200
    assert (await client.get("/models/mine", {"projectId": "proj_other"}, BASIC))[0] == 404
    status, body, _ = await client.get("/models/mine")
    assert (status, body) == (404, {"reason": "Model mine not found"})


async def test_a_retrieve_is_ahead_of_a_late_listing(
    client: Client, source: SimulatedSource
) -> None:
    source.publish_later({"id": "late"}, after_s=60)
    _, listed, _ = await client.get("/models", LIST)

    assert (await client.get("/models/late"))[0] == 200
    assert "late" not in {row["id"] for row in listed["models"]}


async def test_a_private_retrieve_shows_all_training_images(
    client: Client, source: SimulatedSource
) -> None:
    model_id, row = next(iter(source.live_models("private").items()))
    _, body, _ = await client.get(f"/models/{model_id}", headers=BASIC)

    assert (len(row["trainingImages"]), len(body["model"]["trainingImages"])) == (3, 16)
    assert body["model"]["trainingImages"][0]["id"] == row["trainingImages"][0]["id"]


async def test_get_bulk_skips_unknown_ids_and_answers_for_unlisted_ones(
    client: Client, source: SimulatedSource
) -> None:
    source.add_model(id="hidden", privacy="unlisted", name="n", type="custom")
    url = f"{client.base_url}/models/get-bulk"
    body: dict[str, Any] = {"modelIds": ["nobody", "hidden", "hidden"]}
    async with client.session.post(url, json=body, headers=BASIC) as got:
        whole = await got.json()
    async with client.session.post(url, json=body | {"minimal": True}, headers=BASIC) as got:
        minimal = await got.json()

    assert [row["id"] for row in whole["models"]] == ["hidden"]
    assert minimal == {
        "models": [{"id": "hidden", "name": "n", "privacy": "unlisted", "type": "custom"}]
    }


@pytest.mark.parametrize("body", [b"{", b"\xff", b"[]", b'{"modelIds":"a"}', b'{"modelIds":[1]}'])
async def test_get_bulk_refuses_what_is_no_list_of_ids(client: Client, body: bytes) -> None:
    url = f"{client.base_url}/models/get-bulk"
    async with client.session.post(url, data=body, headers=BASIC) as got:
        assert got.status == 400
        assert "reason" in await got.json()


async def test_an_unknown_path_is_a_404_of_the_gateway(client: Client) -> None:
    status, body, _ = await client.get("/assets")

    assert (status, body) == (404, {"message": "Not Found"})


async def test_the_rate_limit_is_a_sliding_minute_counted_on_arrival(time: Time) -> None:
    source = SimulatedSource(SimulatorOptions(models=1, rate_per_minute=2), clock=time)
    async with source.serve() as base_url, aiohttp.ClientSession() as session:
        client = Client(base_url, session)
        assert (await client.get("/models", LIST))[0] == 200
        time.now += timedelta(seconds=30)
        assert (await client.get("/models", LIST))[0] == 200
        status, _, headers = await client.get("/models", LIST)
        assert (status, headers["Retry-After"]) == (429, "30")
        time.now += timedelta(seconds=30)
        assert (await client.get("/models", LIST))[0] == 200
        assert (await client.get("/models", LIST))[0] == 429

    assert [request.status for request in source.requests] == [200, 200, 429, 200, 429]


async def test_the_latency_is_waited_before_each_answer(time: Time) -> None:
    waited: list[float] = []

    async def sleep(delay_s: float) -> None:
        waited.append(delay_s)

    source = SimulatedSource(SimulatorOptions(models=1, latency_ms=250), clock=time, sleep=sleep)
    async with source.serve() as base_url, aiohttp.ClientSession() as session:
        await Client(base_url, session).get("/models", LIST)

    assert waited == [0.25]


@pytest.mark.parametrize("page_size", ["3", "30"])
async def test_gzip_is_used_when_it_is_accepted(client: Client, page_size: str) -> None:
    params = LIST | {"pageSize": page_size}
    _, zipped, headers = await client.get("/models", params, PUBLIC | {"Accept-Encoding": "gzip"})
    _, plain, bare = await client.get("/models", params, PUBLIC | {"Accept-Encoding": "identity"})

    assert headers["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in bare
    assert [row["id"] for row in zipped["models"]] == [row["id"] for row in plain["models"]]


async def test_models_can_change_while_they_are_being_paged(
    client: Client, source: SimulatedSource
) -> None:
    """A row that is updated while its walk is under way makes an offset walk skip another."""
    seen: list[str | None] = []
    order = [
        model["id"]
        for model in sorted(
            source.live_models().values(), key=lambda model: (model["updatedAt"], model["id"])
        )
    ]

    async def move_the_oldest(params: dict[str, str]) -> None:
        await asyncio.sleep(0)
        source.update_model(order[len(seen)])
        seen.append(params.get("paginationToken"))

    source.on_request = move_the_oldest
    asked = LIST | {"sortBy": "updatedAt", "sortDirection": "asc", "pageSize": "10"}
    _, first, _ = await client.get("/models", asked)
    asked["paginationToken"] = first["nextPaginationToken"]
    _, second, _ = await client.get("/models", asked)

    assert [None, first["nextPaginationToken"]] == seen
    assert [row["id"] for row in first["models"]] == order[1:11]
    assert [row["id"] for row in second["models"]] == order[12:22]


async def test_the_log_tells_who_asked_what_and_what_was_answered(
    client: Client, source: SimulatedSource, time: Time
) -> None:
    await client.get("/models", LIST | {"pageSize": "5"}, BASIC)
    (request,) = source.requests

    assert request.at == time.now
    assert (request.method, request.path) == ("GET", "/v1/models")
    assert dict(request.params) == {"privacy": "public", "pageSize": "5"}
    assert (request.status, request.rows, request.auth) == (200, 5, "basic")
    assert request.fault is None


async def test_each_application_is_new_and_shows_the_same_models(source: SimulatedSource) -> None:
    assert source.app is not source.app


async def test_nothing_is_left_running_when_the_server_ends(source: SimulatedSource) -> None:
    before = asyncio.all_tasks()
    source.add_fault("hanging-body")
    async with source.serve() as base_url:
        host, port = base_url.removeprefix("http://").removesuffix("/v1").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(
            b"GET /v1/models?privacy=public HTTP/1.1\r\nHost: x\r\n"
            b"Authorization: public-auth-token\r\n\r\n"
        )
        assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
    writer.close()
    await asyncio.sleep(0)

    assert before == asyncio.all_tasks()
    with pytest.raises(OSError, match="Connect call failed"):
        await asyncio.open_connection(host, int(port))

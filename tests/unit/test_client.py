"""One question, one answer: what the client sends, how it judges, when it asks again."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey
from aioresponses import CallbackResult, aioresponses
from support import aioresponses_shim
from support.desk import DATE, DATE_MS, EXPIRED, PAGE, QUESTION, SCOPE, Credentials, Desk, Observer
from support.virtual_clock import VirtualClock

from syncer.domain import Lane, Question, SentOrder, SortKey
from syncer.errors import (
    ConfigError,
    SourceLimitReached,
    SourceRefused,
    SourceRejected,
    SourceThrottled,
    SourceUnavailable,
    StoreUnavailable,
    SyncerError,
    WalkBroken,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

MODEL = "https://api.example/v1/models/"
ANY_PAGE = re.compile(r"^https://api\.example/v1/models\?")
KEY = ConnectionKey("api.example", 443, True, True, None, None, None)
PROBE = {"privacy": "public", "pageSize": "1"}


@pytest.fixture(name="source")
def source_fixture(monkeypatch: pytest.MonkeyPatch) -> Iterator[aioresponses]:
    aioresponses_shim.apply(monkeypatch)
    with aioresponses() as source:
        yield source


@pytest.fixture(name="desk")
async def desk_fixture(source: aioresponses) -> AsyncIterator[Desk]:
    async with Desk() as desk:
        yield desk


def requests_of(source: aioresponses) -> list[Any]:
    return [call for calls in source.requests.values() for call in calls]


class TestAsking:
    async def test_a_page_is_decoded_and_carries_its_circumstances(
        self, source: aioresponses, desk: Desk
    ) -> None:
        source.get(ANY_PAGE, payload=PAGE, headers=DATE)

        page = await desk.fetch()

        assert page.entries == ()
        assert page.next_token == "more"
        assert page.source_now_ms == DATE_MS
        assert page.sent_order == 1
        assert page.size_bytes == len(json.dumps(PAGE))

    async def test_scope_and_question_go_out_as_query_parameters(
        self, source: aioresponses, desk: Desk
    ) -> None:
        source.get(ANY_PAGE, payload=PAGE)

        await desk.fetch()

        [(_, url)] = source.requests
        [request] = requests_of(source)
        assert url.path == "/v1/models"
        assert request.kwargs["params"] == {
            "privacy": "public",
            "tags": "Video,3D",
            "sortBy": "updatedAt",
            "sortDirection": "asc",
            "pageSize": "7",
            "updatedAfter": "1970-01-01T00:00:00.000Z",
        }
        assert request.kwargs["allow_redirects"] is False

    @pytest.mark.parametrize("date", [None, "", "yesterday"])
    async def test_without_a_readable_date_the_page_has_no_source_time(
        self, source: aioresponses, desk: Desk, date: str | None
    ) -> None:
        headers = {"Age": "100"} | ({} if date is None else {"Date": date})
        source.get(ANY_PAGE, payload=PAGE, headers=headers)

        assert (await desk.fetch()).source_now_ms is None

    async def test_a_success_other_than_200_is_read_like_one(
        self, source: aioresponses, desk: Desk
    ) -> None:
        source.get(ANY_PAGE, payload=PAGE, status=269)

        assert (await desk.fetch()).next_token == "more"

    async def test_the_observer_hears_of_each_request_once(
        self, source: aioresponses, desk: Desk
    ) -> None:
        source.get(ANY_PAGE, status=503)
        source.get(ANY_PAGE, payload=PAGE)

        await desk.fetch()

        assert desk.observer.finished == ["unavailable", "ok"]
        assert desk.observer.params[0]["pageSize"] == "7"
        assert desk.observer.retries == [("SourceUnavailable", desk.clock.slept[0], 1)]

    async def test_another_observer_hears_of_its_own_requests_only_within_the_same_limits(
        self, source: aioresponses, desk: Desk
    ) -> None:
        source.get(ANY_PAGE, payload=PAGE, repeat=True)
        other = Observer()

        await desk.fetch()
        await desk.client.observed_by(other).fetch_page(
            SCOPE, QUESTION, lane=Lane.POLL, next_sent_order=desk.next_order
        )

        assert (1, ["ok"]) == (other.started, other.finished)
        assert ["ok"] == desk.observer.finished
        assert 2 == desk.limiter.requests_in_window

    async def test_a_reported_duration_is_that_of_the_request_and_not_of_the_queue(
        self, source: aioresponses
    ) -> None:
        async with Desk(per_minute=1) as desk:

            def answer(_url: object, **_: object) -> CallbackResult:
                desk.clock.elapsed_s += 2.5
                return CallbackResult(payload=PAGE)

            source.get(ANY_PAGE, callback=answer, repeat=True)
            await desk.fetch()
            await desk.fetch()

        assert desk.clock.elapsed_s > 60.0
        assert desk.observer.durations == pytest.approx([2.5, 2.5])

    async def test_a_client_outside_its_block_is_a_bug(self) -> None:
        with pytest.raises(RuntimeError, match="outside 'async with'"):
            await Desk().fetch()

    @pytest.mark.parametrize("base_url", ["http://host:port/v1", "http://[::1/v1"])
    async def test_an_unusable_base_url_is_a_matter_of_configuration(self, base_url: str) -> None:
        with pytest.raises(ConfigError, match=r"source\.base_url"):
            Desk(base_url)

    @pytest.mark.parametrize("base_url", ["v1", "ftp://host/v1", "http:///v1"])
    async def test_an_address_that_is_no_http_address_is_asked_once(self, base_url: str) -> None:
        async with Desk(base_url) as desk:
            with pytest.raises(ConfigError, match=r"source\.base_url"):
                await desk.fetch()


class TestJudging:
    @pytest.mark.parametrize(
        ("status", "error", "outcome"),
        [
            (302, SourceRejected, "rejected"),
            (400, SourceRejected, "rejected"),
            (401, SourceRefused, "refused"),
            (403, SourceRefused, "refused"),
            (404, SourceRejected, "rejected"),
            (410, SourceRejected, "rejected"),
            (418, SourceRejected, "rejected"),
        ],
    )
    async def test_what_cannot_get_better_is_asked_once(
        self,
        source: aioresponses,
        desk: Desk,
        status: int,
        error: type[SyncerError],
        outcome: str,
    ) -> None:
        source.get(ANY_PAGE, status=status, payload={"reason": "because"}, repeat=True)

        with pytest.raises(error, match=f"GET /models answered {status}"):
            await desk.fetch()
        assert desk.client.requests_sent == 1
        assert desk.observer.finished == [outcome]

    @pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
    async def test_trouble_is_asked_through(
        self, source: aioresponses, desk: Desk, status: int
    ) -> None:
        source.get(ANY_PAGE, status=status, body="<html>Bad Gateway</html>")
        source.get(ANY_PAGE, payload=PAGE)

        assert (await desk.fetch()).next_token == "more"
        assert desk.client.requests_sent == 2

    @pytest.mark.parametrize("body", ["<html>", '{"models": [', '{"message": "busy"}', ""])
    async def test_a_200_that_is_no_page_is_asked_through(
        self, source: aioresponses, desk: Desk, body: str
    ) -> None:
        source.get(ANY_PAGE, body=body)
        source.get(ANY_PAGE, payload=PAGE)

        assert (await desk.fetch()).next_token == "more"
        assert desk.observer.finished == ["unavailable", "ok"]

    async def test_a_200_that_stays_no_page_names_request_status_and_cause(
        self, source: aioresponses
    ) -> None:
        source.get(ANY_PAGE, body="<html>", repeat=True)

        async with Desk(retry_deadline_s=0.0) as desk:
            with pytest.raises(
                SourceUnavailable, match="GET /models answered 200: the body is not JSON"
            ):
                await desk.fetch()

    async def test_a_broken_envelope_is_not_asked_again(
        self, source: aioresponses, desk: Desk
    ) -> None:
        source.get(ANY_PAGE, payload={"models": "broken"}, repeat=True)

        with pytest.raises(WalkBroken, match="the envelope is broken"):
            await desk.fetch()
        assert desk.observer.finished == ["broken"]

    async def test_a_bug_in_the_decoder_is_not_taken_for_the_sources_fault(
        self, source: aioresponses, desk: Desk
    ) -> None:
        source.get(ANY_PAGE, payload=[1], repeat=True)
        desk.client._decode = lambda _: 1 / 0  # type: ignore[assignment, return-value]

        with pytest.raises(ZeroDivisionError):
            await desk.fetch()
        assert desk.client.requests_sent == 1
        assert desk.observer.finished == ["error"]

    @pytest.mark.parametrize(
        ("exception", "words"),
        [
            (
                aiohttp.ClientConnectorDNSError(KEY, OSError(-2, "Name or service not known")),
                r"the host api\.example cannot be resolved",
            ),
            (aiohttp.ClientConnectorError(KEY, OSError(111, "Refused")), "cannot be reached"),
            (aiohttp.ServerDisconnectedError(), "closed the connection"),
            (aiohttp.ClientPayloadError(), "broke off"),
            (ConnectionResetError(), "was lost"),
            (TimeoutError(), "in time"),
        ],
        ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
    )
    async def test_trouble_of_the_network_is_asked_through_and_named(
        self, source: aioresponses, desk: Desk, exception: Exception, words: str
    ) -> None:
        source.get(ANY_PAGE, exception=exception)
        source.get(ANY_PAGE, payload=PAGE)
        await desk.fetch()
        assert desk.observer.finished == ["unavailable", "ok"]

        source.get(ANY_PAGE, exception=exception, repeat=True)
        with pytest.raises(SourceUnavailable, match=f"GET /models: .*{words}.*given up after"):
            await desk.fetch()

    async def test_the_deadline_ends_it_with_attempts_and_time_in_the_message(
        self, source: aioresponses
    ) -> None:
        source.get(ANY_PAGE, status=503, repeat=True)

        async with Desk(retry_deadline_s=20.0) as desk:
            with pytest.raises(SourceUnavailable, match=r"given up after \d+ attempts in 20"):
                await desk.fetch()
            assert desk.client.requests_sent == len(desk.observer.finished) > 3
            assert desk.clock.elapsed_s == pytest.approx(20.0, abs=0.1)

    async def test_each_attempt_draws_its_own_place_in_the_order_of_sending(
        self, source: aioresponses, desk: Desk
    ) -> None:
        source.get(ANY_PAGE, status=503)
        source.get(ANY_PAGE, status=503)
        source.get(ANY_PAGE, payload=PAGE)

        assert (await desk.fetch()).sent_order == 3
        assert (desk.next_order()) == 4

    async def test_the_place_in_the_order_is_drawn_at_sending_and_not_in_the_queue(
        self, source: aioresponses
    ) -> None:
        clock = VirtualClock()
        source.get(ANY_PAGE, payload=PAGE, repeat=True)
        drawn: list[float] = []

        def draw() -> SentOrder:
            drawn.append(clock.elapsed_s)
            return SentOrder(len(drawn))

        async with Desk(clock=clock, per_minute=1) as desk:

            async def ask_twice() -> None:
                for _ in range(2):
                    await desk.client.fetch_page(
                        SCOPE, QUESTION, lane=Lane.POLL, next_sent_order=draw
                    )

            await clock.run(ask_twice())

        assert drawn == pytest.approx([0.0, 60.1])

    async def test_credentials_and_tokens_never_reach_the_message(
        self, source: aioresponses
    ) -> None:
        basic = "Basic " + base64.b64encode(b"key-123:pass-456").decode()
        token = "eyJvZmZzZXQiOjUsImxpbWl0Ijo1fQ=="
        said = f"{basic} key-123 pass-456 may not ask {token} Signature=abcd"
        source.get(ANY_PAGE, status=400, payload={"reason": said})
        question = Question(SortKey.UPDATED, None, None, 5, token=token)

        async with Desk(credentials=Credentials("basic", basic)) as desk:
            with pytest.raises(SourceRejected, match="may not ask") as raised:
                await desk.fetch(question)

        shown = f"{raised.value} {raised.value.context}"
        assert not re.search("key-123|pass-456|a2V5|eyJv|abcd", shown)


class TestThrottling:
    async def test_a_429_waits_as_asked_and_slows_down(
        self, source: aioresponses, desk: Desk
    ) -> None:
        source.get(ANY_PAGE, status=429, headers={"Retry-After": "25"})
        source.get(ANY_PAGE, payload=PAGE)

        await desk.fetch()

        assert desk.clock.elapsed_s == pytest.approx(25.0)
        assert desk.limiter.allowance == 500
        assert desk.limiter.throttled_s == 25.0
        assert desk.observer.finished == ["throttled", "ok"]
        assert desk.observer.retries == [("SourceThrottled", 25.0, 1)]

    async def test_a_plan_limit_is_not_asked_again_and_pauses_nobody(
        self, source: aioresponses, desk: Desk
    ) -> None:
        answer = {"reason": "monthly", "name": "PlanLimitReachedError", "details": {}}
        source.get(ANY_PAGE, status=429, payload=answer, headers={"Retry-After": "60"}, repeat=True)

        with pytest.raises(SourceLimitReached, match="plan's limit is reached"):
            await desk.fetch()
        assert desk.client.requests_sent == 1
        assert desk.limiter.pause_s == 0.0
        assert desk.observer.finished == ["limit_reached"]

    async def test_trouble_with_a_retry_after_pauses_everybody_too(
        self, source: aioresponses, desk: Desk
    ) -> None:
        source.get(ANY_PAGE, status=503, headers={"Retry-After": "25"})
        source.get(ANY_PAGE, payload=PAGE)

        await desk.fetch()

        assert desk.clock.elapsed_s == pytest.approx(25.0)
        assert desk.limiter.throttled_s == 25.0

    async def test_trouble_without_a_hint_pauses_nobody(
        self, source: aioresponses, desk: Desk
    ) -> None:
        source.get(ANY_PAGE, status=503)
        source.get(ANY_PAGE, payload=PAGE)

        await desk.fetch()

        assert desk.limiter.throttled_s == 0.0

    async def test_one_429_pauses_all_workers(self, source: aioresponses) -> None:
        clock = VirtualClock()
        sent_at: list[float] = []

        def answer(_url: object, **_: object) -> CallbackResult:
            sent_at.append(clock.elapsed_s)
            if len(sent_at) == 3:
                return CallbackResult(status=429, headers={"Retry-After": "40"})
            return CallbackResult(payload=PAGE)

        source.get(ANY_PAGE, callback=answer, repeat=True)
        async with Desk(clock=clock, at_once=2) as desk:

            async def crowd() -> None:
                async with asyncio.TaskGroup() as group:
                    for _ in range(8):
                        group.create_task(desk.fetch())

            await clock.run(crowd())

        early = [at for at in sent_at if at < 40.0]
        assert len(sent_at) == 9
        assert len(early) <= 4  # the third was refused; one neighbour was already under way
        assert set(sent_at) == {0.0, 40.0}

    async def test_an_answer_ends_a_row_of_storms(self, source: aioresponses, desk: Desk) -> None:
        """Three unexplained 429s: the third pause is the first one again."""
        source.get(ANY_PAGE, status=429, repeat=2)
        source.get(ANY_PAGE, payload=PAGE)
        source.get(ANY_PAGE, status=429)
        source.get(ANY_PAGE, payload=PAGE)

        await desk.fetch()
        await desk.fetch()

        assert [1.0, 2.0, 1.0] == pytest.approx(
            [delay_s for _, delay_s, _ in desk.observer.retries]
        )

    async def test_a_throttle_that_never_ends_is_raised_at_the_deadline(
        self, source: aioresponses
    ) -> None:
        source.get(ANY_PAGE, status=429, headers={"Retry-After": "8"}, repeat=True)

        async with Desk(retry_deadline_s=30.0) as desk:
            with pytest.raises(SourceThrottled, match="given up after"):
                await desk.fetch()
            assert desk.clock.elapsed_s <= 30.0


class TestTokens:
    async def test_a_run_out_jwt_is_read_anew_once(self, source: aioresponses) -> None:
        source.get(ANY_PAGE, status=403, headers=EXPIRED)
        source.get(ANY_PAGE, payload=PAGE)
        credentials = Credentials("bearer", "Bearer old", "Bearer new")

        async with Desk(credentials=credentials) as desk:
            page = await desk.fetch()

        assert credentials.reloads == 1
        assert page.sent_order == 2
        assert desk.observer.finished == ["refused", "ok"]
        assert desk.limiter.requests_in_window == 2

    async def test_a_jwt_that_stays_run_out_is_refused(self, source: aioresponses) -> None:
        source.get(ANY_PAGE, status=403, headers=EXPIRED, repeat=True)
        credentials = Credentials("bearer", "Bearer old")

        async with Desk(credentials=credentials) as desk:
            with pytest.raises(SourceRefused, match="answered 403"):
                await desk.fetch()

        assert desk.client.requests_sent == 2
        assert credentials.reloads == 1

    @pytest.mark.parametrize(
        ("kind", "headers"), [("bearer", {}), ("basic", EXPIRED), ("public", EXPIRED)]
    )
    async def test_any_other_403_is_final(
        self, source: aioresponses, kind: str, headers: dict[str, str]
    ) -> None:
        source.get(ANY_PAGE, status=403, headers=headers, repeat=True)
        credentials = Credentials(kind, "Bearer x")

        async with Desk(credentials=credentials) as desk:
            with pytest.raises(SourceRefused, match="answered 403"):
                await desk.fetch()

        assert desk.client.requests_sent == 1
        assert credentials.reloads == 0


class TestOneModel:
    async def test_a_model_is_returned_as_sent(self, source: aioresponses, desk: Desk) -> None:
        source.get(f"{MODEL}model_a.b-c?projectId=proj_1", body=b'{"model": {}}')

        body = await desk.client.fetch_model("model_a.b-c", project_id="proj_1", lane=Lane.VERIFY)

        assert body == b'{"model": {}}'

    async def test_an_unknown_model_is_none(self, source: aioresponses, desk: Desk) -> None:
        source.get(f"{MODEL}gone", status=404)

        assert await desk.client.fetch_model("gone", project_id=None, lane=Lane.VERIFY) is None
        assert desk.observer.finished == ["ok"]

    async def test_any_other_refusal_is_an_error_that_names_the_model(
        self, source: aioresponses, desk: Desk
    ) -> None:
        source.get(f"{MODEL}m1", status=410)

        with pytest.raises(SourceRejected, match="GET /models/m1 answered 410"):
            await desk.client.fetch_model("m1", project_id=None, lane=Lane.VERIFY)


class TestProbing:
    async def probe(self, desk: Desk) -> Any:
        return await desk.client.probe(PROBE, lane=Lane.POLL)

    async def test_a_probe_shows_status_size_and_the_telling_headers(
        self, source: aioresponses, desk: Desk
    ) -> None:
        headers = DATE | {"X-RateLimit-Remaining": "9", "Set-Cookie": "session=s3cr3t"}
        source.get(ANY_PAGE, body=b"{}", headers=headers)

        answer = await self.probe(desk)

        assert (answer.status, answer.size, answer.body) == (200, 2, b"{}")
        assert answer.headers["x-ratelimit-remaining"] == "9"
        assert answer.headers["date"] == DATE["Date"]
        assert "set-cookie" not in answer.headers

    @pytest.mark.parametrize("status", [400, 401, 403, 404, 408, 429])
    async def test_a_4xx_is_an_answer_too(
        self, source: aioresponses, desk: Desk, status: int
    ) -> None:
        source.get(ANY_PAGE, status=status, repeat=True)

        assert (await self.probe(desk)).status == status
        assert desk.client.requests_sent == 1

    async def test_a_429_on_a_probe_still_pauses_everybody(
        self, source: aioresponses, desk: Desk
    ) -> None:
        source.get(ANY_PAGE, status=429, headers={"Retry-After": "9"})

        await self.probe(desk)

        assert desk.limiter.pause_s == 9.0
        assert desk.limiter.allowance == 500

    async def test_trouble_is_asked_through_and_redirects_are_not_followed(
        self, source: aioresponses, desk: Desk
    ) -> None:
        source.get(ANY_PAGE, status=502)
        source.get(ANY_PAGE, status=301, headers={"Location": "https://new.example/v1/models?x=1"})

        with pytest.raises(SourceRejected, match=r"\(to https://new\.example/v1/models\)"):
            await self.probe(desk)
        assert desk.client.requests_sent == 2


async def test_a_database_that_is_away_is_waited_for_in_the_limiter_and_not_again_by_the_retries(
    source: aioresponses,
) -> None:
    """P6: else a request would wait for the database for twice the deadline."""
    async with Desk(retry_deadline_s=1e6) as desk:

        async def refuse(_wish: object, **_: object) -> None:
            raise StoreUnavailable("the database does not answer")

        desk.limiter._share.agree = refuse  # type: ignore[method-assign,assignment]
        with pytest.raises(StoreUnavailable):
            await desk.fetch()

    assert desk.observer.retries == []

"""What each unsuccessful answer means, how long the source asks us to wait, and when we give up."""

from __future__ import annotations

import email.utils
import json
import random
import ssl
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey
from hypothesis import given
from hypothesis import strategies as st
from support.virtual_clock import START, JumpClock
from yarl import URL

from syncer.api.reason import secret_parts
from syncer.api.retry import (
    _failure,
    error_for_response,
    error_for_transport,
    is_expired_token,
    parse_http_date,
    parse_retry_after,
    retry_policy,
)
from syncer.errors import (
    ConfigError,
    PageTooLarge,
    SourceLimitReached,
    SourceRefused,
    SourceRejected,
    SourceThrottled,
    SourceUnavailable,
    SyncerError,
    Verdict,
    WalkBroken,
)

HOUR_LATER = START + timedelta(hours=1)


def http_date(at: Any) -> str:
    return email.utils.format_datetime(at, usegmt=True)


def body(**fields: object) -> bytes:
    return json.dumps(fields).encode()


def judge(status: int, content: bytes = b"", **headers: str) -> SyncerError:
    return error_for_response(
        status,
        {name.replace("_", "-"): value for name, value in headers.items()},
        content,
        now=START,
    )


@pytest.mark.parametrize(
    ("status", "error", "verdict"),
    [
        (301, SourceRejected, Verdict.PARTITION),
        (304, SourceRejected, Verdict.PARTITION),
        (308, SourceRejected, Verdict.PARTITION),
        (400, SourceRejected, Verdict.PARTITION),
        (401, SourceRefused, Verdict.FATAL),
        (402, SourceRejected, Verdict.PARTITION),
        (403, SourceRefused, Verdict.FATAL),
        (404, SourceRejected, Verdict.PARTITION),
        (408, SourceUnavailable, Verdict.RETRY),
        (409, SourceRejected, Verdict.PARTITION),
        (410, SourceRejected, Verdict.PARTITION),
        (422, SourceRejected, Verdict.PARTITION),
        (429, SourceThrottled, Verdict.BACK_OFF),
        (500, SourceUnavailable, Verdict.RETRY),
        (502, SourceUnavailable, Verdict.RETRY),
        (503, SourceUnavailable, Verdict.RETRY),
        (504, SourceUnavailable, Verdict.RETRY),
        (599, SourceUnavailable, Verdict.RETRY),
    ],
)
def test_each_status_has_its_error_and_verdict(
    status: int, error: type[SyncerError], verdict: Verdict
) -> None:
    judged = judge(status)

    assert type(judged) is error
    assert judged.verdict is verdict
    assert judged.message.startswith(f"GET /models answered {status}: ")
    assert judged.context["status"] == status
    assert judged.hint


def test_a_plan_limit_is_no_matter_of_waiting() -> None:
    judged = judge(429, body(name="PlanLimitReachedError", reason="monthly limit"), Retry_After="5")

    assert type(judged) is SourceLimitReached
    assert "(monthly limit)" in judged.message


def test_a_throttle_carries_the_seconds_to_wait() -> None:
    judged = judge(429, Retry_After="17")

    assert isinstance(judged, SourceThrottled)
    assert judged.retry_after_s == 17.0


def test_trouble_with_a_hint_carries_it_too() -> None:
    assert judge(503, Retry_After="17").context["retry_after_s"] == 17.0


def test_a_redirect_names_its_target_without_query_and_credentials() -> None:
    judged = judge(302, Location="https://user:pw@new.example:8443/v2/models?token=abc#x")

    assert "(to https://new.example:8443/v2/models)" in judged.message
    assert "source.base_url" in judged.hint


@pytest.mark.parametrize("location", ["", "/relative", "http://[broken", "http://h:99999999/"])
def test_a_redirect_to_nowhere_is_still_reported(location: str) -> None:
    assert judge(302, Location=location).message.endswith("which is not followed")


@pytest.mark.parametrize(
    ("content", "quoted"),
    [
        (body(reason="Input lorasScale must be at most 2"), "(Input lorasScale must be at most 2)"),
        (body(message="API Keys cannot access protected resources"), "(API Keys cannot access"),
        (body(statusCode=400, error="Bad Request", message="wrong"), "(wrong)"),
        (body(error="Quota exceeded for search", code="QUOTA_EXCEEDED"), "(Quota exceeded"),
        (body(reason={"nested": 1}, message="flat"), "(flat)"),
        (body(reason="two\nlines\tand \u202e control \x1b[31m"), "(two lines and control [31m)"),
    ],
)
def test_the_sources_own_words_are_quoted_on_one_line(content: bytes, quoted: str) -> None:
    assert quoted in judge(400, content).message


@pytest.mark.parametrize(
    "content",
    [b"", b"<html>Bad Gateway</html>", b"[1]", b'"text"', b"\xff\xfe", b"{", b"[" * 100_000],
)
def test_a_body_that_says_nothing_is_not_quoted(content: bytes) -> None:
    assert (
        judge(400, content).message == "GET /models answered 400: the source rejected the request"
    )


def test_a_long_reason_is_shortened() -> None:
    message = judge(400, body(reason="x" * 5000)).message

    assert len(message) < 300
    assert message.endswith("…)")


@pytest.mark.parametrize(
    ("said", "secret"),
    [
        ("bad link https://cdn/a?p=1&Policy=aaa1&Key-Pair-Id=b&Signature=bbb2~x", "bbb2"),
        ("bad link https://cdn/a?p=1&Policy=aaa1&Key-Pair-Id=b&Signature=bbb2", "aaa1"),
        ("https://s3/x?X-Amz-Credential=AKIA77&X-Amz-Expires=3", "AKIA77"),
        ('parameters {"wandbKey": "w4ndb"}', "w4ndb"),
        ("header Authorization: Basic a2V5OnNlY3JldA== refused", "a2V5OnNlY3JldA"),
        ("you sent Bearer abcdef0123456789.xyz", "abcdef0123456789"),
        ("invalid token eyJvZmZzZXQiOjUsImxpbWl0Ijo1fQ==", "eyJvZmZzZXQi"),
        ("api_key=k-123 is unknown", "k-123"),
        ("clientSecret: s-123 is unknown", "s-123"),
        ("x" * 190 + " Signature=" + "s3cr3t" * 9, "s3cr"),
    ],
)
def test_secrets_and_signatures_are_never_quoted(said: str, secret: str) -> None:
    assert secret not in str(judge(400, body(reason=said)))


def test_the_credentials_are_never_quoted_in_whatever_form_they_come_back() -> None:
    basic = "Basic a2V5LTEyMzpwYXNzLTQ1Ng=="  # key-123:pass-456
    said = "no access for key-123 with pass-456 (a2V5LTEyMzpwYXNzLTQ1Ng==)"

    judged = error_for_response(403, {}, body(message=said), now=START, secrets=secret_parts(basic))

    assert "(no access for *** with *** (***))" in judged.message


@pytest.mark.parametrize(
    ("authorization", "parts"),
    [
        ("Basic a2V5OnNlY3JldA==", {"key", "secret", "key:secret", "a2V5OnNlY3JldA=="}),
        ("Bearer header.payload.sig", {"header.payload.sig"}),
        ("Bearer //79", {"//79"}),
        ("raw-value", {"raw-value"}),
    ],
)
def test_an_authorization_falls_into_all_its_tell_tale_parts(
    authorization: str, parts: set[str]
) -> None:
    assert set(secret_parts(authorization)) == parts | {authorization}


@pytest.mark.parametrize(
    ("status", "error_type", "expired"),
    [
        (403, "AccessDeniedException", True),
        (403, "AccessDeniedException:http://internal.amazon.com/coral/", True),
        (403, "ThrottlingException", False),
        (403, None, False),
        (401, "AccessDeniedException", False),
    ],
)
def test_only_the_gateways_403_is_an_expired_token(
    status: int, error_type: str | None, expired: bool
) -> None:
    headers = {} if error_type is None else {"X-Amzn-ErrorType": error_type}

    assert is_expired_token(status, headers) is expired


@pytest.mark.parametrize(
    ("headers", "content", "seconds"),
    [
        ({}, b"", None),
        ({"Retry-After": "30"}, b"", 30.0),
        ({"retry-after": " 1.5 "}, b"", 1.5),
        ({"Retry-After-Ms": "1500"}, b"", 1.5),
        ({"retry-after-ms": "200", "retry-after": "30"}, b"", 0.2),
        ({"retry-after-ms": "soon", "retry-after": "30"}, b"", 30.0),
        ({"Retry-After": http_date(START + timedelta(seconds=40))}, b"", 40.0),
        ({"Retry-After": http_date(START - timedelta(seconds=40))}, b"", 0.0),
        ({}, body(remainingSeconds=12), 12.0),
        ({}, body(details={"remainingSeconds": 12.5}), 12.5),
        ({"Retry-After": "7"}, body(remainingSeconds=12), 7.0),
        ({"Retry-After": "later"}, body(remainingSeconds=12), 12.0),
        ({"Retry-After": "-5"}, b"", 0.0),
        ({"Retry-After": "86400"}, b"", 900.0),
        ({"Retry-After": "1e400"}, b"", None),
        ({"Retry-After": "nan"}, b"", None),
        ({"Retry-After": ""}, b"", None),
        ({}, body(remainingSeconds=True), None),
        ({}, body(remainingSeconds=None), None),
        ({}, b'{"remainingSeconds": ' + b"9" * 400 + b"}", None),
        ({}, b"not json", None),
    ],
)
def test_every_form_of_asking_for_patience_is_understood(
    headers: dict[str, str], content: bytes, seconds: float | None
) -> None:
    assert parse_retry_after(headers, content, START) == seconds


def test_a_date_counts_from_the_answers_own_date_whatever_our_clock_says() -> None:
    headers = {
        "Date": http_date(HOUR_LATER),
        "Retry-After": http_date(HOUR_LATER + timedelta(seconds=20)),
    }

    assert parse_retry_after(headers, b"", START) == 20.0


@given(
    headers=st.dictionaries(
        st.sampled_from(["Retry-After", "retry-after-ms", "Date"]), st.text(max_size=40)
    ),
    content=st.binary(max_size=60),
)
def test_no_hint_is_ever_negative_absurd_or_fatal(headers: dict[str, str], content: bytes) -> None:
    seconds = parse_retry_after(headers, content, START)

    assert seconds is None or 0.0 <= seconds <= 900.0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Sun, 01 Nov 2026 12:00:00 GMT", START),
        ("Sun, 01 Nov 2026 12:00:00 -0000", START),
        ("Sun, 01 Nov 2026 14:00:00 +0200", START),
        ("yesterday", None),
        ("Sun, 99 Nov 2026 12:00:00 GMT", None),
        ("Fri, 31 Dec 9999 23:59:59 -2359", None),
        ("", None),
        (None, None),
    ],
)
def test_a_date_is_aware_utc_or_nothing(text: str | None, expected: object) -> None:
    assert parse_http_date(text) == expected


KEY = ConnectionKey("api.example", 443, True, True, None, None, None)
REQUEST = SimpleNamespace(real_url=URL("https://api.example/models?paginationToken=t0k3n"))
REFUSED = OSError(111, "Connection refused")
OTHER_NAME = ssl.SSLCertVerificationError("hostname mismatch")


@pytest.mark.parametrize(
    ("exception", "error", "words"),
    [
        (aiohttp.InvalidURL("http://:x"), ConfigError, "base_url is not a usable address"),
        (aiohttp.NonHttpUrlClientError("ftp://x"), ConfigError, "not an http(s) address"),
        (
            aiohttp.ClientConnectorDNSError(KEY, OSError(-2, "Name or service not known")),
            SourceUnavailable,
            "the host api.example cannot be resolved (name or service not known)",
        ),
        (
            aiohttp.ClientConnectorCertificateError(KEY, OTHER_NAME),
            SourceUnavailable,
            "the certificate of api.example is not trusted",
        ),
        (
            aiohttp.ClientProxyConnectionError(KEY, REFUSED),
            SourceUnavailable,
            "the proxy on the way to api.example cannot be reached (connection refused)",
        ),
        (
            aiohttp.ClientHttpProxyError(REQUEST, (), status=407),  # type: ignore[arg-type]
            SourceUnavailable,
            "the proxy on the way to api.example refused to connect",
        ),
        (
            aiohttp.ClientConnectorError(KEY, REFUSED),
            SourceUnavailable,
            "api.example cannot be reached (connection refused)",
        ),
        (aiohttp.ClientPayloadError("cut"), SourceUnavailable, "broke off or cannot be"),
        (aiohttp.ServerDisconnectedError(), SourceUnavailable, "closed the connection"),
        (TimeoutError(), SourceUnavailable, "did not answer completely in time (60 s)"),
        (aiohttp.ServerTimeoutError(), SourceUnavailable, "did not answer completely in time"),
        (
            aiohttp.ClientResponseError(REQUEST, (), message="bad header"),  # type: ignore[arg-type]
            SourceUnavailable,
            "broke the HTTP protocol",
        ),
        (ConnectionResetError(104, "Connection reset by peer"), SourceUnavailable, "was lost"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_each_failure_of_the_network_has_its_error_and_names_the_host(
    exception: Exception, error: type[SyncerError], words: str
) -> None:
    judged = error_for_transport(
        exception, request="GET /models", peer="api.example", timeout_s=60.0
    )

    assert type(judged) is error
    assert judged.message.startswith("GET /models: ")
    assert words in judged.message
    assert "t0k3n" not in str(judged)


def test_an_exception_that_is_not_in_the_table_is_a_bug() -> None:
    with pytest.raises(ZeroDivisionError):
        error_for_transport(ZeroDivisionError(), request="GET /x", peer="h", timeout_s=1.0)


class Source:
    """Fails as told, then answers; each attempt takes ``takes_s``."""

    def __init__(self, clock: JumpClock, *errors: Exception, takes_s: float = 0.0) -> None:
        self.clock = clock
        self.errors = list(errors)
        self.takes_s = takes_s
        self.attempts = 0

    async def ask(self) -> str:
        self.attempts += 1
        self.clock.elapsed_s += self.takes_s
        if self.errors:
            raise self.errors.pop(0)
        return "answer"


class Told:
    """Writes down what the policy says before each wait."""

    def __init__(self) -> None:
        self.retries: list[tuple[str, float, int]] = []

    def __call__(self, *, error: SyncerError, delay_s: float, attempt: int) -> None:
        self.retries.append((type(error).__name__, delay_s, attempt))


async def ask(
    source: Source, *, deadline_s: float = 300.0, seed: int = 1, told: Told | None = None
) -> str:
    policy = retry_policy(
        deadline_s=deadline_s,
        clock=source.clock,
        rng=random.Random(seed),  # noqa: S311 - jitter
        on_retry=told or Told(),
    )
    answer: str = await policy(source.ask)
    return answer


@pytest.fixture(name="clock")
def clock_fixture() -> JumpClock:
    return JumpClock()


async def test_what_fails_once_is_asked_again(clock: JumpClock) -> None:
    source, told = Source(clock, SourceUnavailable("down")), Told()

    assert await ask(source, told=told) == "answer"
    assert source.attempts == 2
    assert told.retries == [("SourceUnavailable", clock.slept[0], 1)]
    assert 0 < clock.slept[0] <= 0.5


@pytest.mark.parametrize(
    "error",
    [
        SourceRefused("no"),
        SourceRejected("no"),
        SourceLimitReached("no"),
        PageTooLarge("no"),
        WalkBroken("no"),
        ConfigError("no"),
        ZeroDivisionError("no"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_what_asking_again_cannot_help_is_asked_once(
    clock: JumpClock, error: Exception
) -> None:
    source = Source(clock, error)

    with pytest.raises(type(error), match="no") as raised:
        await ask(source)
    assert raised.value is error
    assert source.attempts == 1


def test_judging_a_retry_without_an_error_of_ours_is_a_bug() -> None:
    state: Any = SimpleNamespace(outcome=None)

    with pytest.raises(TypeError, match="without one of our errors"):
        _failure(state)


@pytest.mark.parametrize("seed", range(20))
async def test_waits_are_fully_jittered_and_double_from_half_a_second_to_thirty(
    seed: int,
) -> None:
    clock = JumpClock()
    source = Source(clock, *[SourceUnavailable("down")] * 9)
    await ask(source, deadline_s=1e9, seed=seed)

    ceilings = [0.5, 1, 2, 4, 8, 16, 30, 30, 30]
    assert len(clock.slept) == len(ceilings)
    assert all(0 <= slept <= most for slept, most in zip(clock.slept, ceilings, strict=True))


async def test_jitter_spreads_over_the_whole_range() -> None:
    firsts = []
    for seed in range(200):
        clock = JumpClock()
        await ask(Source(clock, SourceUnavailable("down")), seed=seed)
        firsts.append(clock.slept[0])

    assert min(firsts) < 0.05
    assert max(firsts) > 0.45


async def test_at_the_deadline_the_last_error_is_raised_with_attempts_and_time(
    clock: JumpClock,
) -> None:
    errors = [SourceUnavailable(f"down {i}", hint="wait", status=503) for i in range(99)]
    source = Source(clock, *errors, takes_s=0.1)

    with pytest.raises(SourceUnavailable, match="given up after") as raised:
        await ask(source, deadline_s=20.0)

    last = source.attempts - 1
    assert 3 < source.attempts < 99
    assert clock.elapsed_s == pytest.approx(20.1, abs=0.2)
    assert raised.value.message.startswith(f"down {last} (given up after {last + 1} attempts in 20")
    assert raised.value.hint == "wait"
    assert raised.value.context["status"] == 503
    assert raised.value.context["attempts"] == source.attempts
    assert raised.value.__cause__ is errors[last]


async def test_the_deadline_counts_from_the_first_failure_not_from_the_queue(
    clock: JumpClock,
) -> None:
    source = Source(clock, SourceUnavailable("down"), takes_s=1000.0)

    assert await ask(source, deadline_s=10.0) == "answer"


async def test_a_deadline_of_nothing_means_one_attempt(clock: JumpClock) -> None:
    source = Source(clock, *[SourceUnavailable("down")] * 3)

    with pytest.raises(SourceUnavailable, match=r"\(given up after 1 attempt\)"):
        await ask(source, deadline_s=0.0)
    assert source.attempts == 1
    assert clock.slept == []


async def test_a_throttled_request_waits_in_the_limiter_and_not_here_as_well(
    clock: JumpClock,
) -> None:
    source = Source(clock, *[SourceThrottled("slow down", retry_after_s=30.0)] * 2)

    assert await ask(source) == "answer"
    assert clock.slept == [0.0, 0.0]


async def test_a_throttle_longer_than_the_deadline_is_given_up_at_once(clock: JumpClock) -> None:
    source = Source(clock, SourceThrottled("slow down", retry_after_s=301.0))

    with pytest.raises(SourceThrottled, match="given up after 1 attempt") as raised:
        await ask(source, deadline_s=300.0)
    assert raised.value.retry_after_s == 301.0

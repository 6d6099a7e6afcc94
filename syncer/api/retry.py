"""
What an unsuccessful answer means, and whether asking again can help.

Owns the table from status and exception to error class, the reading of retry hints, and the
retry policy of one request. Never sends and never waits by itself.
Invariant: no text from the source reaches a message before credentials and signatures are cut.
Kind: pure (builds tenacity policies; clock, sleep and randomness are arguments).
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Protocol

import aiohttp
import tenacity

from syncer.api.reason import quote_reason, quote_redirect
from syncer.errors import (
    ConfigError,
    SourceError,
    SourceLimitReached,
    SourceRefused,
    SourceRejected,
    SourceThrottled,
    SourceUnavailable,
    SyncerError,
    Verdict,
)

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterable, Mapping

    from syncer.domain import Clock

FORBIDDEN = 403
TOO_MANY_REQUESTS = 429
REDIRECTS = range(300, 400)

MAX_RETRY_AFTER_S = 900.0
"""A longer hint is taken for a mistake: after 15 minutes we look for ourselves."""

FIRST_WAIT_S = 0.5
MAX_WAIT_S = 30.0
"""Bounds of the jittered wait; the first is the vendor SDK's own (UPSTREAM §6.1)."""


@dataclass(frozen=True, slots=True)
class StatusRule:
    """One row of the table for answers: the first row whose range holds the status decides."""

    statuses: range
    error: type[SourceError]
    meaning: str


@dataclass(frozen=True, slots=True)
class TransportRule:
    """One row of the table for requests that got no complete answer; first match decides."""

    exception: type[Exception]
    error: type[SyncerError]
    meaning: str
    """With ``{peer}`` for the host and port that was meant."""


def _only(status: int) -> range:
    return range(status, status + 1)


VERDICTS: tuple[StatusRule | TransportRule, ...] = (
    StatusRule(_only(401), SourceRefused, "the source refused the credentials"),
    StatusRule(_only(FORBIDDEN), SourceRefused, "the source refused the credentials"),
    StatusRule(_only(408), SourceUnavailable, "the source gave up waiting for the request"),
    StatusRule(_only(TOO_MANY_REQUESTS), SourceThrottled, "the source asked us to slow down"),
    StatusRule(_only(404), SourceRejected, "the source does not know this address"),
    StatusRule(_only(410), SourceRejected, "the source says that this is gone for good"),
    StatusRule(REDIRECTS, SourceRejected, "the source redirects, which is not followed"),
    StatusRule(range(400, 500), SourceRejected, "the source rejected the request"),
    StatusRule(range(1000), SourceUnavailable, "the source is in trouble"),
    TransportRule(aiohttp.InvalidURL, ConfigError, "source.base_url is not a usable address"),
    TransportRule(
        aiohttp.NonHttpUrlClientError, ConfigError, "source.base_url is not an http(s) address"
    ),
    TransportRule(
        aiohttp.ClientConnectorDNSError, SourceUnavailable, "the host {peer} cannot be resolved"
    ),
    TransportRule(
        aiohttp.ClientConnectorCertificateError,
        SourceUnavailable,
        "the certificate of {peer} is not trusted",
    ),
    TransportRule(
        aiohttp.ClientProxyConnectionError,
        SourceUnavailable,
        "the proxy on the way to {peer} cannot be reached",
    ),
    TransportRule(
        aiohttp.ClientHttpProxyError,
        SourceUnavailable,
        "the proxy on the way to {peer} refused to connect",
    ),
    TransportRule(aiohttp.ClientConnectorError, SourceUnavailable, "{peer} cannot be reached"),
    TransportRule(
        aiohttp.ClientPayloadError,
        SourceUnavailable,
        "the answer of {peer} broke off or cannot be decompressed",
    ),
    TransportRule(
        aiohttp.ServerDisconnectedError,
        SourceUnavailable,
        "{peer} closed the connection without an answer",
    ),
    # TimeoutError is an OSError, and aiohttp's timeouts are ClientErrors: it stands before both.
    TransportRule(TimeoutError, SourceUnavailable, "{peer} did not answer completely in time"),
    TransportRule(
        aiohttp.ClientError, SourceUnavailable, "the exchange with {peer} broke the HTTP protocol"
    ),
    TransportRule(OSError, SourceUnavailable, "the connection to {peer} was lost"),
)
"""Everything that can come back instead of an answer. What is not in here is a bug."""


class OnRetry(Protocol):
    """Told before each wait."""

    def __call__(self, *, error: SyncerError, delay_s: float, attempt: int) -> None:
        """``attempt`` is the number of the one that failed, from 1."""
        ...


def error_for_response(
    status: int,
    headers: Mapping[str, str],
    body_excerpt: bytes,
    *,
    now: datetime,
    request: str = "GET /models",
    secrets: Iterable[str] = (),
) -> SyncerError:
    """Judge an answer that is not a success.

    ``body_excerpt`` is quoted only after redaction, and shortened. ``request`` is method and path,
    for the message; ``secrets`` are not quoted even if the source repeats them.
    """
    rule = next(row for row in VERDICTS if isinstance(row, StatusRule) and status in row.statuses)
    fields = _json_object(body_excerpt)
    if status in REDIRECTS:
        return rule.error(
            f"{request} answered {status}: {rule.meaning}"
            f"{quote_redirect(_lowered(headers).get('location', ''))}",
            hint="Set source.base_url to the address it points to.",
            status=status,
        )
    reason = quote_reason(fields, secrets)
    if status == TOO_MANY_REQUESTS and fields.get("name") == "PlanLimitReachedError":
        return SourceLimitReached(
            f"{request} answered {status}: the plan's limit is reached{reason}", status=status
        )
    return rule.error(
        f"{request} answered {status}: {rule.meaning}{reason}",
        status=status,
        retry_after_s=parse_retry_after(headers, body_excerpt, now),
    )


def error_for_transport(
    error: Exception, *, request: str, peer: str, timeout_s: float
) -> SyncerError:
    """Judge an exception of the HTTP library or the operating system.

    The exception's own text is not quoted: it can hold a URL with its query.

    Raises:
        Exception: the given one, when it is not in the table (a bug).
    """
    for rule in VERDICTS:
        if isinstance(rule, TransportRule) and isinstance(error, rule.exception):
            detail = f" ({timeout_s:g} s)" if isinstance(error, TimeoutError) else _os_detail(error)
            return rule.error(f"{request}: {rule.meaning.format(peer=peer)}{detail}")
    raise error


def is_expired_token(status: int, headers: Mapping[str, str]) -> bool:
    """Tell a JWT that has run out from a genuine refusal.

    Source: UPSTREAM §1, the gateway's 403 with ``x-amzn-errortype: AccessDeniedException``.
    """
    error_type = _lowered(headers).get("x-amzn-errortype", "")
    return status == FORBIDDEN and error_type.partition(":")[0].strip() == "AccessDeniedException"


def parse_retry_after(headers: Mapping[str, str], body: bytes, now: datetime) -> float | None:
    """Seconds for which the source asks us to wait, between 0 and 15 minutes.

    ``retry-after-ms``, then ``Retry-After`` as seconds or date, then ``remainingSeconds`` in the
    body; an unreadable form is passed over. A date counts from the answer's own ``Date``, so that
    a wrong clock on this machine does not matter.
    """
    lowered = _lowered(headers)
    fields = _json_object(body)
    details = fields.get("details")
    in_details = details.get("remainingSeconds") if isinstance(details, dict) else None
    retry_after = lowered.get("retry-after")
    candidates = (
        _number(lowered.get("retry-after-ms"), unit_s=0.001),
        _number(retry_after),
        _seconds_until(retry_after, parse_http_date(lowered.get("date")) or now),
        _number(fields.get("remainingSeconds")),
        _number(in_details),
    )
    for seconds in candidates:
        if seconds is not None:
            return min(max(seconds, 0.0), MAX_RETRY_AFTER_S)
    return None


def parse_http_date(text: str | None) -> datetime | None:
    """The aware UTC time of an HTTP date; ``None`` when there is none or it is unreadable."""
    if not text:
        return None
    try:
        at = parsedate_to_datetime(text)
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def retry_policy(
    *,
    deadline_s: float,
    clock: Clock,
    rng: random.Random,
    on_retry: OnRetry,
    queue_s: Callable[[], float] = lambda: 0.0,
    errors: type[SyncerError] = SyncerError,
) -> tenacity.AsyncRetrying:
    """Build the retry policy of one request; use it once, then throw it away.

    Full jitter, 0.5 s doubling to 30 s. The deadline counts from the first failure: waiting for
    the request budget is not the source's fault. A throttled request waits in the limiter, with
    everybody else, and not here as well. At the end the last error is raised, with the number of
    attempts and the time they took.

    Args:
        queue_s: how long a throttled request would have to wait for its turn now.
        errors: only these are worth another attempt, if their verdict says so.
    """
    started_at: list[float] = []

    def elapsed_s() -> float:
        now = clock.monotonic()
        if not started_at:
            started_at.append(now)
        return now - started_at[0]

    def wait(state: tenacity.RetryCallState) -> float:
        if _failure(state).verdict is Verdict.BACK_OFF:
            return 0.0
        ceiling_s = min(MAX_WAIT_S, FIRST_WAIT_S * 2.0 ** min(state.attempt_number - 1, 10))
        return min(rng.uniform(0.0, ceiling_s), max(0.0, deadline_s - elapsed_s()))

    def stop(state: tenacity.RetryCallState) -> bool:
        error = _failure(state)
        asked_s = 0.0
        if isinstance(error, SourceThrottled):
            asked_s = max(error.retry_after_s or 0.0, queue_s())
        # To wait longer than the deadline allows would only fail later.
        return elapsed_s() + asked_s >= deadline_s

    def tell(state: tenacity.RetryCallState) -> None:
        on_retry(error=_failure(state), delay_s=state.upcoming_sleep, attempt=state.attempt_number)

    def give_up(state: tenacity.RetryCallState) -> None:
        error = _failure(state)
        raise _exhausted(error, attempts=state.attempt_number, elapsed_s=elapsed_s()) from error

    return tenacity.AsyncRetrying(
        sleep=clock.sleep,
        wait=wait,
        stop=stop,
        retry=tenacity.retry_if_exception(
            lambda error: isinstance(error, errors) and _is_worth_retrying(error)
        ),
        before_sleep=tell,
        retry_error_callback=give_up,
        reraise=True,
    )


def _is_worth_retrying(error: BaseException) -> bool:
    return isinstance(error, SyncerError) and error.verdict in {Verdict.RETRY, Verdict.BACK_OFF}


def _failure(state: tenacity.RetryCallState) -> SyncerError:
    error = state.outcome.exception() if state.outcome else None
    if not isinstance(error, SyncerError):  # the policy retries nothing else
        raise TypeError("a retry was judged without one of our errors")
    return error


def _exhausted(error: SyncerError, *, attempts: int, elapsed_s: float) -> SyncerError:
    times = "1 attempt" if attempts == 1 else f"{attempts} attempts in {elapsed_s:.1f} s"
    message = f"{error.message} (given up after {times})"
    context = {**error.context, "attempts": attempts, "elapsed_s": round(elapsed_s, 3)}
    if isinstance(error, SourceThrottled):
        return SourceThrottled(
            message, hint=error.hint, retry_after_s=error.retry_after_s, **context
        )
    return type(error)(message, hint=error.hint, **context)


def _lowered(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _json_object(body: bytes) -> dict[str, object]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _number(value: object, *, unit_s: float = 1.0) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        seconds = float(value) * unit_s
    except (ValueError, OverflowError):
        return None
    return seconds if math.isfinite(seconds) else None


def _seconds_until(text: str | None, base: datetime) -> float | None:
    at = parse_http_date(text)
    return None if at is None else (at - base).total_seconds()


def _os_detail(error: Exception) -> str:
    strerror = getattr(error, "strerror", None)
    return f" ({strerror.lower()})" if isinstance(strerror, str) and strerror else ""

"""
One question to the source, one answer: asked politely, judged once, repeated where that can help.

Owns the order limiter, sending, judging, repeating. Never decides what to ask next and never logs:
the observer is told what happened.
Invariant: every request went through the limiter, and nothing waits while an answer is unread.
Kind: edge (the source).
"""

from __future__ import annotations

import asyncio
import copy
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self, TypeVar
from urllib.parse import quote

from syncer.api.decode import DecodedPage, list_page
from syncer.api.observer import Nobody, RequestObserver, outcome_of
from syncer.api.query import build_model_params, build_params
from syncer.api.reason import secret_parts
from syncer.api.retry import (
    error_for_response,
    is_expired_token,
    parse_http_date,
    parse_retry_after,
    retry_policy,
)
from syncer.api.room import PAGE_GOAL_BYTES, Room
from syncer.api.transport import Answer, HasAuthorization, Transport
from syncer.domain import Page, SentOrder, to_millis
from syncer.errors import (
    ConfigError,
    SourceError,
    SourceThrottled,
    SourceUnavailable,
    SyncerError,
)

if TYPE_CHECKING:
    import random
    from collections.abc import Awaitable, Callable, Iterator, Mapping
    from contextlib import AbstractContextManager
    from types import TracebackType

    from syncer.api.limits import Limiter
    from syncer.api.room import Share
    from syncer.domain import Clock, Lane, Question, Scope

__all__ = ["HasAuthorization", "RawAnswer", "RequestObserver", "SourceClient"]

T = TypeVar("T")

DECODE_HERE_BYTES = 512 * 1024
"""A larger body is decoded in a thread: decoding takes 22 ms per MB, and the event loop is not to
be late by more than 20 ms. Threads share the interpreter, so this makes nothing faster, and by
measurement nothing slower; what waits for the loop (leases, signals, polls) has its turn again
after 5 ms."""

_PROBE_HEADER_PREFIXES = ("x-ratelimit-", "ratelimit", "retry-after", "x-amzn-errortype")
_PROBE_HEADERS = {"age", "cache-control", "content-encoding", "content-type", "date", "server"}


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """What a probe got back, undecoded."""

    status: int
    headers: Mapping[str, str]
    """Lower-case names; only those that say something about limits, caching and format."""
    size: int
    """Bytes of the decompressed body."""
    body: bytes


def _no_order() -> SentOrder:
    """For requests whose answers never meet in a merge."""
    return SentOrder(0)


@dataclass(frozen=True, slots=True)
class _Call:
    """One question, ready for the wire."""

    path: str
    """Below the base URL, percent-encoded."""
    params: Mapping[str, str]
    lane: Lane
    next_sent_order: Callable[[], SentOrder] = _no_order
    limit_bytes: int | None = None
    """Where reading stops before ``max_page_bytes``."""

    @property
    def name(self) -> str:
        return f"GET {self.path}"


@dataclass(frozen=True, slots=True)
class _Sent:
    """One request that was answered."""

    answer: Answer
    order: SentOrder
    at: float
    """When, on the monotonic clock."""
    duration_s: float


class SourceClient:
    """Asks the source; use it as ``async with``."""

    def __init__(  # noqa: PLR0913 - everything that varies is an argument, by keyword
        self,
        *,
        base_url: str,
        credentials: HasAuthorization,
        limiter: Limiter,
        clock: Clock,
        rng: random.Random,
        request_timeout_s: float,
        retry_deadline_s: float,
        max_page_bytes: int,
        observer: RequestObserver | None = None,
        decode: Callable[[bytes], DecodedPage] = list_page,
        user_agent: str = "syncer",
        room: Room | None = None,
    ) -> None:
        self._transport = Transport(
            base_url=base_url,
            credentials=credentials,
            request_timeout_s=request_timeout_s,
            max_page_bytes=max_page_bytes,
            user_agent=user_agent,
        )
        self._credentials = credentials
        self._limiter = limiter
        self._clock = clock
        self._rng = rng
        self._retry_deadline_s = retry_deadline_s
        self._observer = observer or Nobody()
        self._decode = decode
        self._requests_sent = 0
        self.room = room or Room()
        self._decoder: ThreadPoolExecutor | None = None

    @property
    def requests_sent(self) -> int:
        """Requests put on the wire so far by this view, repeated ones included."""
        return self._requests_sent

    def observed_by(self, observer: RequestObserver) -> SourceClient:
        """The same open client, with its limits, for requests that another observer hears of."""
        view = copy.copy(self)
        view._observer = observer  # noqa: SLF001 - of our own class
        return view

    def queue_s(self) -> float:
        """Seconds until the budget would let one more request go; 0 when it waits for nobody."""
        return self._limiter.delay_s

    async def __aenter__(self) -> Self:
        # One thread: pages are decoded one after the other, as their memory wants it.
        self._decoder = ThreadPoolExecutor(1, thread_name_prefix="decode")
        await self._transport.__aenter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._decoder is not None:
            self._decoder.shutdown(wait=False, cancel_futures=True)
        await self._transport.__aexit__(exc_type, exc, traceback)

    async def fetch_page(
        self,
        scope: Scope,
        question: Question,
        *,
        lane: Lane,
        next_sent_order: Callable[[], SentOrder],
    ) -> Page:
        """Ask one list question until it is answered, refused, or out of time.

        ``next_sent_order`` is called for each attempt at the moment of sending; the page carries
        the number of the attempt that brought it.

        Raises:
            SourceUnavailable, SourceThrottled: still so when the retry deadline was reached.
            StoreError: nobody could be asked whether the budget has room, for as long.
            SourceRefused: the credentials are no good (a run-out JWT was read anew first).
            SourceRejected: this question is not answered.
            SourceLimitReached: the plan's limit; asking again is pointless for now.
            PageTooLarge: over ``max_page_bytes``, or with several models over
                ``PAGE_GOAL_BYTES``; ask for fewer.
            WalkBroken: the page breaks what the source promised.
        Cancel-safe: yes; nothing is kept of an answer that was not returned.
        """
        limit_bytes = PAGE_GOAL_BYTES if question.page_size > 1 else None
        call = _Call("/models", build_params(scope, question), lane, next_sent_order, limit_bytes)

        async def read(sent: _Sent) -> Page:
            self._require_success(call, sent)
            decoded = await self._decode_body(call, sent.answer)
            date = parse_http_date(sent.answer.headers.get("Date"))
            return Page(
                entries=decoded.entries,
                next_token=decoded.next_token,
                source_now_ms=None if date is None else to_millis(date),
                sent_order=sent.order,
                size_bytes=len(sent.answer.body),
            )

        return await self._ask(call, read)

    async def fetch_model(
        self,
        model_id: str,
        *,
        project_id: str | None,
        lane: Lane,
        original_assets: bool = False,
    ) -> bytes | None:
        """Fetch one model's answer as sent; ``None`` when the source does not know the id.

        Raises: as ``fetch_page``.
        """
        params = build_model_params(project_id, original_assets=original_assets)
        call = _Call(f"/models/{quote(model_id, safe='')}", params, lane)

        async def read(sent: _Sent) -> bytes | None:
            if sent.answer.status == 404:  # noqa: PLR2004 - HTTP status
                return None
            self._require_success(call, sent)
            return sent.answer.body

        return await self._ask(call, read)

    async def probe(self, params: Mapping[str, str], *, lane: Lane) -> RawAnswer:
        """Try a list question and show the answer, a 4xx as well as a success.

        Raises:
            SourceUnavailable: no answer, or 5xx, until the retry deadline.
            SourceRejected: the source redirects.
            PageTooLarge: over ``max_page_bytes``.
        """
        call = _Call("/models", dict(params), lane)

        async def read(sent: _Sent) -> RawAnswer:
            answer = sent.answer
            if 400 <= answer.status < 500:  # noqa: PLR2004 - HTTP status class
                self._judge(call, sent)
            else:
                self._require_success(call, sent)
            headers = _telling_headers(answer.headers)
            return RawAnswer(answer.status, headers, len(answer.body), answer.body)

        return await self._ask(call, read)

    async def _ask(self, call: _Call, read: Callable[[_Sent], Awaitable[T]]) -> T:
        policy = retry_policy(
            deadline_s=self._retry_deadline_s,
            clock=self._clock,
            rng=self._rng,
            on_retry=self._retry_scheduled,
            queue_s=self.queue_s,
            # The limiter has waited for the database as long as that may take.
            errors=SourceError,
        )
        result: T = await policy(self._attempt, call, read)
        return result

    def hand(self) -> AbstractContextManager[Share]:
        """Counts the pages that somebody is about to store, so that reading waits for them."""
        return self.room.hand()

    async def _attempt(self, call: _Call, read: Callable[[_Sent], Awaitable[T]]) -> T:
        # Before the request: while pages wait for the database, no connection waits for us.
        await self.room.until_free()
        with self.room.reader() as share:
            return await self._attempt_within(share, call, read)

    async def _attempt_within(
        self, share: Share, call: _Call, read: Callable[[_Sent], Awaitable[T]]
    ) -> T:
        sent = await self._send(call, share)
        if self._credentials.kind == "bearer" and is_expired_token(
            sent.answer.status, sent.answer.headers
        ):
            # A JWT lives about a minute (UPSTREAM §1), so a fresh one may already lie there.
            self._finished(call, "refused", sent.duration_s)
            with suppress(ConfigError):
                # A file that cannot be read now may come back; the next line says that it is away.
                self._credentials.reload()
            share.drop_all()
            sent = await self._send(call, share)
        with self._failure_reported(call, lambda: sent.duration_s):
            result = await read(sent)
        self._finished(call, "ok", sent.duration_s)
        if sent.answer.is_success:
            self._limiter.succeed()
        return result

    async def _send(self, call: _Call, share: Share) -> _Sent:
        """Send one request when it is allowed, and read its answer whole."""
        async with self._limiter.slot(call.lane) as passage:
            started = self._clock.monotonic()
            with self._failure_reported(call, lambda: self._clock.monotonic() - started):
                self._observer.request_started()
                order = call.next_sent_order()
                self._requests_sent += 1
                answer = await self._transport.get(
                    call.path,
                    call.params,
                    share=share,
                    limit_bytes=call.limit_bytes,
                    on_headers=passage.answered,
                )
                passage.answered()
            return _Sent(answer, order, started, self._clock.monotonic() - started)

    def _require_success(self, call: _Call, sent: _Sent) -> None:
        if not sent.answer.is_success:
            raise self._judge(call, sent)

    def _judge(self, call: _Call, sent: _Sent) -> SyncerError:
        """Name the error of an unsuccessful answer, and obey the pause that it asks of everybody.

        A 429 asks for one with or without a number of seconds, any other trouble only with one.
        """
        now, answer = self._clock.now(), sent.answer
        error = error_for_response(
            answer.status,
            answer.headers,
            answer.body,
            now=now,
            request=call.name,
            secrets=self._secrets(),
        )
        if isinstance(error, SourceThrottled):
            self._limiter.pause(error.retry_after_s, sent_at=sent.at)
        elif isinstance(error, SourceUnavailable):
            asked_s = parse_retry_after(answer.headers, answer.body, now)
            if asked_s is not None:
                self._limiter.pause(asked_s, sent_at=sent.at)
        return error

    def _secrets(self) -> tuple[str, ...]:
        if self._credentials.kind == "public":
            return ()
        return secret_parts(self._credentials.authorization())

    async def _decode_body(self, call: _Call, answer: Answer) -> DecodedPage:
        """Decode a page, beside the event loop where that takes so long that others would wait.

        Cancel-safe: yes; what the thread still does is finite, and nobody looks at it.
        """
        try:
            if len(answer.body) <= DECODE_HERE_BYTES:
                return self._decode(answer.body)
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._decoder, self._decode, answer.body)
        except SourceUnavailable as error:
            context = error.context | {"status": answer.status}
            raise SourceUnavailable(
                f"{call.name} answered {answer.status}: {error.message}",
                hint=error.hint,
                **context,
            ) from error

    @contextmanager
    def _failure_reported(self, call: _Call, duration_s: Callable[[], float]) -> Iterator[None]:
        """Tell the observer about a request that ends here with an error."""
        try:
            yield
        except (Exception, asyncio.CancelledError) as error:
            self._finished(call, outcome_of(error), duration_s())
            raise

    def _finished(self, call: _Call, outcome: str, duration_s: float) -> None:
        self._observer.request_finished(outcome=outcome, duration_s=duration_s, params=call.params)

    def _retry_scheduled(self, *, error: SyncerError, delay_s: float, attempt: int) -> None:
        # A pause is served in the limiter, where the policy cannot see it.
        self._observer.retry_scheduled(
            error=error, delay_s=max(delay_s, self._limiter.pause_s), attempt=attempt
        )


def _telling_headers(headers: Mapping[str, str]) -> dict[str, str]:
    lowered = {name.lower(): value for name, value in headers.items()}
    return {
        name: value
        for name, value in lowered.items()
        if name in _PROBE_HEADERS or name.startswith(_PROBE_HEADER_PREFIXES)
    }

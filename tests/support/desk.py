"""
A desk to ask the source from: an API client with everything a test wants to look at.

``Desk`` asks wherever it is pointed; ``serving`` points one at a handler on the loopback.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Self

from aiohttp import web
from aiohttp.test_utils import TestServer
from support.virtual_clock import JumpClock

from syncer.api.client import SourceClient
from syncer.api.decode import DecodedPage
from syncer.api.limits import Limiter
from syncer.domain import Lane, Millis, Page, Question, Scope, SentOrder, SortKey
from syncer.errors import SourceUnavailable, SyncerError, WalkBroken

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

BASE = "https://api.example/v1"
SCOPE = Scope(tags=("Video", "3D"))
QUESTION = Question(SortKey.UPDATED, after_ms=Millis(0), before_ms=None, page_size=7)
PAGE = {"models": [], "nextPaginationToken": "more"}
DATE = {"Date": "Sun, 01 Nov 2026 12:00:00 GMT"}
DATE_MS = 1_793_534_400_000
EXPIRED = {"x-amzn-errortype": "AccessDeniedException"}


class Credentials:
    """Credentials of any kind; each ``reload`` moves on to the next value."""

    def __init__(self, kind: str = "public", *values: str) -> None:
        self.kind = kind
        self.values = list(values) or ["public-auth-token"]
        self.reloads = 0

    def authorization(self) -> str:
        return self.values[min(self.reloads, len(self.values) - 1)]

    def reload(self) -> None:
        self.reloads += 1


class Observer:
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.started = 0
        self.finished: list[str] = []
        self.durations: list[float] = []
        self.params: list[Mapping[str, str]] = []
        self.retries: list[tuple[str, float, int]] = []
        self.retry_heard = asyncio.Event()

    def request_started(self) -> None:
        self.started += 1

    def request_finished(
        self, *, outcome: str, duration_s: float, params: Mapping[str, str]
    ) -> None:
        self.finished.append(outcome)
        self.durations.append(duration_s)
        self.params.append(params)

    def retry_scheduled(self, *, error: SyncerError, delay_s: float, attempt: int) -> None:
        self.retries.append((type(error).__name__, delay_s, attempt))
        self.retry_heard.set()


def decode(body: bytes) -> DecodedPage:
    """The simplest decoder that keeps the real one's promises."""
    try:
        page = json.loads(body)
    except ValueError:
        raise SourceUnavailable("the body is not JSON") from None
    if "models" not in page:
        raise SourceUnavailable("the body has no models")
    if page["models"] == "broken":
        raise WalkBroken("the envelope is broken")
    return DecodedPage(entries=tuple(page["models"]), next_token=page.get("nextPaginationToken"))


class Desk:
    """A client with everything that a test wants to look at."""

    def __init__(self, base_url: str = BASE, **changes: Any) -> None:
        self.clock: Any = changes.pop("clock", None) or JumpClock()
        self.observer = Observer()
        self.credentials = changes.pop("credentials", None) or Credentials()
        self.limiter = Limiter(
            max_requests_per_minute=changes.pop("per_minute", 1000),
            max_concurrency=changes.pop("at_once", 8),
            clock=self.clock,
        )
        self._orders = itertools.count(1)
        settings: dict[str, Any] = {
            "request_timeout_s": 30.0,
            "retry_deadline_s": 300.0,
            "max_page_bytes": 1_000_000,
            "decode": decode,
        }
        self.client = SourceClient(
            base_url=base_url,
            credentials=self.credentials,
            limiter=self.limiter,
            clock=self.clock,
            rng=random.Random(1),  # noqa: S311 - jitter
            observer=self.observer,
            user_agent="syncer/test",
            **settings | changes,
        )

    def next_order(self) -> SentOrder:
        return SentOrder(next(self._orders))

    async def fetch(self, question: Question = QUESTION, lane: Lane = Lane.POLL) -> Page:
        return await self.client.fetch_page(
            SCOPE, question, lane=lane, next_sent_order=self.next_order
        )

    async def __aenter__(self) -> Self:
        await self.client.__aenter__()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.client.__aexit__(None, None, None)
        if exc_info[0] is None:
            # Or whoever counts what is under way would be wrong for ever after.
            assert self.observer.started == len(self.observer.finished)


@asynccontextmanager
async def serving(handler: Any, **changes: Any) -> AsyncIterator[Desk]:
    """A desk before a real server on the loopback; one attempt unless told otherwise."""
    app = web.Application()
    app.router.add_get("/v1/{path:.*}", handler)
    async with TestServer(app, skip_url_asserts=True) as server:
        options = {"retry_deadline_s": 0.0} | changes
        async with Desk(str(server.make_url("/v1/")), **options) as desk:
            yield desk

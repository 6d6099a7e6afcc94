"""
What can go wrong on purpose, by name.

Owns the list of faults, and how often each is still to strike. Never touches a socket.
Invariant: a fault with a count strikes exactly that often, and only where it can take effect.
Kind: pure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random

FAULTS: Mapping[str, str] = MappingProxyType(
    {
        "rate-limit-seconds": "429 with Retry-After in seconds",
        "rate-limit-date": "429 with Retry-After as a date",
        "rate-limit-ms": "429 with retry-after-ms",
        "rate-limit-bare": "429 without a word about when to come back",
        "rate-limit-body": "429 with remainingSeconds in the body",
        "plan-limit": "429 PlanLimitReachedError, which waiting does not cure",
        "error-400": "400 with a reason",
        "error-404": "404 with a reason",
        "error-408": "408 from the gateway",
        "error-500": "500 with a JSON message",
        "error-502-html": "502 with an HTML page from the edge",
        "error-503": "503 with a JSON message",
        "unauthorized": "401 with a JSON message",
        "forbidden": "403 without the header that marks an expired JWT",
        "expired-jwt": "403 with x-amzn-errortype: AccessDeniedException, for Bearer requests",
        "html-200": "200 with an HTML page",
        "invalid-json": "200 whose body stops in the middle of its JSON, complete on the wire",
        "invalid-utf8": "200 with a byte that is not UTF-8 inside a string",
        "no-models-key": "200 with an error text and no models",
        "rejected-token": "400 for a request that carries a paginationToken",
        "repeated-token": "the next token is the one that was asked with",
        "endless-empty-pages": "an empty page with a new token, for ever",
        "empty-page-with-token": "an empty page with a token in front of each page",
        "short-pages": "pages shorter than asked, with a token; no row is lost",
        "unsorted-page": "the first and the last row of a page change places",
        "duplicate-rows": "the first row of a page comes again at its end",
        "out-of-bounds-row": "a row that lies outside the asked dates",
        "empty-string-end-token": 'the end of the listing is nextPaginationToken: ""',
        "null-end-token": "the end of the listing is nextPaginationToken: null",
        "oversized-page": "white space between the rows, much of it",
        "no-date-header": "no Date header",
        "clock-ahead-10m": "the Date header is ten minutes ahead",
        "clock-behind-10m": "the Date header is ten minutes behind",
        "reset-before-headers": "the connection is reset before the answer begins",
        "reset-after-headers": "the connection is reset in the middle of the body",
        "truncated-body": "the connection closes before Content-Length is reached",
        "dripping-body": "the body arrives in small pieces with pauses",
        "hanging-body": "the body stops half way and the connection stays open",
    }
)

ERROR_FAULTS = (
    "rate-limit-seconds",
    "rate-limit-date",
    "rate-limit-ms",
    "rate-limit-bare",
    "rate-limit-body",
    "plan-limit",
    "error-400",
    "error-404",
    "error-408",
    "error-500",
    "error-502-html",
    "error-503",
    "unauthorized",
    "forbidden",
    "expired-jwt",
    "html-200",
    "no-models-key",
    "rejected-token",
)
"""Answered instead of the request."""

DELIVERY_FAULTS = (
    "reset-before-headers",
    "reset-after-headers",
    "truncated-body",
    "dripping-body",
    "hanging-body",
)
"""A right answer that does not arrive as it should."""

DATE_FAULTS = ("no-date-header", "clock-ahead-10m", "clock-behind-10m")

Condition = Callable[[Mapping[str, str]], bool]


@dataclass
class _Armed:
    name: str
    left: int | None
    share: float
    when: Condition | None


class FaultBox:
    """The faults that are armed, oldest first."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._armed: list[_Armed] = []

    def add(
        self,
        name: str,
        times: int | None = None,
        *,
        share: float = 1,
        when: Condition | None = None,
    ) -> None:
        """Arm a fault.

        Args:
            name: one of ``FAULTS``.
            times: how often it strikes; ``None`` is without end.
            share: of the requests that it could strike.
            when: strikes only requests whose parameters satisfy it.
        """
        if name not in FAULTS:
            raise ValueError(f"unknown fault {name}; known are {', '.join(FAULTS)}")
        if times is not None and times < 1:
            raise ValueError(f"fault {name} must strike at least once")
        if not 0 < share <= 1:
            raise ValueError(f"fault {name} must strike a share of requests in (0, 1]")
        self._armed.append(_Armed(name, times, share, when))

    def add_spec(self, spec: str) -> None:
        """Arm ``name``, ``name:3`` (three times) or ``name:10%`` (a tenth of the requests)."""
        name, _, amount = spec.partition(":")
        try:
            if amount.endswith("%"):
                self.add(name, share=float(amount[:-1]) / 100)
            else:
                self.add(name, int(amount) if amount else None)
        except ValueError as error:
            raise ValueError(
                f"fault {spec} is not understood: write NAME, NAME:COUNT or NAME:PERCENT% ({error})"
            ) from error

    def clear(self) -> None:
        """Disarm everything."""
        self._armed.clear()

    def strikes(self, name: str, params: Mapping[str, str]) -> bool:
        """Whether the fault strikes this request now; counts it if it does.

        Ask only where the fault can take effect, so that a count is not used up on nothing.
        """
        for armed in self._armed:
            if armed.name != name or (armed.when is not None and not armed.when(params)):
                continue
            if armed.share < 1 and self._rng.random() >= armed.share:
                continue
            if armed.left is not None:
                armed.left -= 1
                if armed.left == 0:
                    self._armed.remove(armed)
            return True
        return False

    def first(self, names: tuple[str, ...], params: Mapping[str, str]) -> str | None:
        """The first of these faults that strikes, in the order in which they were armed."""
        for name in [armed.name for armed in self._armed if armed.name in names]:
            if self.strikes(name, params):
                return name
        return None

"""
What the form of a source's answers says: page size, tokens, types, headers, clock.

Owns the meaning of everything about an answer but its models. Never asks.
Invariant: as ``finding``; no text of the source is repeated here but the types it lists.
Kind: pure.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping, Sequence

from syncer.domain import Privacy
from syncer.planner.finding import Finding

LARGEST_PAGE = 500
"""The documented upper bound of ``pageSize`` (UPSTREAM §2.2)."""

SMALLER_PAGE = 100
"""The documented default of ``pageSize``."""

IMPOSSIBLE_TYPE = "syncer-check"
"""No model has it: the refusal may list the types that there are."""

SKEW_LIMIT_S = 60
DATE_RESOLUTION_S = 2
"""The Date header has whole seconds, and the answer takes a moment to arrive."""

_TYPE_WORD = re.compile(r"[A-Za-z0-9][\w.+-]{0,63}")
_LISTED = re.compile(r"\bone of\b:?\s*(?P<list>[^;\n]+?)(?:;|\n|\bgot\b|\bbut\b|$)", re.IGNORECASE)


def largest_page_finding(
    privacy: Privacy, *, refused_because: str | None, page_size: int, models: int
) -> Finding:
    """Whether pages of the documented largest size are answered. ``page_size`` is configured."""
    name = f"{privacy}.largest_page"
    if refused_because is None:
        return Finding(name, LARGEST_PAGE, f"pageSize={LARGEST_PAGE} is answered ({models} models)")
    meaning = f"pageSize={LARGEST_PAGE} is refused: {refused_because}"
    if page_size < LARGEST_PAGE:
        return Finding(name, "refused", meaning)
    return Finding(
        name,
        "refused",
        meaning,
        contradicts=f"the {privacy} listing refuses pages of source.page_size = {page_size} "
        f"({refused_because})",
        remedy=f"Set source.page_size to {SMALLER_PAGE} and run 'syncer check' again.",
    )


def token_finding(privacy: Privacy, token: str | None) -> Finding:
    """How the source remembers where a listing goes on; walks treat it as opaque."""
    name = f"{privacy}.token"
    if token is None:
        return Finding(
            name, None, "the listing has no second page, so there is no token to look at"
        )
    fields = _token_fields(token)
    if "offset" in fields:
        return Finding(name, "offset", "a position in a live order: walks step by time instead")
    if "lastKey" in fields:
        return Finding(name, "last key", "continues after the last model")
    return Finding(name, "opaque", "its form says nothing about how it continues")


def end_finding(privacy: Privacy, ends: Sequence[str]) -> Finding:
    """How the last page says that it is the last."""
    name = f"{privacy}.end_token"
    if not ends:
        return Finding(name, None, "no last page was seen")
    forms = tuple(sorted(set(ends)))
    return Finding(name, forms[0] if len(forms) == 1 else forms, "how the last page ends a listing")


def end_form(body: bytes) -> str:
    """What stands in place of a token on a last page: ``absent``, ``null`` or ``empty``."""
    fields = _json_object(body)
    if "nextPaginationToken" not in fields:
        return "absent"
    return "null" if fields["nextPaginationToken"] is None else "empty"


def types_finding(*, status: int, body: bytes, models: int) -> Finding:
    """What the source says to a type that does not exist."""
    name = f"{Privacy.PUBLIC}.types"
    if 200 <= status < 300:  # noqa: PLR2004 - HTTP status class
        if not models:
            return Finding(name, "any", "a type that does not exist is answered, with no models")
        return Finding(
            name,
            "ignored",
            "a type that does not exist is answered with models: the filter is not looked at",
            caution="the source answers a type that does not exist with models: do not narrow a "
            "catalog with types, nor use partition_by = 'type'",
        )
    if types := _listed_types(body):
        return Finding(name, types, "the types that the filters accept, in the source's own words")
    return Finding(
        name, "refused", "a type that does not exist is refused; the others are not told"
    )


def rate_headers_finding(names: Sequence[str]) -> Finding:
    """Which headers speak of the request budget; none is documented (UPSTREAM §6.1)."""
    if not names:
        return Finding("rate_headers", "none", "answers do not tell how much of the budget is left")
    return Finding("rate_headers", tuple(sorted(set(names))), "headers that tell the budget")


def gzip_finding(encoding: str | None) -> Finding:
    """Whether large pages come compressed."""
    if encoding:
        return Finding("compression", encoding, "large pages come compressed")
    return Finding("compression", "none", "large pages come as they are, at several times the size")


def clock_findings(
    date: str | None, skew_s: float | None, *, overlap_s: float
) -> tuple[Finding, ...]:
    """Whether the source tells its time, and how far it is from ours.

    ``skew_s`` is positive when the source is ahead; ``overlap_s`` the smallest of all catalogs.
    """
    if skew_s is None:
        why = "is unreadable" if date else "is missing"
        caution = (
            f"the Date header of the source {why}: watermarks follow the newest model seen "
            "instead, so that more is read twice"
        )
        value = "unreadable" if date else "absent"
        return (Finding("date_header", value, f"the Date header {why}", caution=caution),)
    limit_s = max(min(SKEW_LIMIT_S, overlap_s / 2), DATE_RESOLUTION_S)
    side = "ahead of" if skew_s > 0 else "behind"
    caution = (
        f"the source's clock is {abs(skew_s):.0f} s {side} ours (limit {limit_s:g} s): set this "
        "machine's clock (NTP); if it is right, raise overlap_s above twice the difference"
    )
    return (
        Finding("date_header", "readable", "the source tells its time with each answer"),
        Finding(
            "clock_skew_s",
            round(skew_s),
            "seconds by which the source's clock is ahead of ours",
            caution=caution if abs(skew_s) > limit_s else "",
            measured=True,
        ),
    )


def _listed_types(body: bytes) -> tuple[str, ...]:
    listed = _LISTED.search(_reason(body))
    if listed is None:
        return ()
    words = (word.rstrip(".") for word in _TYPE_WORD.findall(listed["list"]))
    return tuple(sorted({word for word in words if word not in {"or", "and", IMPOSSIBLE_TYPE}}))


def _reason(body: bytes) -> str:
    fields = _json_object(body)
    said = (fields.get(name) for name in ("reason", "message", "error"))
    return next((text for text in said if isinstance(text, str)), "")


def _token_fields(token: str) -> Mapping[str, object]:
    try:
        return _json_object(base64.b64decode(token, validate=True))
    except (binascii.Error, ValueError):
        return {}


def _json_object(body: bytes) -> Mapping[str, object]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}

"""
The rules of ``GET /v1/models``: which parameters go together, and what they ask for.

Owns every documented and observed rule about parameters (UPSTREAM §2, §8). Never looks at a
model, never reads a clock.
Invariant: a ``ListQuery`` exists only for a combination that the source accepts.
Kind: pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from syncer.simulator.catalog import Order, Scope
from syncer.simulator.instants import parse_ms
from syncer.simulator.options import LARGEST_PAGE
from syncer.simulator.vocabulary import STATUS_FILTERS

Params = Mapping[str, str]

DEFAULT_PAGE = 100
PUBLIC_ONLY = ("updatedAfter", "updatedBefore", "type", "types", "tags", "collectionIds")
PRIVATE_ONLY = ("collectionId",)
SYSTEM_PREFIX = "sc:"
"""A tag filter that begins so selects nothing, although rows carry such tags (UPSTREAM §8.1)."""


class BadQuery(Exception):
    """A combination of parameters that the source answers with 400; the text is its ``reason``."""


@dataclass(frozen=True, slots=True)
class ListQuery:
    """One accepted question."""

    scope: Scope
    order: Order
    descending: bool
    after_ms: int | None
    before_ms: int | None
    page_size: int
    token: str | None
    original_assets: bool


@dataclass(frozen=True, slots=True)
class Rules:
    """What differs between two simulated sources."""

    accepted_types: tuple[str, ...]
    max_page_size: int = LARGEST_PAGE
    project_id: str = ""


def parse_query(params: Params, rules: Rules) -> ListQuery:
    """The question that the parameters ask; unknown parameters are ignored.

    Raises:
        BadQuery: the source answers such a request with 400.
    """
    privacy = _choice(params, "privacy", ("private", "public")) or "private"
    _refuse_other_privacy(params, privacy)
    order, descending = _order(params, privacy)
    after_ms, before_ms = _bounds(params)
    return ListQuery(
        scope=_scope(params, privacy, rules),
        order=order,
        descending=descending,
        after_ms=after_ms,
        before_ms=before_ms,
        page_size=_page_size(params, rules.max_page_size),
        token=params.get("paginationToken") or None,
        original_assets=_flag(params, "originalAssets"),
    )


def _refuse_other_privacy(params: Params, privacy: str) -> None:
    # ``status`` is documented as private-only, too, but tolerated with public (UPSTREAM §10).
    foreign = PRIVATE_ONLY if privacy == "public" else PUBLIC_ONLY
    needed = "private" if privacy == "public" else "public"
    for name in foreign:
        if name in params:
            raise BadQuery(f"{name} is only available when privacy={needed}")


def _order(params: Params, privacy: str) -> tuple[Order, bool]:
    sort_by = _choice(params, "sortBy", tuple(Order))
    direction = _choice(params, "sortDirection", ("asc", "desc"))
    if direction and sort_by not in {Order.CREATED, Order.UPDATED}:
        raise BadQuery("sortDirection must be used together with sortBy createdAt or updatedAt")
    if privacy == "private":
        if sort_by == Order.UPDATED:
            raise BadQuery("sortBy=updatedAt is only available when privacy=public")
        if sort_by == Order.SCORE and not ("privacy" in params and "status" in params):
            raise BadQuery("sortBy=score requires both privacy and status")
    if not sort_by:
        return (Order.SCORE, False) if privacy == "public" else (Order.CREATED, True)
    order = Order(sort_by)
    # A score listing's key is the negated score: its ascending order is best first.
    return order, order is not Order.SCORE and direction != "asc"


def _bounds(params: Params) -> tuple[int | None, int | None]:
    bounds: dict[str, int] = {}
    for family in ("created", "updated"):
        for side in ("After", "Before"):
            name = family + side
            if name not in params:
                continue
            if params.get("sortBy") != family + "At":
                raise BadQuery(f"{name} requires sortBy to be {family}At")
            at_ms = parse_ms(params[name])
            if at_ms is None:
                raise BadQuery(f"{name} must be an ISO date string")
            bounds[side] = at_ms
    return bounds.get("After"), bounds.get("Before")


def _scope(params: Params, privacy: str, rules: Rules) -> Scope:
    types = _types(params, rules)
    status = _choice(params, "status", STATUS_FILTERS)
    blacklisted = _flag(params, "blacklisted")
    loaded = _flag(params, "loadedOnly")
    if privacy == "public":
        return Scope(
            privacy="public",
            types=types,
            tags=_tags(params),
            collections=_list(params, "collectionIds"),
            blacklisted=blacklisted,
            loaded=loaded,
        )
    deleted = status == "deleted"
    return Scope(
        privacy="private",
        collections=_list(params, "collectionId", separator=None),
        status=None if deleted else status or None,
        owner=params.get("projectId") or rules.project_id,
        deleted=deleted,
        blacklisted=blacklisted,
        loaded=loaded,
    )


def _types(params: Params, rules: Rules) -> frozenset[str] | None:
    if "type" in params and "types" in params:
        raise BadQuery("type and types cannot be used together")
    wanted = _list(params, "type", separator=None) or _list(params, "types")
    for value in sorted(wanted or ()):
        if value not in rules.accepted_types:
            raise BadQuery(f"type must be one of {', '.join(rules.accepted_types)}; got {value}")
    return wanted


def _tags(params: Params) -> frozenset[str] | None:
    tags = _list(params, "tags")
    if tags is None:
        return None
    return frozenset(tag for tag in tags if not tag.startswith(SYSTEM_PREFIX))


def _list(params: Params, name: str, separator: str | None = ",") -> frozenset[str] | None:
    """The values of a comma list; absent and empty do not select."""
    text = params.get(name, "")
    if not text:
        return None
    return frozenset(text.split(separator)) if separator else frozenset((text,))


def _choice(params: Params, name: str, accepted: tuple[str, ...]) -> str:
    value = params.get(name, "")
    if name in params and value not in accepted:
        raise BadQuery(f"{name} must be one of {', '.join(accepted)}")
    return value


def _flag(params: Params, name: str) -> bool:
    return _choice(params, name, ("true", "false")) == "true"


def _page_size(params: Params, largest: int) -> int:
    text = params.get("pageSize", str(min(DEFAULT_PAGE, largest)))
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:6]) <= largest):
        raise BadQuery(f"pageSize must be an integer between 1 and {largest}")
    return int(text)

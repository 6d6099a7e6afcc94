"""
One page of a live listing, and the token that asks for the next one.

Owns tokens: an offset into a live order for public listings, the last key for private ones
(UPSTREAM §5). Never remembers anything between two pages.
Kind: pure.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Any

import msgspec

from syncer.simulator.catalog import Catalog, Key, bounds, passed_rows
from syncer.simulator.listing import BadQuery, ListQuery


@dataclass(frozen=True, slots=True)
class PageOfIds:
    """Which models a page holds, in order."""

    ids: tuple[str, ...]
    next_token: str | None


def encode_token(position: dict[str, Any]) -> str:
    """The token of a position: base64 of compact JSON, as observed."""
    return base64.b64encode(msgspec.json.encode(position)).decode()


def decode_token(token: str) -> dict[str, Any]:
    """The position in a token.

    Raises:
        BadQuery: it is none of ours.
    """
    try:
        position = msgspec.json.decode(base64.b64decode(token, validate=True))
    except (binascii.Error, ValueError, msgspec.DecodeError):
        position = None
    if not isinstance(position, dict) or not ({"offset", "lastKey"} & position.keys()):
        raise BadQuery("paginationToken is invalid")
    return position


def cut_page(catalog: Catalog, query: ListQuery, rows: int | None = None) -> PageOfIds:
    """The page a question asks for, over the listing as it is now.

    ``rows``, at least 1, makes the page shorter than asked; what it leaves out comes next.
    """
    keys = catalog.view(query.scope, query.order)
    low, high = bounds(keys, query.after_ms, query.before_ms)
    position = decode_token(query.token) if query.token else {}
    start = _start(keys, (low, high), position, descending=query.descending)
    stop = min(high - low, start + (query.page_size if rows is None else rows))
    if query.descending:
        chosen = keys[high - stop : high - start][::-1]
    else:
        chosen = keys[low + start : low + stop]
    token = None
    if stop < high - low:
        token = encode_token(_position(chosen[-1], stop, query))
    return PageOfIds(tuple(model_id for _, model_id in chosen), token)


def _start(
    keys: list[Key], window: tuple[int, int], position: dict[str, Any], *, descending: bool
) -> int:
    """How many rows of the window stand before the page."""
    low, high = window
    if "lastKey" in position:
        last = position["lastKey"]
        if not isinstance(last, dict) or not isinstance(last.get("at"), int):
            raise BadQuery("paginationToken is invalid")
        key = (last["at"], str(last.get("id")))
        return passed_rows(keys, window, key, descending=descending)
    offset = position.get("offset", 0)
    if not isinstance(offset, int) or offset < 0:
        raise BadQuery("paginationToken is invalid")
    return min(offset, high - low)


def _position(last: Key, stop: int, query: ListQuery) -> dict[str, Any]:
    if query.scope.privacy == "public":
        return {"offset": stop, "limit": query.page_size}
    at, model_id = last
    return {"lastKey": {"at": at, "id": model_id}, "limit": query.page_size}

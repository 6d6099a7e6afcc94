"""
The answer to a list request: a page of the live listing, with the page faults that strike.

Owns the order of the steps from an accepted question to a body. Never sends it.
Kind: pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from syncer.simulator.answers import Answer
from syncer.simulator.catalog import bounds
from syncer.simulator.paging import PageOfIds, cut_page, decode_token, encode_token
from syncer.simulator.rows import render

if TYPE_CHECKING:
    from collections.abc import Mapping

    from syncer.simulator.catalog import Catalog
    from syncer.simulator.faults import FaultBox
    from syncer.simulator.listing import ListQuery
    from syncer.simulator.rows import Moment

_END_TOKENS = {
    "empty-string-end-token": b',"nextPaginationToken":""',
    "null-end-token": b',"nextPaginationToken":null',
}


class ListAnswerer:
    """Answers list requests over one catalog."""

    def __init__(self, catalog: Catalog, faults: FaultBox, *, padding_bytes: int) -> None:
        self._catalog = catalog
        self._faults = faults
        self._padding_bytes = padding_bytes

    def answer(self, query: ListQuery, params: Mapping[str, str], moment: Moment) -> Answer:
        """The body for an accepted question, over the listing as it is now."""
        page = self._page(query, params, moment)
        ids = self._disturbed(list(page.ids), query, params)
        rows = [
            render(self._catalog.row(model_id), moment, place) for place, model_id in enumerate(ids)
        ]
        separator = b","
        if rows and self._faults.strikes("oversized-page", params):
            rows[0] = b" " * self._padding_bytes + rows[0]
            separator += b" " * self._padding_bytes
        listed = separator.join(rows)
        body = b'{"models":[%b]%b}' % (listed, self._tail(page.next_token, params))
        return Answer(200, self._broken(body, params), rows=len(rows))

    def _page(self, query: ListQuery, params: Mapping[str, str], moment: Moment) -> PageOfIds:
        faults = self._faults
        position: dict[str, Any] = decode_token(query.token) if query.token else {}
        if faults.strikes("endless-empty-pages", params):
            turn = {"turn": int(position.get("turn", 0)) + 1}
            return PageOfIds((), encode_token({"offset": 0, "limit": query.page_size} | turn))
        if "gap" not in position and faults.strikes("empty-page-with-token", params):
            start = position or {"offset": 0, "limit": query.page_size}
            return PageOfIds((), encode_token(start | {"gap": 1}))
        rows = None
        if query.page_size > 1 and faults.strikes("short-pages", params):
            rows = 1 + moment.variant * 7919 % (query.page_size - 1)
        page = cut_page(self._catalog, query, rows)
        if query.token and faults.strikes("repeated-token", params):
            return PageOfIds(page.ids, query.token)
        return page

    def _disturbed(self, ids: list[str], query: ListQuery, params: Mapping[str, str]) -> list[str]:
        faults = self._faults
        if self._can_unsort(ids, query) and faults.strikes("unsorted-page", params):
            ids[0], ids[-1] = ids[-1], ids[0]
        if ids and faults.strikes("duplicate-rows", params):
            ids.append(ids[0])
        stranger = self._stranger(query)
        if stranger and faults.strikes("out-of-bounds-row", params):
            ids.append(stranger)
        return ids

    def _can_unsort(self, ids: list[str], query: ListQuery) -> bool:
        if len(ids) < 2:  # noqa: PLR2004 - two rows are needed to change places
            return False
        first, last = self._catalog.get(ids[0]), self._catalog.get(ids[-1])
        if first is None or last is None:
            return False
        return first.key(query.order)[0] != last.key(query.order)[0]

    def _stranger(self, query: ListQuery) -> str | None:
        """A model next to the asked window, but outside it."""
        keys = self._catalog.view(query.scope, query.order)
        low, high = bounds(keys, query.after_ms, query.before_ms)
        if query.before_ms is not None and high < len(keys):
            return keys[high][1]
        return keys[low - 1][1] if query.after_ms is not None and low > 0 else None

    def _tail(self, token: str | None, params: Mapping[str, str]) -> bytes:
        if token is not None:
            return b',"nextPaginationToken":"%b"' % token.encode()
        name = self._faults.first(tuple(_END_TOKENS), params)
        return _END_TOKENS[name] if name else b""

    def _broken(self, body: bytes, params: Mapping[str, str]) -> bytes:
        if self._faults.strikes("invalid-json", params):
            return body[: len(body) // 2]
        if self._faults.strikes("invalid-utf8", params):
            return body[:-1] + b',"note":"\xff\xfe"}'
        return body

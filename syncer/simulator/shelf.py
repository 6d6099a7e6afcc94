"""
What many models repeat, kept once: the pool that their lists of example assets are taken from.

Owns the encoded pool and the search in it. Never changes what a list says: what is not found as it
stands is left where it was.
Kind: pure.
"""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence


class Excerpt(msgspec.Struct, frozen=True, gc=False):
    """A part of an encoded pool; ``NOTHING`` is empty."""

    pool: bytes = b""
    begin: int = 0
    end: int = 0

    @property
    def text(self) -> bytes:
        """The items with their quotes and the commas between them."""
        return self.pool[self.begin : self.end]


NOTHING = Excerpt()


class Shelf:
    """An encoded pool of different strings."""

    def __init__(self, pool: Sequence[str]) -> None:
        encoded = [msgspec.json.encode(item) for item in pool]
        self._pool = pool
        self._text = b",".join(encoded)
        self._begins = [0, *accumulate(len(item) + 1 for item in encoded)]
        self._places = {item: place for place, item in enumerate(pool)}

    def find(self, items: object) -> Excerpt:
        """The part of the pool that is this list, or ``NOTHING`` if none is."""
        if not isinstance(items, list) or not items or not isinstance(items[0], str):
            return NOTHING
        place = self._places.get(items[0])
        if place is None or self._pool[place : place + len(items)] != items:
            return NOTHING
        return Excerpt(self._text, self._begins[place], self._begins[place + len(items)] - 1)

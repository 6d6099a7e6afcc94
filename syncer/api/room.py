"""
Room in memory for pages, counted in bytes: from the first byte read to the commit.

Owns who may go on reading. Never reads, decodes or stores anything.
Invariant: never more than the room and one page, the oldest reader's. Waiting ends, because what is
counted is given back without more room: a page in hand waits for the database alone, the oldest
reader for pages in hand, everybody else for these. Whoever has nothing in memory yet is no reader:
it may wait for a place in line that only the others can give up.
Kind: edge (waits).
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOM_BYTES: Final = 16 * 1024 * 1024
"""For all pages from their first byte to their commit. A page costs about twice its bytes (body,
records, rows), and the program 62 MB: about 95 MB in all. Nine pages of today's source, four of
them being written: with 8 MiB the database waited for pages, 32 MiB was no faster."""

PAGE_GOAL_BYTES: Final = ROOM_BYTES // 4
"""An answer with several models is read up to here, then fewer are asked for. Three pages of
today's source; a single model may have ``limits.max_page_bytes``."""


class Share:
    """What one reader or one crawl has in memory."""

    def __init__(self, room: Room, in_use: list[Share]) -> None:
        self._room = room
        self._in_use = in_use
        self._bytes = 0

    @property
    def may_go_on(self) -> bool:
        """Whether this reader may read more now."""
        return self._room.may_go_on(self)

    async def until_may_go_on(self) -> None:
        """Wait until this reader may read more.

        Cancel-safe: yes; what was counted is given back when the reader's block ends.
        """
        await self._room.until(lambda: self._room.may_go_on(self))

    def take(self, size_bytes: int) -> None:
        """Count bytes that are here already, without waiting."""
        self._add(size_bytes)

    def drop(self, size_bytes: int) -> None:
        """Give bytes back."""
        self._add(-size_bytes)

    def drop_all(self) -> None:
        """Give back whatever is left."""
        self.drop(self._bytes)

    def _add(self, size_bytes: int) -> None:
        was_in_use = self._bytes > 0
        self._bytes += size_bytes
        is_in_use = self._bytes > 0
        if is_in_use and not was_in_use:
            self._in_use.append(self)
        elif was_in_use and not is_in_use:
            self._in_use.remove(self)
        self._room.count(size_bytes)


class Room:
    """The bytes of all pages that one source's client read and nobody has stored yet."""

    def __init__(self, capacity_bytes: int = ROOM_BYTES) -> None:
        self._capacity_bytes = capacity_bytes
        self._used_bytes = 0
        self._most_bytes = 0
        self._readers: list[Share] = []
        """Those that have something in memory, in the order in which they began to read."""
        self._in_hand: list[Share] = []
        self._changed = asyncio.Event()

    @property
    def used_bytes(self) -> int:
        """Bytes of pages in memory now."""
        return self._used_bytes

    @property
    def most_bytes(self) -> int:
        """The most that ever were."""
        return self._most_bytes

    async def until_free(self) -> None:
        """Wait while nothing more fits at all: before a request, so that no connection is held.

        Cancel-safe: yes; nothing is taken.
        """
        await self.until(lambda: self._used_bytes < self._capacity_bytes)

    @contextmanager
    def reader(self) -> Iterator[Share]:
        """A share for one answer that is read and decoded; given back at the end of the block.

        A page that would never fit alone passes: its reader goes on once it is the oldest and no
        page is in hand.
        """
        yield from self._sharing(self._readers)

    @contextmanager
    def hand(self) -> Iterator[Share]:
        """A share for pages on their way to the store; never waits."""
        yield from self._sharing(self._in_hand)

    def count(self, size_bytes: int) -> None:
        """Count what a share took, or gave back (less than 0)."""
        self._used_bytes += size_bytes
        self._most_bytes = max(self._most_bytes, self._used_bytes)
        self._changed.set()

    def may_go_on(self, share: Share) -> bool:
        """Whether this reader may read more; when not, others will give something back."""
        if self._used_bytes <= self._capacity_bytes:
            return True
        return not self._in_hand and self._readers[:1] == [share]

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until a condition holds that only changes with what is counted."""
        while not condition():
            self._changed.clear()
            await self._changed.wait()

    def _sharing(self, in_use: list[Share]) -> Iterator[Share]:
        share = Share(self, in_use)
        try:
            yield share
        finally:
            share.drop_all()

"""
A ledger in memory for many limiters, so that minutes of several processes pass in a moment.

It stores moves as the tables do and decides nothing: who gets what is ``syncer.tokens``, as in
production; that PostgreSQL agrees is shown in tests/integration/test_budget.py. ``Desk`` is one
process's access, with a delay, outages and death.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from syncer.errors import StoreUnavailable
from syncer.tokens import Holder, Move, Rate, Snapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from support.virtual_clock import VirtualClock


@dataclass(slots=True)
class _Row:
    held: int
    wanted: int
    limit: int
    waiting_since: float | None = None
    dead_at: float | None = None


@dataclass(slots=True)
class Board:
    """What all processes share."""

    clock: VirtualClock
    version: int = 0
    ripe_at: list[float] = field(default_factory=list)
    rate: Rate = field(default_factory=Rate)
    rate_at: float = 0.0
    rows: dict[str, _Row] = field(default_factory=dict)
    sessions: dict[str, int] = field(default_factory=dict)
    """Sessions that show that a process lives."""
    writes: int = 0

    def snapshot(self, *, is_asking: bool) -> Snapshot:
        now = self.clock.elapsed_s
        holders = [
            Holder(
                name,
                row.held,
                row.wanted,
                row.limit,
                0.0 if row.waiting_since is None else now - row.waiting_since,
                None if row.dead_at is None else now - row.dead_at,
                not is_asking or self.sessions.get(name, 0) > 0,
            )
            for name, row in self.rows.items()
        ]
        returned_s = tuple(at - now for at in self.ripe_at if at > now)
        rate = self.rate.later(now - self.rate_at)
        return Snapshot(self.version, rate, returned_s, tuple(holders))

    def move(self, name: str, move: Move) -> bool:
        if move.version != self.version:
            return False
        now = self.clock.elapsed_s
        self.version += 1
        self.writes += 1
        self.give_back(move.returned_s)
        if move.rate is not None:
            self.rate, self.rate_at = move.rate, now
        for dead in move.dead:
            if dead in self.rows and self.rows[dead].dead_at is None:
                self.rows[dead].dead_at = now
        for buried in move.buried:
            self.rows.pop(buried, None)
        before = self.rows.get(name)
        since = None
        if move.wanted:
            since = before.waiting_since if before and not move.granted else now
            since = now if since is None else since
        self.rows[name] = _Row(move.held, move.wanted, move.limit, since)
        return True

    def give_back(self, returned_s: Sequence[float]) -> None:
        now = self.clock.elapsed_s
        self.ripe_at = [at for at in self.ripe_at if at > now]
        self.ripe_at += [now + each for each in returned_s]


class Desk:
    """One process's access to the board."""

    is_shared = True

    def __init__(self, board: Board, name: str, delay_s: Callable[[], float] = lambda: 0.0) -> None:
        self.board = board
        self.name = name
        self.delay_s = delay_s
        self.is_cut = False
        self.loses_answer = False
        self.reads = 0
        self._is_shown = self._is_registered = False

    async def read(self, *, is_asking: bool) -> Snapshot:
        await self._pass()
        self.reads += 1
        if not self._is_shown:
            self.board.sessions[self.name] = self.board.sessions.get(self.name, 0) + 1
            self._is_shown = True
        snapshot = self.board.snapshot(is_asking=is_asking)
        await self._pass()
        return replace(snapshot, is_registered=self._is_registered)

    async def write(self, move: Move) -> bool:
        await self._pass()
        if not self._is_shown:
            return False
        is_stored = self.board.move(self.name, move)
        self._is_registered = self._is_registered or is_stored
        if self.loses_answer:
            self.loses_answer = False
            self.cut()
            self.is_cut = False
            raise StoreUnavailable("the answer was lost")
        await self._pass()
        return is_stored

    async def leave(self, returned_s: Sequence[float]) -> None:
        if self.board.rows.pop(self.name, None) is not None:
            self.board.give_back(returned_s)
            self.board.writes += 1
        self.cut()

    def cut(self) -> None:
        """End the session, as when the process dies or its cable is pulled."""
        self.is_cut = True
        if self._is_shown:
            self.board.sessions[self.name] -= 1
        self._is_shown = self._is_registered = False

    def mend(self) -> None:
        """Let it be reached again."""
        self.is_cut = False

    async def _pass(self) -> None:
        if self.is_cut:
            raise StoreUnavailable("the board cannot be reached")
        if delay_s := self.delay_s():
            await self.board.clock.sleep(delay_s)
            if self.is_cut:
                raise StoreUnavailable("the board cannot be reached")

"""
Follow the changes of the mirror, from one to the next.

Owns where a reader stands and how it outlives the database's restarts: LISTEN first, then read all
that is there, then wait for a notification or the fallback. Never writes.
Invariant: each change after the first position is handed out, in order, at least once; the
position moves only when its receiver has taken it.
Kind: conductor.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from syncer.config import Settings
from syncer.domain import Clock
from syncer.errors import StoreConflict, StoreError, StoreUnavailable
from syncer.reading import require_mirrored, require_readable
from syncer.store.following import Change, hear_changes, read_change_ends, read_changes
from syncer.store.pool import Connection, connected
from syncer.store.queries import load_queries
from syncer.telemetry import Event, logger

BATCH: Final = 200
"""Changes read at a time: what is held in memory …"""

BATCH_BYTES: Final = 2 * 1024 * 1024
"""… and their before and after together, compressed: several times as much in memory."""

FALLBACK_S: Final = 5.0
"""For notifications that do not come: through a pooler, from a standby, over a dead connection."""

STATEMENT_LIMIT_S: Final = 30.0
FIRST_DELAY_S: Final = 0.25
LONGEST_DELAY_S: Final = 15.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which changes somebody asks for."""

    after: int | None = None
    """The last one that was read, 0 before the first there ever was; ``None``: whatever is kept."""
    catalogs: tuple[str, ...] = ()
    """Empty: all."""
    limit: int | None = None
    is_followed: bool = False
    """Whether to wait for more at the end."""


@dataclass(frozen=True, slots=True)
class Receiver:
    """Where changes go."""

    take: Callable[[Change], Awaitable[None]]
    check: Callable[[], None]
    """Called now and then while there is nothing to take; raises when nobody is there any more."""


class Follower:
    """One reader of the changes.

    Args:
        settings: of the run.
        url: of the database.
        wanted: which changes.
        receiver: gets them.
        clock: waits between two attempts to reach the database.
        rng: spreads those waits.
        fallback_s: how long a notification is waited for before looking all the same.
    """

    def __init__(
        self,
        settings: Settings,
        url: str,
        *,
        wanted: Wanted,
        receiver: Receiver,
        clock: Clock,
        rng: random.Random,
        fallback_s: float = FALLBACK_S,
    ) -> None:
        self._settings = settings
        self._url = url
        self._wanted = wanted
        self._receiver = receiver
        self._clock = clock
        self._rng = rng
        self._fallback_s = fallback_s
        self._queries = load_queries()
        self._queries.require("read_changes", "read_change_ends", "check_reader", "list_mirrored")
        self._taken = 0
        self._attempts: int | None = None
        """Since the last connection; ``None`` before the first."""
        self.position = wanted.after or 0
        """The last change that was read."""

    async def run(self) -> None:
        """Hand out changes until there are no more, or for as long as they are followed.

        Raises:
            StoreUnavailable: the database cannot be reached; once a follower has been connected it
                tries again instead, for as long as it takes.
            ConfigError, SchemaMismatch: trying again would not help.
        """
        while True:
            try:
                await self._read_in_one_session()
            except (StoreUnavailable, StoreConflict) as error:
                # A standby ends our reading as a conflict when it replays what removes rows.
                if not self._wanted.is_followed or self._attempts is None:
                    raise
                await self._wait_for_database(error)
            else:
                return

    async def _wait_for_database(self, error: StoreError) -> None:
        attempts = self._attempts or 0
        self._attempts = attempts + 1
        longest_s = min(FIRST_DELAY_S * 2.0 ** min(attempts, 16), LONGEST_DELAY_S)
        delay_s = longest_s * self._rng.uniform(0.5, 1)
        logger(reason=error.message, delay_s=round(delay_s, 2), after=self.position).warning(
            Event.DATABASE_UNAVAILABLE, hint="Nothing is skipped: it goes on after this change."
        )
        self._receiver.check()
        await self._clock.sleep(delay_s)

    async def _read_in_one_session(self) -> None:
        async with connected(
            self._url,
            limit_s=STATEMENT_LIMIT_S,
            application_name="syncer changes",
            read_only=True,
        ) as connection:
            facts = await require_readable(connection, self._queries)
            await require_mirrored(connection, self._queries, self._settings, self._wanted.catalogs)
            bell = asyncio.Event()
            if self._wanted.is_followed and not facts.is_standby:
                bell = await hear_changes(connection)
            await self._say_what_is_gone(connection)
            if self._attempts is None:
                self._attempts = 0
            while True:
                # Before reading: what comes while we read rings again.
                bell.clear()
                if await self._read_all(connection) or not self._wanted.is_followed:
                    return
                self._say_that_it_goes_on()
                self._receiver.check()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._fallback_s):
                        await bell.wait()

    def _say_that_it_goes_on(self) -> None:
        """Only after a whole reading: a database that breaks each one is asked ever more seldom."""
        if self._attempts:
            logger(after=self.position).info(Event.CHANGES_RESUMED)
        self._attempts = 0

    async def _read_all(self, connection: Connection) -> bool:
        """Hand out what is there; whether the limit was reached."""
        is_behind = False
        while True:
            changes = await read_changes(
                connection,
                self._queries,
                after=self.position,
                limit=BATCH,
                limit_bytes=BATCH_BYTES,
            )
            if is_behind and changes and changes[0].change_id > self.position + 1:
                # Retention may have overtaken a slow reader.
                await self._say_what_is_gone(connection)
            is_behind = True
            for change in changes:
                if not self._wanted.catalogs or change.catalog in self._wanted.catalogs:
                    if self._taken == self._wanted.limit:
                        return True
                    await self._receiver.take(change)
                    self._taken += 1
                self.position = change.change_id
            if self._taken == self._wanted.limit:
                return True
            if not changes:
                return False

    async def _say_what_is_gone(self, connection: Connection) -> None:
        """Ids have gaps of their own: only that the very change asked for is gone can be told."""
        if self._wanted.after is None and not self.position:
            return
        ends = await read_change_ends(connection, self._queries)
        log = logger(after=self.position, oldest_id=ends.oldest_id, newest_id=ends.newest_id)
        if ends.oldest_id is None:
            if self.position:
                log.warning(
                    Event.CHANGES_EXPIRED,
                    reason="no change is kept at all; those after the one asked for may be gone",
                )
        elif self.position < ends.oldest_id - 1:
            log.warning(
                Event.CHANGES_EXPIRED,
                reason="the change asked for is no longer kept; some after it may be gone too",
                kept_since=ends.oldest_committed_at,
                hint="Read scenario.live_models anew (syncer export), and go on from there.",
            )
        elif ends.newest_id is not None and self.position > ends.newest_id:
            log.warning(
                Event.CHANGES_EXPIRED,
                reason="no change has an id as high as the one asked for",
                hint="Is this another database, or one that was restored? Then read it anew.",
            )

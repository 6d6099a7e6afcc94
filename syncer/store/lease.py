"""
Hold the right to write: one lease per catalog, fenced by its epoch.

Owns ``syncer.lease`` and the one connection that renews it, which is none of the pool's. Never
decides who should hold a lease or what to do without one.
Invariant: a transaction that passed ``fence`` commits before any successor's epoch exists, or not
at all; so two holders never both write, whatever either of them believes.

The fence alone makes this safe. Two things only make a takeover prompt, and either may be wrong
without harm: ``expires_at``, by the database's clock, frees what a frozen holder keeps; and an
advisory lock that the holder's session keeps (its key contains the epoch) shows within
milliseconds that the holder was killed, so that a successor need not wait out the time to live.
A holder that lives but whose connection was cut may thus be succeeded early: it is fenced.

A takeover waits for the page in flight. The server ends a page whose process stands still, by the
limits of its session, but for one that stands in the middle of a statement that the client feeds
(COPY): that one is ended by whoever takes over.

The keeper needs a connection of its own to the server, direct or through a session pooler. Behind a
transaction pooler the advisory lock would belong to whichever session came by.
Kind: edge (asyncpg).
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Self

from syncer.errors import LeaseHeld, LeaseLost, StoreConflict, StoreUnavailable, SyncerError
from syncer.store.pool import translate
from syncer.store.session import OwnSession

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping
    from types import TracebackType

    from syncer.domain import Clock
    from syncer.store.pool import Connection, Pool
    from syncer.store.queries import Queries

_RENEWALS_PER_TTL: Final = 3
"""Two renewals may fail before a lease runs out."""

_WAITS_PER_TTL: Final = 6
"""A takeover waits this part of the time to live for a page in flight: as it blocks the connection,
renewals of the other leases then still come after half the time to live."""

_FIRST_RETRY_PER_TTL: Final = 60
"""First delay after a broken connection, as a part of the time to live; doubles up to a sixth."""

_LOCK_NOT_AVAILABLE: Final = "55P03"

_QUERIES: Final = (
    "claim_lease",
    "end_stuck_pages",
    "limit_lease_wait",
    "lock_lease",
    "mark_leases",
    "probe_lease",
    "read_leases",
    "release_lease",
    "renew_leases",
    "take_lease",
    "unmark_lease",
)


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to write one catalog, as long as nobody has raised its epoch."""

    catalog: str
    holder: str
    epoch: int
    taken_from: str | None = field(default=None, compare=False)
    """Whose it was, where it was not released: that process died, or lost the database."""


@dataclass(frozen=True, slots=True)
class LeaseRow:
    """What the database says about a lease."""

    catalog: str
    holder: str | None
    """None after it was released."""
    epoch: int
    expires_at: datetime | None
    expired: bool
    """By the database's clock; a released lease is free, not expired."""


async def fence(connection: Connection, lease: Lease, queries: Queries) -> None:
    """Make this transaction the holder's: first statement of each one that writes the catalog.

    Raises:
        LeaseLost: another epoch is in force, or the lease was released; the caller rolls back.
        StoreUnavailable: the connection broke.
    """
    with translate():
        passed = await connection.fetchval(queries["fence_lease"], lease.catalog, lease.epoch)
    if passed is None:
        raise LeaseLost(
            f"the lease of catalog {lease.catalog} is no longer ours: epoch {lease.epoch} is over",
            catalog=lease.catalog,
            epoch=lease.epoch,
        )


@asynccontextmanager
async def fenced(pool: Pool, queries: Queries, lease: Lease) -> AsyncIterator[Connection]:
    """A transaction of the holder's; committed when the block ends well.

    Raises:
        LeaseLost: as ``fence``; nothing was done.
        StoreError: as the database does, at whatever point; it is unknown what was committed.
    """
    with translate():
        async with pool.acquire() as connection, connection.transaction():
            await fence(connection, lease, queries)
            yield connection


async def read_leases(
    connection: Connection, queries: Queries, *, catalogs: Iterable[str] | None = None
) -> tuple[LeaseRow, ...]:
    """The leases of all catalogs, or of some, in the order of their names; locks nothing."""
    names = None if catalogs is None else list(catalogs)
    with translate():
        rows = await connection.fetch(queries["read_leases"], names)
    return tuple(LeaseRow(**row) for row in rows)


class LeaseKeeper:
    """Acquires, renews and releases the leases of one process, on a connection of its own.

    Args:
        url: of the database; a direct or session-pooled connection (see the module).
        holder: the name of this process, for people; need not be unique.
        ttl_s: how long a lease outlives its last renewal, in seconds.
        clock: waits between renewals.
        queries: the named statements.
        on_lost: called with the catalog when a renewal finds that somebody else has the lease.
        on_trouble: called with each error after which a renewal is tried again.
    """

    def __init__(
        self,
        *,
        url: str,
        holder: str,
        ttl_s: float,
        clock: Clock,
        queries: Queries,
        on_lost: Callable[[str], None] = lambda _catalog: None,
        on_trouble: Callable[[SyncerError], None] = lambda _error: None,
        on_well: Callable[[], None] = lambda: None,
    ) -> None:
        self._holder = holder
        self._ttl_s = ttl_s
        self._ttl = timedelta(seconds=ttl_s)
        self._clock = clock
        queries.require(*_QUERIES)
        self._queries = queries
        self._on_lost = on_lost
        self._on_trouble = on_trouble
        self._on_well = on_well
        self._held: dict[str, Lease] = {}
        # Leases whose advisory lock the present connection has.
        self._marked: set[Lease] = set()
        self._session = OwnSession(
            url=url,
            name="syncer lease",
            limit_s=ttl_s / _RENEWALS_PER_TTL,
            on_open=self._mark_held,
        )

    @property
    def held(self) -> Mapping[str, Lease]:
        """The leases this process believes to hold, by catalog; only the fence knows."""
        return MappingProxyType(self._held)

    async def __aenter__(self) -> Self:
        async with self._session.connected():
            return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the connection. What was not released is then seen as free by any successor."""
        self._marked.clear()
        await self._session.close()

    async def acquire(self, catalog: str) -> Lease:
        """Take the lease, unless a living process holds it.

        Waits for the predecessor's page in flight, at most a sixth of the time to live.

        Raises:
            LeaseHeld: another process holds it, or its last page is still in flight; names the
                holder and the expiry.
            StoreUnavailable: the database did not answer.

        Cancel-safe: yes; a lease that was taken unnoticed is not marked as alive, so the next
            ``acquire`` of any process gets it.
        """
        async with self._session.connected() as connection:
            lease = self._held.get(catalog)
            if lease is not None:
                return lease
            epoch, before = await self._claim(connection, catalog), None
            if epoch is None:
                epoch, before = await self._take_over(connection, catalog)
            lease = Lease(catalog, self._holder, epoch, taken_from=before)
            # Between the commit and the mark anybody may have taken it for a dead process's, so it
            # is ours only if it is still there after the mark.
            await self._mark(connection, [lease])
            if not await self._renew(connection, [lease]):
                await self._unmark(connection, lease)
                raise await self._read_holder(connection, catalog)
            self._held[catalog] = lease
            return lease

    async def renew(self) -> None:
        """Renew what is held once, and drop what somebody else has taken (``on_lost``).

        A lease that ran out while the database was away is still ours if nobody took it.

        Raises:
            StoreUnavailable: the database did not answer; nothing is known, nothing was dropped.
        """
        async with self._session.connected() as connection:
            before = list(self._held.values())
            if not before:
                return
            await self._mark(connection, [each for each in before if each not in self._marked])
            kept = await self._renew(connection, before)
            for lease in before:
                # Not ours any more, unless it was released while we asked.
                if lease.catalog not in kept and self._held.pop(lease.catalog, None) is not None:
                    self._on_lost(lease.catalog)
                    await self._unmark(connection, lease)

    async def renew_forever(self) -> None:
        """Renew every third of the time to live, through any outage of the database.

        An outage does not end this: while nobody can reach the database nobody can take a lease
        over, and when somebody can, the epoch tells. Ends by cancellation, or by an error that
        waiting does not mend.
        """
        while True:
            await self._clock.sleep(self._ttl_s / _RENEWALS_PER_TTL)
            await self._renew_patiently()

    async def release(self, catalog: str) -> None:
        """Give a lease back, so that a successor need not wait; nothing happens if it is not held.

        The caller's pages must be done: later ones are fenced.

        Raises:
            StoreUnavailable: it is unknown whether the lease was released; it is not held any more.

        Cancel-safe: yes, as above.
        """
        lease = self._held.pop(catalog, None)
        if lease is None:
            return
        async with self._session.connected() as connection:
            await connection.execute(self._queries["release_lease"], lease.catalog, lease.epoch)
            await self._unmark(connection, lease)

    async def release_all(self) -> None:
        """Give every lease back; see ``release``."""
        for catalog in tuple(self._held):
            await self.release(catalog)

    async def _mark_held(self, connection: Connection) -> None:
        """The marks went with the last connection."""
        self._marked.clear()
        await self._mark(connection, list(self._held.values()))

    async def _claim(self, connection: Connection, catalog: str) -> int | None:
        """The first epoch of a catalog that was never held; None if it was, or just now is."""
        row = await connection.fetchrow(self._queries["probe_lease"], catalog)
        if row is None:
            epoch: int | None = await connection.fetchval(
                self._queries["claim_lease"], catalog, self._holder, self._ttl
            )
            return epoch
        if not row["is_free"]:
            raise await self._read_holder(connection, catalog)
        return None

    async def _take_over(self, connection: Connection, catalog: str) -> tuple[int, str | None]:
        """The new epoch, and whose it was unless it was released."""
        taken = await self._wait_and_take(connection, catalog)
        if taken is None and await self._end_stuck_pages(connection):
            taken = await self._wait_and_take(connection, catalog)
        if taken is None:
            raise await self._read_holder(connection, catalog)
        return taken

    async def _wait_and_take(
        self, connection: Connection, catalog: str
    ) -> tuple[int, str | None] | None:
        """As above; None if it is held after all, or the page in flight did not end."""
        wait_ms = max(1, round(self._ttl_s * 1000 / _WAITS_PER_TTL))
        try:
            with translate():
                async with connection.transaction():
                    await connection.execute(self._queries["limit_lease_wait"], str(wait_ms))
                    before = await connection.fetchval(self._queries["lock_lease"], catalog)
                    epoch: int | None = await connection.fetchval(
                        self._queries["take_lease"], catalog, self._holder, self._ttl
                    )
                    return None if epoch is None else (epoch, before)
        except StoreUnavailable as error:
            if error.context.get("sqlstate") != _LOCK_NOT_AVAILABLE:
                raise
            # The predecessor's page is still in flight: it writes, so it holds.
            return None

    async def _end_stuck_pages(self, connection: Connection) -> bool:
        """End pages that no limit of the server reaches; returns whether there were any."""
        return bool(await connection.fetchval(self._queries["end_stuck_pages"], self._ttl))

    async def _read_holder(self, connection: Connection, catalog: str) -> SyncerError:
        rows = await read_leases(connection, self._queries, catalogs=[catalog])
        if not rows:
            return StoreConflict(f"the lease of catalog {catalog} was removed meanwhile")
        return _held_by(rows[0])

    async def _mark(self, connection: Connection, leases: list[Lease]) -> None:
        """Take the advisory locks that show that this session lives.

        One that is not free belongs to an earlier session of ours that the server still believes
        in, as nobody else locks the key of our epoch: others see us alive, which is true. The
        next renewal tries again.
        """
        if not leases:
            return
        rows = await connection.fetch(self._queries["mark_leases"], *_columns(leases))
        by_catalog = {lease.catalog: lease for lease in leases}
        self._marked |= {by_catalog[row["catalog"]] for row in rows if row["is_marked"]}

    async def _unmark(self, connection: Connection, lease: Lease) -> None:
        if lease in self._marked:
            await connection.execute(self._queries["unmark_lease"], lease.catalog, lease.epoch)
            self._marked.discard(lease)

    async def _renew(self, connection: Connection, leases: list[Lease]) -> set[str]:
        rows = await connection.fetch(self._queries["renew_leases"], *_columns(leases), self._ttl)
        return {row["catalog"] for row in rows}

    async def _renew_patiently(self) -> None:
        delay_s = self._ttl_s / _FIRST_RETRY_PER_TTL
        while True:
            try:
                await self.renew()
            except (StoreUnavailable, StoreConflict) as error:
                self._on_trouble(error)
            else:
                if self._held:
                    # Without a lease the database was not asked.
                    self._on_well()
                return
            await self._clock.sleep(delay_s)
            delay_s = min(2 * delay_s, self._ttl_s / _WAITS_PER_TTL)


def _columns(leases: list[Lease]) -> tuple[list[str], list[int]]:
    return [lease.catalog for lease in leases], [lease.epoch for lease in leases]


def _held_by(row: LeaseRow) -> LeaseHeld:
    until = f" until {row.expires_at:%Y-%m-%dT%H:%M:%SZ}" if row.expires_at else ""
    holder = row.holder or "another process"
    return LeaseHeld(
        f"the lease of catalog {row.catalog} is held by {holder}{until} (epoch {row.epoch})",
        catalog=row.catalog,
        holder=row.holder,
        epoch=row.epoch,
        expires_at=row.expires_at,
    )

"""
Orders: work that a command leaves for the process that holds a catalog's lease.

Owns ``syncer.catalog_order``. Never carries anything out, never waits.
Invariant: an order is begun by one holder at a time; one whose holder is gone is begun again.
Kind: edge (asyncpg).
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from syncer.store.lease import Lease, fence, fenced
from syncer.store.pool import Pool, translate
from syncer.store.queries import Queries

Outcome = Mapping[str, Any]
"""How an order ended, as JSON: ``exit_code`` and what the command prints."""


class OrderKind(enum.StrEnum):
    """What may be ordered."""

    SWEEP = "sweep"
    REPAIR = "repair"
    RETRY = "retry"
    RESTART = "restart"


@dataclass(frozen=True, slots=True)
class Order:
    """One order, as its holder takes it."""

    order_id: int
    kind: OrderKind
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class OrderState:
    """Where an order stands."""

    is_taken: bool
    outcome: Outcome | None
    """``None`` until it has ended."""


@dataclass(frozen=True, slots=True)
class OrderStore:
    """Places, takes and ends orders."""

    pool: Pool
    queries: Queries

    async def place(
        self, catalog: str, kind: OrderKind, arguments: Mapping[str, Any], *, placed_by: str
    ) -> int:
        """Leave an order; returns its number.

        Cancel-safe: no: one that was placed unnoticed may be carried out, which does no harm.
        """
        with translate():
            async with self.pool.acquire() as connection:
                await connection.execute(self.queries["drop_old_orders"], catalog)
                number: int = await connection.fetchval(
                    self.queries["place_order"],
                    catalog,
                    kind,
                    msgspec.json.encode(arguments),
                    placed_by,
                )
                return number

    async def take(self, lease: Lease) -> tuple[Order, ...]:
        """Begin what is there to be done under a lease; looking alone writes nothing.

        Raises:
            LeaseLost: it is another holder's business now.
        """
        with translate():
            async with self.pool.acquire() as connection:
                if not await connection.fetchval(
                    self.queries["has_orders"], lease.catalog, lease.epoch
                ):
                    return ()
                async with connection.transaction():
                    await fence(connection, lease, self.queries)
                    records = await connection.fetch(
                        self.queries["take_orders"], lease.catalog, lease.epoch
                    )
        orders = [
            Order(
                record["order_id"],
                OrderKind(record["kind"]),
                msgspec.json.decode(record["arguments"]),
            )
            for record in records
        ]
        return tuple(sorted(orders, key=lambda order: order.order_id))

    async def finish(self, lease: Lease, order: Order, outcome: Outcome) -> None:
        """Say how an order ended.

        Raises:
            LeaseLost: the next holder begins it again.
        """
        async with fenced(self.pool, self.queries, lease) as connection:
            await connection.execute(
                self.queries["finish_order"], order.order_id, msgspec.json.encode(outcome)
            )

    async def withdraw(self, number: int, outcome: Outcome, *, even_if_taken: bool) -> bool:
        """Take an order back; false: it has been begun, or has ended."""
        with translate():
            async with self.pool.acquire() as connection:
                withdrawn = await connection.fetchval(
                    self.queries["withdraw_order"],
                    number,
                    msgspec.json.encode(outcome),
                    even_if_taken,
                )
                return withdrawn is not None

    async def read(self, number: int) -> OrderState | None:
        """Where an order stands; ``None``: it is gone, with its catalog."""
        with translate():
            async with self.pool.acquire() as connection:
                record = await connection.fetchrow(self.queries["read_order"], number)
        if record is None:
            return None
        outcome = record["outcome"]
        decoded = None if outcome is None else msgspec.json.decode(outcome)
        return OrderState(record["is_taken"], decoded)

"""
Let a role read the mirror, and nothing else.

Owns in which transaction the rights are granted. The statements come from the server, which quotes
the name (``list_reader_grants.sql``). Never takes a right away, never gives one to write.
Invariant: all of them are granted or none.
Kind: edge (asyncpg).
"""

from __future__ import annotations

from syncer.errors import ConfigError, StoreError
from syncer.store.pool import Connection, translate
from syncer.store.queries import Queries


async def list_reader_grants(
    connection: Connection, queries: Queries, role: str
) -> tuple[str, ...]:
    """The statements that ``grant_reader`` would run, in order; only reads."""
    with translate():
        records = await connection.fetch(queries["list_reader_grants"], role)
    return tuple(record["statement"] for record in records)


async def grant_reader(connection: Connection, queries: Queries, role: str) -> tuple[str, ...]:
    """Make the role if there is none, and let it read schema ``scenario``; returns what was run.

    Raises:
        ConfigError: the user may not do that, or no role can have that name.
        StoreError: as the database does.
    Cancel-safe: yes; one transaction, and doing it again changes nothing.
    """
    statements = await list_reader_grants(connection, queries, role)
    try:
        with translate():
            async with connection.transaction():
                for statement in statements:
                    await connection.execute(statement)
    except (StoreError, ConfigError) as error:
        if error.context.get("sqlstate") not in _NOT_FOR_US:
            raise
        told = "; ".join(statements)
        raise ConfigError(
            f"the role {role} was not given its rights: {error.message}",
            hint="Let a user who may create roles and owns schema scenario run: "
            f"{told}. Default privileges hold for what that user creates.",
        ) from error
    return statements


_NOT_FOR_US = frozenset({"42501", "42939", "42602", "0LP01"})
"""Insufficient privilege, reserved name, invalid name, invalid grant."""

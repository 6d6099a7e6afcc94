"""
Let a role read schema scenario, and nothing else.

Owns the grants. The statements come from the server, which quotes the role's name. Never takes a
right away, and never gives one to a role that could do more than read.
Invariant: all of a role's grants are made in one transaction, or none.
Kind: edge (asyncpg).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from syncer.errors import ConfigError
from syncer.store.migrate import only_migrator
from syncer.store.pool import Connection, translate
from syncer.store.queries import Queries

LONGEST_NAME_BYTES: Final = 63
"""PostgreSQL cuts what is longer (NAMEDATALEN), and would then not find the role by its name."""

_RESERVED: Final = frozenset({"public", "none"})
_SHOWN_RIGHTS: Final = 4


@dataclass(frozen=True, slots=True)
class ReaderGrants:
    """What it takes until a role can read."""

    quoted: str
    """The role's name, as SQL spells it."""
    statements: tuple[str, ...]
    """In their order; none when it can."""


async def plan_grants(connection: Connection, queries: Queries, name: str) -> ReaderGrants:
    """What is missing until the role can read schema scenario; only reads.

    Raises:
        ConfigError: no role can have this name, or the one that has it may do more than read.
    """
    _require_name(name)
    with translate():
        role = await connection.fetchrow(queries["describe_role"], name)
        missing = await connection.fetch(queries["plan_grants"], name)
    if role is None:
        raise RuntimeError("a query over one row has one row")
    excess = role["excess"] if role["is_there"] else ()
    if excess:
        more = f" and {len(excess) - _SHOWN_RIGHTS} more" if len(excess) > _SHOWN_RIGHTS else ""
        raise ConfigError(
            f"role {role['quoted']} can do more than read: "
            f"it has {', '.join(excess[:_SHOWN_RIGHTS])}{more}; nothing was granted to it",
            hint="Name another role, one that does not exist for example, or take these rights "
            "from it (they may come from a role it is a member of, or from PUBLIC).",
        )
    return ReaderGrants(role["quoted"], tuple(row["statement"] for row in missing))


async def grant_reading(connection: Connection, queries: Queries, name: str) -> ReaderGrants:
    """Let the role read schema scenario, create it if it is not there; returns what was run.

    Raises:
        ConfigError: as ``plan_grants``, or our user lacks a right; the hint has the SQL for
            somebody who has it.

    Cancel-safe: yes; one transaction, and the next call does what is missing.
    """
    # Grants on one object at a time: two would end with "tuple concurrently updated".
    async with only_migrator(connection, queries):
        planned = await plan_grants(connection, queries, name)
        try:
            with translate():
                async with connection.transaction():
                    for statement in planned.statements:
                        await connection.execute(statement)
        except ConfigError as error:
            raise _refused(planned, error.message) from error
        # A grant of what is not ours to grant is a mere warning.
        left = await plan_grants(connection, queries, name)
        if left.statements:
            raise _refused(left, "our user may not grant all of it")
    return planned


def _refused(grants: ReaderGrants, why: str) -> ConfigError:
    statements = "".join(f"\n    {statement};" for statement in grants.statements)
    return ConfigError(
        f"role {grants.quoted} cannot read schema scenario yet: {why}",
        hint="Let an administrator run this in the same database, or run the command again "
        f"as a user who may:{statements}",
    )


def _require_name(name: str) -> None:
    if (
        not name
        or name in _RESERVED
        or name.startswith("pg_")
        or not name.isprintable()
        or len(name.encode(errors="replace")) > LONGEST_NAME_BYTES
    ):
        raise ConfigError(
            f"no role can be called {name!r}",
            hint=f"Choose a name of 1 to {LONGEST_NAME_BYTES} bytes, in printable characters, that "
            "PostgreSQL has not reserved (public, none, pg_…).",
        )

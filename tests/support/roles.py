"""
Roles of a test's own: they belong to the whole server, so each is dropped again.

Owns making logins and dropping roles with all that was granted to them in one database.
Kind: edge (asyncpg).
"""

from __future__ import annotations

import re
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg


def quoted(name: str) -> str:
    """As SQL spells it."""
    return '"' + name.replace('"', '""') + '"'


def unique_role(prefix: str) -> str:
    """A name that no other worker or run uses."""
    return f"{prefix}_{secrets.token_hex(6)}"


def as_user(url: str, user: str) -> str:
    """The URL for another user; the servers of the tests ask for no password."""
    return re.sub(r"//([^@/]*@)?", f"//{user}@", url, count=1)


@asynccontextmanager
async def dropped_afterwards(url: str, *names: str) -> AsyncIterator[None]:
    """Drop roles, in this order, whether or not somebody made them."""
    try:
        yield
    finally:
        connection = await asyncpg.connect(url)
        try:
            for name in names:
                if await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", name):
                    await connection.execute(f"DROP OWNED BY {quoted(name)} CASCADE")
                    await connection.execute(f"DROP ROLE {quoted(name)}")
        finally:
            await connection.close()


@asynccontextmanager
async def login(url: str, *grants: str, attributes: str = "") -> AsyncIterator[str]:
    """The name of a role that may log in and has these grants: ``SELECT ON …``, or a role."""
    name = unique_role("syncer_login")
    async with dropped_afterwards(url, name):
        connection = await asyncpg.connect(url)
        try:
            await connection.execute(f"CREATE ROLE {name} LOGIN {attributes}")
            for grant in grants:
                await connection.execute(f"GRANT {grant} TO {name}")
        finally:
            await connection.close()
        yield name

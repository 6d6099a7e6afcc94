"""
Open psql on the mirror.

Owns which psql, and how it is told where to go: a password travels in its environment, which is
its own, never in its arguments, which everybody can read. Never looks at what is typed.
Kind: edge (processes).
"""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import signal
from urllib.parse import unquote, urlsplit, urlunsplit

from syncer.config import Settings
from syncer.database import Database
from syncer.domain import Clock
from syncer.errors import ConfigError
from syncer.reading import find_database

OPTIONS = "-c search_path=scenario,public -c default_transaction_read_only=on"


async def open_psql(settings: Settings, clock: Clock) -> int:
    """Let a person ask; returns psql's exit code. An embedded server runs for as long.

    Raises:
        ConfigError: there is no psql.
        SchemaMismatch, StoreError: there is no database.
    """
    async with find_database(settings, clock) as database:
        program = find_psql(database)
        address, password = without_password(database.url)
        environment = dict(os.environ)
        given = environment.get("PGOPTIONS", "")
        environment["PGOPTIONS"] = f"{given} {OPTIONS}".strip()
        if password is not None:
            environment["PGPASSWORD"] = password
        # Ctrl-C is psql's: it ends a query there, and must not end us.
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            process = await asyncio.create_subprocess_exec(
                program, address, env=environment, restore_signals=True
            )
            return await process.wait()
        finally:
            signal.signal(signal.SIGINT, before)


def find_psql(database: Database) -> str:
    """The embedded server's own, else the one on PATH.

    Raises:
        ConfigError: neither.
    """
    if database.embedded is not None:
        return shlex.split(database.embedded.psql)[0]
    if found := shutil.which("psql"):
        return found
    from syncer.embedded.tools import find_binaries  # noqa: PLC0415 - only where there is no other

    try:
        return str(find_binaries().bin_dir / "psql")
    except ConfigError as error:
        raise ConfigError(
            "there is no psql on this machine",
            hint="Install PostgreSQL's client (Debian: postgresql-client), or give 'syncer sql' "
            "the statement itself.",
        ) from error


def without_password(url: str) -> tuple[str, str | None]:
    """The address without its password, and the password."""
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    name, colon, password = user.partition(":")
    query = [each for each in parts.query.split("&") if each]
    kept = [each for each in query if not each.startswith("password=")]
    asked = next((each.partition("=")[2] for each in query if each not in kept), None)
    secret = password if colon else asked
    address = urlunsplit(parts._replace(netloc=f"{name}{at}{host}", query="&".join(kept)))
    return address, None if secret is None else unquote(secret)

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
from urllib.parse import unquote, urlsplit

from syncer.config import SECRET_PARAMETERS, Settings
from syncer.database import Database
from syncer.domain import Clock
from syncer.errors import ConfigError
from syncer.reading import find_database
from syncer.shutdown import cancel_on_signals

OPTIONS = "-c search_path=scenario -c default_transaction_read_only=on"
"""Not "public": anybody may have put a function there."""

LEAVE_LIMIT_S = 3.0
"""From SIGTERM to SIGKILL, for a psql that does not end; we have 10 s ourselves."""


async def open_psql(settings: Settings, clock: Clock) -> int:
    """Let a person ask; returns psql's exit code. An embedded server runs for as long.

    Raises:
        ConfigError: there is no psql.
        SchemaMismatch, StoreError: there is no database.
        Stopped: a signal ended it, and psql with it; Ctrl-C is psql's, where it ends a query.
    """
    is_open = False
    with cancel_on_signals(hint="Open it again.", spares_interrupts=lambda: is_open):
        async with find_database(settings, clock) as database:
            program = find_psql(database)
            address, password = without_password(database.url)
            environment = dict(os.environ)
            given = environment.get("PGOPTIONS", "")
            environment["PGOPTIONS"] = f"{given} {OPTIONS}".strip()
            if password is not None:
                environment["PGPASSWORD"] = password
            process = await asyncio.create_subprocess_exec(program, address, env=environment)
            is_open = True
            try:
                return await process.wait()
            finally:
                await _end(process)
                is_open = False


async def _end(process: asyncio.subprocess.Process) -> None:
    """Nothing may outlive us that keeps an embedded server open; fine if it has ended."""
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(LEAVE_LIMIT_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


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
    """The address without its passwords, and the one of the user.

    That of a client's key (sslpassword) has no variable that psql would read: it asks for it.
    """
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    name, colon, password = user.partition(":")
    given = [each.partition("=")[::2] for each in parts.query.split("&") if each]
    asked = next((value for key, value in given if key == "password"), None)
    query = "&".join(f"{key}={value}" for key, value in given if key not in SECRET_PARAMETERS)
    secret = password if colon else asked
    # Not urlunsplit: it drops the empty authority of "postgresql:///database".
    address = f"{parts.scheme}://{name}{at}{host}{parts.path}{f'?{query}' if query else ''}"
    return address, None if secret is None else unquote(secret)

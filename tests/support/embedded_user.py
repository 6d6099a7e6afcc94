"""
A process that uses an embedded server until its standard input ends.

    python tests/support/embedded_user.py DATA_DIR [--keep] [--account UID]

Says the DSN when the server accepts connections, and the exit code and message when it fails.
With --account it gives up root first, as an ordinary account that starts syncer.
Kind: edge (processes).
"""

from __future__ import annotations

import argparse
import asyncio
import concurrent.futures.thread  # noqa: F401 - imported lazily, when root is given up already
import encodings.idna  # noqa: F401 - as above
import os
import sys
from pathlib import Path

import asyncpg

from syncer.clock import SystemClock
from syncer.embedded import embedded_postgres
from syncer.errors import SyncerError

SETTINGS = {"fsync": "off", "synchronous_commit": "off"}


async def use(data_dir: Path, *, keep: bool) -> None:
    """Join, say so, stay until standard input ends, leave."""
    async with embedded_postgres(
        data_dir, clock=SystemClock(), settings=SETTINGS, keep=keep
    ) as server:
        connection = await asyncpg.connect(server.dsn)
        await connection.close()
        sys.stdout.write(server.dsn + "\n")
        sys.stdout.flush()
        await read_to_end()


async def read_to_end() -> None:
    """Wait until standard input ends; unlike a thread that reads, this can be interrupted."""
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    await reader.read()
    transport.close()


def main() -> int:
    """Run, and return the error's exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--account", type=int)
    options = parser.parse_args()
    if options.account is not None:
        os.setgroups([])
        os.setgid(options.account)
        os.setuid(options.account)
        os.chdir("/")
    try:
        asyncio.run(use(options.data_dir, keep=options.keep))
    except SyncerError as error:
        sys.stdout.write(f"exit {int(error.exit_code)}: {error}\n")
        return int(error.exit_code)
    return 0


if __name__ == "__main__":
    sys.exit(main())

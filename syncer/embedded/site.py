"""
Where the server's own account finds its files.

Owns the ways around closed directories and long socket paths. Never changes a permission of
anything that it did not make.
Invariant: the socket's directory is closed to everybody but the server's account (and root).
Kind: edge (file system).
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from syncer.embedded.files import Layout, open_private
from syncer.embedded.tools import Account, Binaries, can_reach, copy_binaries
from syncer.errors import ConfigError

NAME = "syncer"
"""The superuser and the database."""
PORT = 5432
"""Part of the socket's file name; nothing listens on the network."""
SOCKET_PATH_LIMIT = 103
"""Bytes of a socket's path on the smallest of our platforms (macOS; Linux has 107)."""
RUNTIME_PARENT = Path("/tmp")  # noqa: S108 - short and open to each account, as TMPDIR need not be


@dataclass(frozen=True, slots=True)
class Site:
    """How the server's own account sees its surroundings."""

    account: Account | None
    binaries: Binaries
    home: str
    socket_dir: str
    door: int
    """Open directory ``home``; kept open in the server, because ``home`` may lead through it."""


def build_dsn(socket_dir: Path, database: str = NAME) -> str:
    """The URL of a database of the server behind ``socket_dir``."""
    return f"postgresql://{NAME}@/{database}?host={quote(str(socket_dir))}&port={PORT}"


def build_psql_command(binaries: Binaries, dsn: str) -> str:
    """A shell command that opens a psql on the server."""
    return shlex.join([str(binaries.bin_dir / "psql"), dsn])


def find_socket_dir(layout: Layout) -> Path | None:
    """Where the running or last server has its socket; ``None`` before the first start."""
    if layout.runtime_record.exists():
        return Path(layout.runtime_record.read_text()) / "socket"
    return layout.socket_dir if _is_usable_socket_dir(layout.socket_dir) else None


def _is_usable_socket_dir(path: Path) -> bool:
    """Short enough for the kernel, plain enough for each client's idea of a URL."""
    socket_path = path / f".s.PGSQL.{PORT}"
    return len(os.fsencode(socket_path)) <= SOCKET_PATH_LIMIT and bool(
        re.fullmatch(r"[A-Za-z0-9/._+ @~-]+", str(path))
    )


def prepare_home(layout: Layout, account: Account | None) -> None:
    """Make what belongs to the server's account, and put the last run's log aside."""
    for directory in (layout.home, layout.socket_dir):
        directory.mkdir(mode=0o700, exist_ok=True)
        if account is not None:
            os.chown(directory, account.uid, account.gid, follow_symlinks=False)
    if layout.log.exists():
        layout.log.replace(layout.log.with_suffix(".log.previous"))


def choose_site(layout: Layout, account: Account | None, installed: Binaries, door: int) -> Site:
    """Find a way for the server's account to its files that needs no permission changed.

    A private directory above the data directory (/root, a test's temporary directory) closes the
    path, but not a directory that is already open: below ``/proc/self/fd/N`` only ``home`` itself
    is asked for permission. Programs cannot be run that way (PostgreSQL resolves the path of its
    own executable), so unreachable ones are copied.
    """
    remove_runtime(layout)
    home_reached = can_reach(account, layout.home)
    if not home_reached and not Path("/proc/self/fd").is_dir():
        raise ConfigError(
            f"the account {account.name if account else ''} that the embedded postgresql runs as "
            f"cannot enter {layout.home}: a directory above it is closed to it",
            hint="Set database.data_dir to a directory below ones that everybody may enter.",
        )
    home = str(layout.home) if home_reached else f"/proc/self/fd/{door}"
    programs_reached = can_reach(account, installed.bin_dir / "postgres")
    runtime = None
    if not _is_usable_socket_dir(layout.socket_dir) or not (programs_reached or home_reached):
        runtime = _make_runtime(layout, account)
    binaries = installed
    if not programs_reached:
        binaries = copy_binaries(
            installed, layout.binaries if home_reached or not runtime else runtime / "server"
        )
    socket_dir = str(runtime / "socket") if runtime else f"{home}/socket"
    return Site(account, binaries, home, socket_dir, door)


def _make_runtime(layout: Layout, account: Account | None) -> Path:
    """Make the directory below /tmp for what cannot lie in the data directory; its name is kept."""
    runtime = Path(tempfile.mkdtemp(prefix="syncer-", dir=RUNTIME_PARENT))
    descriptor = open_private(layout.runtime_record, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    with os.fdopen(descriptor, "w") as record:
        record.write(str(runtime))
    (runtime / "socket").mkdir(mode=0o700)
    if account is not None:
        runtime.chmod(0o711)
        os.chown(runtime / "socket", account.uid, account.gid)
    return runtime


def remove_runtime(layout: Layout) -> None:
    """Remove what a server that is gone left below /tmp."""
    if layout.runtime_record.exists():
        runtime = Path(layout.runtime_record.read_text())
        if runtime.parent == RUNTIME_PARENT and runtime.name.startswith("syncer-"):
            shutil.rmtree(runtime, ignore_errors=True)
        layout.runtime_record.unlink()

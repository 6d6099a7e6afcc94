"""
One cluster: is it there, make it, start it, stop it.

Owns the processes of the server. Never decides who uses it or when it stops; the caller holds
``start.lock`` around everything here but ``probe``.
Invariant: a server is made or started only while no process of the cluster lives
(``server.lock`` is free), and every process of it, initdb's too, holds that lock to its end.
Kind: edge (processes, asyncpg).
"""

from __future__ import annotations

import enum
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg

from syncer.embedded.files import FileLock, Layout, finish, no_space, read_log_end
from syncer.embedded.site import (
    NAME,
    PORT,
    Site,
    build_dsn,
    choose_site,
    find_socket_dir,
    prepare_home,
    remove_runtime,
)
from syncer.embedded.tools import SERVER_MAJOR, Binaries, choose_account, run_tool
from syncer.errors import ConfigError, SchemaMismatch, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from syncer.domain import Clock

CONNECT_TIMEOUT_S = 10
POLL_S = 0.02
FAST_STOP_S = 6
"""Below the 10 s in which syncer must exit; then the server ends without its checkpoint."""
STOP_LIMIT_S = 30
FREE_LIMIT_BYTES = 1024 * 1024
"""Below this a failure is put down to the disk."""
MAKING_HINT = (
    "Run the command again. If that ends the same way, set database.data_dir to another "
    "directory, or database.url to use another PostgreSQL."
)

SETTINGS: Mapping[str, str] = {
    "listen_addresses": "",
    "port": str(PORT),
    "unix_socket_permissions": "0700",
    "max_connections": "60",
    "shared_buffers": "64MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    "log_min_messages": "warning",
}


class Presence(enum.Enum):
    """What a connection attempt says about the server."""

    READY = "ready"
    NOT_YET = "not_yet"
    """It answers, but takes no connections: starting, in crash recovery, or shutting down."""
    ABSENT = "absent"


class StillStarting(StoreUnavailable):
    """the embedded postgresql is still being started; that goes on by itself"""


def check_version(layout: Layout) -> None:
    """Refuse a directory that our server cannot serve.

    Raises:
        SchemaMismatch: the cluster is of another major version.
        ConfigError: the directory is somebody else's cluster.
    """
    for cluster in (layout.pgdata, layout.data_dir):
        version_file = cluster / "PG_VERSION"
        if not version_file.exists():
            continue
        version = version_file.read_text().strip()
        if version != str(SERVER_MAJOR):
            raise SchemaMismatch(
                f"the data directory {layout.data_dir} was made by postgresql {version}, and this "
                f"build of syncer carries postgresql {SERVER_MAJOR}",
                hint=f"Dump it with the build that made it (pg_dump of postgresql {version}) and "
                "restore it here, or move the directory away and run 'syncer backfill': the "
                "mirror is filled again from the source.",
            )
        if cluster == layout.data_dir:
            raise ConfigError(
                f"the data directory {layout.data_dir} is itself a postgresql cluster, not made by "
                "syncer",
                hint="Set database.data_dir to an empty directory, or start that cluster and set "
                "database.url.",
            )


async def probe(layout: Layout) -> Presence:
    """Prove by connecting that the server runs; make its database if it has none yet."""
    socket_dir = await finish(find_socket_dir, layout)
    if socket_dir is None:
        return Presence.ABSENT
    try:
        await _touch(build_dsn(socket_dir))
    except asyncpg.InvalidCatalogNameError:
        await _touch(build_dsn(socket_dir, "postgres"), f"CREATE DATABASE {NAME}")
    except (asyncpg.CannotConnectNowError, TimeoutError):
        return Presence.NOT_YET
    except (OSError, asyncpg.PostgresConnectionError, asyncpg.InterfaceError):
        return Presence.ABSENT
    except asyncpg.PostgresError as error:
        raise StoreUnavailable(f"the embedded postgresql refuses connections: {error}") from error
    return Presence.READY


async def _touch(dsn: str, statement: str = "") -> None:
    # An empty password keeps asyncpg from looking for one in ~/.pgpass, which blocks the loop.
    connection = await asyncpg.connect(dsn, password="", timeout=CONNECT_TIMEOUT_S)
    try:
        if statement:
            await connection.execute(statement)
    finally:
        await connection.close(timeout=CONNECT_TIMEOUT_S)


def launch(
    layout: Layout,
    binaries: Binaries,
    *,
    lock: FileLock,
    settings: Mapping[str, str],
    timeout_s: float,
) -> None:
    """Start the server, made first if there is none; does not wait until it accepts connections.

    The caller holds ``lock`` (``server.lock``); initdb and the server inherit it.
    """
    account = choose_account(layout)
    prepare_home(layout, account)
    door = os.open(layout.home, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        site = choose_site(layout, account, binaries, door)
        if not layout.pgdata.exists():
            _initialise(layout, site, lock=lock, settings=settings, timeout_s=timeout_s)
        _forget_dead_postmaster(layout)
        _spawn(layout, site, lock=lock, settings=settings)
    except subprocess.TimeoutExpired as error:
        raise StoreUnavailable(
            f"the embedded postgresql in {layout.data_dir} was not made within {timeout_s:g} s",
            hint=MAKING_HINT,
        ) from error
    finally:
        os.close(door)


def _initialise(
    layout: Layout, site: Site, *, lock: FileLock, settings: Mapping[str, str], timeout_s: float
) -> None:
    """Make the cluster under another name and rename it, so that a half-made one is never used.

    initdb and the servers that it runs survive a SIGKILL of ours, and go on writing and clearing up
    in the directory. They inherit ``lock``, so that nobody begins anew until the last of them has
    ended. A death signal would spare the servers, which are not our children, and a directory for
    each attempt would leave half-made ones that nobody could tell from those in use.
    """
    if layout.staging.exists():
        shutil.rmtree(layout.staging)
    answer = run_tool(
        [
            site.binaries.bin_dir / "initdb",
            f"--pgdata={site.home}/{layout.staging.name}",
            f"--username={NAME}",
            "--auth-local=trust",  # the socket's directory is closed to everybody else
            "--auth-host=reject",
            "--encoding=UTF8",
            "--locale=C",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--no-instructions",
            *(["--no-sync"] if settings.get("fsync") == "off" else []),
        ],
        account=site.account,
        timeout_s=timeout_s,
        pass_fds=(site.door, lock.fileno()),
    )
    if answer.returncode != 0:
        raise _explain_failure(layout, answer.stdout, "could not be made", hint=MAKING_HINT)
    layout.staging.rename(layout.pgdata)
    os.fsync(site.door)


def _spawn(layout: Layout, site: Site, *, lock: FileLock, settings: Mapping[str, str]) -> None:
    """Start the postmaster detached: no child of ours, no terminal, no lock but ``server.lock``."""
    socket_dir = '"' + site.socket_dir.replace('"', '""') + '"'
    options = {**SETTINGS, "unix_socket_directories": socket_dir, **settings}
    answer = run_tool(
        [
            *("/bin/sh", "-c", 'log=$1; shift; "$@" </dev/null >>"$log" 2>&1 &', "sh"),
            f"{site.home}/{layout.log.name}",
            site.binaries.bin_dir / "postgres",
            *("-D", f"{site.home}/{layout.pgdata.name}"),
            *(part for name, value in options.items() for part in ("-c", f"{name}={value}")),
        ],
        account=site.account,
        timeout_s=60,
        pass_fds=(site.door, lock.fileno()),
    )
    if answer.returncode != 0:
        raise _explain_failure(layout, answer.stdout, "could not be started")


def explain_end(layout: Layout) -> StoreUnavailable:
    """The error for a server that ended while it was starting, with its last words."""
    return _explain_failure(layout, read_log_end(layout), "ended while it was starting")


def _explain_failure(layout: Layout, said: str, what: str, *, hint: str = "") -> StoreUnavailable:
    # A full disk often keeps the server from writing down that it is full.
    free_bytes = shutil.disk_usage(layout.data_dir).free
    if "No space left on device" in said or free_bytes < FREE_LIMIT_BYTES:
        return no_space(layout.data_dir)
    words = "; ".join(said.strip().splitlines()[-6:]) or "nothing"
    return StoreUnavailable(
        f"the embedded postgresql in {layout.data_dir} {what}; it said: {words}",
        hint=hint or f"See {layout.log}; or set database.url to use another PostgreSQL.",
    )


async def stop(layout: Layout, clock: Clock) -> None:
    """Stop the server and wait until none of its processes is left; fine if there is none.

    Fast shutdown first; past ``FAST_STOP_S`` without the closing checkpoint, which costs the next
    start a recovery and no data.

    Cancel-safe: yes; a server that was told to stop goes on stopping.
    """
    lock = FileLock(layout.server_lock)
    try:
        await _stop_until(lock, layout, clock)
        await finish(remove_runtime, layout)
    finally:
        lock.release()


async def _stop_until(lock: FileLock, layout: Layout, clock: Clock) -> None:
    began = clock.monotonic()
    told: tuple[int, str] | None = None
    while not await finish(lock.try_acquire):
        waited_s = clock.monotonic() - began
        if waited_s > STOP_LIMIT_S:
            raise StoreUnavailable(
                f"the embedded postgresql in {layout.data_dir} does not stop",
                hint=f"See {layout.log} for the reason.",
            )
        pid = await finish(_read_postmaster_pid, layout)
        order = (pid, "INT" if waited_s < FAST_STOP_S else "QUIT") if pid else None
        if order and order != told:
            await finish(_signal, layout, *order)
            told = order
        await clock.sleep(POLL_S)


def _signal(layout: Layout, pid: int, name: str) -> None:
    """Signal the postmaster as the account that it runs as: no file can point us at another."""
    if _is_of_cluster(layout, pid):
        run_tool(
            ["/bin/sh", "-c", 'kill -s "$1" "$2"', "sh", name, str(pid)],
            account=choose_account(layout),
            timeout_s=30,
        )


def _read_postmaster_pid(layout: Layout) -> int | None:
    try:
        first_line = (layout.pgdata / "postmaster.pid").read_text().partition("\n")[0]
    except FileNotFoundError:
        return None
    return int(first_line) if first_line.isdigit() else None


def _is_of_cluster(layout: Layout, pid: int) -> bool:
    """Whether the process works in this cluster's directory, as each process of a server does.

    Without /proc (macOS) the file is believed, as pg_ctl does.
    """
    if not Path("/proc/self/cwd").exists():
        return True
    try:
        return os.path.samestat(os.stat(f"/proc/{pid}/cwd"), layout.pgdata.stat())  # noqa: PTH116 - a link into /proc
    except OSError:
        return False


def _forget_dead_postmaster(layout: Layout) -> None:
    """Remove a postmaster.pid whose number belongs to another program by now.

    PostgreSQL sees through every other stale file, but refuses to start when a process of the same
    account has the number, which after a container's restart is the rule rather than the exception.
    """
    pid = _read_postmaster_pid(layout)
    if pid is not None and not _is_of_cluster(layout, pid):
        (layout.pgdata / "postmaster.pid").unlink()

"""
The embedded PostgreSQL, for when no database is configured.

Owns its life cycle: several commands share one server, the last living user stops it. Never
touches anything outside the data directory but, where a socket cannot lie in it, one private
directory below /tmp. Never logs: what there is to wait for is told to the caller.
Invariant: a server that this hands out has accepted a connection, and is stopped only when the
kernel knows of no other user.
Kind: conductor.
"""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from syncer.embedded import cluster
from syncer.embedded.cluster import Presence, StillStarting
from syncer.embedded.files import (
    FileLock,
    Layout,
    UserMark,
    bound_log,
    count_living_users,
    finish,
    translated,
)
from syncer.embedded.site import build_dsn, build_psql_command, find_socket_dir
from syncer.embedded.tools import Binaries, find_binaries
from syncer.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from pathlib import Path

    from syncer.domain import Clock

__all__ = ["EmbeddedServer", "embedded_postgres", "has_cluster", "stop_embedded"]

POLL_S = 0.02
LEAVE_LIMIT_S = 5
"""Whoever holds ``start.lock`` for longer than this is starting the server, and will stop it."""


@dataclass(frozen=True, slots=True)
class EmbeddedServer:
    """A server that accepts connections."""

    dsn: str
    data_dir: Path
    psql: str
    """A shell command that opens a psql on it."""


@dataclass(frozen=True, slots=True)
class _Start:
    """How a server is to be started, if it must be."""

    layout: Layout
    binaries: Binaries
    clock: Clock
    settings: Mapping[str, str]
    timeout_s: float
    tell: Callable[[str], None]


@asynccontextmanager
async def embedded_postgres(
    data_dir: Path,
    *,
    clock: Clock,
    start_timeout_s: float = 300,
    settings: Mapping[str, str] | None = None,
    keep: bool = False,
    on_wait: Callable[[str], None] | None = None,
) -> AsyncIterator[EmbeddedServer]:
    """Join the server in ``data_dir``, started (and made) first if it does not run.

    Args:
        settings: PostgreSQL options for a server that is started here; a running one keeps its own.
        keep: leave the server running at the end; the next user to leave, or ``stop_embedded``,
            stops it.
        on_wait: told, once each, what is being waited for.

    Raises:
        ConfigError: no server is installed, or the directory cannot be used.
        SchemaMismatch: the directory holds another major version.
        StoreUnavailable: the server does not start, or not within ``start_timeout_s``; one in
            crash recovery is left at it, and so is what an earlier command left running.
    Cancel-safe: yes; leaving is prompt, and a server without users is stopped.
    """
    with translated(data_dir):
        binaries = await finish(find_binaries)
        layout = await finish(_prepare, data_dir)
        start = _Start(
            layout, binaries, clock, settings or {}, start_timeout_s, _once(on_wait or _ignore)
        )
        mark = UserMark(layout)
    try:
        with translated(data_dir):
            async with _start_lock(start):
                await finish(mark.register)
                await _ensure_running(start)
                socket_dir = await finish(find_socket_dir, layout)
        if socket_dir is None:
            raise StoreUnavailable(f"the socket of the server in {data_dir} is gone")
        dsn = build_dsn(socket_dir)
        yield EmbeddedServer(dsn, layout.data_dir, build_psql_command(binaries, dsn))
    except StillStarting:
        keep = True
        raise
    finally:
        with translated(data_dir):
            await _leave(layout, mark, clock=clock, keep=keep)


def has_cluster(data_dir: Path) -> bool:
    """Whether a database was ever made in ``data_dir``."""
    return (Layout(data_dir).pgdata / "PG_VERSION").exists()


async def stop_embedded(data_dir: Path, *, clock: Clock) -> bool:
    """Stop a server that was kept, unless somebody uses it; whether none is running afterwards."""
    with translated(data_dir):
        layout = Layout(await finish(data_dir.resolve))
        if not await finish(layout.users.is_dir):
            return True
        lock = FileLock(layout.start_lock)
        if not await _acquire_within(lock, clock, LEAVE_LIMIT_S):
            return False
        try:
            if await finish(count_living_users, layout):
                return False
            await cluster.stop(layout, clock)
            return True
        finally:
            lock.release()


def _prepare(data_dir: Path) -> Layout:
    """Make the directory, and refuse one that cannot be served."""
    layout = Layout(data_dir.resolve())
    # As root the server's account has to pass; what matters in it is closed by itself.
    layout.data_dir.mkdir(mode=0o755 if os.geteuid() == 0 else 0o700, parents=True, exist_ok=True)
    cluster.check_version(layout)
    if not layout.users.exists():
        layout.users.mkdir(mode=0o700, exist_ok=True)
        if os.geteuid() == 0:
            owner = layout.data_dir.stat()
            os.chown(layout.users, owner.st_uid, owner.st_gid, follow_symlinks=False)
    return layout


@asynccontextmanager
async def _start_lock(start: _Start) -> AsyncIterator[None]:
    lock = FileLock(start.layout.start_lock)
    try:
        if not await finish(lock.try_acquire):
            start.tell("waiting for another command that starts or stops the embedded postgresql")
            if not await _acquire_within(lock, start.clock, start.timeout_s):
                raise StoreUnavailable(
                    f"another command has been starting or stopping the embedded postgresql in "
                    f"{start.layout.data_dir} for {start.timeout_s:g} s",
                    hint=f"See {start.layout.log} for what it is doing, and run the command again.",
                )
        yield
    finally:
        lock.release()


async def _acquire_within(lock: FileLock, clock: Clock, limit_s: float) -> bool:
    """Take a lock, waiting up to ``limit_s``; the kernel offers no wait that can be cancelled."""
    give_up_at = clock.monotonic() + limit_s
    try:
        while not await finish(lock.try_acquire):
            if clock.monotonic() > give_up_at:
                return False
            await clock.sleep(POLL_S)
    except BaseException:
        lock.release()
        raise
    return True


async def _ensure_running(start: _Start) -> None:
    """Return when the server has accepted a connection; start it when nothing of it lives."""
    give_up_at = start.clock.monotonic() + start.timeout_s
    launched = False
    while (presence := await cluster.probe(start.layout)) is not Presence.READY:
        if presence is Presence.NOT_YET:
            start.tell("waiting for the embedded postgresql to accept connections")
        elif await _launch_if_gone(start, again=launched):
            launched = True
        elif not launched:
            start.tell(
                f"waiting for what an earlier command left running in {start.layout.data_dir}"
            )
        if start.clock.monotonic() > give_up_at:
            raise _explain_wait(start, presence, launched=launched)
        await start.clock.sleep(POLL_S)
    await finish(bound_log, start.layout)


async def _launch_if_gone(start: _Start, *, again: bool) -> bool:
    """Start the server unless one of its processes lives; whether it was started.

    Raises:
        StoreUnavailable: it had been started ``again`` and again ended.
    """
    lock = FileLock(start.layout.server_lock)
    try:
        if not await finish(lock.try_acquire):
            return False
        if again:
            raise await finish(cluster.explain_end, start.layout)
        start.tell(f"starting the embedded postgresql in {start.layout.data_dir}")
        await finish(
            cluster.launch,
            start.layout,
            start.binaries,
            lock=lock,
            settings=start.settings,
            timeout_s=start.timeout_s,
        )
        return True
    finally:
        lock.release()


def _explain_wait(start: _Start, presence: Presence, *, launched: bool) -> StoreUnavailable:
    if presence is Presence.NOT_YET:
        return StillStarting(
            f"the embedded postgresql in {start.layout.data_dir} is still in crash recovery after "
            f"{start.timeout_s:g} s; it goes on in the background",
            hint=f"Run the command again in a while; {start.layout.log} shows the progress.",
        )
    if not launched:
        return StillStarting(
            f"what an earlier command left running in {start.layout.data_dir} is still there after "
            f"{start.timeout_s:g} s; it goes on in the background",
            hint=f"Run the command again in a while; 'fuser {start.layout.server_lock}' names the "
            "processes, should they never end.",
        )
    return StoreUnavailable(
        f"the embedded postgresql in {start.layout.data_dir} accepted no connection within "
        f"{start.timeout_s:g} s",
        hint=f"See {start.layout.log} for the reason.",
    )


async def _leave(layout: Layout, mark: UserMark, *, clock: Clock, keep: bool) -> None:
    """Leave the register, and stop the server when nobody is left in it."""
    lock = FileLock(layout.start_lock)
    try:
        if not await _acquire_within(lock, clock, LEAVE_LIMIT_S):
            return
        await finish(mark.withdraw)
        if not keep and not await finish(count_living_users, layout):
            await cluster.stop(layout, clock)
    finally:
        mark.abandon()
        lock.release()


def _once(tell: Callable[[str], None]) -> Callable[[str], None]:
    told: set[str] = set()

    def tell_once(what: str) -> None:
        if what not in told:
            told.add(what)
            tell(what)

    return tell_once


def _ignore(what: str) -> None:
    del what

"""
The files beside the embedded cluster: where they lie, and the locks that say who is there.

Owns the layout of a data directory, the locks and the register of users. Never starts a process.
Invariant: a user or a server is there exactly as long as the kernel holds its lock, so nothing
has to be believed that a process wrote about itself, and a SIGKILL leaves nothing to clean by hand.
Kind: edge (file system).
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from syncer.errors import ConfigError, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

P = ParamSpec("P")
T = TypeVar("T")

LOG_LIMIT_BYTES = 4 * 1024 * 1024
LOG_KEPT_BYTES = 64 * 1024
LOG_TAIL_BYTES = 2_000


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything lies below ``database.data_dir`` (absolute)."""

    data_dir: Path

    @property
    def start_lock(self) -> Path:
        """Held while somebody starts or stops the server, or joins or leaves."""
        return self.data_dir / "start.lock"

    @property
    def server_lock(self) -> Path:
        """Inherited by every process of initdb and the server: free means that none lives."""
        return self.data_dir / "server.lock"

    @property
    def users(self) -> Path:
        """One locked file per process that uses the server."""
        return self.data_dir / "users"

    @property
    def runtime_record(self) -> Path:
        """Names the directory below /tmp where the socket is, when it cannot be in ``home``."""
        return self.data_dir / "runtime-directory"

    @property
    def home(self) -> Path:
        """What belongs to the account that the server runs as; mode 0700."""
        return self.data_dir / "postgres"

    @property
    def pgdata(self) -> Path:
        """The cluster; it appears complete, by a rename."""
        return self.home / "pgdata"

    @property
    def staging(self) -> Path:
        """Where initdb works; whatever lies here is unfinished."""
        return self.home / "pgdata.new"

    @property
    def socket_dir(self) -> Path:
        """Where the socket is when the path is short and plain."""
        return self.home / "socket"

    @property
    def log(self) -> Path:
        """What the server said."""
        return self.home / "server.log"

    @property
    def binaries(self) -> Path:
        """A copy of the server's programs, when its account cannot reach the installed ones."""
        return self.data_dir / "server"


async def finish(step: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a short blocking step in a thread; a cancellation is raised only after it has ended.

    ``asyncio.to_thread`` would abandon the step: a lock taken, or a server started, by a thread
    that nobody listens to any more.

    Cancel-safe: yes; a second cancellation gives up waiting for the step.
    """
    loop = asyncio.get_running_loop()
    future = loop.run_in_executor(None, lambda: step(*args, **kwargs))
    try:
        await asyncio.wait([future])
    except asyncio.CancelledError:
        await asyncio.wait([future])
        raise
    return future.result()


class FileLock:
    """An exclusive ``flock`` on a file; the kernel releases it when the last holder is gone."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd: int | None = None

    def try_acquire(self) -> bool:
        """Take the lock if it is free; never waits."""
        descriptor = open_private(self._path)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._fd = descriptor
        return True

    def fileno(self) -> int:
        """The descriptor that carries the lock, for a child that shall hold it too."""
        if self._fd is None:
            raise ValueError(f"the lock {self._path.name} is not held")
        return self._fd

    def release(self) -> None:
        """Give up this process's share; a child that inherited the descriptor keeps the lock."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


class UserMark:
    """This user's entry in the register. Change the register only while holding ``start.lock``."""

    def __init__(self, layout: Layout) -> None:
        self._directory = layout.users
        self._fd: int | None = None
        self._name = ""

    def register(self) -> None:
        """Enter the register; the entry lives as long as this process does."""
        # The process id in the name is for people; only the lock counts.
        self._fd, self._name = tempfile.mkstemp(dir=self._directory, prefix=f"{os.getpid()}-")
        _give_to_owner(self._fd, self._directory)
        fcntl.flock(self._fd, fcntl.LOCK_EX)

    def withdraw(self) -> None:
        """Leave the register."""
        if self._fd is not None:
            os.unlink(self._name)  # noqa: PTH108 - mkstemp speaks strings
            self.abandon()

    def abandon(self) -> None:
        """Leave without ``start.lock``: the entry stays and whoever leaves next removes it."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def count_living_users(layout: Layout) -> int:
    """Count the users that live, and remove the entries of those that do not."""
    return sum(_is_living(entry) for entry in sorted(layout.users.iterdir()))


def _is_living(entry: Path) -> bool:
    descriptor = os.open(entry, os.O_RDWR | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        entry.unlink()
        return False
    finally:
        os.close(descriptor)


def open_private(path: Path, flags: int = os.O_RDWR | os.O_CREAT) -> int:
    """Open a file for this account alone; never follows a link, is never inherited.

    Root works here in directories of other accounts: a link planted there must lead nowhere, and
    a file that root creates must stay usable for the directory's owner.
    """
    descriptor = os.open(path, flags | os.O_NOFOLLOW, 0o600)
    if flags & os.O_CREAT:
        _give_to_owner(descriptor, path.parent)
    return descriptor


def _give_to_owner(descriptor: int, directory: Path) -> None:
    if os.geteuid() == 0:
        owner = directory.stat()
        os.fchown(descriptor, owner.st_uid, owner.st_gid)


def bound_log(layout: Layout) -> None:
    """Cut the server's log to its end when it has grown large.

    The server writes in append mode, so this is safe while it runs.
    """
    with contextlib.suppress(FileNotFoundError):
        descriptor = open_private(layout.log, os.O_RDWR | os.O_APPEND)
        try:
            size = os.fstat(descriptor).st_size
            if size > LOG_LIMIT_BYTES:
                end = os.pread(descriptor, LOG_KEPT_BYTES, size - LOG_KEPT_BYTES)
                os.ftruncate(descriptor, 0)
                os.write(descriptor, end)
        finally:
            os.close(descriptor)


def read_log_end(layout: Layout) -> str:
    """The last lines that the server wrote; empty when it wrote none."""
    try:
        descriptor = open_private(layout.log, os.O_RDONLY)
    except FileNotFoundError:
        return ""
    try:
        size = os.fstat(descriptor).st_size
        return os.pread(descriptor, LOG_TAIL_BYTES, max(0, size - LOG_TAIL_BYTES)).decode(
            errors="replace"
        )
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def translated(data_dir: Path) -> Iterator[None]:
    """Turn what the file system refuses into an error that says what to do.

    Raises:
        ConfigError: the directory cannot be used by this account.
        StoreUnavailable: the disk is full, or another fault that may pass.
    """
    try:
        yield
    except OSError as error:
        raise explain_os_error(error, data_dir) from error


def explain_os_error(error: OSError, data_dir: Path) -> ConfigError | StoreUnavailable:
    """Say what a file-system error means for the data directory."""
    reason = (error.strerror or str(error)).lower()
    at = f" (at {error.filename})" if error.filename else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return no_space(data_dir)
    if error.errno in (
        *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT),
        *(errno.ENOTDIR, errno.EEXIST, errno.ELOOP, errno.ENAMETOOLONG),
    ):
        return ConfigError(
            f"the data directory {data_dir} cannot be used by this account: {reason}{at}",
            hint="Set database.data_dir to a directory that this account may write, or set "
            "database.url to use another PostgreSQL.",
        )
    return StoreUnavailable(
        f"the data directory {data_dir} does not work: {reason}{at}",
        hint="Run the command again. If that ends the same way, check the disk, or set "
        "database.data_dir to another directory.",
    )


def no_space(data_dir: Path) -> StoreUnavailable:
    """The error for a full disk."""
    return StoreUnavailable(
        f"no space is left for the embedded postgresql in {data_dir}",
        hint="Free some space there, or set database.data_dir to a larger disk; then run the "
        "command again.",
    )

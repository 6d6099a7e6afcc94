"""
A file that appears when it is complete, or not at all.

Owns the name it has until then, and that what a killed process left behind is cleared away by the
next. Never decides what is in it.
Invariant: nothing but a file is ever replaced, and never by half of one.
Kind: edge (file system).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from syncer.errors import ConfigError


@contextlib.contextmanager
def appearing(path: Path) -> Iterator[BinaryIO]:
    """Write here; the file has its name once the block has ended well.

    A link is followed; what is no file, like a pipe or a device, is not replaced by one.

    Raises:
        ConfigError: it cannot be written there.
    """
    try:
        path = Path(os.path.realpath(path))
        # A link is left where links go round in a circle.
        if path.is_symlink() or (path.exists() and not path.is_file()):
            raise ConfigError(
                f"{path} is no file that could be replaced",
                hint="Name a file, or '-' for standard output (jsonl and csv).",
            )
        _clear_away(path)
        handle, temporary = _begin(path)
        try:
            with os.fdopen(handle, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
                mask = os.umask(0)
                os.umask(mask)
                temporary.chmod(0o666 & ~mask)
                # While it is still locked: nobody takes it for one that was left behind.
                temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be written: {error.strerror}", hint="Name another place."
        ) from error


def _begin(path: Path) -> tuple[int, Path]:
    """A new file beside it, locked for as long as its writer lives, where locks can be had."""
    while True:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            # Somebody who clears away found it before we had locked it.
            os.close(handle)
            continue
        except OSError:
            return handle, Path(name)
        if os.fstat(handle).st_nlink:
            return handle, Path(name)
        os.close(handle)


def _clear_away(path: Path) -> None:
    """Remove what writers of the same file have left who were killed."""
    ours = re.compile(rf"\.{re.escape(path.name)}\.[a-z0-9_]{{8}}\.part")
    left: list[Path] = []
    with contextlib.suppress(OSError):
        left = [each for each in path.parent.iterdir() if ours.fullmatch(each.name)]
    for each in left:
        # Locked, somebody is writing it; gone, or not ours to open: not our business.
        with contextlib.suppress(OSError):
            handle = os.open(each, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if stat.S_ISREG(os.fstat(handle).st_mode):
                    each.unlink()
            finally:
                os.close(handle)

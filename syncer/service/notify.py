"""
The sd_notify protocol: one datagram of ``KEY=value`` lines to ``$NOTIFY_SOCKET``.

Owns the socket's address and what becomes of a datagram that it does not take. Never waits, never
raises, never reads a clock.
Invariant: messages that were not taken and still matter go out later, in their order.
Kind: edge (datagram socket; the environment is an argument).
"""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

SOCKET_VARIABLE = "NOTIFY_SOCKET"
WATCHDOG_VARIABLE = "WATCHDOG_USEC"
WATCHDOG_PID_VARIABLE = "WATCHDOG_PID"

_MOST_KEPT = 16
"""More changes of state than this while nobody reads: the oldest no longer matter."""


@dataclass(slots=True)
class Notifier:
    """Speaks to the service manager, if there is one."""

    address: str = ""
    """A path, or ``@`` and an abstract name; anything else is nobody."""
    _kept: deque[str] = field(default_factory=lambda: deque(maxlen=_MOST_KEPT))

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Notifier:
        """The manager that started this process, or nobody."""
        return cls(environ.get(SOCKET_VARIABLE, ""))

    @property
    def is_on(self) -> bool:
        """Whether anybody listens, for all that is known."""
        return self.address[:1] in {"@", "/"}

    def send(self, *lines: str, keep: bool = False) -> bool:
        """Send one message; returns whether it was taken.

        Args:
            lines: ``KEY=value`` each; a line break in a value becomes a space.
            keep: send it later if it is not taken now, before anything else.
        """
        if not self.is_on:
            return False
        message = "\n".join(" ".join(line.splitlines()) for line in lines)
        if self.flush() and self._deliver(message):
            return True
        if keep:
            self._kept.append(message)
        return False

    def flush(self) -> bool:
        """Send what was kept; returns whether nothing is left."""
        while self._kept:
            if not self._deliver(self._kept[0]):
                return False
            self._kept.popleft()
        return True

    def _deliver(self, message: str) -> bool:
        path = "\0" + self.address[1:] if self.address[0] == "@" else self.address
        try:
            # A socket for each message: the manager's may be replaced while we run.
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
                channel.setblocking(False)
                channel.sendto(message.encode("utf-8", errors="replace"), path)
        except (OSError, ValueError):
            # Full, gone, too long for an address: a manager that does not listen stops nothing.
            return False
        return True


def watchdog_interval(environ: Mapping[str, str], pid: int) -> float | None:
    """Seconds between two signs of life: half of what the manager waits; ``None`` without one.

    Args:
        environ: the environment.
        pid: ours; the watchdog may be meant for the process that started us.
    """
    if environ.get(WATCHDOG_PID_VARIABLE, str(pid)) != str(pid):
        return None
    given = environ.get(WATCHDOG_VARIABLE, "")
    if not (given.isascii() and given.isdigit()) or int(given) == 0:
        return None
    return int(given) / 2_000_000

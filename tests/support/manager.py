"""
A service manager's ear: a real datagram socket, as systemd's is.

Owns the socket and taking messages apart. Never answers: the protocol has no answers.
Kind: edge (datagram socket).
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(slots=True)
class Ear:
    """What the manager was told, oldest first."""

    address: str
    _channel: socket.socket
    _heard: list[dict[str, str]] = field(default_factory=list)

    @property
    def messages(self) -> list[dict[str, str]]:
        """All messages so far, each taken apart."""
        while True:
            try:
                text = self._channel.recv(65_536).decode()
            except BlockingIOError:
                return list(self._heard)
            self._heard.append(dict(line.split("=", 1) for line in text.split("\n")))

    def of(self, key: str) -> list[str]:
        """The values of a key, oldest first."""
        return [message[key] for message in self.messages if key in message]

    @property
    def states(self) -> list[str]:
        """READY, RELOADING and STOPPING in the order in which they came."""
        states = ("READY", "RELOADING", "STOPPING")
        return [key for message in self.messages for key in message if key in states]

    @property
    def status(self) -> str:
        """What ``systemctl status`` would show now."""
        return (self.of("STATUS") or [""])[-1]

    def leave(self) -> None:
        """Be gone, as a manager that is being replaced; the address is a path."""
        Path(self.address).unlink()


@contextmanager
def listening(address: str) -> Iterator[Ear]:
    """Listen at a path, or at an abstract name that begins with ``@``."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.setblocking(False)
        channel.bind("\0" + address[1:] if address.startswith("@") else address)
        yield Ear(address, channel)

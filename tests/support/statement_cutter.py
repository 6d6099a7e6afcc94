"""
A proxy before a database that strikes at the n-th statement of a program.

Owns what counts as a statement (whatever makes the server do something: a query, a parse, an
execution, a piece of a COPY and its end) and on which side of it the blow falls. Knows the frontend
of PostgreSQL's protocol 3.0 without TLS; never changes what it passes on.
Kind: edge (sockets).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from support.tcp_proxy import CHUNK_BYTES, TcpProxy, address_of

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator

Where = Literal["before", "after"]
"""``before`` the server sees the statement, or ``after`` it has answered and nobody has heard."""

PAGES = b"syncer"
LEASES = b"syncer lease"
"""Application names: of the connections that write, and of the one that keeps the leases."""

_PROTOCOL_3 = 196_608
_QUERY, _PARSE, _BIND, _EXECUTE, _DATA, _DONE = b"Q", b"P", b"B", b"E", b"d", b"c"
_VERBS = {
    _QUERY: "query",
    _PARSE: "parse",
    _EXECUTE: "execute",
    _DATA: "copy data",
    _DONE: "copy done",
}
_LABEL_WORDS = 4


@dataclass(eq=False, slots=True)
class _Wire:
    """One connection of the program, as seen from between it and the server."""

    application: bytes = b""
    is_muted: bool = False
    """The answer to come is not to be heard."""
    statements: dict[bytes, str] = field(default_factory=dict)
    """What was prepared, by its name."""
    bound: str = ""

    def label(self, kind: bytes, body: bytes) -> str:
        """What a statement is, for people."""
        if kind == _QUERY:
            return f"query {_first_words(body)}"
        if kind == _PARSE:
            name, text, _ = body.split(b"\0", 2)
            self.statements[name] = _first_words(text)
            return f"parse {self.statements[name]}"
        if kind == _EXECUTE:
            return f"execute {self.bound}"
        return _VERBS[kind]

    def notice(self, kind: bytes, body: bytes) -> None:
        """Keep what later labels need."""
        if kind == _BIND:
            _portal, name, _ = body.split(b"\0", 2)
            self.bound = self.statements.get(name, "something")


class StatementCutter(TcpProxy):
    """Strikes at one statement: by itself it breaks every connection; ``blow`` may do otherwise."""

    def __init__(self, url: str, *, application: bytes = PAGES) -> None:
        super().__init__(address_of(url))
        self._application = application
        self._by_reader: dict[asyncio.StreamReader, _Wire] = {}
        self._by_writer: dict[asyncio.StreamWriter, _Wire] = {}
        self._at = 0
        self._where: Where = "before"
        self._begin = ""
        self._blow: Callable[[], None] = self.abort_all
        self._passes_on = False
        self._is_armed = False
        self.labels: list[str] = []
        """The statements since it was armed."""
        self.struck: str | None = None
        """Which of them was hit."""

    def arm(
        self,
        at: int,
        where: Where = "before",
        *,
        begin: str = "",
        blow: Callable[[], None] | None = None,
        passes_on: bool = False,
    ) -> None:
        """Count from here on; strike at statement number ``at``, counted from 1.

        Args:
            at: 0 counts only.
            where: on which side of it.
            begin: count from the next statement whose label begins so, and with it.
            blow: what is done; without one all connections break.
            passes_on: the statement reaches the server all the same.
        """
        self._at, self._where, self._passes_on = at, where, passes_on
        self._blow, self._begin = blow or self.abort_all, begin
        self._is_armed, self.labels, self.struck = True, [], None

    def disarm(self) -> None:
        """Neither count nor strike."""
        self._is_armed = False

    def abort_all(self) -> None:
        """Break all connections, and accept new ones."""
        for writer in tuple(self._writers):
            writer.transport.abort()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await super()._connect()
        self._by_reader[reader] = self._by_writer[writer] = _Wire()
        return reader, writer

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answering = self._by_reader.pop(reader, None)
        try:
            if answering is not None:
                await self._pass_answers(answering, reader, writer)
            else:
                await self._pass_statements(self._by_writer.pop(writer), reader, writer)
            writer.write_eof()
        except (OSError, RuntimeError):
            writer.transport.abort()

    async def _pass_answers(
        self, wire: _Wire, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while piece := await reader.read(CHUNK_BYTES):
            if wire.is_muted:
                # Once is enough: what the blow leaves alive goes on talking.
                wire.is_muted = False
                self._blow()
                if not self._passes_on:
                    await _discard(reader)
                    return
            writer.write(piece)
            await writer.drain()

    async def _pass_statements(
        self, wire: _Wire, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        unread = b""
        while piece := await reader.read(CHUNK_BYTES):
            unread += piece
            passed = 0
            for kind, start, end in _messages(unread, begun=bool(wire.application)):
                message = unread[start:end]
                passed = end
                if not kind:
                    wire.application = _application(message)
                elif self._is_hit(wire, kind, message):
                    if await self._strike(wire, kind, message, writer):
                        await _discard(reader)
                        return
                    continue
                writer.write(message)
            unread = unread[passed:]
            await writer.drain()

    def _is_hit(self, wire: _Wire, kind: bytes, message: bytes) -> bool:
        body = message[5:]
        wire.notice(kind, body)
        if kind not in _VERBS or wire.application != self._application:
            return False
        label = wire.label(kind, body)
        if not self._is_armed or not label.startswith(self._begin):
            return False
        self._begin = ""
        self.labels.append(label)
        return len(self.labels) == self._at

    async def _strike(
        self, wire: _Wire, kind: bytes, message: bytes, writer: asyncio.StreamWriter
    ) -> bool:
        """Returns whether nothing more is to be passed on."""
        self.struck = self.labels[-1]
        if self._where == "after" and kind != _DATA:
            wire.is_muted = True
            writer.write(message)
            return False
        if self._where == "after" or self._passes_on:
            # A piece of a COPY has no answer of its own.
            writer.write(message)
            await writer.drain()
        self._blow()
        return not self._passes_on


@asynccontextmanager
async def cutter_before(url: str, *, application: bytes = PAGES) -> AsyncIterator[StatementCutter]:
    """A cutter that lets everything through until it is armed."""
    cutter = StatementCutter(url, application=application)
    await cutter.restore()
    try:
        yield cutter
    finally:
        await cutter.close()


def _messages(data: bytes, *, begun: bool) -> Iterator[tuple[bytes, int, int]]:
    """The whole messages: kind (empty before and at the log-in), first and last place."""
    start = 0
    while True:
        head = 1 if begun else 0
        if len(data) < start + head + 4:
            return
        (length,) = struct.unpack_from("!i", data, start + head)
        end = start + head + length
        if len(data) < end:
            return
        kind = data[start : start + head]
        yield kind, start, end
        if not begun:
            begun = bool(_application(data[start:end]))
        start = end


def _application(message: bytes) -> bytes:
    """Who logs in; empty when this is not a log-in but a question that comes before one."""
    (version,) = struct.unpack_from("!i", message, 4)
    if version != _PROTOCOL_3:
        return b""
    fields = message[8:].split(b"\0")
    named = dict(zip(fields[::2], fields[1::2], strict=False))
    return named.get(b"application_name", b"") or b"unnamed"


def _first_words(text: bytes) -> str:
    """The beginning of a statement, without the comments above it."""
    lines = [line for line in text.decode().rstrip("\0").splitlines() if line[:2] != "--"]
    words = " ".join(lines).split()
    return " ".join(words[:_LABEL_WORDS])


async def _discard(reader: asyncio.StreamReader) -> None:
    """Until the sender is gone; a blow that breaks the connection ends this by an error."""
    while await reader.read(CHUNK_BYTES):
        pass

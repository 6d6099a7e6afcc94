"""
Tell the service manager what the daemon is doing, and keep its watchdog quiet while all is well.

Owns when READY, RELOADING, STOPPING, STATUS and WATCHDOG are sent. Never decides what is healthy.
Invariant: a start and a reload are answered after about ``ANSWER_WITHIN_S``, whatever is waited
for, as long as the event loop turns; a process that is about to end says so first.
Kind: conductor.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Container, Mapping
from dataclasses import dataclass, field
from typing import Any

from syncer.api.normalise import redact_text
from syncer.crawl import StopSignal
from syncer.domain import Clock
from syncer.errors import Stopped, SyncerError
from syncer.service.notify import Notifier
from syncer.service.summary import summarise
from syncer.telemetry import Event, logger

ANSWER_WITHIN_S = 30.0
"""The manager would wait 90 s by itself; a database that takes connections and does not answer
must hang neither the boot nor a reload."""

TICK_S = 5.0
"""Between two looks at what is owed: an answer, or a message that was not taken."""

STATUS_INTERVAL_S = 5.0

LONGEST_TOLD = 300
"""Characters of an error in the status line; the log has all of it."""

ReadStatus = Callable[[], Mapping[str, Any]]


def always() -> bool:
    """The event loop turns; that is all that is known."""
    return True


@dataclass(slots=True)
class Supervision:
    """What the service manager has been told, and still has to be told."""

    clock: Clock
    notifier: Notifier = field(default_factory=Notifier)
    watchdog_s: float | None = None
    """Between two signs of life; ``None``: nobody waits for one."""
    is_healthy: Callable[[], bool] = always
    """Asked before each sign of life; unhealthy for long enough, the manager starts us anew."""
    _owes_since_s: float | None = None
    """When a start or a reload began that was not answered yet."""
    _status: str = ""
    _is_stopping: bool = False

    @property
    def is_heard(self) -> bool:
        """Whether there is a service manager."""
        return self.notifier.is_on

    @contextlib.asynccontextmanager
    async def kept(self, stop: StopSignal) -> AsyncIterator[None]:
        """From the start of the daemon to its end; raises what the block raises."""
        if not self.notifier.is_on:
            yield
            return
        self._owes_since_s = self.clock.monotonic()
        self.say("starting")
        error: SyncerError | None = None
        try:
            async with asyncio.TaskGroup() as group:
                companions = [
                    group.create_task(self._answer_forever(), name="answer the service manager"),
                    group.create_task(self._watchdog_forever(), name="feed the watchdog"),
                    group.create_task(self._announce_stop(stop), name="announce the stop"),
                ]
                try:
                    yield
                except SyncerError as caught:
                    # Raised here, it would come out wrapped in a group.
                    error = caught
                for companion in companions:
                    companion.cancel()
        except BaseExceptionGroup as group_error:
            self.stopping(_first_of_ours(group_error))
            raise
        finally:
            self.stopping(error or stop.reason)
        if error is not None:
            raise error

    def up(self) -> None:
        """The configuration is in force: schema, database and lease keeper are there."""
        self._answer("following the catalogs")

    def waiting(self, error: SyncerError) -> None:
        """Something is away that time mends: waiting for it is what the daemon is for."""
        self._answer(f"waiting: {error.message}")

    def reloading(self) -> None:
        """A reload begins; ``up``, ``waiting`` or ``rejected`` ends it."""
        if self._is_stopping:
            return
        self._owes_since_s = self.clock.monotonic()
        # MONOTONIC_USEC is what tells this reload from an earlier one (Type=notify-reload).
        stamp = f"MONOTONIC_USEC={int(self.clock.monotonic() * 1_000_000)}"
        self._send("RELOADING=1", stamp, "STATUS=reading the configuration again")

    def rejected(self, error: SyncerError) -> None:
        """The reload is over, and nothing has changed."""
        self._answer(f"the earlier configuration stays: {_told(error)}")

    def stopping(self, reason: SyncerError | None = None) -> None:
        """The process is about to end; said once."""
        if self._is_stopping:
            return
        self._is_stopping = True
        why = "" if reason is None or isinstance(reason, Stopped) else f": {_told(reason)}"
        self._send("STOPPING=1", f"STATUS={redact_text(f'stopping{why}')}")

    def say(self, status: str) -> None:
        """One line for people, sent if it is another one than before."""
        status = redact_text(status)
        if status != self._status and not self._is_stopping:
            self._status = status
            if not self.notifier.send(f"STATUS={status}"):
                self._status = ""

    async def report_forever(
        self, read: ReadStatus, *, holder: str, stalled: Callable[[], Container[str]] = tuple
    ) -> None:
        """Keep the status line as the status document is. Cancel-safe: yes; it only reads."""
        while self.is_heard:
            await self.clock.sleep(STATUS_INTERVAL_S)
            self.say(summarise(read(), holder=holder, stalled=stalled()))

    def _answer(self, status: str) -> None:
        if self._owes_since_s is None or self._is_stopping:
            self.say(status)
            return
        self._owes_since_s = None
        self._send("READY=1", f"STATUS={redact_text(status)}")

    def _send(self, *lines: str) -> None:
        # Whatever was said last stands no longer.
        self._status = ""
        self.notifier.send(*lines, keep=True)

    async def _answer_forever(self) -> None:
        while True:
            await self.clock.sleep(TICK_S)
            self.notifier.flush()
            owed = self._owes_since_s
            if owed is not None and self.clock.monotonic() - owed >= ANSWER_WITHIN_S:
                self._answer("still starting; the log says what is waited for")

    async def _watchdog_forever(self) -> None:
        """A task of the loop, so that a loop that hangs sends nothing."""
        was_healthy = True
        while self.watchdog_s is not None:
            is_healthy = self.is_healthy()
            if is_healthy:
                self.notifier.send("WATCHDOG=1")
            elif was_healthy:
                logger(restart_within_s=2 * self.watchdog_s).error(
                    Event.WATCHDOG_STARVED,
                    hint="the service manager starts this process anew unless it recovers",
                )
            was_healthy = is_healthy
            await self.clock.sleep(self.watchdog_s)

    async def _announce_stop(self, stop: StopSignal) -> None:
        await stop.wait()
        self.stopping(stop.reason)


def _told(error: SyncerError) -> str:
    """What happened and what to do, as much of it as one line holds."""
    text = " ".join(str(error).split())
    return text if len(text) <= LONGEST_TOLD else f"{text[: LONGEST_TOLD - 1]}…"


def _first_of_ours(group: BaseExceptionGroup[BaseException]) -> SyncerError | None:
    for error in group.exceptions:
        found = _first_of_ours(error) if isinstance(error, BaseExceptionGroup) else error
        if isinstance(found, SyncerError):
            return found
    return None

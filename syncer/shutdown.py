"""
End on a signal: after the page in hand, or at once when asked twice.

Owns the handling of SIGTERM, SIGINT and SIGHUP. Never closes anything itself.
Invariant: a process that was asked to end is gone within 10 s, whatever hangs.
Kind: conductor.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence

from syncer.crawl import StopSignal
from syncer.errors import ExitCode, Interrupted, Stopped
from syncer.telemetry import Event, logger

Handler = Callable[[signal.Signals], None]

GRACE_S = 8.0
"""From the first signal to the cancellation of what is still running; DESIGN §3 allows 10 s."""

LAST_S = 1.0
"""From that cancellation to the end: a dead database answers no rollback and no goodbye."""


@contextlib.contextmanager
def stop_on_signals(
    stop: StopSignal, *, on_reload: Callable[[], None] | None = None
) -> Iterator[None]:
    """SIGTERM, SIGINT and a terminal that closes end work after the page in hand; twice, at once.

    What still runs ``GRACE_S`` after the first signal is cancelled. What then still waits, for a
    database that does not even take a rollback, is left behind ``LAST_S`` later.

    Args:
        stop: told the reason.
        on_reload: called on SIGHUP, which then ends nothing; given by the daemon, whose end by a
            signal is a success.
    """
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    timers: list[asyncio.TimerHandle] = []

    def asked(signum: signal.Signals) -> None:
        code = 0 if on_reload is not None else _exit_code(signum)
        if stop.is_set:
            os._exit(code)
        logger(signal=signum.name, grace_s=GRACE_S).info(Event.SHUTDOWN_REQUESTED)
        stop.set(Interrupted() if signum is signal.SIGINT else Stopped())
        if task is not None:
            timers.append(loop.call_later(GRACE_S, task.cancel))
        timers.append(loop.call_later(GRACE_S + LAST_S, _leave_behind, code))

    handlers = _ending(asked)
    if on_reload is not None:
        handlers[signal.SIGHUP] = lambda _: on_reload()
    with _signals(handlers, stop, timers):
        yield


@contextlib.contextmanager
def cancel_on_signals(
    *, hint: str, spares_interrupts: Callable[[], bool] = lambda: False
) -> Iterator[None]:
    """SIGTERM, SIGINT and a terminal that closes end at once what only reads; twice, the process.

    Args:
        hint: what to do next, of the error that is raised.
        spares_interrupts: whether SIGINT is just now meant for a program that we have opened.

    Raises:
        Stopped, Interrupted: the work was cancelled by a signal.
    """
    loop, task, stop = asyncio.get_running_loop(), asyncio.current_task(), StopSignal()
    timers: list[asyncio.TimerHandle] = []

    def asked(signum: signal.Signals) -> None:
        if signum is signal.SIGINT and spares_interrupts():
            return
        if stop.is_set or task is None:
            os._exit(_exit_code(signum))
        stop.set((Interrupted if signum is signal.SIGINT else Stopped)(hint=hint))
        task.cancel()
        timers.append(loop.call_later(GRACE_S + LAST_S, os._exit, _exit_code(signum)))

    with _signals(_ending(asked), stop, timers):
        yield


def _ending(handler: Handler) -> dict[signal.Signals, Handler]:
    """The signals that ask a command to end; what nohup has made it deaf to, it stays deaf to."""
    handlers = {signal.SIGTERM: handler, signal.SIGINT: handler}
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        handlers[signal.SIGHUP] = handler
    return handlers


def _exit_code(signum: signal.Signals) -> ExitCode:
    return ExitCode.INTERRUPTED if signum is signal.SIGINT else ExitCode.TERMINATED


@contextlib.contextmanager
def _signals(
    handlers: Mapping[signal.Signals, Handler],
    stop: StopSignal,
    timers: Sequence[asyncio.TimerHandle],
) -> Iterator[None]:
    """Handle signals until the block ends.

    Args:
        handlers: by signal.
        stop: set by a handler that cancels our task, or has a timer do it: its reason is raised.
        timers: set by handlers; what is left of them at the end is called off.
    """
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    for signum, handler in handlers.items():
        loop.add_signal_handler(signum, handler, signum)
    try:
        yield
    except asyncio.CancelledError:
        if task is None or stop.reason is None:
            raise
        task.uncancel()
        raise stop.reason from None
    finally:
        for timer in timers:
            timer.cancel()
        for signum in handlers:
            loop.remove_signal_handler(signum)
            if isinstance(stop.reason, Stopped | Interrupted):
                # It is about to end, as it was asked to: another signal must not change how.
                signal.signal(signum, signal.SIG_IGN)


def _leave_behind(code: int) -> None:
    """End although something still waits: the server rolls back what was not committed."""
    logger(outcome="forced").warning(
        Event.SHUTDOWN_FINISHED,
        hint="the database did not answer; committed progress is kept, run it again",
    )
    os._exit(code)

"""
Cancel a coroutine at a chosen suspension: deterministic where a number of loop turns is not.

A coroutine suspends once for every answer it waits for. ``WHILE`` cancels while it waits;
``AFTER`` cancels when the answer has come but the coroutine has not seen it, which is how a commit
becomes durable although its caller saw a cancellation.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Coroutine, Generator

When = Literal["while", "after"]


class CancelledAt:
    """Awaits a coroutine, and cancels the task that does so at the ``number``-th suspension."""

    def __init__(self, work: Coroutine[Any, Any, Any], number: int, when: When) -> None:
        self._work = work
        self._number = number
        self._when = when
        self.suspensions = 0

    def __await__(self) -> Generator[Any, Any, Any]:
        task = asyncio.current_task()
        assert task is not None
        inner = self._work.__await__()
        try:
            waits_for = next(inner)
            while True:
                self.suspensions += 1
                if self.suspensions == self._number:
                    self._cancel(task, waits_for)
                try:
                    yield waits_for
                except BaseException as error:  # noqa: BLE001 - handed on, whatever it is
                    waits_for = inner.throw(error)
                else:
                    waits_for = next(inner)
        except StopIteration as stop:
            return stop.value

    def _cancel(self, task: asyncio.Task[Any], waits_for: Any) -> None:
        if self._when == "after" and isinstance(waits_for, asyncio.Future):
            # Ours is called before the task's own wake-up, which is added when it is yielded.
            waits_for.add_done_callback(lambda _: task.cancel())
        else:
            asyncio.get_running_loop().call_soon(task.cancel)


async def run_cancelled(
    work: Coroutine[Any, Any, Any], number: int, when: When
) -> tuple[bool, BaseException | None]:
    """Run work that is cancelled at a suspension.

    Returns:
        whether it got that far, and how it ended: ``None`` where it came to its own end.
    """
    driven = CancelledAt(work, number, when)

    async def run() -> BaseException | None:
        try:
            await driven
        except (asyncio.CancelledError, Exception) as error:  # noqa: BLE001 - reported
            return error
        return None

    async with asyncio.TaskGroup() as group:
        task = group.create_task(run(), name="cancelled")
    return driven.suspensions >= number, task.result()

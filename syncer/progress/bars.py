"""
Progress on a terminal: a bar per catalog, and a line for requests and waiting below them.

Owns the terminal while it is shown. Never writes to stdout, which may be somebody's JSON.
Invariant: whatever ends the work, the terminal is left as it was found.
Kind: edge (rich, imported when a bar is drawn: it takes longer than ``syncer --help`` may).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Self

from syncer.progress.tally import Counting

if TYPE_CHECKING:
    from types import TracebackType

    from rich.console import Console, Group
    from rich.progress import TaskID

    from syncer.domain import Clock
    from syncer.progress.tally import Tally

COMPLETE: Final = "complete"
"""The outcome of a cycle after which its bar is full."""


class BarProgress(Counting):
    """
    Bars on a terminal, one per catalog, and a line for requests and waiting below them.

    Use as a context manager: the bars are drawn inside it only, and leaving it restores the
    cursor and ``sys.stderr`` whatever happened. Log lines appear above the bars.
    """

    def __init__(
        self,
        console: Console,
        clock: Clock,
        *,
        transient: bool = False,
        auto_refresh: bool = True,
    ) -> None:
        from rich import progress  # noqa: PLC0415 - see the module's docstring
        from rich.live import Live  # noqa: PLC0415 - see the module's docstring

        super().__init__(clock)
        self._tasks: dict[str, TaskID] = {}
        self._wait_reason = ""
        self._wait_until_s = clock.monotonic()
        self._bars = progress.Progress(
            progress.TextColumn("{task.description}", markup=False),
            progress.BarColumn(bar_width=24),
            progress.TextColumn("{task.fields[facts]}", markup=False),
            console=console,
            get_time=clock.monotonic,
        )
        self._live = Live(
            console=console,
            get_renderable=self._render,
            auto_refresh=auto_refresh,
            refresh_per_second=8,
            transient=transient,
            redirect_stdout=False,  # stdout may be somebody's JSON
            redirect_stderr=True,
        )

    def __enter__(self) -> Self:
        self._live.start(refresh=False)
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._wait_reason = ""
        self._live.stop()

    def waiting(self, *, reason: str, delay_s: float) -> None:
        """Show the reason and the seconds left, until they are over or a page is committed."""
        self._wait_reason = reason
        self._wait_until_s = self._clock.monotonic() + delay_s

    def cycle_finished(self, *, catalog: str, kind: str, outcome: str) -> None:
        """Stop the catalog's bar and write the outcome beside it; full when it is complete."""
        tally = self._board.of(catalog)
        # An empty cycle is complete too, and rich draws a full bar only for 1 of 1.
        full = max(tally.models, 1)
        self._draw(
            catalog,
            # Never full without being complete, even if the estimate was reached.
            total=full if outcome == COMPLETE else max(tally.useful_total() or 0, full + 1),
            completed=full if outcome == COMPLETE else tally.models,
            description=f"{catalog} {kind} {outcome}",
            facts=self._facts(tally, finished=True),
        )
        self._bars.stop_task(self._tasks[catalog])

    def _began(self, catalog: str) -> None:
        if catalog in self._tasks:
            self._bars.reset(self._tasks[catalog])
        self._moved(catalog)

    def _moved(self, catalog: str) -> None:
        tally = self._board.of(catalog)
        self._wait_reason = ""
        self._draw(
            catalog,
            total=tally.useful_total(),
            completed=tally.models,
            description=f"{catalog} {tally.kind}",
            facts=self._facts(tally),
        )

    def _draw(
        self,
        catalog: str,
        *,
        total: int | None,
        completed: int,
        description: str,
        facts: str,
    ) -> None:
        if catalog not in self._tasks:
            self._tasks[catalog] = self._bars.add_task(description, total=total, facts=facts)
        task_id = self._tasks[catalog]
        # By hand, because update() takes "total=None" for "as before", not for "unknown".
        for task in self._bars.tasks:
            if task.id == task_id:
                task.total = total
        self._bars.update(task_id, completed=completed, description=description, facts=facts)

    def _facts(self, tally: Tally, *, finished: bool = False) -> str:
        now_s = self._clock.monotonic()
        total = None if finished else tally.useful_total()
        facts = [
            f"{tally.models:,}{'' if total is None else f'/{total:,}'} models",
            f"{tally.pages:,} {'page' if tally.pages == 1 else 'pages'}",
        ]
        if tally.partitions_known > 1:
            facts.append(f"{tally.partitions_done}/{tally.partitions_known} partitions")
        if (rate := tally.rate(now_s)) is not None:
            facts.append(f"{rate:,.0f} models/s")
        if total is not None and (remaining_s := tally.remaining_s(now_s)) is not None:
            facts.append(f"{_duration(remaining_s)} left")
        if tally.quarantined:
            facts.append(f"{tally.quarantined:,} quarantined")
        return " · ".join(facts)

    def _render(self) -> Group:
        from rich.console import Group  # noqa: PLC0415 - see the module's docstring
        from rich.text import Text  # noqa: PLC0415 - see the module's docstring

        requests = self._board.requests
        status = f"{requests:,} {'request' if requests == 1 else 'requests'}"
        left_s = self._wait_until_s - self._clock.monotonic()
        if self._wait_reason and left_s > 0:
            status += f" · waiting {_duration(left_s)}: {self._wait_reason}"
        return Group(self._bars.get_renderable(), Text(status, style="dim", overflow="ellipsis"))


def _duration(seconds: float) -> str:
    whole = max(round(seconds), 0)
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"

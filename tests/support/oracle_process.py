"""
A process that can be struck anywhere: at each statement, each answer, each wait.

Owns one warm runtime and what happens to the job on it. Nothing of syncer is patched: its runtime
is given a source that is overheard and a pool that is counted. Between two jobs the lease is
released, so that each job takes it anew, as a process of its own would.
Kind: edge (simulator, database).
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from support.interrupt import run_cancelled

from syncer.clock import SystemClock
from syncer.errors import Stopped
from syncer.oneshot import Job

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from datetime import datetime

    from support.mirror import Done, Mirror, SourceTime

    from syncer.domain import Lane, Page, Question, Scope
    from syncer.runtime import Runtime

LONGEST_JUMP_S = 15.0
"""A shorter sleep passes at once; renewals of leases come at their real time."""
HELD_BACK_S = 0.02
"""For how long an answer that is overtaken is held back."""
STATEMENTS = frozenset({"fetch", "fetchrow", "fetchval", "execute", "copy_to_table"})

Note = "Callable[[Lane, Question, Page], None]"
Statement = "Callable[[], Awaitable[Any]]"


class OracleClock(SystemClock):
    """The source's wall clock, or a wrong one; nobody waits for a retry."""

    def __init__(self, time: SourceTime, wrong: datetime | None = None) -> None:
        self._time = time
        self._wrong = wrong
        self._jumped_s = 0.0

    def now(self) -> datetime:
        return self._wrong or self._time.now

    def monotonic(self) -> float:
        return super().monotonic() + self._jumped_s

    async def sleep(self, delay_s: float) -> None:
        if delay_s > LONGEST_JUMP_S:
            await super().sleep(delay_s)
            return
        self._jumped_s += delay_s
        await asyncio.sleep(0)


@dataclass(frozen=True, slots=True)
class End:
    """How a job ends: by itself, or struck at the ``number``-th statement or answer."""

    kind: str = "itself"
    """``itself``; a crash ``before``, ``while`` or ``after`` a statement, or at an ``await`` of the
    whole process; ``stop`` between pages; another process comes at an ``answer`` or before a
    ``commit``."""
    number: int = 0
    expire: bool = False
    """Whether the other process finds a lease that has run out."""
    hold: tuple[int, ...] = ()
    """Answers that others overtake."""


@dataclass(slots=True)
class Strike:
    """Counts what one job does, and strikes when its number is up."""

    end: End = field(default_factory=End)
    victim: asyncio.Task[Any] | None = None
    stop: Callable[[], None] = lambda: None
    rival: Callable[[], Awaitable[None]] | None = None
    statements: int = 0
    transactions: int = 0
    answers: int = 0
    has_struck: bool = False

    async def statement(self, run: Statement) -> Any:
        """Run one statement, or die by it."""
        return await self.running(await self.reached(), run)

    async def reached(self) -> int:
        """A statement is about to be sent; returns its number."""
        self.statements += 1
        if self.end.kind == "before" and self.statements == self.end.number:
            await self._die()
        return self.statements

    async def running(self, number: int, run: Statement) -> Any:
        """Send the statement with that number."""
        if number == self.end.number and self.end.kind == "while" and self.victim is not None:
            self.has_struck = True
            asyncio.get_running_loop().call_soon(self.victim.cancel)
        answer = await run()
        if number == self.end.number and self.end.kind == "after":
            # The answer has come, and nobody sees it: how a commit becomes durable unnoticed.
            await self._die()
        return answer

    async def transaction(self) -> None:
        """A connection is about to be taken."""
        self.transactions += 1
        if self.end.kind == "commit" and self.transactions == self.end.number:
            await self._meet()

    async def answered(self) -> None:
        """An answer has come and is in hand."""
        self.answers += 1
        if self.answers in self.end.hold:
            await asyncio.sleep(HELD_BACK_S)
        if self.answers != self.end.number:
            return
        if self.end.kind == "stop":
            self.has_struck = True
            self.stop()
        elif self.end.kind == "answer":
            await self._meet()

    async def _meet(self) -> None:
        assert self.rival is not None
        self.has_struck = True
        await self.rival()

    async def _die(self) -> None:
        assert self.victim is not None
        self.has_struck = True
        self.victim.cancel()
        await asyncio.Event().wait()


class CountedConnection:
    """A connection of the pool; each statement is counted, BEGIN and COMMIT too."""

    def __init__(self, connection: Any, strike: Strike) -> None:
        self._connection = connection
        self._strike = strike

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._connection, name)
        if name not in STATEMENTS:
            return found

        async def counted(*arguments: Any, **keywords: Any) -> Any:
            return await self._strike.statement(lambda: found(*arguments, **keywords))

        return counted

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        transaction = self._connection.transaction()
        await self._strike.statement(transaction.__aenter__)
        try:
            yield
            number = await self._strike.reached()
        except BaseException as error:
            await transaction.__aexit__(type(error), error, error.__traceback__)
            raise
        await self._strike.running(number, lambda: transaction.__aexit__(None, None, None))


class CountedPool:
    """The pool of a runtime."""

    def __init__(self, pool: Any, strike: Callable[[], Strike]) -> None:
        self._pool = pool
        self._strike = strike

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pool, name)

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[CountedConnection]:
        strike = self._strike()
        await strike.transaction()
        async with self._pool.acquire() as connection:
            yield CountedConnection(connection, strike)


class OverheardSource:
    """The source of a runtime; every page is noted when it is in hand."""

    def __init__(self, source: Any, strike: Callable[[], Strike], note: Note) -> None:
        self._source = source
        self._strike = strike
        self._note = note

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)

    def observed_by(self, observer: Any) -> OverheardSource:
        return OverheardSource(self._source.observed_by(observer), self._strike, self._note)

    async def fetch_page(
        self, scope: Scope, question: Question, *, lane: Lane, **keywords: Any
    ) -> Page:
        page: Page = await self._source.fetch_page(scope, question, lane=lane, **keywords)
        self._note(lane, question, page)
        await self._strike().answered()
        return page


@dataclass(slots=True)
class Process:
    """Runs jobs, one after the other, until one of them is its end."""

    mirror: Mirror
    note: Note
    strike: Strike = field(default_factory=Strike)
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)
    _runtime: Runtime | None = None

    async def run(
        self, job: Job, end: End, rival: Callable[[], Awaitable[None]]
    ) -> Done | BaseException:
        """Do a job; what became of it, or how it was broken off."""
        if end.kind == "await":
            return await self._run_cancelled(job, end.number)
        runtime = await self._opened()
        self.strike = Strike(end, stop=lambda: runtime.stop.set(Stopped()), rival=rival)
        async with asyncio.TaskGroup() as group:
            self.strike.victim = task = group.create_task(self._work(runtime, job), name="job")
        ended = task.result()
        if self.strike.has_struck:
            await self.close()
        else:
            await runtime.keeper.release_all()
        return ended

    async def close(self) -> None:
        """The process is gone."""
        self.strike, self._runtime = Strike(), None
        await self._stack.aclose()

    async def _work(self, runtime: Runtime, job: Job) -> Done | BaseException:
        try:
            return await self.mirror._work(runtime, job)
        except asyncio.CancelledError as error:
            return error

    async def _run_cancelled(self, job: Job, number: int) -> BaseException:
        """A process of its own, broken off at one of its waits: also while it opens or closes."""
        await self.close()

        async def live() -> None:
            async with self.mirror.process() as runtime:
                await self.mirror._work(self._overheard(runtime), job)

        _, error = await run_cancelled(live(), number, "after" if number % 2 else "while")
        if error is not None and not isinstance(error, asyncio.CancelledError):
            raise error
        return error or asyncio.CancelledError()

    async def _opened(self) -> Runtime:
        if self._runtime is None:
            runtime = await self._stack.enter_async_context(self.mirror.process())
            self._runtime = self._overheard(runtime)
        return self._runtime

    def _overheard(self, runtime: Runtime) -> Runtime:
        pool: Any = CountedPool(runtime.pool, lambda: self.strike)
        source: Any = OverheardSource(runtime.source, lambda: self.strike, self.note)
        return replace(runtime, pool=pool, source=source)

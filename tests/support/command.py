"""
The installed command as a subprocess, in an environment built from scratch.

Owns starting, watching and ending such processes, and waiting for a condition. Output goes to
files, so that no pipe fills up and no grandchild keeps one open. Never leaves a process behind.
Kind: edge (processes).
"""

from __future__ import annotations

import asyncio
import inspect
import itertools
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SYNCER = Path(sys.executable).parent / "syncer"

POLL_S = 0.02
END_LIMIT_S = 60.0
"""A command that takes longer hangs; far above what any of them needs on a busy machine."""


async def until(
    condition: Callable[[], Any],
    what: str | Callable[[], str],
    *,
    within_s: float = 30.0,
) -> Any:
    """Look again and again until the condition holds, and return what it said; it may be async."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within_s
    while True:
        found = condition()
        answer = await found if inspect.isawaitable(found) else found
        if answer:
            return answer
        if loop.time() > deadline:
            wanted = what if isinstance(what, str) else what()
            raise AssertionError(f"not within {within_s:g} s: {wanted}")
        await asyncio.sleep(POLL_S)


@dataclass(frozen=True, slots=True)
class Ended:
    """A command that has ended."""

    code: int
    stdout: str
    stderr: str
    seconds: float

    @property
    def document(self) -> Any:
        """What ``--json`` printed."""
        return json.loads(self.stdout)

    @property
    def events(self) -> list[dict[str, Any]]:
        """The log lines on stderr."""
        return log_lines(self.stderr)

    def failed_with(self, code: int) -> str:
        """Stderr of a command that failed as documented: what happened, what to do, no trace."""
        assert self.code == code, self
        assert "Traceback" not in self.stderr, self.stderr
        assert "error: " in self.stderr, self.stderr
        assert "fix: " in self.stderr, self.stderr
        return self.stderr


@dataclass(slots=True)
class Running:
    """A command under way."""

    process: asyncio.subprocess.Process
    stdout_path: Path
    stderr_path: Path
    _began_s: float

    @property
    def stdout(self) -> str:
        """Everything printed so far."""
        return self.stdout_path.read_text(encoding="utf-8")

    @property
    def stderr(self) -> str:
        """Everything said so far."""
        return self.stderr_path.read_text(encoding="utf-8")

    @property
    def is_alive(self) -> bool:
        """Whether it has not ended yet."""
        return self.process.returncode is None

    def count(self, event: str, **facts: object) -> int:
        """How many log lines there are of an event with these facts."""
        return sum(
            line.get("event") == event and all(line.get(k) == v for k, v in facts.items())
            for line in log_lines(self.stderr)
        )

    def polls(self, **facts: object) -> int:
        """How many complete polls with these facts there were: a small listing is swept by each."""
        kinds = ("delta", "sweep")
        return sum(self.count("cycle_finished", kind=kind, **facts) for kind in kinds)

    async def until_poll(self, at_least: int = 1, **facts: object) -> None:
        """Wait for a complete poll."""
        await self.until(lambda: self.polls(**facts) >= at_least, f"a poll {facts}")

    async def until_event(self, event: str, at_least: int = 1, **facts: object) -> None:
        """Wait for a log line."""
        await self.until(lambda: self.count(event, **facts) >= at_least, f"{event} {facts}")

    async def until(self, condition: Callable[[], Any], what: str) -> Any:
        """Wait for anything; what was said until then is in the failure."""
        return await until(condition, lambda: f"{what}; stderr so far:\n{self.stderr[-4000:]}")

    def send(self, signum: signal.Signals) -> None:
        """Send a signal."""
        self.process.send_signal(signum)

    async def end(self, within_s: float = END_LIMIT_S) -> Ended:
        """Wait until it ends by itself."""
        try:
            async with asyncio.timeout(within_s):
                code = await self.process.wait()
        except TimeoutError:
            raise AssertionError(
                f"still running after {within_s:g} s; stderr so far:\n{self.stderr[-4000:]}"
            ) from None
        seconds = asyncio.get_running_loop().time() - self._began_s
        return Ended(code, self.stdout, self.stderr, seconds)

    async def stop(self, signum: signal.Signals = signal.SIGTERM, within_s: float = 10) -> Ended:
        """Send a signal and wait for the end that it asks for."""
        self.send(signum)
        return await self.end(within_s)


@dataclass(slots=True)
class Place:
    """A machine with nothing on it but what the test puts there."""

    home: Path
    environment: dict[str, str] = field(default_factory=dict)
    program: Path = SYNCER
    _numbers: Any = field(default_factory=itertools.count)

    def set(self, **settings: object) -> None:
        """Configure by environment: ``source__page_size=10`` is ``SYNCER_SOURCE__PAGE_SIZE``."""
        self.environment |= {f"SYNCER_{name.upper()}": str(v) for name, v in settings.items()}

    def write_config(self, text: str) -> Path:
        """Write config.toml, which commands find because they run in ``home``."""
        path = self.home / "config.toml"
        path.write_text(text, encoding="utf-8")
        return path

    @asynccontextmanager
    async def start(
        self, *arguments: object, stdin: int = asyncio.subprocess.DEVNULL
    ) -> AsyncIterator[Running]:
        """Start ``syncer`` with these arguments; killed at the end if it still runs."""
        number = next(self._numbers)
        out, err = self.home / f"{number}.stdout", self.home / f"{number}.stderr"
        with out.open("wb") as stdout, err.open("wb") as stderr:
            process = await asyncio.create_subprocess_exec(
                self.program,
                *map(str, arguments),
                cwd=self.home,
                env=self.whole_environment(),
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
            )
        try:
            yield Running(process, out, err, asyncio.get_running_loop().time())
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()

    async def spawn(self, *arguments: object, stdout: int) -> asyncio.subprocess.Process:
        """Start ``syncer`` writing to a descriptor, which is closed here; its stderr is a pipe."""
        try:
            return await asyncio.create_subprocess_exec(
                self.program,
                *map(str, arguments),
                cwd=self.home,
                env=self.whole_environment(),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=stdout,
                stderr=asyncio.subprocess.PIPE,
            )
        finally:
            os.close(stdout)

    async def run(self, *arguments: object, within_s: float = END_LIMIT_S) -> Ended:
        """Run ``syncer`` with these arguments to its end."""
        async with self.start(*arguments) as running:
            return await running.end(within_s)

    def whole_environment(self) -> dict[str, str]:
        """Everything that a command sees of the environment."""
        # What a coverage run hands down to its children is let through, nothing else.
        measuring = {name: value for name, value in os.environ.items() if name.startswith("COV")}
        return {"PATH": os.defpath, "HOME": str(self.home)} | measuring | self.environment


def log_lines(text: str) -> list[dict[str, Any]]:
    """The JSON log lines of a text; an unfinished or a human line is left out."""
    return [
        json.loads(line)
        for line in text.splitlines()
        if line.startswith("{") and line.endswith("}")
    ]

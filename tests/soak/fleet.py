"""
The processes under test: started, asked, told, killed, and what they hold while they live.

Owns the ``syncer`` processes of a soak run and their logs. Reads ``/proc``, so this is for Linux.
Never leaves a process behind.
Kind: edge (processes).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from soak.figures import Sample

from syncer.errors import ExitCode

SYNCER = str(Path(sys.executable).parent / "syncer")
STOP_LIMIT_S = 30
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def free_port() -> int:
    """A port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Member:
    """One ``syncer run``."""

    name: str
    process: asyncio.subprocess.Process
    log: Path
    listen: str
    samples: list[Sample] = field(default_factory=list)
    was_killed: bool = False
    stop_s: float | None = None
    """How long it took to end when it was told to."""

    @property
    def is_alive(self) -> bool:
        """Whether it has not ended yet."""
        return self.process.returncode is None

    def look(self, at_s: float, **seen: Any) -> None:
        """Note what it holds now."""
        with contextlib.suppress(OSError):
            proc = Path(f"/proc/{self.process.pid}")
            resident = int((proc / "statm").read_text(encoding="ascii").split()[1])
            ticks = (proc / "stat").read_text(encoding="ascii").rpartition(")")[2].split()
            self.samples.append(
                Sample(
                    at_s=round(at_s, 1),
                    rss_bytes=resident * PAGE_BYTES,
                    fds=len(os.listdir(proc / "fd")),  # noqa: PTH208 - only counted
                    threads=len(os.listdir(proc / "task")),  # noqa: PTH208 - only counted
                    cpu_s=(int(ticks[11]) + int(ticks[12])) / os.sysconf("SC_CLK_TCK"),
                    **seen,
                )
            )

    async def kill(self) -> None:
        """End it without notice."""
        self.was_killed = True
        self.process.kill()
        await self.process.wait()

    async def stop(self) -> None:
        """End it as a service manager does."""
        if not self.is_alive:
            return
        began = time.monotonic()
        self.process.terminate()
        try:
            async with asyncio.timeout(STOP_LIMIT_S):
                await self.process.wait()
        except TimeoutError:
            self.process.kill()
            await self.process.wait()
        self.stop_s = time.monotonic() - began

    def events(self) -> list[dict[str, Any]]:
        """Its log lines."""
        lines = self.log.read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]


@dataclass
class Answer:
    """A command that has ended."""

    code: int
    stdout: str
    stderr: str


@dataclass
class Fleet:
    """Everything that is started for one soak run, on one configuration."""

    place: Path
    environment: dict[str, str]
    members: list[Member] = field(default_factory=list)
    has_invalid_file: bool = False
    """Whether commands read a configuration that is made to be refused (2)."""
    strange: list[str] = field(default_factory=list)
    """What commands said that they should not."""

    @property
    def living(self) -> list[Member]:
        """Those that run."""
        return [member for member in self.members if member.is_alive]

    def holder(self, holder: str | None) -> Member | None:
        """The one that a lease names as its holder, if it is one of ours."""
        pids = {str(member.process.pid): member for member in self.living}
        return pids.get((holder or "").rpartition(":")[2])

    async def start(self) -> Member:
        """One more ``syncer run``."""
        name = f"run-{len(self.members) + 1}"
        log, listen = self.place / f"{name}.log", f"127.0.0.1:{free_port()}"
        with log.open("wb") as stderr:
            process = await asyncio.create_subprocess_exec(
                SYNCER,
                "--log-format=json",
                "run",
                cwd=self.place,
                env=self.environment | {"SYNCER_HTTP__LISTEN": listen},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=stderr,
            )
        self.members.append(Member(name, process, log, listen))
        return self.members[-1]

    def tell(self, signum: signal.Signals) -> None:
        """The same signal for all that run."""
        for member in self.living:
            member.process.send_signal(signum)

    async def ask(self, *arguments: str, codes: tuple[int, ...] = (0,)) -> Answer:
        """Run a command to its end; what is not as documented is noted."""
        may_be_refused = self.has_invalid_file
        process = await asyncio.create_subprocess_exec(
            SYNCER,
            *arguments,
            cwd=self.place,
            env=self.environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
        answer = Answer(process.returncode or 0, out.decode(), err.decode())
        if answer.code == ExitCode.USAGE and (may_be_refused or self.has_invalid_file):
            return answer
        if answer.code not in codes or "Traceback" in answer.stderr:
            what = " ".join(arguments)
            self.strange.append(f"syncer {what} ended with {answer.code}: {answer.stderr[-2000:]}")
        return answer

    async def status(self) -> dict[str, Any] | None:
        """The status document; ``None`` while the database is away."""
        answer = await self.ask("status", "--json", codes=(0, 7))
        return json.loads(answer.stdout) if answer.code == 0 else None

    async def close(self) -> None:
        """Whatever still runs is killed."""
        for member in self.living:
            member.process.kill()
            await member.process.wait()

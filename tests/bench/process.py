"""
Programs that are measured: started, watched, and what they cost.

Owns the child processes of the suite. Peak memory is read from ``/proc`` while a program runs (a
parent's peak would count into ``ru_maxrss``), so this is for Linux. Never leaves a process behind.
Kind: edge (processes).
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import psutil

TESTS = Path(__file__).parents[1]
SYNCER = str(Path(sys.executable).parent / "syncer")
LOOK_S = 0.005
RSS_EVERY = 8
"""Memory is looked at once in so many looks for the end."""
LIMIT_S = 7200.0
STOP_LIMIT_S = 30.0


class ProgramFailed(Exception):
    """A measured program did not do what it was started for."""


@dataclass(frozen=True)
class Ended:
    """A program that has ended, and what it cost, its own children included."""

    code: int
    seconds: float
    cpu_s: float
    peak_bytes: int
    stdout: str
    stderr: str

    @property
    def events(self) -> list[dict[str, Any]]:
        """The log lines of ``--log-format json``."""
        return [json.loads(line) for line in self.stderr.splitlines() if line.startswith("{")]

    def last_json(self) -> dict[str, Any]:
        """What a contender printed about itself, in its last line."""
        found = json.loads(self.stdout.strip().splitlines()[-1])
        assert isinstance(found, dict)
        return found


def module(name: str, *arguments: str) -> list[str]:
    """The command that runs a program of this suite."""
    return [sys.executable, "-m", f"bench.{name}", *arguments]


def clean_environment(**added: str) -> dict[str, str]:
    """Ours without what configures syncer or the vendor's SDK, and with what is added."""
    foreign = ("SYNCER_", "SCENARIO_", "DATABASE_URL", "COVERAGE_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return {**kept, "PYTHONPATH": str(TESTS), **added}


def run(
    command: Sequence[str], environment: Mapping[str, str], *, codes: Sequence[int] = (0,)
) -> Ended:
    """Run to the end and measure; anything but an expected exit code fails the benchmark."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        began = time.perf_counter()
        process = subprocess.Popen(command, env=environment, stdout=out, stderr=err)
        try:
            status, usage, peak_bytes = _watch(process.pid, began)
        except BaseException:
            process.kill()
            raise
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        ended = Ended(
            process.returncode,
            seconds,
            usage.ru_utime + usage.ru_stime,
            peak_bytes,
            _whole(out),
            _whole(err),
        )
    if ended.code not in codes:
        said = (ended.stderr or ended.stdout)[-3000:]
        raise ProgramFailed(f"{' '.join(command)} ended with {ended.code}:\n{said}")
    return ended


def _watch(pid: int, began: float) -> tuple[int, Any, int]:
    peak, look = 0, 0
    while True:
        if look % RSS_EVERY == 0:
            peak = max(peak, peak_memory_bytes(pid))
        look += 1
        ended, status, usage = os.wait4(pid, os.WNOHANG)
        if ended:
            return status, usage, peak
        if time.perf_counter() - began > LIMIT_S:
            raise ProgramFailed(f"no end within {LIMIT_S:g} s")
        time.sleep(LOOK_S)


def peak_memory_bytes(pid: int | str) -> int:
    """The sum of the high-water marks of a process and what it has started, as of now."""
    total = 0
    with contextlib.suppress(OSError, ValueError):
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
        _, _, rest = status.partition("VmHWM:")
        total += 1024 * int(rest.split()[0]) if rest else 0
        for children in Path(f"/proc/{pid}/task").glob("*/children"):
            total += sum(peak_memory_bytes(int(child)) for child in children.read_text().split())
    return total


def _whole(file: IO[str]) -> str:
    file.seek(0)
    return file.read()


@contextlib.contextmanager
def running(command: Sequence[str], environment: Mapping[str, str]) -> Iterator[psutil.Popen]:
    """A program that runs beside the block and is told to stop at its end."""
    with tempfile.TemporaryFile("w+") as err:
        process = psutil.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=err)
        try:
            yield process
            if (code := process.poll()) is not None:
                raise ProgramFailed(
                    f"{' '.join(command)} ended with {code}:\n{_whole(err)[-3000:]}"
                )
        finally:
            stop(process)


@contextlib.contextmanager
def talking(
    command: Sequence[str], environment: Mapping[str, str]
) -> Iterator[subprocess.Popen[str]]:
    """A program of this suite that answers on stdout, line by line, to lines on stdin."""
    process = subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        stop(process)


def hear(process: subprocess.Popen[str], say: str | None = None) -> dict[str, Any]:
    """Say a line, if any, and wait for the JSON object that is the answer."""
    assert process.stdin is not None
    assert process.stdout is not None
    if say is not None:
        process.stdin.write(say + "\n")
        process.stdin.flush()
    line = process.stdout.readline()
    if not line:
        raise ProgramFailed(f"{process.args} ended with {process.wait()} without an answer")
    answer = json.loads(line)
    assert isinstance(answer, dict)
    return answer


def stop(process: subprocess.Popen[str] | psutil.Popen) -> None:
    """SIGTERM, and SIGKILL when that does not help."""
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_LIMIT_S)
    except (subprocess.TimeoutExpired, psutil.TimeoutExpired):
        process.kill()
        process.wait()

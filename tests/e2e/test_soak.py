"""The soak run itself, at its shortest: that it starts, strikes, judges and leaves nothing."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

RUN = Path(__file__).parents[1] / "soak" / "run.py"
TOO_SHORT_TO_TELL = ("memory is flat", "descriptors", "threads")
"""Two minutes are filling of caches; the rules for them have tests of their own."""


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_a_short_run_keeps_every_promise_but_those_that_need_time(tmp_path: Path) -> None:
    """P1, P6 to P9: two restarts of the database, a killed leader, faults, reloads."""
    report = tmp_path / "soak.json"
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        RUN,
        "--minutes=2",
        "--models=600",
        "--sample-s=2",
        f"--json={report}",
        env={"PATH": os.defpath, "HOME": str(tmp_path)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    told = json.loads(report.read_text(encoding="utf-8"))
    broken = [
        check
        for check in told["checks"]
        if not check["is_kept"] and not any(what in check["what"] for what in TOO_SHORT_TO_TELL)
    ]

    assert broken == [], f"{out.decode()}\n{err.decode()}"
    assert (process.returncode == 0) == told["is_kept"]
    assert len(told["blows"]) == 8
    assert [each["was_killed"] for each in told["processes"]].count(True) == 1
    assert told["source"]["edits"] > 100
    assert sum(told["source"]["faults_struck"].values()) > 5

"""However a command ends, it says why in a line and never with a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from support.command import SYNCER

from syncer.cli import main

STRUCK = """\
import os, signal, sys

target = sys.argv.pop(1)

class Strike:
    def find_spec(self, name, path=None, _=None):
        if name == target:
            {strike}

sys.meta_path.insert(0, Strike())
from syncer.__main__ import main
main()
"""
"""A start of the command to which something happens when it comes to import one module."""


@pytest.fixture(name="environment")
def environment_fixture(tmp_path: Path) -> dict[str, str]:
    """A machine with nothing on it."""
    return {
        "PATH": os.defpath,
        "HOME": str(tmp_path),
        "SYNCER_DATABASE__DATA_DIR": str(tmp_path / "data"),
    }


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["--version"], ["status", "--json"], ["status"], ["check", "--offline"], ["demo"]],
    ids=" ".join,
)
def test_a_full_disk_behind_standard_output_is_said_in_one_line(
    arguments: list[str], unbuffered: str, environment: dict[str, str], tmp_path: Path
) -> None:
    with Path("/dev/full").open("wb") as full:
        ended = subprocess.run(
            [SYNCER, *arguments],
            stdout=full,
            stderr=subprocess.PIPE,
            env=environment | {"PYTHONUNBUFFERED": unbuffered},
            cwd=tmp_path,
            text=True,
            check=False,
        )

    assert ended.stderr == (
        "error: standard output cannot be written to: no space left on device\n"
    )
    assert ended.returncode == 1


def test_a_full_disk_behind_both_outputs_changes_no_exit_code(
    environment: dict[str, str], tmp_path: Path
) -> None:
    with Path("/dev/full").open("wb") as full:
        ended = subprocess.run(
            [SYNCER, "status"], stdout=full, stderr=full, env=environment, cwd=tmp_path, check=False
        )

    assert ended.returncode == 1


@pytest.mark.parametrize(
    "module", ["syncer.cli", "click", "syncer.errors", "syncer.jobs", "syncer.engine"]
)
def test_an_interrupt_at_the_start_ends_quietly(
    module: str, environment: dict[str, str], tmp_path: Path
) -> None:
    interrupted = STRUCK.replace("{strike}", "os.kill(os.getpid(), signal.SIGINT)")
    ended = subprocess.run(
        [sys.executable, "-c", interrupted, module, "backfill"],
        env=environment | {"SYNCER_DATABASE__EMBEDDED": "never"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "")


def test_an_error_of_another_file_is_a_bug_and_not_blamed_on_standard_output(
    environment: dict[str, str], tmp_path: Path
) -> None:
    broken = STRUCK.replace("{strike}", "raise OSError(5, 'strange')")
    ended = subprocess.run(
        [sys.executable, "-c", broken, "syncer.oneshot", "backfill"],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 1
    assert "Traceback" in ended.stderr
    assert "standard output" not in ended.stderr


@pytest.mark.parametrize("deadline", ["nan", "inf", "-inf", "1e999"])
def test_a_deadline_that_never_comes_is_a_usage_error(deadline: str) -> None:
    result = CliRunner().invoke(
        main,
        ["backfill", "--deadline", deadline],
        env={"SYNCER_DATABASE__EMBEDDED": "never"},
    )

    assert result.exit_code == 2
    assert f"'--deadline': {deadline} is no number of seconds" in result.stderr

"""
The units of deploy/systemd: what they start exists, what they promise agrees with the program.

Those marked ``system`` ask systemd itself (the package systemd has the program for it).
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from syncer.cli import main
from syncer.config import load_credentials, load_settings
from syncer.config.credentials import AuthKind
from syncer.errors import ExitCode
from syncer.service.supervision import ANSWER_WITHIN_S, TICK_S
from syncer.shutdown import GRACE_S, LAST_S

UNITS = Path(__file__).parents[2] / "deploy" / "systemd"
SERVICES = sorted(UNITS.glob("*.service"))
FILES = sorted(each for each in UNITS.iterdir() if each.suffix in {".service", ".timer", ".conf"})
PROGRAM = "/opt/syncer/bin/syncer"

MOST_EXPOSURE = 1.5
"""Of 10. What is left of it: the network, the database's socket, and the machine's own programs."""

PER_UNIT = {
    "Type",
    "NotifyAccess",
    "ExecStart",
    "ExecReload",
    "TimeoutStartSec",
    "TimeoutStopSec",
    "WatchdogSec",
    "Restart",
    "RestartSec",
    "RestartPreventExitStatus",
    "SuccessExitStatus",
    "Environment",
}

Section = dict[str, list[str]]


def parsed(path: Path) -> dict[str, Section]:
    """Sections, keys and values; a key may stand there often."""
    sections: dict[str, Section] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if heading := re.fullmatch(r"\[(\w+)\]", line):
            sections[heading[1]] = defaultdict(list)
        elif line and not line.startswith("#"):
            key, equals, value = line.partition("=")
            assert equals, f"{path.name}: {line}"
            sections[list(sections)[-1]][key].append(value)
    return sections


def service(name: str) -> Section:
    return parsed(UNITS / name)["Service"]


def codes(unit: Section, key: str) -> set[int]:
    return {int(code) for code in " ".join(unit.get(key, [])).split()}


def environment(unit: Section) -> dict[str, str]:
    return dict(value.split("=", 1) for value in unit.get("Environment", []))


def seconds(text: str) -> float:
    number, unit = re.fullmatch(r"(\d+)(min|h)?", text).groups()  # type: ignore[union-attr]
    return int(number) * {None: 1, "min": 60, "h": 3600}[unit]


def test_there_are_the_units_that_the_runbook_installs() -> None:
    assert [path.name for path in FILES] == [
        "credentials.conf",
        "database.conf",
        "syncer-backfill.service",
        "syncer-verify.service",
        "syncer-verify.timer",
        "syncer.service",
    ]


@pytest.mark.parametrize("path", SERVICES, ids=lambda path: path.name)
def test_the_command_line_is_one_that_the_program_takes(path: Path) -> None:
    """Help is answered only when every option before it was understood."""
    (line,) = service(path.name)["ExecStart"]
    program, *arguments = shlex.split(line)
    assert program == PROGRAM
    answer = CliRunner().invoke(main, [*arguments, "--help"])

    assert answer.exit_code == 0, answer.output
    command = main.get_command(click.Context(main), arguments[-1])
    assert command is not None
    assert command.help is not None
    assert command.help.splitlines()[0] in answer.output


def test_the_daemon_is_not_started_again_for_what_only_an_operator_can_mend() -> None:
    unit = service("syncer.service")

    assert unit["Restart"] == ["on-failure"]
    assert codes(unit, "RestartPreventExitStatus") == {ExitCode.USAGE, ExitCode.SCHEMA}
    assert codes(unit, "SuccessExitStatus") == set()


@pytest.mark.parametrize("name", ["syncer-backfill.service", "syncer-verify.service"])
def test_a_one_shot_is_tried_again_while_something_is_unavailable(name: str) -> None:
    unit = service(name)
    prevented = codes(unit, "RestartPreventExitStatus")

    assert unit["Type"] == ["oneshot"]
    assert unit["Restart"] == ["on-failure"]
    # Of all documented codes these alone lead to another try; a crash has none or 1.
    left = set(ExitCode) - prevented - {ExitCode.OK}
    assert left - {ExitCode.BUG} == {ExitCode.UNAVAILABLE}
    # "Success means complete" (P8): nothing but a stop on purpose is called one beside 0.
    assert codes(unit, "SuccessExitStatus") == {ExitCode.TERMINATED}


def test_the_manager_waits_longer_than_the_program_needs() -> None:
    unit = service("syncer.service")

    assert seconds(unit["TimeoutStartSec"][0]) > ANSWER_WITHIN_S + TICK_S
    assert seconds(unit["TimeoutStopSec"][0]) > GRACE_S + LAST_S
    assert seconds(unit["WatchdogSec"][0]) / 2 > TICK_S


def test_the_daemon_speaks_to_the_manager() -> None:
    unit = service("syncer.service")

    assert unit["Type"] == ["notify"]
    assert unit["NotifyAccess"] == ["main"]
    assert unit["ExecReload"] == ["/bin/kill -HUP $MAINPID"]


def test_all_services_are_hardened_alike() -> None:
    hardened = [
        {key: value for key, value in service(path.name).items() if key not in PER_UNIT}
        for path in SERVICES
    ]

    assert hardened[0]["ProtectSystem"] == ["strict"]
    assert hardened[0] == hardened[1] == hardened[2]


@pytest.mark.parametrize("path", SERVICES, ids=lambda path: path.name)
def test_its_environment_is_one_that_the_program_takes(path: Path) -> None:
    """And the files in deploy/ never let a throw-away database be filled (DESIGN §4)."""
    settings = load_settings(
        UNITS.parents[1] / "config.example.toml", environment(service(path.name))
    )

    assert settings.database.embedded == "never"
    assert settings.database.data_dir == Path("/var/lib") / service(path.name)["StateDirectory"][0]


def test_credentials_are_read_from_where_the_drop_in_puts_them(tmp_path: Path) -> None:
    """As systemd does it: each loaded file under its id in a directory, which is ``%d``."""
    unit = service("credentials.conf")
    loaded = dict(value.split(":", 1) for value in unit["LoadCredential"])
    for name, source in loaded.items():
        assert source == f"/etc/syncer/credentials/{name}"
        (tmp_path / name).write_text(f"value-of-{name}\n")
    named = {key: value.replace("%d", str(tmp_path)) for key, value in environment(unit).items()}
    credentials = load_credentials("auto", named, for_daemon=True)

    assert credentials.kind is AuthKind.BASIC
    assert {Path(value).name for value in named.values()} == set(loaded)
    assert {f"value-of-{name}" for name in loaded} <= set(credentials.secrets())


def test_the_database_is_named_by_a_url_that_the_program_takes() -> None:
    unit = service("database.conf")
    named = environment(unit)
    passfile = named.pop("PGPASSFILE")
    settings = load_settings(None, named)

    assert settings.database.url == named["DATABASE_URL"]
    assert settings.database.secrets() == ()
    assert [f"{Path(passfile).name}:/etc/syncer/credentials/pgpass"] == unit["LoadCredential"]


def test_what_the_comments_say_of_urls_is_true() -> None:
    text = (UNITS / "database.conf").read_text(encoding="utf-8")
    (local,) = re.findall(r"^#\s+Environment=DATABASE_URL=(\S+)", text, re.MULTILINE)

    assert load_settings(None, {"DATABASE_URL": local}).database.url == local


def test_the_timer_starts_the_comparison() -> None:
    timer = parsed(UNITS / "syncer-verify.timer")

    assert timer["Timer"]["OnCalendar"] == ["weekly"]
    assert timer["Timer"]["Persistent"] == ["yes"]
    # Without Unit= a timer starts the service of its own name.
    assert "Unit" not in timer["Timer"]
    assert (UNITS / "syncer-verify.service").exists()
    assert timer["Install"]["WantedBy"] == ["timers.target"]


def test_a_crash_by_the_watchdog_says_where_it_hung() -> None:
    """The manager sends SIGABRT; with this variable Python writes the stacks of all threads."""
    (name,) = environment(service("syncer.service")).keys() & {"PYTHONFAULTHANDLER"}
    answer = subprocess.run(
        [sys.executable, "-c", "import os\ndef hung(): os.abort()\nhung()"],
        env={"PATH": os.defpath, name: environment(service("syncer.service"))[name]},
        capture_output=True,
        text=True,
        check=False,
    )

    assert answer.returncode < 0
    assert "in hung" in answer.stderr


@pytest.fixture(name="installed")
def installed_fixture(tmp_path: Path) -> list[Path]:
    """The units with the program that is here, and their drop-ins where they belong."""
    here = Path(sys.executable).with_name("syncer")
    installed = []
    for path in FILES:
        if path.suffix != ".conf":
            copy = tmp_path / path.name
            copy.write_text(path.read_text().replace(PROGRAM, str(here)))
            installed.append(copy)
        else:
            for unit in SERVICES:
                place = tmp_path / f"{unit.name}.d"
                place.mkdir(exist_ok=True)
                (place / path.name).write_text(path.read_text())
    return installed


def ask_systemd(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", "--no-pager", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"LC_ALL": "C.UTF-8"},
    )


@pytest.mark.system
def test_systemd_finds_nothing_to_say_about_the_units(installed: list[Path]) -> None:
    answer = ask_systemd("verify", "--man=no", *installed)

    assert (answer.returncode, answer.stdout + answer.stderr) == (0, "")


@pytest.mark.system
def test_systemd_does_find_what_is_wrong(installed: list[Path]) -> None:
    """A check that never says no would prove nothing."""
    (unit,) = [path for path in installed if path.name == "syncer.service"]
    unit.write_text(unit.read_text().replace("ProtectSystem=strict", "ProtectSystme=strict"))

    assert "ProtectSystme" in ask_systemd("verify", "--man=no", unit).stderr


@pytest.mark.system
@pytest.mark.parametrize("name", [path.name for path in SERVICES])
def test_little_of_the_machine_is_exposed(installed: list[Path], name: str) -> None:
    (unit,) = [path for path in installed if path.name == name]
    threshold = round(10 * MOST_EXPOSURE)
    answer = ask_systemd("security", "--offline=yes", f"--threshold={threshold}", unit)

    assert answer.returncode == 0, answer.stdout
    (exposure,) = re.findall(r"exposure level for .*: ([\d.]+)", answer.stdout)
    assert float(exposure) <= MOST_EXPOSURE

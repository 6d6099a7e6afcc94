"""
What the house rules promise and a reader would not check by hand.

A rule that stands here has a test; one that has none is a reason, and stands in CONTRIBUTING.md.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest

from syncer.config import load_settings
from syncer.store.queries import load_migrations, load_queries
from syncer.telemetry import Event

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "syncer"
MODULES = sorted(PACKAGE.rglob("*.py"))
PROGRAMS = ("bench", "soak")
BENCHMARKS = sorted(path for name in PROGRAMS for path in (ROOT / "tests" / name).glob("*.py"))
"""They are programs of their own, and held to the limits of the package."""

MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60
KINDS = ("pure", "edge", "conductor")

# In two parts, so that this file does not name what no file may name.
REGISTRIES = [
    f"{name}.{domain}"
    for name, domain in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("npmjs", "org"),
        ("crates", "io"),
        ("rubygems", "org"),
        ("anaconda", "org"),
        ("proxy.golang", "org"),
    )
]
MACHINE_PATH = re.compile(r"(?<![\w.~}])/(?:work|root|home/\w+|Users/\w+|opt/wheels)/")


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def place(path: Path, node: ast.AST | None = None) -> str:
    name = str(path.relative_to(ROOT))
    return f"{name}:{node.lineno}" if node is not None and hasattr(node, "lineno") else name


def nodes(*kinds: type[ast.AST], under: Path = PACKAGE) -> Iterator[tuple[Path, ast.AST]]:
    for path in MODULES:
        if path.is_relative_to(under):
            yield from ((path, node) for node in ast.walk(parsed(path)) if isinstance(node, kinds))


@cache
def tracked_files() -> tuple[Path, ...]:
    """What git has, and what it would take: all but the ignored."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    found = tuple(ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file())
    assert found
    return found


def matches_in_tracked_files(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{place(path)}:{number}: {line.strip()}"
        for path in tracked_files()
        # A picture is read, too: what it says of its origin stands in it as text.
        for number, line in enumerate(path.read_text("utf-8", "replace").splitlines(), start=1)
        if pattern.search(line)
    ]


def test_imports_go_down_the_staircase_only() -> None:
    """The contracts stand in pyproject.toml under [tool.importlinter]."""
    command = Path(sys.executable).with_name("lint-imports")
    answer = subprocess.run(
        [command, "--no-cache", "--no-logo"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert re.search(r"Contracts: [1-9]\d* kept, 0 broken", answer.stdout), answer.stdout


def test_every_event_is_said_somewhere() -> None:
    said = {
        node.attr
        for path, node in nodes(ast.Attribute)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "Event"
        and not path.is_relative_to(PACKAGE / "telemetry")
    }

    assert sorted({event.name for event in Event} - said) == []


def test_every_log_line_is_an_event_of_the_catalogue() -> None:
    """A literal string would be a line that nobody finds in the catalogue."""
    methods = {"debug", "info", "warning", "error", "exception", "critical"}
    literal = [
        place(path, node)
        for path, node in nodes(ast.Call)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in methods
        and re.search(r"(?<![a-z])(?:log|logger)\b", ast.unparse(node.func.value))
        and node.args
        and isinstance(node.args[0], ast.Constant | ast.JoinedStr)
    ]

    assert literal == []


QUERY_NAME = re.compile(r"[a-z]+(?:_[a-z0-9]+)+")


def query_names_asked_for() -> dict[str, str]:
    """``queries["…"]`` and ``self._queries["…"]`` with the place of one of their uses."""
    return {
        node.slice.value: place(path, node)
        for path, node in nodes(ast.Subscript)
        if isinstance(node, ast.Subscript)
        and ast.unparse(node.value).lstrip("_").endswith("queries")
        and isinstance(node.slice, ast.Constant)
        and isinstance(node.slice.value, str)
    }


def test_every_query_that_is_asked_for_exists() -> None:
    asked = query_names_asked_for()
    missing = {name: asked[name] for name in asked.keys() - set(load_queries())}

    assert asked
    assert missing == {}


def test_every_query_file_is_used_by_its_name() -> None:
    """By ``queries["…"]``, or as a string of its own where a table of names is kept."""
    strings = {
        node.value
        for _, node in nodes(ast.Constant)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and QUERY_NAME.fullmatch(node.value)
    }

    assert sorted(set(load_queries()) - strings) == []


def test_migrations_are_numbered_from_one_without_gaps() -> None:
    numbers = [migration.number for migration in load_migrations()]

    assert numbers == list(range(1, len(numbers) + 1))
    files = [path.name for path in (ROOT / "sql" / "migrations").iterdir()]
    assert sorted(files) == [f"{migration.label}.sql" for migration in load_migrations()]


def test_tasks_are_started_by_a_task_group_only() -> None:
    """A task outside a group outlives its owner, and its exception is lost."""
    outside = []
    for path in MODULES:
        groups = set(task_groups(parsed(path)))
        outside += [
            place(path, node)
            for node in ast.walk(parsed(path))
            if isinstance(node, ast.Attribute)
            and node.attr == "create_task"
            and ast.unparse(node.value) not in groups
        ]

    assert outside == []


def task_groups(tree: ast.Module) -> Iterator[str]:
    """Names and attributes that hold a TaskGroup, by ``async with … as`` or by annotation."""
    for node in ast.walk(tree):
        if isinstance(node, ast.withitem) and "TaskGroup(" in ast.unparse(node.context_expr):
            yield ast.unparse(node.optional_vars) if node.optional_vars else ""
        elif (
            isinstance(node, ast.arg | ast.AnnAssign)
            and node.annotation is not None
            and "TaskGroup" in ast.unparse(node.annotation)
        ):
            target = node.arg if isinstance(node, ast.arg) else ast.unparse(node.target)
            yield from (target, f"self.{target}", f"self._{target}")


BANNED = {
    "gather",
    "shield",
    "ensure_future",
    "wait_for",
    "create_task",
    "run_coroutine_threadsafe",
}


def test_nothing_of_asyncio_that_hides_a_cancellation_is_used() -> None:
    used = [
        place(path, node)
        for path, node in nodes(ast.Attribute, ast.ImportFrom)
        if (
            isinstance(node, ast.Attribute)
            and node.attr in BANNED
            and ast.unparse(node.value) == "asyncio"
        )
        or (
            isinstance(node, ast.ImportFrom)
            and node.module is not None
            and node.module.split(".")[0] == "asyncio"
            and BANNED & {alias.name for alias in node.names}
        )
    ]

    assert used == []


def test_the_simulator_knows_nothing_of_the_rest() -> None:
    """Else it would share our mistakes about the source."""
    known = [
        f"{place(path, node)}: {name}"
        for path, node in nodes(ast.Import, ast.ImportFrom, under=PACKAGE / "simulator")
        for name in imported(node)
        if name.split(".")[0] == "syncer" and not name.startswith("syncer.simulator")
    ]

    assert known == []


def imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.ImportFrom):
        assert node.level == 0, "imports are absolute"
        return [f"{node.module}.{alias.name}" for alias in node.names]
    return [alias.name for alias in node.names] if isinstance(node, ast.Import) else []


def test_no_file_names_a_package_registry() -> None:
    pattern = re.compile("|".join(re.escape(host) for host in REGISTRIES), re.IGNORECASE)

    assert matches_in_tracked_files(pattern) == []


def test_no_file_names_a_path_of_the_machine_it_was_written_on() -> None:
    assert matches_in_tracked_files(MACHINE_PATH) == []


def test_no_file_is_longer_than_a_reader_can_hold() -> None:
    files = MODULES + BENCHMARKS
    lengths = {place(path): len(path.read_text(encoding="utf-8").splitlines()) for path in files}

    assert {name: lines for name, lines in lengths.items() if lines > MAX_FILE_LINES} == {}


def test_no_function_is_longer_than_a_screen() -> None:
    lengths = {
        f"{place(path, node)} {node.name}": (node.end_lineno or 0) - node.lineno + 1
        for path in MODULES + BENCHMARKS
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }

    assert {name: lines for name, lines in lengths.items() if lines > MAX_FUNCTION_LINES} == {}


def holds_code(tree: ast.Module) -> bool:
    """More than a docstring, imports and constants."""
    quiet = (ast.Expr, ast.Import, ast.ImportFrom, ast.Assign, ast.AnnAssign, ast.If)
    return any(not isinstance(node, quiet) for node in tree.body)


def test_every_module_says_what_kind_it_is() -> None:
    unsaid = [
        place(path)
        for path in MODULES + BENCHMARKS
        if holds_code(parsed(path))
        and not re.search(
            rf"^Kind: ({'|'.join(KINDS)})\b", ast.get_docstring(parsed(path)) or "", re.MULTILINE
        )
    ]

    assert unsaid == []


def test_every_public_class_and_function_says_what_it_promises() -> None:
    silent = [
        f"{place(path, node)} {node.name}"
        for path in MODULES + BENCHMARKS
        for node in public_definitions(parsed(path))
        if not ast.get_docstring(node)
    ]

    assert silent == []


def says_no_more(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """A field of a protocol, or the other half of a property: the docstring is elsewhere."""
    is_field = [ast.unparse(each) for each in node.body] == ["..."]
    return is_field or any(ast.unparse(each).endswith(".setter") for each in node.decorator_list)


def public_definitions(
    tree: ast.Module | ast.ClassDef,
) -> Iterator[ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            if node.name.startswith("_") or says_no_more(node):
                continue
            yield node
            if isinstance(node, ast.ClassDef):
                yield from public_definitions(node)


def test_the_example_configuration_loads_and_changes_nothing() -> None:
    """It shows the defaults, so using it as it is must be the same as having none."""
    example = load_settings(ROOT / "config.example.toml", {})
    defaults = load_settings(None, {})

    for section in ("source", "database", "catalogs", "lease", "limits", "http", "log"):
        assert getattr(example, section) == getattr(defaults, section)


@pytest.fixture(name="commands")
def commands_fixture() -> dict[str, click.Command]:
    from syncer.cli import main  # noqa: PLC0415 - the other tests do not need the commands

    assert isinstance(main, click.Group)
    context = click.Context(main)
    found = {name: main.get_command(context, name) for name in main.list_commands(context)}
    return {name: command for name, command in found.items() if command is not None}


def test_every_command_is_in_the_readme(commands: dict[str, click.Command]) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")

    assert commands
    missing = [name for name in commands if not re.search(rf"\bsyncer {name}\b", readme)]
    assert missing == []


def test_the_help_of_every_command_has_an_example(commands: dict[str, click.Command]) -> None:
    silent = [
        name
        for name, command in commands.items()
        if not re.search(
            rf"^ +(?:\$ )?(?:\w+=\S+ )*syncer (?:-\S+ )*{name}\b",
            command.get_help(click.Context(command, info_name=f"call {name}")),
            re.MULTILINE,
        )
    ]

    assert silent == []


def test_ci_runs_what_the_readme_promises() -> None:
    script = ROOT / ".ci" / "run"

    assert script.stat().st_mode & 0o111
    for step in ("pytest", "ruff check", "ruff format --check", "mypy", "lint-imports"):
        assert step in script.read_text(encoding="utf-8")

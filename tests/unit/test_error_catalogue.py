"""
Every error that syncer can raise, found in its source: what happened, and what to do next.

What can be provoked through the command line is, in tests/e2e/test_errors_provoked.py; this is for
the others, and for those that nobody has written yet.
"""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import syncer
from syncer import errors
from syncer.errors import ExitCode, SyncerError, Verdict
from syncer.store import sqlstate

PACKAGE = Path(syncer.__file__).parent
NO_COMMAND_LINE = {"__main__"}
"""Modules that run when they are imported."""

FORBIDDEN = re.compile(r"failed to|unable to|oops|sorry|please try|!$|\.$", re.IGNORECASE)


def import_everything() -> None:
    for found in pkgutil.walk_packages([str(PACKAGE)], "syncer."):
        if found.name.rpartition(".")[2] not in NO_COMMAND_LINE:
            importlib.import_module(found.name)


@cache
def classes() -> dict[str, type[SyncerError]]:
    import_everything()
    found: dict[str, type[SyncerError]] = {}
    todo: list[type[SyncerError]] = [SyncerError]
    while todo:
        kind = todo.pop()
        if kind.__module__.startswith("syncer."):
            found[kind.__name__] = kind
        todo += kind.__subclasses__()
    return found


def literal(node: ast.expr) -> str | None:
    """The text as far as it stands in the source; ``{}`` for what is filled in; None: computed."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(literal(each) or "{}" for each in node.values)
    return None


def built() -> list[Any]:
    """Where errors are made: place, class, message, whether a hint is given, and the hint."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
                continue
            if node.func.id not in classes():
                continue
            hint = next((each.value for each in node.keywords if each.arg == "hint"), None)
            where = f"{path.relative_to(PACKAGE)}:{node.lineno}"
            message = node.args[0] if node.args else None
            found.append(pytest.param(node.func.id, message, hint, id=where))
    return found


BUILT = built()
TABLE = [
    pytest.param(meaning, id=str(key))
    for key, meaning in [
        *sqlstate._SQLSTATES.items(),
        *((kind.__name__, meaning) for kind, meaning in sqlstate._EXCEPTIONS),
    ]
]


def assert_is_a_message(text: str) -> None:
    assert text.strip()
    assert FORBIDDEN.search(text) is None
    first = text.split(maxsplit=1)[0]
    assert text[0].islower() or not text[0].isalpha() or first.isupper() or first == "PostgreSQL"


def assert_is_a_hint(text: str) -> None:
    assert text.endswith((".", ".)", "{}")), text
    assert not text[0].islower() or text.startswith("{}")
    assert len(text.split()) >= 2


def test_the_source_was_found() -> None:
    """Else the others would hold of nothing."""
    assert len(BUILT) > 90
    assert {param.values[0] for param in BUILT} > {"ConfigError", "StoreUnavailable", "LeaseHeld"}


@pytest.mark.parametrize("kind", classes().values(), ids=classes())
def test_every_class_says_what_happened_what_to_do_and_has_a_documented_code(
    kind: type[SyncerError],
) -> None:
    error = kind()

    assert_is_a_message(error.message)
    assert isinstance(kind.exit_code, ExitCode)
    if kind.__name__ not in {"SourceError", "StoreError"}:
        # Those two are never raised: they group.
        assert_is_a_hint(error.hint)


@pytest.mark.parametrize(("kind", "message", "hint"), BUILT)
def test_every_error_that_is_raised_says_both(
    kind: str, message: ast.expr | None, hint: ast.expr | None
) -> None:
    said = literal(message) if message is not None else classes()[kind]().message
    if said is not None:
        assert_is_a_message(said)
    if hint is None:
        assert_is_a_hint(classes()[kind]().hint)
    elif (advice := literal(hint)) is not None:
        assert_is_a_hint(advice)


def test_the_groups_are_never_raised_themselves() -> None:
    assert {"SourceError", "StoreError"} & {param.values[0] for param in BUILT} == set()


@pytest.mark.parametrize("meaning", TABLE)
def test_whatever_the_database_says_becomes_an_error_with_a_remedy(
    meaning: sqlstate._Meaning,
) -> None:
    error = meaning.error(meaning.what, hint=meaning.hint)

    assert_is_a_message(error.message)
    assert_is_a_hint(error.hint)
    assert error.exit_code is not ExitCode.BUG


def test_what_only_a_developer_can_mend_asks_for_a_report() -> None:
    assert SyncerError("an aggregate came back without a row").hint == errors.BUG_HINT


def test_a_stop_without_a_hint_of_its_own_is_no_bug() -> None:
    class Reread(SyncerError):
        """the configuration was read again"""

        verdict = Verdict.STOP

    assert Reread().hint == errors.STOP_HINT

"""What every test has: real PostgreSQL on request, no stray environment, no stray error."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest

pytest_plugins = ["support.postgres_fixtures"]

# A slow moment of the machine is no falsifying example.
hypothesis.settings.register_profile("no deadline", deadline=None)
hypothesis.settings.load_profile("no deadline")


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's own settings and credentials never reach a test."""
    for name in tuple(os.environ):
        ours = name.startswith(("SYNCER_", "SCENARIO_")) or name == "DATABASE_URL"
        if ours and name != "SYNCER_TEST_DSN":
            monkeypatch.delenv(name)


class _Reports:
    """Exceptions that reached the event loop's handler: nobody awaited them."""

    def __init__(self) -> None:
        self.contexts: list[dict[str, Any]] = []


@pytest.fixture(autouse=True)
def _loop_is_quiet(request: pytest.FixtureRequest) -> Iterator[None]:
    """An exception that reaches the loop's handler fails the test."""
    if not asyncio.iscoroutinefunction(getattr(request.node, "obj", None)):
        yield
        return
    reports = _Reports()
    policy_new_loop = asyncio.BaseEventLoop.call_exception_handler

    def note(loop: asyncio.BaseEventLoop, context: dict[str, Any]) -> None:
        reports.contexts.append(context)
        policy_new_loop(loop, context)

    asyncio.BaseEventLoop.call_exception_handler = note  # type: ignore[method-assign]
    try:
        yield
    finally:
        asyncio.BaseEventLoop.call_exception_handler = policy_new_loop  # type: ignore[method-assign]
    assert [] == reports.contexts

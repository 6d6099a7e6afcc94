"""
Makes aioresponses 0.7.9 work with aiohttp 3.14, whose responses demand a ``stream_writer``.

Upstream: aioresponses issue 289, pull request 288. Delete this file, and the uses of its fixture,
once a release there supplies the argument.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

import aioresponses.core
from aiohttp import ClientResponse

if TYPE_CHECKING:
    import pytest


class _Response(ClientResponse):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if "stream_writer" in inspect.signature(ClientResponse.__init__).parameters:
            kwargs.setdefault("stream_writer", Mock(output_size=0))
        super().__init__(*args, **kwargs)


def apply(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let mocked replies be built, until the test ends."""
    monkeypatch.setattr(aioresponses.core, "ClientResponse", _Response)

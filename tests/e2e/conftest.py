"""What the end-to-end tests share: a bare machine, and a source to mirror."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from support.command import Place
from support.serving import Serve

from syncer.simulator import SimulatedSource, SimulatorOptions


@pytest.fixture(name="bare_place")
def bare_place_fixture(tmp_path: Path) -> Place:
    """No database, no credentials, no source (port 0 is nobody's); all it makes is in tmp_path."""
    place = Place(tmp_path)
    place.set(
        http__listen="",
        database__data_dir=tmp_path / "data",
        source__base_url="http://127.0.0.1:0/v1",
        source__max_requests_per_minute=100_000,
    )
    return place


@pytest.fixture(name="place")
def place_fixture(bare_place: Place, migrated_database_url: str) -> Place:
    """With a migrated database; the embedded one would be a mistake here."""
    bare_place.set(database__url=migrated_database_url, database__embedded="never")
    return bare_place


@pytest.fixture(name="serve")
def serve_fixture(bare_place: Place) -> Serve:
    """``async with serve(models=…) as source``: a source that commands ask from then on."""

    @asynccontextmanager
    async def serve(**options: Any) -> AsyncIterator[SimulatedSource]:
        source = SimulatedSource(SimulatorOptions(**{"models": 120, **options}))
        async with source.serve() as base_url:
            bare_place.set(source__base_url=base_url)
            yield source

    return serve

"""
Listings that take several pages, and the tombstones that sweeps leave.

Owns what the tests of sweeps and of private catalogs share. Never decides what is right.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from support.mirror import START, Mirror, SourceTime, add_models, mirroring, new_source, spread

if TYPE_CHECKING:
    from syncer.simulator import SimulatedSource

LONG_AGO = START - timedelta(days=100)
PAGE_SIZE = 10
MODELS = 40
_TOMBSTONES = """
    SELECT id, removed_reason FROM scenario.models WHERE removed_at IS NOT NULL ORDER BY id
"""


def source_of(time: SourceTime, models: int = MODELS, **options: Any) -> SimulatedSource:
    """Public models, a minute apart."""
    source = new_source(time, **options)
    add_models(source, models, "m", createdAt=spread(LONG_AGO, step_ms=60_000), updatedAt=LONG_AGO)
    return source


def private_source(time: SourceTime, models: int = MODELS) -> SimulatedSource:
    """The same of one owner's private models."""
    source = new_source(time)
    created = spread(LONG_AGO, step_ms=60_000)
    add_models(source, models, "p", createdAt=created, updatedAt=LONG_AGO, privacy="private")
    return source


def sweeping(url: str, source: SimulatedSource, time: SourceTime, **keys: object) -> Any:
    """A mirror whose listing takes several pages; one worker, unless told otherwise."""
    chosen: dict[str, object] = {"source__page_size": PAGE_SIZE, "source__max_concurrency": 1}
    return mirroring(url, source, time=time, **chosen | keys)


async def tombstones(mirror: Mirror) -> list[tuple[str, str]]:
    """Removed models with their reasons."""
    return [tuple(row) for row in await mirror.observer.fetch(_TOMBSTONES)]

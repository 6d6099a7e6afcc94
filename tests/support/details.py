"""
A source whose models have details, and what it was asked for one by one.

Kind: edge (simulator).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from support.mirror import add_models, new_source

if TYPE_CHECKING:
    from support.mirror import Mirror, SourceTime

    from syncer.simulator import SimulatedSource

MODELS = 12
_PATH = "/v1/models/"


def source_with_models(time: SourceTime, count: int = MODELS, **options: Any) -> SimulatedSource:
    """So many custom models, an hour old by now."""
    source = new_source(time, **options)
    add_models(source, count, "m", custom=True, createdAt=time.now, updatedAt=time.now)
    time.advance(3600)
    return source


def retrieved(mirror: Mirror) -> list[str]:
    """Ids asked for one by one so far, in order."""
    paths = [each.path for each in mirror.source.requests]
    return [path.removeprefix(_PATH) for path in paths if path.startswith(_PATH)]

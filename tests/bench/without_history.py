"""
``syncer`` as it would be without change records: what they cost is told by the same run.

Owns that one difference. Only the benchmark starts this; no such switch is in the product.
Kind: edge (patches our own module).
"""

from __future__ import annotations

from typing import Any

from syncer.__main__ import main
from syncer.store import pages


async def write_nothing(*_arguments: Any) -> None:
    """In place of ``insert_changes``."""


if __name__ == "__main__":
    pages.insert_changes = write_nothing
    main()

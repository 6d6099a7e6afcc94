"""
The soak run of syncer: ``uv run python tests/soak/run.py --help``.

Kind: conductor.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

if __name__ == "__main__":
    # This directory is found as the package "soak", as the tests find it.
    sys.path[0] = str(Path(__file__).parents[1])
    runpy.run_module("soak.cli", run_name="__main__")

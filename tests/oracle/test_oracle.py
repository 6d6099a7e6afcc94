"""
The oracle: whatever source, faults, crashes and rivals do, the mirror equals the source in the end.

The real engine on a real database before a simulated source over HTTP; see ``support.oracle``.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import settings
from support.oracle import Profile, quick, run_oracle

EXAMPLES = int(os.environ.get("ORACLE_EXAMPLES", "3000"))


@pytest.mark.timeout(900)
def test_p1_to_p4_and_p9_hold_after_every_step_and_in_the_end(migrated_database_url: str) -> None:
    run_oracle(migrated_database_url)


@pytest.mark.long
@pytest.mark.timeout(0)
def test_p1_to_p4_and_p9_hold_at_length(migrated_database_url: str) -> None:
    run_oracle(
        migrated_database_url,
        Profile(),
        settings(quick, derandomize=False, max_examples=EXAMPLES, stateful_step_count=20),
    )

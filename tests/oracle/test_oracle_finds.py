"""
The oracle can fail: under each planted bug it says so, in the words of the promise that is broken.
"""

from __future__ import annotations

import re

import pytest
from hypothesis import settings
from support import planted
from support.oracle import run_oracle, unshrunk
from support.oracle_planted import FOUND, FOUND_BY_SWEEPS, Aim

EXAMPLES = 100
"""Each is found in the first dozen; a change of the machine may cost some."""

SLOW = pytest.mark.long
SLOWLY = (planted.arrival_order,)
aims = FOUND + FOUND_BY_SWEEPS


def verdict_of(url: str, aim: Aim) -> str:
    """What the oracle says; a matter of timing fails in another way when it is played again."""
    said = ""
    try:
        run_oracle(url, aim.profile, settings(unshrunk, max_examples=EXAMPLES))
    except* AssertionError as failures:
        said = repr(failures)
    return said


@pytest.mark.parametrize(
    "aim",
    # A matter of timing, which may take a hundred examples.
    [pytest.param(aim, marks=SLOW if aim.bug in SLOWLY else ()) for aim in aims],
    ids=lambda aim: aim.bug.__name__,
)
def test_the_oracle_finds_a_planted_bug(
    migrated_database_url: str, monkeypatch: pytest.MonkeyPatch, aim: Aim
) -> None:
    aim.bug(monkeypatch)

    assert re.search(aim.verdict, verdict_of(migrated_database_url, aim))


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("aim", aims, ids=lambda aim: aim.bug.__name__)
def test_the_oracle_finds_nothing_where_nothing_is_planted(
    migrated_database_url: str, aim: Aim
) -> None:
    assert "" == verdict_of(migrated_database_url, aim)

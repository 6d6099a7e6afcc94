"""An outage of the database: told when it begins, and once when it is over."""

from __future__ import annotations

import structlog
from support.virtual_clock import VirtualClock

from syncer.errors import StoreUnavailable
from syncer.outage import Outage


async def test_the_end_is_told_once_with_how_long_it_was() -> None:
    clock = VirtualClock()
    outage = Outage(clock)
    with structlog.testing.capture_logs() as told:
        outage.end()
        outage.note(StoreUnavailable("it is away"), attempt=1)
        await clock.advance(12.5)
        outage.begin()
        outage.end()
        outage.end()

    assert [line["event"] for line in told] == ["database_unavailable", "database_recovered"]
    assert told[0]["attempt"] == 1
    assert told[1]["outage_s"] == 12.5


async def test_one_that_was_told_elsewhere_has_an_end_as_well() -> None:
    outage = Outage(VirtualClock())
    with structlog.testing.capture_logs() as told:
        outage.begin()
        outage.end()

    assert [line["event"] for line in told] == ["database_recovered"]

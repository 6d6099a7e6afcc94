"""What counts as movement, what excuses a standstill, and what makes the daemon unready."""

from __future__ import annotations

from typing import Any

import pytest

from syncer.web.health import (
    Duty,
    Vitals,
    health_document,
    lateness,
    unready_reasons,
)

LIMIT_S = 10.0


class Watch:
    """Vital signs and a clock that a test moves."""

    def __init__(self) -> None:
        self.vitals = Vitals(LIMIT_S)
        self.now = 100.0

    def start(self, kind: str = "delta", catalog: str = "public") -> None:
        self.vitals.start(catalog, kind, self.now)

    def move(self, catalog: str = "public", *, of_sweep: bool = False) -> None:
        self.vitals.move(catalog, self.now, of_sweep=of_sweep)

    def finish(
        self, kind: str = "delta", catalog: str = "public", *, unanswered: bool = False
    ) -> None:
        self.vitals.finish(catalog, kind, self.now, unanswered=unanswered)

    def wait(self, seconds: float, *, budget: bool = False, database: bool = False) -> bool:
        self.now += seconds
        return self.vitals.tick(seconds, is_budget_short=budget, is_database_away=database)

    @property
    def stalled(self) -> list[tuple[str, str]]:
        return [(stall.catalog, stall.kind) for stall in self.vitals.stalls]


@pytest.fixture(name="watch")
def watch_fixture() -> Watch:
    return Watch()


def test_a_crawl_without_a_page_for_so_long_is_stalled_since_its_last_movement(
    watch: Watch,
) -> None:
    watch.start()
    watch.wait(4)
    watch.move()
    watch.wait(9.9)

    assert [] == watch.stalled
    watch.wait(0.1)
    (stall,) = watch.vitals.stalls
    assert ("public", "delta", 104.0, pytest.approx(10.0)) == (
        stall.catalog,
        stall.kind,
        stall.since,
        stall.still_s,
    )


def test_it_is_said_once_for_each_stall(watch: Watch) -> None:
    watch.start()

    assert [False, True, False] == [watch.wait(9), watch.wait(2), watch.wait(20)]
    watch.move()
    assert [] == watch.stalled
    assert [False, True] == [watch.wait(9), watch.wait(2)]


def test_resting_between_two_polls_is_no_standstill(watch: Watch) -> None:
    for _ in range(3):
        watch.start()
        watch.wait(3)
        watch.finish()
        watch.wait(3600)

    assert [] == watch.stalled


def test_cycles_that_fail_without_an_answer_stand_still_together(watch: Watch) -> None:
    for _ in range(2):
        watch.start()
        watch.wait(4)
        watch.finish(unanswered=True)
        watch.wait(3600)
    watch.start()

    assert [] == watch.stalled
    watch.wait(2)
    assert [("public", "delta")] == watch.stalled
    watch.finish(unanswered=True)
    assert [("public", "delta")] == watch.stalled


@pytest.mark.parametrize("other", ["delta", "sweep"])
def test_whatever_moves_ends_the_standstill_of_cycles_that_have_ended(
    watch: Watch, other: str
) -> None:
    watch.start("sweep")
    watch.wait(11)
    watch.finish("sweep", unanswered=True)

    assert [("public", "sweep")] == watch.stalled
    watch.start(other)
    watch.finish(other)
    assert [] == watch.stalled


def test_an_answer_that_refuses_is_an_end(watch: Watch) -> None:
    for _ in range(20):
        watch.start()
        watch.wait(4)
        watch.finish(unanswered=False)

    assert [] == watch.stalled


def test_waiting_for_the_budget_is_excused_but_not_for_an_answer(watch: Watch) -> None:
    watch.start()
    watch.wait(100, budget=True)

    assert [] == watch.stalled
    watch.vitals.ask("public")
    watch.wait(9, budget=True)
    watch.vitals.hear("public")
    watch.wait(100, budget=True)
    assert [] == watch.stalled
    watch.vitals.ask("public")
    watch.wait(1, budget=True)
    assert [("public", "delta")] == watch.stalled


def test_one_catalog_that_asks_does_not_blame_another_that_waits(watch: Watch) -> None:
    watch.start(catalog="asks")
    watch.start(catalog="waits")
    watch.vitals.ask("asks")
    watch.wait(11, budget=True)

    assert [("asks", "delta")] == watch.stalled


def test_waiting_for_the_database_is_excused_until_it_takes_something(watch: Watch) -> None:
    watch.start()
    watch.wait(100, database=True)
    watch.vitals.await_database("public")
    watch.wait(100)

    assert [] == watch.stalled
    watch.move()
    watch.wait(10)
    assert [("public", "delta")] == watch.stalled


def test_the_end_of_a_cycle_ends_its_waiting_for_the_database(watch: Watch) -> None:
    watch.start()
    watch.vitals.await_database("public")
    watch.finish()
    watch.start()
    watch.wait(10)

    assert [("public", "delta")] == watch.stalled


def test_polls_do_not_hide_a_sweep_that_stands_still(watch: Watch) -> None:
    watch.start("sweep")
    for _ in range(5):
        watch.start("delta")
        watch.move()
        watch.wait(2)
        watch.finish("delta")

    assert [("public", "sweep")] == watch.stalled


def test_a_poll_may_wait_for_a_sweep_that_moves(watch: Watch) -> None:
    """Polls wait while a sweep confirms what is gone, however many requests that takes."""
    watch.start("sweep")
    watch.start("delta")
    for _ in range(5):
        watch.wait(9)
        watch.move(of_sweep=True)

    assert [] == watch.stalled


@pytest.mark.parametrize("catalog", ["public", None])
def test_standing_by_is_no_standstill(watch: Watch, catalog: str | None) -> None:
    watch.start()
    watch.wait(11)
    watch.vitals.rest(catalog)
    watch.wait(3600)

    assert [] == watch.stalled


def test_another_catalog_is_not_put_to_rest(watch: Watch) -> None:
    watch.start(catalog="one")
    watch.start(catalog="two")
    watch.vitals.rest("one")
    watch.move("three")
    watch.wait(10)

    assert [("two", "delta")] == watch.stalled


def test_a_cycle_that_nobody_began_may_end(watch: Watch) -> None:
    """A round that ended put everything to rest; what was under way reports afterwards."""
    watch.finish(unanswered=True)
    watch.finish()

    assert [] == watch.stalled


def test_the_health_document_names_what_stalls_and_since_when(watch: Watch) -> None:
    watch.start()
    watch.wait(12.34)

    assert {"healthy": True, "stalled": []} == health_document((), ())
    assert {
        "healthy": False,
        "stalled": [
            {
                "catalog": "public",
                "cycle": "delta",
                "since": "2026-11-01T12:00:00.000Z",
                "still_s": 12.3,
            }
        ],
    } == health_document(watch.vitals.stalls, ["2026-11-01T12:00:00.000Z"])


READY: dict[str, Any] = {"ready": True, "reasons": []}


def test_it_is_ready_when_it_holds_or_stands_by_for_each_lease() -> None:
    assert [] == unready_reasons(READY, {"a": Duty.HOLDER, "b": Duty.STANDBY}, None)


def test_a_lease_that_was_not_asked_for_is_a_reason() -> None:
    (reason,) = unready_reasons(READY, {"a": Duty.HOLDER, "b": Duty.NONE}, None)

    assert "catalog b: the lease" in reason


def test_what_is_wrong_with_the_database_comes_first() -> None:
    stale = {"ready": False, "reasons": ["catalog a: freshness is 900 s, the limit is 300 s"]}

    assert ["database: it is away", *stale["reasons"]] == unready_reasons(  # type: ignore[misc]
        stale, {}, "database: it is away"
    )


def test_before_the_first_look_it_is_not_ready() -> None:
    assert ["the state was not read from the database yet"] == unready_reasons(None, {}, None)
    assert ["database: it is away"] == unready_reasons(None, {}, "database: it is away")


def test_the_lateness_is_the_worst_of_the_window() -> None:
    samples = [(1.0, 9.0), (2.0, 0.5), (3.0, 0.25)]

    assert 0.5 == lateness(samples, since=2.0)
    assert 0.0 == lateness([], since=2.0)

"""The arithmetic of a shared budget (P7): who may hold what, and what a 429 does."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncer.tokens import (
    CLIMB_S,
    CLOCK_MARGIN_S,
    LATE_S,
    Holder,
    Purse,
    Rate,
    Snapshot,
    Terms,
    Throttled,
    Wish,
    settle,
)

TERMS = Terms(90)
ALL = Wish(90, 90)


def holding(name: str, held: int, wanted: int = 0, **more: float | bool | None) -> Holder:
    return Holder(name, held, wanted, 90, **more)  # type: ignore[arg-type]


def shared(
    *holders: Holder, returned_s: tuple[float, ...] = (), rate: Rate | None = None
) -> Snapshot:
    return Snapshot(1, rate or Rate(), returned_s, holders)


class TestRate:
    def test_it_is_halved_once_and_climbs_back_by_equal_steps(self) -> None:
        rate = Throttled(10.0).applied_to(Rate(), 90)

        assert [45, 45, 60, 75, 90, 90] == [
            rate.later(10.0 + after_s).allowed(90)
            for after_s in (-5.0, 0.0, 60.0, 120.0, 180.0, 1e6)
        ]
        assert rate.step_s(90) == 10.0 + CLIMB_S / 90
        assert rate.later(1000.0).step_s(90) == math.inf

    def test_it_is_never_below_one(self) -> None:
        rate = Rate()
        for _ in range(5):
            rate = Throttled(1.0).applied_to(rate, 6).later(1.0)

        assert 1.0 == rate.allowed(6)

    def test_what_was_sent_before_a_pause_was_over_only_lengthens_it(self) -> None:
        rate = Throttled(10.0).applied_to(Rate(), 90).later(15.0)
        late = Throttled(20.0, sent_ago_s=5.1).applied_to(rate, 90)
        new = Throttled(20.0, sent_ago_s=5.0).applied_to(rate, 90)

        assert (20.0, 20.0) == (late.resume_s, new.resume_s)
        assert late.allowed(90) == rate.allowed(90)
        assert new.allowed(90) == rate.allowed(90) / 2

    @pytest.mark.parametrize(("hint_s", "pause_s"), [(0.0, 30.0), (29.0, 30.0), (31.0, 31.0)])
    def test_a_shorter_hint_never_shortens_a_pause(self, hint_s: float, pause_s: float) -> None:
        rate = Throttled(30.0).applied_to(Rate(), 90)

        assert pause_s == Throttled(hint_s, sent_ago_s=1.0).applied_to(rate, 90).resume_s

    def test_retry_after_zero_still_pauses(self) -> None:
        assert 1.0 == Throttled(0.0).applied_to(Rate(), 90).resume_s

    def test_without_a_hint_pauses_double_up_to_a_minute_until_a_success(self) -> None:
        rate, pauses = Rate(), []
        for _ in range(8):
            rate = Throttled(None).applied_to(rate, 90)
            pauses.append(rate.resume_s)
            rate = rate.later(1000.0)
        after = Throttled(None, succeeded_ago_s=10.0).applied_to(rate, 90)

        assert [1, 2, 4, 8, 16, 32, 60, 60] == pauses
        assert 1.0 == after.resume_s


class TestSettle:
    def test_the_first_gets_what_it_asks_for(self) -> None:
        done = settle(Snapshot(), "a", TERMS, Wish(4, 90))

        assert (90, 4) == (done.target, done.grant)

    def test_what_is_held_or_not_yet_ripe_is_not_granted_again(self) -> None:
        state = shared(holding("b", 50), returned_s=(7.0, 3.0))

        done = settle(state, "a", TERMS, ALL)

        assert 90 - 50 - 2 == done.grant
        assert 3.0 == done.next_s

    def test_whoever_holds_more_than_its_share_learns_so_only_when_others_want(self) -> None:
        alone = settle(shared(holding("a", 90), holding("b", 0)), "a", TERMS, Wish())
        asked = settle(shared(holding("a", 90, 5), holding("b", 0, 90)), "a", TERMS, Wish(0, 5))

        assert (90, 45) == (alone.target, asked.target)

    def test_one_that_needs_little_leaves_the_rest_to_the_others(self) -> None:
        state = shared(holding("a", 0, 90), holding("b", 2), holding("c", 0, 90))

        assert 44 == settle(state, "a", TERMS, ALL).target

    @pytest.mark.parametrize("served_first", ["a", "b", "c"])
    def test_with_fewer_tokens_than_holders_each_has_its_turn(self, served_first: str) -> None:
        """Whoever has one loses it to the longest waiting, the longest holder first."""
        terms, waited_s = Terms(1), {"a": 30.0, "b": 20.0, "c": 10.0}
        holders = [
            Holder(name, int(name == served_first), int(name != served_first), 1, waited_s[name])
            for name in "abc"
        ]
        state = Snapshot(1, holders=tuple(holders))
        targets = {
            name: settle(state, name, terms, Wish(0, holder.wanted)).target
            for name, holder in zip("abc", holders, strict=True)
        }

        next_one = min(set("abc") - {served_first})
        assert {name: int(name == next_one) for name in "abc"} == targets

    def test_the_one_that_held_longest_gives_up_its_turn(self) -> None:
        state = Snapshot(
            1,
            holders=(Holder("a", 1, 1, 2, 90.0), Holder("b", 1, 1, 2, 30.0), Holder("c", 0, 2, 2)),
        )
        terms = Terms(2)

        assert [0, 1, 1] == [settle(state, name, terms, Wish(0, 1)).target for name in "abc"]

    def test_an_idle_holder_gives_up_its_turn_before_a_busy_one(self) -> None:
        state = Snapshot(1, holders=(Holder("a", 1, 0, 1), Holder("b", 0, 1, 1, 5.0)))

        assert 0 == settle(state, "a", Terms(1), Wish()).target

    def test_what_the_dead_hold_is_nobodys_until_they_are_buried(self) -> None:
        found = settle(shared(holding("b", 60, is_alive=False)), "a", TERMS, ALL)
        waiting = settle(shared(holding("b", 60, dead_s=TERMS.burial_s - 0.1)), "a", TERMS, ALL)
        over = settle(shared(holding("b", 60, dead_s=TERMS.burial_s)), "a", TERMS, ALL)

        assert (30, ("b",), ()) == (found.grant, found.dead, found.buried)
        assert (30, (), ()) == (waiting.grant, waiting.dead, waiting.buried)
        assert (90, (), ("b",)) == (over.grant, over.dead, over.buried)

    def test_the_wishes_of_the_dead_do_not_count(self) -> None:
        state = shared(holding("a", 0), holding("b", 0, 90, is_alive=False))

        assert 90 == settle(state, "a", TERMS, ALL).target

    def test_one_that_comes_back_is_not_dead_to_itself(self) -> None:
        state = shared(holding("a", 30, dead_s=1000.0))

        done = settle(state, "a", TERMS, ALL)

        assert (60, ()) == (done.grant, done.buried)

    def test_the_smallest_limit_of_the_living_counts_for_all(self) -> None:
        poor = Holder("b", 0, 0, 10)

        assert 10 == settle(shared(poor), "a", TERMS, ALL).grant
        assert 90 == settle(shared(Holder("b", 0, 0, 10, is_alive=False)), "a", TERMS, ALL).limit

    def test_a_reduced_rate_is_shared_and_the_rest_given_back(self) -> None:
        state = shared(holding("a", 45, 1), holding("b", 45, 1), rate=Rate(0.0, 45.0, 1))

        assert 22 <= settle(state, "a", TERMS, Wish(0, 1)).target <= 23
        assert 0 == settle(state, "a", TERMS, ALL).grant

    @given(
        limit=st.integers(1, 100),
        holders=st.lists(
            st.tuples(st.integers(0, 40), st.integers(0, 100), st.floats(0, 99)), max_size=6
        ),
    )
    def test_shares_are_never_more_than_there_is_and_nothing_needed_lies_idle(
        self, limit: int, holders: list[tuple[int, int, float]]
    ) -> None:
        known = tuple(
            Holder(str(n), held, wanted, limit, waited_s)
            for n, (held, wanted, waited_s) in enumerate(holders)
        )
        state, terms = Snapshot(1, holders=known), Terms(limit)
        targets = [settle(state, each.name, terms, Wish(0, each.wanted)).target for each in known]

        needed = sum(each.held + each.wanted for each in known)
        assert min(limit, needed) == sum(targets)
        assert all(t <= each.held + each.wanted for t, each in zip(targets, known, strict=True))


class TestPurse:
    def test_a_token_is_ripe_a_window_after_its_answer(self) -> None:
        purse = Purse(TERMS, held=1)
        purse.spend()
        under_way = purse.ripens_s(5.0)
        purse.cool(5.0, is_answered=True)

        assert math.inf == under_way
        assert purse.ripens_s(5.0) == pytest.approx(60.0 + CLOCK_MARGIN_S)
        assert (0, 1) == (purse.ripe(65.0), purse.weighing(65.0))
        assert (1, 0, 0.0) == (purse.ripe(65.2), purse.weighing(65.2), purse.ripens_s(65.2))

    def test_a_request_without_an_answer_may_still_arrive(self) -> None:
        purse = Purse(TERMS, held=1)
        purse.spend()
        purse.cool(0.0, is_answered=False)

        assert purse.ripens_s(0.0) == pytest.approx(60.0 + CLOCK_MARGIN_S + LATE_S)

    def cooling(self) -> Purse:
        """Five tokens: one under way, one ripe, three cooling from 1, 2 and 3 s on."""
        purse = Purse(TERMS, held=5)
        for at in (3.0, 1.0, 2.0):
            purse.spend()
            purse.cool(at, is_answered=True)
        purse.spend()
        return purse

    def test_the_ripest_are_given_back_to_others_that_want_them(self) -> None:
        purse = self.cooling()

        assert purse.offer(2, 10.0, ripest_first=True) == pytest.approx([51.1])
        assert (3, 0) == (purse.held, purse.ripe(10.0))

    def test_those_of_most_use_are_kept_when_nobody_waits(self) -> None:
        purse = self.cooling()

        assert purse.offer(3, 10.0, ripest_first=False) == pytest.approx([51.1, 52.1, 53.1])
        assert (2, 1) == (purse.held, purse.ripe(10.0))

    def test_what_is_under_way_is_not_given_back(self) -> None:
        purse = self.cooling()
        purse.offer(9, 10.0, ripest_first=True)
        purse.confirm()

        assert (1, 0) == (purse.held, purse.returnable())

    def test_an_offer_that_was_not_taken_is_ours_as_before(self) -> None:
        purse = self.cooling()
        purse.offer(3, 10.0, ripest_first=True)
        purse.withdraw()

        assert (5, 1, 4) == (purse.held, purse.ripe(10.0), purse.weighing(10.0))
        assert purse.ripe(61.5) == 2

    def test_after_an_unknown_outcome_the_slowest_are_taken_for_ours(self) -> None:
        purse = self.cooling()
        purse.adopt(2)

        assert purse.ripens_s(10.0) == pytest.approx(53.1)

    def test_what_was_granted_unnoticed_is_ripe(self) -> None:
        purse = self.cooling()
        purse.adopt(9)

        assert (9, 5) == (purse.held, purse.ripe(10.0))

    def test_with_less_than_is_under_way_nothing_is_ripe(self) -> None:
        purse = self.cooling()
        purse.adopt(0)

        assert (-1, math.inf) == (purse.ripe(100.0), purse.ripens_s(100.0))

    def test_at_the_end_everything_is_left_with_its_time(self) -> None:
        purse = self.cooling()

        assert purse.empty(10.0) == pytest.approx([51.1, 52.1, 53.1, 61.1])
        assert 0 == purse.held


def test_nothing_is_no_budget() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Terms(0)

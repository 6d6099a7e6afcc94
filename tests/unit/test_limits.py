"""The budget never overspends, one 429 pauses everybody, and better lanes go first (P7)."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.virtual_clock import VirtualClock

from syncer.api.limits import CLIMB_PER_SUCCESS, Budget, Limiter
from syncer.domain import Lane

limits = st.integers(1, 120)


def most_in_a_minute(sent_at: list[float]) -> int:
    """The fullest 60 s window, both ends included."""
    return max((sum(start <= at <= start + 60.0 for at in sent_at) for start in sent_at), default=0)


def send_all(budget: Budget, arrivals: list[float]) -> list[float]:
    """Send each request as early as its arrival, its predecessors and the budget allow."""
    now, sent_at = 0.0, []
    for arrival in arrivals:
        now = max(now, arrival)
        while delay_s := budget.delay_s(now):
            now += delay_s
        budget.spend(now)
        sent_at.append(now)
    return sent_at


class TestBudget:
    @given(limit=limits, gaps=st.lists(st.floats(0, 90), max_size=300))
    def test_no_minute_ever_holds_more_than_the_limit(self, limit: int, gaps: list[float]) -> None:
        arrivals = [sum(gaps[: i + 1]) for i in range(len(gaps))]

        sent_at = send_all(Budget(limit), arrivals)

        assert most_in_a_minute(sent_at) <= limit

    @given(limit=limits, jitter=st.lists(st.floats(0, 0.99), min_size=300, max_size=300))
    def test_a_second_of_jitter_on_the_way_does_not_overfill_a_minute_at_the_source(
        self, limit: int, jitter: list[float]
    ) -> None:
        sent_at = send_all(Budget(limit), [0.0] * len(jitter))

        arrived_at = [at + late for at, late in zip(sent_at, jitter, strict=True)]
        assert most_in_a_minute(arrived_at) <= limit

    @given(limit=limits)
    def test_a_saturated_budget_is_used_to_97_percent(self, limit: int) -> None:
        sent_at = send_all(Budget(limit), [0.0] * (limit * 20))

        last = sent_at[-1]
        due = limit * last / 60.0
        assert sum(at < last for at in sent_at) >= 0.97 * due

    def test_the_first_minute_may_be_spent_at_once(self) -> None:
        assert send_all(Budget(5), [0.0] * 5) == [0.0] * 5

    def test_used_counts_what_still_weighs_on_the_running_minute(self) -> None:
        budget = Budget(5)
        budget.spend(0.0)
        budget.spend(30.0)

        assert budget.used(30.0) == 2
        assert budget.used(61.0) == 1
        assert budget.used(92.0) == 0

    def test_a_throttle_halves_the_allowance_and_pauses(self) -> None:
        budget = Budget(90)
        budget.throttle(0.0, 20.0)

        assert budget.allowance == 45
        assert budget.delay_s(0.0) == 20.0
        assert budget.pause_s(15.0) == 5.0

    def test_the_halved_allowance_holds_for_the_minute_already_running(self) -> None:
        budget = Budget(4)
        for at in (0.0, 1.0, 2.0, 3.0):
            budget.spend(at)
        budget.throttle(4.0, 1.0)

        # Two of the four must have left the window before the next one fits into two a minute.
        assert budget.delay_s(4.0) == pytest.approx(2.0 + 61.0 - 4.0)

    def test_answers_to_requests_already_in_flight_do_not_halve_again(self) -> None:
        budget = Budget(80)
        for at in (0.0, 0.5, 1.0, 1.5):
            budget.throttle(at, 20.0)

        assert budget.allowance == 40
        assert budget.pause_s(1.5) == 20.0

    def test_a_new_storm_halves_again_but_never_below_one(self) -> None:
        budget = Budget(6)
        allowances = []
        for storm in range(5):
            budget.throttle(storm * 100.0, 10.0)
            allowances.append(budget.allowance)

        assert allowances == [3, 1, 1, 1, 1]

    def test_a_shorter_hint_never_shortens_a_pause(self) -> None:
        budget = Budget(10)
        budget.throttle(0.0, 60.0)
        budget.throttle(1.0, 2.0)

        assert budget.pause_s(1.0) == 59.0

    def test_the_allowance_climbs_back_by_equal_steps_and_stops_at_the_maximum(self) -> None:
        budget = Budget(40)
        budget.throttle(0.0, 1.0)
        steps_to_full = round(20 / CLIMB_PER_SUCCESS)

        seen = [budget.allowance]
        for _ in range(steps_to_full + 100):
            budget.succeed()
            seen.append(budget.allowance)

        assert seen[0] == 20
        assert seen[steps_to_full - 1] == 39
        assert seen[steps_to_full] == 40
        assert max(seen) == 40
        assert all(later - earlier in (0, 1) for earlier, later in pairwise(seen))

    def test_without_a_hint_the_pause_doubles_from_storm_to_storm_up_to_a_minute(self) -> None:
        budget = Budget(10)
        pauses = []
        for storm in range(8):
            at = storm * 1000.0
            budget.throttle(at, None)
            pauses.append(budget.pause_s(at))

        assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]

    def test_a_success_ends_the_doubling(self) -> None:
        budget = Budget(10)
        budget.throttle(0.0, None)
        budget.throttle(100.0, None)
        budget.succeed()
        budget.throttle(200.0, None)

        assert budget.pause_s(200.0) == 1.0

    def test_retry_after_zero_still_pauses_so_that_a_429_cannot_spin(self) -> None:
        budget = Budget(10)
        budget.throttle(0.0, 0.0)

        assert budget.delay_s(0.0) == 1.0

    def test_overlapping_pauses_count_once(self) -> None:
        budget = Budget(10)
        budget.throttle(0.0, 10.0)
        budget.throttle(5.0, 10.0)
        budget.throttle(100.0, 3.0)

        assert budget.throttled_s == 18.0

    def test_a_rounding_rest_is_no_wait(self) -> None:
        budget = Budget(1)
        budget.spend(0.1)

        assert budget.delay_s(0.1 + 61.0 - 1e-9) == 0.0

    @pytest.mark.parametrize("limit", [0, -1])
    def test_a_budget_of_nothing_is_refused(self, limit: int) -> None:
        with pytest.raises(ValueError, match="at least 1"):
            Budget(limit)


@pytest.fixture(name="clock")
def clock_fixture() -> VirtualClock:
    return VirtualClock()


class Sender:
    """Sends requests of one duration through a limiter and writes down when."""

    def __init__(self, limiter: Limiter, clock: VirtualClock, *, takes_s: float = 0.0) -> None:
        self.limiter = limiter
        self.clock = clock
        self.takes_s = takes_s
        self.sent: list[tuple[str, float]] = []
        self.active = 0
        self.most_active = 0

    async def send(self, name: str, lane: Lane = Lane.POLL) -> None:
        async with self.limiter.slot(lane):
            self.sent.append((name, self.clock.elapsed_s))
            self.active += 1
            self.most_active = max(self.most_active, self.active)
            try:
                if self.takes_s:
                    await self.clock.sleep(self.takes_s)
            finally:
                self.active -= 1

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.sent]

    @property
    def times(self) -> list[float]:
        return [at for _, at in self.sent]


def make_sender(
    clock: VirtualClock, *, per_minute: int = 1000, at_once: int = 8, takes_s: float = 0.0
) -> Sender:
    limiter = Limiter(max_requests_per_minute=per_minute, max_concurrency=at_once, clock=clock)
    return Sender(limiter, clock, takes_s=takes_s)


class TestLimiter:
    async def test_a_free_slot_is_given_at_once(self, clock: VirtualClock) -> None:
        sender = make_sender(clock)
        await sender.send("a")

        assert sender.times == [0.0]
        assert sender.limiter.requests_in_window == 1

    async def test_no_more_requests_than_the_cap_are_under_way(self, clock: VirtualClock) -> None:
        sender = make_sender(clock, at_once=3, takes_s=1.0)

        async def work() -> None:
            async with asyncio.TaskGroup() as group:
                for i in range(10):
                    group.create_task(sender.send(str(i)))

        await clock.run(work())

        assert sender.most_active == 3
        assert sender.times == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3]

    async def test_within_a_lane_the_first_to_come_goes_first(self, clock: VirtualClock) -> None:
        sender = make_sender(clock, per_minute=1)

        async def work() -> None:
            async with asyncio.TaskGroup() as group:
                for name in "abcd":
                    group.create_task(sender.send(name, Lane.SWEEP))

        await clock.run(work())

        assert sender.names == ["a", "b", "c", "d"]
        assert sender.times == [0.0, 61.0, 122.0, 183.0]

    async def test_polls_go_before_feed_sweep_verify_and_backfill(
        self, clock: VirtualClock
    ) -> None:
        sender = make_sender(clock, at_once=1, takes_s=1.0)

        async def work() -> None:
            async with asyncio.TaskGroup() as group:
                group.create_task(sender.send("first", Lane.BACKFILL))
                for lane in sorted(Lane, reverse=True):
                    group.create_task(sender.send(lane.name, lane))

        await clock.run(work())

        assert sender.names == [
            "first",
            "POLL",
            "DELETED_FEED",
            "SWEEP",
            "VERIFY",
            "BACKFILL",
        ]

    async def test_a_better_lane_that_arrives_while_a_worse_one_sleeps_goes_first(
        self, clock: VirtualClock
    ) -> None:
        sender = make_sender(clock, per_minute=1)
        await sender.send("spent")

        async with asyncio.TaskGroup() as group:
            group.create_task(sender.send("backfill", Lane.BACKFILL))
            await clock.advance(30.0)
            group.create_task(sender.send("poll", Lane.POLL))
            await clock.advance(31.0)

            assert sender.sent == [("spent", 0.0), ("poll", 61.0)]
            await clock.advance(61.0)

        assert sender.sent[-1] == ("backfill", 122.0)

    async def test_a_cancelled_waiter_spends_nothing_and_the_next_one_goes(
        self, clock: VirtualClock
    ) -> None:
        sender = make_sender(clock, at_once=1, takes_s=10.0)

        async with asyncio.TaskGroup() as group:
            group.create_task(sender.send("holder"))
            await clock.settle()
            waiter = group.create_task(sender.send("cancelled", Lane.POLL))
            group.create_task(sender.send("next", Lane.SWEEP))
            await clock.settle()
            waiter.cancel()
            await clock.advance(25.0)

        assert sender.sent == [("holder", 0.0), ("next", 10.0)]
        assert sender.limiter.requests_in_window == 2

    async def test_a_cancelled_sleeper_hands_the_watch_over(self, clock: VirtualClock) -> None:
        sender = make_sender(clock, per_minute=1)
        await sender.send("spent")

        async with asyncio.TaskGroup() as group:
            sleeper = group.create_task(sender.send("sleeper", Lane.BACKFILL))
            await clock.advance(10.0)
            group.create_task(sender.send("poll", Lane.POLL))
            await clock.settle()
            sleeper.cancel()
            await clock.advance(61.0)

        assert sender.sent == [("spent", 0.0), ("poll", 61.0)]

    async def test_a_waiter_cancelled_in_the_moment_it_is_woken_passes_the_turn_on(
        self, clock: VirtualClock
    ) -> None:
        sender = make_sender(clock, at_once=1)

        async with asyncio.TaskGroup() as group:
            async with sender.limiter.slot(Lane.POLL):
                unlucky = group.create_task(sender.send("unlucky"))
                group.create_task(sender.send("next"))
                await clock.settle()
            # The slot was released just now: the waiter is woken, but has not run.
            unlucky.cancel()
            await clock.settle()

        assert sender.names == ["next"]

    async def test_a_request_that_fails_gives_its_place_back_but_not_its_budget(
        self, clock: VirtualClock
    ) -> None:
        sender = make_sender(clock, at_once=1)
        with pytest.raises(RuntimeError, match="wire"):
            async with sender.limiter.slot(Lane.POLL):
                raise RuntimeError("wire")
        await sender.send("after")

        assert sender.names == ["after"]
        assert sender.limiter.requests_in_window == 2

    async def test_one_pause_holds_everybody(self, clock: VirtualClock) -> None:
        sender = make_sender(clock)
        sender.limiter.pause(20.0)

        async with asyncio.TaskGroup() as group:
            for lane in Lane:
                group.create_task(sender.send(lane.name, lane))
            await clock.advance(19.9)
            assert sender.sent == []
            assert sender.limiter.pause_s == pytest.approx(0.1)
            await clock.advance(0.2)

        assert sender.times == [20.0] * len(Lane)
        assert sender.limiter.throttled_s == 20.0

    async def test_a_pause_that_begins_during_a_sleep_lengthens_it(
        self, clock: VirtualClock
    ) -> None:
        sender = make_sender(clock, per_minute=2)
        await sender.send("spent")
        await sender.send("spent")

        async with asyncio.TaskGroup() as group:
            group.create_task(sender.send("waits"))
            await clock.advance(60.0)
            sender.limiter.pause(100.0)
            await clock.advance(99.0)
            assert sender.names == ["spent", "spent"]
            await clock.advance(1.0)

        assert sender.sent[-1] == ("waits", 160.0)

    async def test_success_wins_the_allowance_back(self, clock: VirtualClock) -> None:
        sender = make_sender(clock, per_minute=40)
        sender.limiter.pause(1.0)
        halved = sender.limiter.allowance
        for _ in range(80):
            sender.limiter.succeed()

        assert (halved, sender.limiter.allowance) == (20, 40)

    @pytest.mark.parametrize("at_once", [0, -1])
    def test_a_concurrency_of_nothing_is_refused(self, clock: VirtualClock, at_once: int) -> None:
        with pytest.raises(ValueError, match="at least 1"):
            make_sender(clock, at_once=at_once)

    @settings(max_examples=40, deadline=None)
    @given(
        seed=st.integers(0, 2**32),
        per_minute=st.integers(1, 30),
        at_once=st.integers(1, 5),
        workers=st.integers(1, 8),
    )
    def test_any_crowd_keeps_to_budget_and_cap_and_everybody_gets_a_turn(
        self, seed: int, per_minute: int, at_once: int, workers: int
    ) -> None:
        """Random arrivals, lanes, durations, pauses and cancellations."""
        asyncio.run(crowd(random.Random(seed), per_minute, at_once, workers))  # noqa: S311 - a seed


async def crowd(rng: random.Random, per_minute: int, at_once: int, workers: int) -> None:
    clock = VirtualClock()
    sender = make_sender(clock, per_minute=per_minute, at_once=at_once)
    turns, cancelled = 6, 0

    async def worker(name: str) -> None:
        nonlocal cancelled
        for _ in range(turns):
            await clock.sleep(rng.uniform(0, 20))
            sender.takes_s = rng.uniform(0, 3)
            if rng.random() < 0.1:
                sender.limiter.pause(rng.uniform(0, 30))
            task = group.create_task(sender.send(name, rng.choice(list(Lane))))
            if rng.random() < 0.2:
                await clock.sleep(rng.uniform(0, 10))
                task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            cancelled += task.cancelled()

    async def work() -> None:
        async with asyncio.TaskGroup() as crew:
            for i in range(workers):
                crew.create_task(worker(str(i)))

    async with asyncio.TaskGroup() as group:
        await clock.run(work())

    assert most_in_a_minute(sender.times) <= per_minute
    assert sender.most_active <= at_once
    assert len(sender.sent) >= workers * turns - cancelled
    assert sender.limiter._line == []
    assert sender.limiter._active == 0

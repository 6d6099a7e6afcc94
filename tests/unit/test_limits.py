"""One process alone: order, cap, budget, pause (P7); several: test_budget_properties.py."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.virtual_clock import VirtualClock

from syncer.api.limits import Limiter, Terms
from syncer.domain import Lane

MINUTE_S = 60.1
"""From an answer until its place in the budget is free again."""


def most_in_a_minute(sent_at: list[float]) -> int:
    """The fullest 60 s window, both ends included."""
    return max((sum(start <= at <= start + 60.0 for at in sent_at) for start in sent_at), default=0)


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
        async with self.limiter.slot(lane) as passage:
            self.sent.append((name, self.clock.elapsed_s))
            self.active += 1
            self.most_active = max(self.most_active, self.active)
            try:
                if self.takes_s:
                    await self.clock.sleep(self.takes_s)
                passage.answered()
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
        assert sender.times == pytest.approx([0.0, 60.1, 120.2, 180.3])

    async def test_a_backfill_leaves_what_the_polls_of_the_next_minute_need(
        self, clock: VirtualClock
    ) -> None:
        """A change is mirrored in time while another catalog is filled within the same budget."""
        limiter = Limiter(max_requests_per_minute=10, max_concurrency=8, clock=clock, reserve=2)
        sender = Sender(limiter, clock, takes_s=0.1)

        async def poll_later() -> None:
            for at_s in (20.0, 30.0, 40.0):
                await clock.sleep(at_s - clock.elapsed_s)
                await sender.send(f"poll at {at_s:.0f}")

        async def work() -> None:
            async with asyncio.TaskGroup() as group:
                for number in range(40):
                    group.create_task(sender.send(str(number), Lane.BACKFILL))
                group.create_task(poll_later())

        await clock.run(work())

        polls = {name: at for name, at in sender.sent if name.startswith("poll")}
        assert pytest.approx(20.0) == polls["poll at 20"]
        assert pytest.approx(30.0) == polls["poll at 30"]
        # More polls than it was told of wait for their turn, ahead of the others.
        assert pytest.approx(60.2, abs=0.3) == polls["poll at 40"]
        assert 10 == most_in_a_minute(sender.times)

    async def test_nobody_waits_for_the_details_of_thousands_of_models(
        self, clock: VirtualClock
    ) -> None:
        """Polls and a small sweep go at once: the details leave them a part of each minute."""
        limiter = Limiter(max_requests_per_minute=60, max_concurrency=8, clock=clock, reserve=2)
        sender = Sender(limiter, clock, takes_s=0.1)
        asked = [30.0, 70.0, 110.0, 150.0]

        async def fetch_details() -> None:
            for number in range(50):
                await sender.send(f"detail {number}", Lane.DETAIL)

        async def ask_more() -> None:
            for at_s in asked:
                await clock.sleep(at_s - clock.elapsed_s)
                await sender.send(f"poll at {at_s:.0f}", Lane.POLL)
                await sender.send(f"sweep at {at_s:.0f}", Lane.SWEEP)

        async def work() -> None:
            async with asyncio.TaskGroup() as group:
                for _ in range(4):
                    group.create_task(fetch_details())
                group.create_task(ask_more())

        await clock.run(work())

        for name, at_s in sender.sent:
            what, _, asked_at = name.partition(" at ")
            if what in {"poll", "sweep"}:
                assert float(asked_at) == pytest.approx(at_s, abs=0.2)
        assert most_in_a_minute(sender.times) <= 60

    async def test_the_details_of_all_catalogs_take_half_of_the_places(
        self, clock: VirtualClock
    ) -> None:
        """However slowly the source answers them: a poll has a place of its own."""
        sender = make_sender(clock, at_once=4, takes_s=30.0)

        async def poll() -> None:
            await clock.sleep(10.0)
            await sender.send("poll", Lane.POLL)

        async def work() -> None:
            async with asyncio.TaskGroup() as group:
                for number in range(6):
                    group.create_task(sender.send(f"detail {number}", Lane.DETAIL))
                group.create_task(poll())

        await clock.run(work())

        assert [at for name, at in sender.sent if name != "poll"] == [0, 0, 30, 30, 60, 60]
        assert dict(sender.sent)["poll"] == 10.0

    async def test_one_place_alone_is_for_details_too(self, clock: VirtualClock) -> None:
        sender = make_sender(clock, at_once=1, takes_s=1.0)

        async def work() -> None:
            async with asyncio.TaskGroup() as group:
                for number in range(3):
                    group.create_task(sender.send(str(number), Lane.DETAIL))

        await clock.run(work())

        assert sender.times == [0, 1, 2]

    async def test_a_budget_of_one_is_for_details_too(self, clock: VirtualClock) -> None:
        sender = make_sender(clock, per_minute=1)
        await sender.send("detail", Lane.DETAIL)

        assert sender.times == [0.0]

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
            "DETAIL",
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
            await clock.advance(MINUTE_S - 30.0)

            assert sender.sent == [("spent", 0.0), ("poll", pytest.approx(MINUTE_S))]
            await clock.advance(MINUTE_S)

        assert sender.sent[-1] == ("backfill", pytest.approx(2 * MINUTE_S))

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
            await clock.advance(MINUTE_S)

        assert sender.sent == [("spent", 0.0), ("poll", pytest.approx(MINUTE_S))]

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
        assert sender.limiter.throttled_s == pytest.approx(20.0)

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

    async def test_time_wins_the_allowance_back(self, clock: VirtualClock) -> None:
        sender = make_sender(clock, per_minute=40)
        sender.limiter.pause(1.0)
        halved = sender.limiter.allowance
        await clock.advance(1.0 + 90.0)
        between = sender.limiter.allowance
        await clock.advance(90.0)

        assert (halved, between, sender.limiter.allowance) == (20, 30, 40)

    async def test_the_halved_allowance_holds_for_the_minute_already_running(
        self, clock: VirtualClock
    ) -> None:
        sender = make_sender(clock, per_minute=4)
        for _ in range(4):
            await sender.send("spent", Lane.BACKFILL)
            await clock.advance(1.0)
        sender.limiter.pause(1.0)

        async def work() -> None:
            for _ in range(4):
                await sender.send("after", Lane.BACKFILL)

        await clock.run(work())

        # Two of the four must have left the window before the next one fits into two a minute.
        assert sender.times[4] >= 2.0 + MINUTE_S
        assert most_in_a_minute([at for at in sender.times if at > 2.5]) <= 3

    async def test_an_answer_to_a_request_sent_before_the_pause_was_over_does_not_halve_again(
        self, clock: VirtualClock
    ) -> None:
        """It was under way when the storm began, and was answered when it had passed."""
        sender = make_sender(clock, per_minute=80)
        sender.limiter.pause(1.0)
        await clock.advance(5.0)
        sender.limiter.pause(1.0, sent_at=0.5)
        once = sender.limiter.allowance
        await clock.advance(5.0)
        sender.limiter.pause(1.0)

        assert once == 40
        assert sender.limiter.allowance == 20

    async def test_without_a_hint_the_pause_doubles_until_a_success(
        self, clock: VirtualClock
    ) -> None:
        sender = make_sender(clock)
        pauses = []
        for _ in range(3):
            sender.limiter.pause(None)
            pauses.append(sender.limiter.pause_s)
            await clock.advance(100.0)
        sender.limiter.succeed()
        sender.limiter.pause(None)

        assert pauses == [1.0, 2.0, 4.0]
        assert sender.limiter.pause_s == 1.0

    async def test_a_saturated_budget_is_used_to_97_percent(self, clock: VirtualClock) -> None:
        """An answer takes a second, which counts against us, as does the margin of the clocks."""
        sender = make_sender(clock, per_minute=90, takes_s=1.0)

        async def worker() -> None:
            while clock.elapsed_s < 660:
                await sender.send("request", Lane.BACKFILL)

        async def work() -> None:
            async with asyncio.TaskGroup() as group:
                for _ in range(8):
                    group.create_task(worker())

        await clock.run(work())

        assert most_in_a_minute(sender.times) <= 90
        assert sum(60 <= at < 660 for at in sender.times) >= 0.97 * 900

    @pytest.mark.parametrize("at_once", [0, -1])
    def test_a_concurrency_of_nothing_is_refused(self, clock: VirtualClock, at_once: int) -> None:
        with pytest.raises(ValueError, match="at least 1"):
            make_sender(clock, at_once=at_once)

    @pytest.mark.parametrize("limit", [0, -1])
    def test_a_budget_of_nothing_is_refused(self, limit: int) -> None:
        with pytest.raises(ValueError, match="at least 1"):
            Terms(limit)

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


async def test_it_holds_requests_up_while_they_wait_for_budget_or_pause_and_not_for_each_other(
    clock: VirtualClock,
) -> None:
    limiter = Limiter(max_requests_per_minute=2, max_concurrency=1, clock=clock)

    assert not limiter.holds_up
    async with asyncio.TaskGroup() as group:
        async with limiter.slot(Lane.POLL) as passage:
            second = group.create_task(Sender(limiter, clock).send("second", Lane.POLL))
            await asyncio.sleep(0)
            assert not limiter.holds_up
            passage.answered()
        await second
        third = group.create_task(Sender(limiter, clock).send("third", Lane.POLL))
        await asyncio.sleep(0)
        assert limiter.holds_up
        third.cancel()
        await asyncio.sleep(0)
        assert not limiter.holds_up
    limiter.pause(5)
    assert limiter.holds_up

"""By which rules a soak run is judged, on made-up figures."""

from __future__ import annotations

import random

import pytest
from soak.figures import (
    FEWEST,
    MIB,
    Sample,
    between,
    check_health,
    check_member,
    check_memory,
    check_open,
    settled,
    slope_per_s,
    sparkline,
)

EVERY_S = 5.0


def life(
    minutes: float, *, mib_per_h: float = 0.0, leak_fds_per_h: float = 0.0, noise: float = 0.5
) -> list[Sample]:
    """A process that fills its caches in its first third, and then does as it is told."""
    rng = random.Random(1)  # noqa: S311 - the same in each run
    samples = []
    for number in range(int(minutes * 60 / EVERY_S)):
        at_s = number * EVERY_S
        warm = min(1.0, at_s / (minutes * 20))
        mib = 40 + 20 * warm + mib_per_h * at_s / 3600 + rng.uniform(-noise, noise)
        fds = 12 + rng.randint(0, 4) + int(leak_fds_per_h * at_s / 3600)
        samples.append(Sample(at_s, int(mib * MIB), fds, 4, at_s / 100))
    return samples


def test_what_a_process_does_while_it_fills_its_caches_is_not_held_against_it() -> None:
    samples = life(30)

    assert settled(samples)[0].at_s == pytest.approx(600, abs=EVERY_S)
    assert check_memory("one", samples).is_kept
    assert all(check.is_kept for check in check_member("one", samples))


@pytest.mark.parametrize("noise", [0.1, 2.0])
def test_a_leak_of_memory_is_found_through_the_noise(noise: float) -> None:
    assert check_memory("one", life(30, mib_per_h=6, noise=noise)).is_kept
    assert not check_memory("one", life(30, mib_per_h=20, noise=noise)).is_kept


def test_in_a_short_run_only_what_is_plain_is_a_leak() -> None:
    """Four minutes cannot tell 12 MiB an hour from the noise of an allocator."""
    assert check_memory("one", life(6, mib_per_h=60)).is_kept
    assert not check_memory("one", life(6, mib_per_h=200)).is_kept


def test_a_leak_of_descriptors_is_found_although_they_go_up_and_down() -> None:
    def check(leak_fds_per_h: float) -> bool:
        points = [
            (each.at_s, each.fds) for each in settled(life(30, leak_fds_per_h=leak_fds_per_h))
        ]
        return check_open("one", "descriptors", points).is_kept

    assert check(0)
    assert not check(12)


def test_who_begins_to_lead_is_judged_from_then_on() -> None:
    """What leading needs is opened once; a database that is away says nothing about who leads."""
    standing = [Sample(at * EVERY_S, 40 * MIB, 7, 3, 0.0) for at in range(100)]
    leading = [Sample(at * EVERY_S, 60 * MIB, 15, 4, 0.0, leads=3) for at in range(100, 200)]
    away = [Sample(at * EVERY_S, 60 * MIB, 9, 4, 0.0, leads=None) for at in range(200, 204)]
    again = [Sample(at * EVERY_S, 60 * MIB, 15, 4, 0.0, leads=3) for at in range(204, 260)]

    assert settled(standing + leading + away + again)[0].at_s > 100 * EVERY_S
    assert all(check.is_kept for check in check_member("one", standing + leading + away + again))


def test_too_few_samples_are_no_proof() -> None:
    few = life(1)[: FEWEST - 1]

    assert not check_memory("one", few).is_kept
    assert not check_open("one", "threads", [(each.at_s, 1) for each in few]).is_kept
    assert [check.is_kept for check in check_member("one", [])] == [False, False, False, True]


def test_a_red_healthz_is_a_fault_and_nobody_there_is_none() -> None:
    def answering(*codes: int | None) -> bool:
        samples = [Sample(0, 0, 0, 0, 0, healthz=code) for code in codes]
        return check_health("one", samples).is_kept

    assert answering(None, None)
    assert answering(200, None)
    assert not answering(200, 503)


def test_a_lone_peak_does_not_move_the_slope() -> None:
    points = [(float(at), 5.0) for at in range(20)]
    points[7] = (7.0, 500.0)

    assert slope_per_s(points) == 0
    assert slope_per_s([(float(at), 3.0 * at) for at in range(20)]) == pytest.approx(3)
    assert slope_per_s([]) == slope_per_s([(1.0, 1.0)]) == 0


def test_the_table_compares_the_first_with_the_last_quarter() -> None:
    first, last = between(life(30, mib_per_h=60, noise=0), lambda each: each.rss_bytes / MIB)

    assert last - first == pytest.approx(15, abs=1)
    assert between([], lambda each: each.fds) == (0.0, 0.0)


def test_a_curve_is_drawn_from_its_lowest_to_its_highest_value() -> None:
    assert sparkline([1, 2, 3]) == "▁▄█"
    assert sparkline([5, 5]) == "▁▁"
    assert sparkline([]) == ""
    assert len(sparkline([float(n) for n in range(1000)])) == 60

"""Unit tests of the demo's proof: nothing that differs is called equal."""

from __future__ import annotations

from datetime import UTC, datetime

from syncer.demo.comparison import Listing, Version, compare, count_types, find_changes
from syncer.domain import Millis

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


def version(updated_ms: int = 1, *, type_: str | None = "custom", at: datetime = NOON) -> Version:
    return Version("name", type_, Millis(updated_ms), at)


def listing(*ids: str, unusable: tuple[str, ...] = ()) -> Listing:
    return Listing({model_id: version() for model_id in ids}, frozenset(unusable))


def test_the_same_ids_in_the_same_versions_agree() -> None:
    found = compare(listing("a", "b"), {"a": version(), "b": version()}, quarantine=())

    assert found.agrees
    assert (found.source_models, found.mirror_models, found.quarantined) == (2, 2, 0)


def test_a_model_that_the_mirror_lacks_is_missing() -> None:
    found = compare(listing("a", "b", "c"), {"b": version()}, quarantine=())

    assert not found.agrees
    assert found.missing == ("a", "c")


def test_a_model_that_the_source_does_not_list_is_extra() -> None:
    found = compare(listing("a"), {"a": version(), "b": version()}, quarantine=())

    assert not found.agrees
    assert found.extra == ("b",)


def test_one_millisecond_between_two_versions_is_stale() -> None:
    found = compare(listing("a"), {"a": version(2)}, quarantine=())

    assert not found.agrees
    assert found.stale == ("a",)


def test_an_unusable_model_is_accounted_for_by_the_quarantine_only() -> None:
    source = listing("a", unusable=("broken",))
    kept = compare(source, {"a": version()}, quarantine={"broken", "of an earlier time"})
    lost = compare(source, {"a": version()}, quarantine=())

    assert kept.agrees
    assert (kept.source_models, kept.quarantined) == (2, 1)
    assert not lost.agrees
    assert lost.missing == ("broken",)


def test_types_are_counted_on_both_sides_the_most_frequent_first() -> None:
    source = {"1": version(type_="x"), "2": version(type_="y"), "3": version(type_="y")}
    mirror = {"1": version(type_="x"), "4": version(type_=None)}

    assert count_types(source, mirror) == (("y", 2, 0), ("x", 1, 1), ("", 0, 1))


def test_a_row_counts_as_written_when_the_database_says_so() -> None:
    later = datetime(2026, 11, 1, 13, tzinfo=UTC)
    before = {"a": version(), "b": version()}
    after = {"a": version(), "b": version(at=later), "c": version()}

    assert find_changes(before, after) == (frozenset({"c"}), frozenset({"b"}))

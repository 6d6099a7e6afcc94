"""Which walks a backfill is made of, what they cost, and the reason that is given."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from syncer.domain import CycleKind, Millis, Scope, SortKey, Walk
from syncer.planner.choose import (
    CHANGES,
    EVERYTHING,
    KNOWN_TAGS,
    KNOWN_TYPES,
    PROOF,
    MirrorFacts,
    plan_backfill,
    plan_delta,
)

if TYPE_CHECKING:
    from syncer.domain import Plan

EMPTY = MirrorFacts()
FACTS = MirrorFacts(
    models=709,
    models_by_type={"custom": 550, "flux.1-lora": 137, "brand-new": 22},
    models_by_tag={"Video": 127, "sc:scenario": 220, "characters, fantasy": 3, "": 1, "Kling": 23},
)


def plan(partition_by: str, scope: Scope = Scope(), facts: MirrorFacts = EMPTY) -> Plan:  # noqa: B008 - frozen
    return plan_backfill(scope, partition_by, facts, page_size=500)


def names(chosen: Plan) -> list[str]:
    return [each.name for each in chosen.partitions]


@pytest.mark.parametrize("partition_by", ["auto", "time"])
def test_one_unfiltered_walk_by_creation_is_the_whole_backfill(partition_by: str) -> None:
    chosen = plan(partition_by)

    assert (chosen.kind, chosen.strategy) == (CycleKind.BACKFILL, "time")
    (everything,) = chosen.partitions
    assert (everything.name, everything.walk) == (EVERYTHING, Walk(SortKey.CREATED))
    assert (everything.type, everything.tag, everything.is_proof) == (None, None, False)


def test_auto_says_why_as_long_as_nobody_knows_the_size() -> None:
    chosen = plan("auto")

    assert chosen.reason.startswith("nothing is mirrored yet, so the size is unknown")
    assert (chosen.estimated_models, chosen.estimated_requests) == (None, None)


def test_auto_compares_the_strategies_in_requests_once_something_is_mirrored() -> None:
    """709 models are two pages; each type or tag is one more at least, and the proof on top."""
    chosen = plan("auto", facts=FACTS)

    assert (chosen.estimated_models, chosen.estimated_requests) == (709, 2)
    by_type = len({*KNOWN_TYPES, "brand-new"}) + 1 + 2  # 'custom' is two pages
    by_tag = len({*KNOWN_TAGS, "Kling"}) + 2
    assert chosen.reason == f"about 2 requests; type would take {by_type}, tag {by_tag}"


def test_time_was_asked_for_and_that_is_the_reason() -> None:
    assert plan("time", facts=FACTS).reason == "partition_by is 'time'"


def test_type_walks_every_known_type_and_proves_completeness_last() -> None:
    """Known are the built-in types and those seen in the mirror; a type nobody listed is found by
    the proof walk."""
    chosen = plan("type", facts=FACTS)
    *typed, proof = chosen.partitions

    assert {each.type for each in typed} == {*KNOWN_TYPES, "brand-new"}
    assert {each.tag for each in typed} == {None}
    assert names(chosen)[:2] == ["type=brand-new", "type=custom"]
    assert (proof.name, proof.is_proof, proof.type, proof.tag) == (PROOF, True, None, None)
    assert not any(each.is_proof for each in typed)
    assert chosen.reason == f"partition_by is 'type': {len(typed)} known types and the proof walk"


def test_tag_walks_every_known_tag_that_can_be_filtered_and_proves_completeness_last() -> None:
    """A comma would be read as two tags, and 'sc:' tags return nothing."""
    chosen = plan("tag", facts=FACTS)

    tags = sorted({*KNOWN_TAGS, "Kling"})
    assert names(chosen) == [*(f"tag={tag}" for tag in tags), PROOF]
    assert [each.tag for each in chosen.partitions] == [*tags, None]
    assert {each.type for each in chosen.partitions} == {None}


@pytest.mark.parametrize("partition_by", ["auto", "type"])
def test_a_scope_of_types_is_walked_by_exactly_these_and_needs_no_proof(partition_by: str) -> None:
    chosen = plan(partition_by, Scope(types=("custom", "flux.1-lora")), FACTS)

    assert names(chosen) == ["type=custom", "type=flux.1-lora"]
    assert chosen.strategy == "type"
    assert chosen.reason == "the scope names 2 types, so their partitions are exact"
    assert chosen.estimated_requests == 3


@pytest.mark.parametrize("partition_by", ["auto", "tag"])
def test_a_scope_of_tags_is_walked_by_exactly_these_and_needs_no_proof(partition_by: str) -> None:
    chosen = plan(partition_by, Scope(tags=("Video", "Kling")), FACTS)

    assert names(chosen) == ["tag=Video", "tag=Kling"]
    assert chosen.strategy == "tag"
    assert chosen.reason == "the scope names 2 tags, so their partitions are exact"


def test_a_scope_may_be_walked_in_one_by_time_all_the_same() -> None:
    assert names(plan("time", Scope(types=("custom", "flux.1-lora")))) == [EVERYTHING]


def test_a_scope_of_types_cut_by_tag_still_needs_the_proof_walk() -> None:
    chosen = plan("tag", Scope(types=("custom",)))

    assert names(chosen)[-1] == PROOF


def test_with_types_and_tags_in_the_scope_auto_takes_the_types() -> None:
    """The tags go along with every request, as the rest of the scope does."""
    assert plan("auto", Scope(types=("custom",), tags=("Video",))).strategy == "type"


def test_the_proof_walk_is_part_of_the_estimate() -> None:
    typed = plan("type", facts=FACTS).estimated_requests
    timed = plan("time", facts=FACTS).estimated_requests

    assert typed == len({*KNOWN_TYPES, "brand-new"}) + 1 + 2
    assert timed == 2


def test_without_facts_no_number_is_made_up() -> None:
    chosen = plan("type")

    assert (chosen.estimated_models, chosen.estimated_requests) == (None, None)


def test_pages_of_one_model_are_not_divided_by_nothing() -> None:
    facts = MirrorFacts(models=3, models_by_type={"custom": 3})

    assert plan_backfill(Scope(), "time", facts, page_size=1).estimated_requests == 3


def test_a_delta_begins_with_one_unfiltered_question() -> None:
    chosen = plan_delta(Millis(41))

    assert (chosen.kind, chosen.strategy, chosen.estimated_requests) == (
        CycleKind.DELTA,
        "probe",
        1,
    )
    (changes,) = chosen.partitions
    assert (changes.name, changes.walk) == (CHANGES, Walk(SortKey.UPDATED, Millis(41)))
    assert (changes.type, changes.tag) == (None, None)


def test_a_listing_that_cannot_be_asked_for_changes_is_asked_for_new_models() -> None:
    (changes,) = plan_delta(Millis(41), SortKey.CREATED).partitions

    assert changes.walk == Walk(SortKey.CREATED, Millis(41))


def test_built_in_names_are_sorted_and_can_all_be_used_as_filters() -> None:
    for known in (KNOWN_TYPES, KNOWN_TAGS):
        assert list(known) == sorted({*known})
        assert not [name for name in known if "," in name or name.startswith("sc:")]

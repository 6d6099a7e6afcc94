"""
Choose the cheapest correct walk, and say why.

Owns the comparison of strategies in requests. Never walks.
Invariant: a plan is complete on its own: either its partitions are exactly what the scope names,
or an unfiltered walk is among them. Type and tag filters are lenient and lag behind new types
(UPSTREAM §8), so otherwise they accelerate and prove nothing.
Kind: pure.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from syncer.domain import PROBE, CycleKind, Millis, Partition, Plan, Scope, SortKey, Walk

KNOWN_TYPES = (
    "custom",
    "elevenlabs-voice",
    "flux.1",
    "flux.1-composition",
    "flux.1-kontext-dev",
    "flux.1-kontext-lora",
    "flux.1-krea-dev",
    "flux.1-krea-lora",
    "flux.1-lora",
    "flux.1-pro",
    "flux.1.1-pro-ultra",
    "flux.2-dev-edit-lora",
    "flux.2-dev-lora",
    "flux.2-klein-4b-edit-lora",
    "flux.2-klein-4b-lora",
    "flux.2-klein-9b-edit-lora",
    "flux.2-klein-9b-lora",
    "flux.2-klein-base-4b-edit-lora",
    "flux.2-klein-base-4b-lora",
    "flux.2-klein-base-9b-edit-lora",
    "flux.2-klein-base-9b-lora",
    "flux1.1-pro",
    "gpt-image-1",
    "qwen-image-2512-lora",
    "qwen-image-edit-2509-lora",
    "qwen-image-edit-2511-lora",
    "qwen-image-edit-lora",
    "qwen-image-lora",
    "sd-1_5",
    "sd-1_5-composition",
    "sd-1_5-lora",
    "sd-xl",
    "sd-xl-composition",
    "sd-xl-lora",
    "zimage-de-turbo-lora",
    "zimage-lora",
    "zimage-turbo-lora",
)
"""A head start only (UPSTREAM §8.2): types are discovered, and one that nobody listed is mirrored
by the proof walk."""

KNOWN_TAGS = ("Image to Image", "Image to Video", "Text to Image", "Text to Video", "Video")
"""A head start only (UPSTREAM §8.1)."""

CHANGES = "changes"
EVERYTHING = "everything"
PROOF = "proof"


@dataclass(frozen=True, slots=True)
class MirrorFacts:
    """What the mirror already holds of a catalog, live models only."""

    models: int = 0
    models_by_type: Mapping[str, int] = field(default_factory=dict)
    models_by_tag: Mapping[str, int] = field(default_factory=dict)


def plan_backfill(scope: Scope, partition_by: str, facts: MirrorFacts, *, page_size: int) -> Plan:
    """The partitions of a first filling, by ``auto``, ``time``, ``type`` or ``tag``."""
    if partition_by == "type":
        return _plan_by("type", _types(scope, facts), scope, facts, page_size)
    if partition_by == "tag":
        return _plan_by("tag", _tags(scope, facts), scope, facts, page_size)
    if partition_by == "auto" and scope.types:
        return _plan_by("type", scope.types, scope, facts, page_size)
    if partition_by == "auto" and scope.tags:
        return _plan_by("tag", scope.tags, scope, facts, page_size)
    return _plan_by_time(scope, partition_by, facts, page_size)


def plan_delta(after_ms: Millis, key: SortKey = SortKey.UPDATED) -> Plan:
    """One unfiltered probe; it becomes a fan-out when its first page is not the last.

    By ``createdAt`` it brings new models only: all that a private listing can be asked for.
    """
    walk = Walk(key, after_ms=after_ms)
    return Plan(
        kind=CycleKind.DELTA,
        strategy=PROBE,
        reason="one request shows whether anything changed",
        partitions=(Partition(CHANGES, walk),),
        estimated_models=None,
        estimated_requests=1,
    )


def plan_backlog(probe: Plan, ceiling_ms: Millis | None) -> Plan:
    """The probe showed more than one page: read on in windows, up to a frozen ceiling.

    A row that changes meanwhile leaves its window only forwards, past the ceiling, where the next
    cycle finds it. ``None``: to the end of the listing.
    """
    before_ms = None if ceiling_ms is None else Millis(ceiling_ms + 1)
    bounded = tuple(
        replace(each, walk=replace(each.walk, before_ms=before_ms)) for each in probe.partitions
    )
    return replace(
        probe,
        strategy="time",
        reason="more changed than one page shows: windows by updatedAt up to the ceiling",
        partitions=bounded,
        estimated_requests=None,
    )


def _plan_by_time(scope: Scope, partition_by: str, facts: MirrorFacts, page_size: int) -> Plan:
    requests = _pages(facts.models, page_size) if facts.models else None
    if partition_by == "time":
        reason = "partition_by is 'time'"
    elif requests is None:
        reason = (
            "nothing is mirrored yet, so the size is unknown; one walk by createdAt, cut where "
            "idle workers can help, is never more requests than type or tag with their proof walk"
        )
    else:
        by_type = _requests_by(_types(scope, facts), facts.models_by_type, page_size) + requests
        by_tag = _requests_by(_tags(scope, facts), facts.models_by_tag, page_size) + requests
        reason = f"about {requests} requests; type would take {by_type}, tag {by_tag}"
    return Plan(
        kind=CycleKind.BACKFILL,
        strategy="time",
        reason=reason,
        partitions=(Partition(EVERYTHING, Walk(SortKey.CREATED)),),
        estimated_models=facts.models or None,
        estimated_requests=requests,
    )


def _plan_by(
    what: str, values: Sequence[str], scope: Scope, facts: MirrorFacts, page_size: int
) -> Plan:
    exact = bool(scope.types if what == "type" else scope.tags)
    parts = [
        Partition(
            f"{what}={value}",
            Walk(SortKey.CREATED),
            type=value if what == "type" else None,
            tag=value if what == "tag" else None,
        )
        for value in values
    ]
    counts = facts.models_by_type if what == "type" else facts.models_by_tag
    requests = _requests_by(values, counts, page_size)
    if exact:
        reason = f"the scope names {len(parts)} {what}s, so their partitions are exact"
    else:
        parts.append(Partition(PROOF, Walk(SortKey.CREATED), is_proof=True))
        requests += _pages(facts.models, page_size)
        reason = f"partition_by is '{what}': {len(parts) - 1} known {what}s and the proof walk"
    return Plan(
        kind=CycleKind.BACKFILL,
        strategy=what,
        reason=reason,
        partitions=tuple(parts),
        estimated_models=facts.models or None,
        estimated_requests=requests if facts.models else None,
    )


def _types(scope: Scope, facts: MirrorFacts) -> tuple[str, ...]:
    if scope.types:
        return scope.types
    return tuple(sorted(t for t in {*KNOWN_TYPES, *facts.models_by_type} if _can_filter(t)))


def _tags(scope: Scope, facts: MirrorFacts) -> tuple[str, ...]:
    if scope.tags:
        return scope.tags
    return tuple(sorted(t for t in {*KNOWN_TAGS, *facts.models_by_tag} if _can_filter(t)))


def _can_filter(value: str) -> bool:
    """A comma would be read as two values; every ``sc:`` tag returns nothing (UPSTREAM §8.1)."""
    return bool(value) and "," not in value and not value.startswith("sc:")


def _requests_by(values: Sequence[str], counts: Mapping[str, int], page_size: int) -> int:
    return sum(_pages(counts.get(value, 0), page_size) for value in values)


def _pages(models: int, page_size: int) -> int:
    # A full page is followed by one that overlaps it by the row it steps from.
    return max(1, math.ceil(models / max(1, page_size - 1)))

"""
What must hold of a mirror at any time, as sentences about two snapshots.

Owns the judgements: each function returns what is broken, in words. Never waits.
Kind: pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from syncer.domain import CycleKind, Lane, Model, SentOrder, Unusable, key_time

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from support.oracle_edits import Author
    from support.oracle_snapshot import Row, Snapshot

    from syncer.domain import Question
    from syncer.simulator.catalog import Record

KIND_OF_LANE = {Lane.BACKFILL: CycleKind.BACKFILL, Lane.POLL: CycleKind.DELTA}
"""Walks that raise a watermark."""


@dataclass(frozen=True, slots=True)
class Shown:
    """One listed record that a walk was shown."""

    entry: Model | Unusable
    model_id: str
    """The source's own."""
    record: Record | None
    """As the source had it; ``None`` when that had changed before the answer came."""
    sent_order: SentOrder
    at_edit: int

    def stands(self, author: Author) -> bool:
        """Whether the source has listed it ever since."""
        away = author.absent_at.get(self.model_id, -1) >= self.at_edit
        stood = self.record is not None and author.record(self.model_id) is self.record
        return stood and not away


def is_same(entry: Model | Unusable, listed: Model | Unusable | None) -> bool:
    """Whether an answer says of a record what the source says now."""
    if isinstance(entry, Model):
        return isinstance(listed, Model) and listed.content_hash == entry.content_hash
    return isinstance(listed, Unusable) and listed.raw == entry.raw


def was_asked_for(entry: Model | Unusable, question: Question) -> bool:
    """Whether an entry lies within the bounds of the question; a stray one is no promise."""
    at_ms = key_time(entry, question.sort_key)
    if at_ms is None:
        return True
    above = question.after_ms is None or at_ms > question.after_ms
    return above and (question.before_ms is None or at_ms < question.before_ms)


def invented(snapshot: Snapshot, ever_shown: set[tuple[str, bytes]]) -> Iterator[str]:
    """P2: a row is live only if the source listed it."""
    for model_id, row in snapshot.rows.items():
        if not row.removed and (model_id, row.content_hash) not in ever_shown:
            yield f"{model_id} was never listed as it is stored"


def backwards(before: Snapshot, after: Snapshot) -> Iterator[str]:
    """P3: neither a watermark nor a version of a live row ever decreases."""
    if before.watermark_ms is not None and (after.watermark_ms or 0) < before.watermark_ms:
        yield f"the watermark went from {before.watermark_ms} to {after.watermark_ms}"
    for model_id, old in before.rows.items():
        new = after.rows.get(model_id)
        if new is None:
            yield f"{model_id} was deleted, not marked as removed"
        elif not old.removed and not new.removed and new.version < old.version:
            yield f"{model_id} went back from {old.version} to {new.version}"


def buried_alive(before: Snapshot, after: Snapshot, present: set[str]) -> Iterator[str]:
    """P2: a tombstone needs absence, at some moment of the step, and a complete sweep."""
    for model_id, row in after.rows.items():
        old = before.rows.get(model_id)
        if not row.removed or (old is not None and old.removed):
            continue
        if model_id in present:
            yield f"{model_id} was removed although it was listed all the time"
        elif after.complete_sweeps == before.complete_sweeps and not _has_walked(after):
            yield f"{model_id} was removed by a sweep that was not complete"


def unconfirmed(
    before: Snapshot, after: Snapshot, answers: Sequence[tuple[bool, frozenset[str]]]
) -> Iterator[str]:
    """P2: absence is asked for once more after the sweep's last page, and found.

    Args:
        answers: to the questions of sweeps in this step: whether one ended a walk, and what the
            source listed then.
    """
    ends = [number for number, (is_end, _) in enumerate(answers) if is_end]
    second = [listed for _, listed in (answers[ends[0] + 1 :] if ends else answers)]
    for model_id, row in after.rows.items():
        old = before.rows.get(model_id)
        if not row.removed or (old is not None and old.removed) or not answers:
            continue
        if all(model_id in listed for listed in second):
            yield f"{model_id} was removed and nobody asked again while it was away"


def _has_walked(snapshot: Snapshot) -> bool:
    """Whether an unfinished sweep has nothing left to ask for but its second question."""
    ranges = [each for each in snapshot.open_ranges if each.kind == CycleKind.SWEEP]
    return bool(ranges) and all(each.is_done for each in ranges)


def passed_over(
    snapshot: Snapshot, kind: CycleKind, shown: Iterable[Shown], author: Author
) -> Iterator[str]:
    """P3, P4: what a walk was shown and has passed is stored."""
    ranges = [each for each in snapshot.open_ranges if each.kind == kind]
    if any(each.is_filtered for each in ranges):
        return
    for each in shown:
        at_ms = each.entry.created_ms if kind is CycleKind.BACKFILL else each.entry.updated_ms
        if at_ms is None or not each.stands(author):
            continue
        if not any(part.may_show(at_ms) for part in ranges) and not _is_kept(snapshot, each.entry):
            yield f"the {kind} passed {each.model_id}, which it was shown and which is not stored"


def _is_kept(snapshot: Snapshot, entry: Model | Unusable) -> bool:
    if isinstance(entry, Unusable):
        return entry.key in snapshot.quarantined
    row = snapshot.rows.get(entry.id)
    return row is not None and (
        row.content_hash == entry.content_hash or row.updated_ms >= entry.updated_ms
    )


def overtaken(snapshot: Snapshot, shown: Iterable[Shown]) -> Iterator[str]:
    """P3: of all answers the newest version counts, of equal ones the later-sent request."""
    best: dict[str, tuple[tuple[int, int], Model]] = {}
    for each in shown:
        if isinstance(each.entry, Model):
            version = each.entry.updated_ms, each.sent_order
            if each.entry.id not in best or version > best[each.entry.id][0]:
                best[each.entry.id] = version, each.entry
    for model_id, (version, model) in best.items():
        row = snapshot.rows.get(model_id)
        # A later answer than all of these was shown to a rival.
        if row is None or row.removed or row.version > version:
            continue
        if row.content_hash != model.content_hash:
            yield f"{model_id}: the answer {row.version} stands instead of {version}"


def contents_of(entries: Iterable[Model | Unusable]) -> Iterator[tuple[str, bytes]]:
    """Ids and contents of the models of a page."""
    for entry in entries:
        if isinstance(entry, Model):
            yield entry.id, entry.content_hash


def wrong_quarantine(
    snapshot: Snapshot, listed: Mapping[str, Model | Unusable], *, exactly: bool
) -> Iterator[str]:
    """P9: what is listed and cannot be stored is kept aside; with a sweep, nothing else is."""
    wanted = {each.key for each in listed.values() if isinstance(each, Unusable)}
    for key in sorted(wanted - snapshot.quarantined):
        yield f"{key} is unusable and not in quarantine"
    if exactly:
        for key in sorted(snapshot.quarantined - wanted):
            yield f"{key} is in quarantine and not listed as unusable"


def unburied(rows: Mapping[str, Row], listed: Mapping[str, Model | Unusable]) -> Iterator[str]:
    """After a sweep: tombstones stand for exactly what is no longer listed.

    What came back broken is in quarantine, and its old row stays as it was until it is readable.
    """
    for model_id, row in rows.items():
        found = listed.get(model_id)
        if row.removed == (found is not None) and not (row.removed and isinstance(found, Unusable)):
            yield f"{model_id} is {'a tombstone' if row.removed else 'live'}"

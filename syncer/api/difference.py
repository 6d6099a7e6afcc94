"""
Two versions of a model → what differs between them.

Owns the change record's fields. Never decides which version wins, or whether it is written.
Invariant: fields differ exactly where the content hash would see it: volatile values, key order,
the spelling of numbers and the order of ``tags``, ``capabilities`` and ``collectionIds`` are no
difference, and nothing volatile comes out.
Kind: pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from syncer.api.normalise import canonical_fields, without_volatile
from syncer.api.record import read_stored, write_stored

if TYPE_CHECKING:
    from collections.abc import Iterable

NOTHING = b"{}"


def differing_fields(before: bytes, after: bytes) -> tuple[bytes, bytes]:
    """The top-level fields that differ, as JSON objects: as they were, and as they are.

    A field that was not there, or is not there any more, is missing on that side. Two empty
    objects are one content.

    Args:
        before: a stored body.
        after: another one, or one on its way to be stored.
    """
    old, new = read_stored(before), read_stored(after)
    was, becomes = canonical_fields(old), canonical_fields(new)
    names = [name for name in sorted(was.keys() | becomes) if was.get(name) != becomes.get(name)]
    if not names:
        return NOTHING, NOTHING
    return _pick(old, names), _pick(new, names)


def _pick(record: dict[str, object], names: Iterable[str]) -> bytes:
    shown = without_volatile({name: record[name] for name in names if name in record})
    return write_stored(shown)

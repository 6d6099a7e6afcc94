"""
How a key of the configuration is declared.

Owns the shape of one row in the table of keys (the table itself is ``syncer.config.settings``).
Kind: pure.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator

    from syncer.config.kinds import Kind

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Key:
    """One key as the loader and the documentation see it."""

    name: str
    kind: Kind[Any]
    why: str
    secret: bool

    @property
    def comment(self) -> str:
        """What stands behind the key in config.example.toml: what it takes, and what it is for."""
        return f"{self.kind.expects}; {self.why}"


def keys_of(section: type[Any]) -> Iterator[Key]:
    """The keys of one section, in the order of the example file."""
    for entry in fields(section):
        about = entry.metadata
        yield Key(entry.name, about["kind"], about["why"], secret=not entry.repr)


def key(default: T, kind: Kind[T], why: str, *, secret: bool = False) -> T:
    """Declare a key of a section; a secret one is left out of ``repr``."""
    return field(default=default, repr=not secret, metadata={"kind": kind, "why": why})

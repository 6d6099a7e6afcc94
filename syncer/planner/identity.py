"""
What a catalog was first filled from, and whether an answer still comes from there.

Owns the pin and its comparison. Never asks, never stores.
Invariant: a private page that shows models of another owner, and none of ours, is refused before
anything of it is stored.
Kind: pure.
"""

from __future__ import annotations

from dataclasses import dataclass

from syncer.domain import Page, Privacy, Unusable
from syncer.errors import CatalogPinned

_OWNER = " owner "


def pin_with_owner(pin: str, page: Page, privacy: Privacy) -> str:
    """The pin to remember with a catalog's first page: of a private one with its owner."""
    if privacy is Privacy.PUBLIC:
        return pin
    owner = next((owner for owner in _owners(page) if owner), None)
    return pin if owner is None else f"{pin}{_OWNER}{owner}"


def owner_of(pin: str | None) -> str | None:
    """The owner that a stored pin names."""
    return (pin or "").partition(_OWNER)[2] or None


def is_same_source(stored: str, configured: str) -> bool:
    """Whether a stored pin speaks of the configured source; the owner is found out by asking."""
    return stored.partition(_OWNER)[0] == configured


@dataclass(slots=True)
class OwnerCheck:
    """Compares each page with the owner that the catalog is pinned to."""

    catalog: str = ""
    owner: str | None = None
    """``None``: nobody yet, or a public catalog."""

    def check(self, page: Page) -> None:
        """Refuse a page that shows other owners' models only.

        Raises:
            CatalogPinned: the credentials or the project are not those of the first filling.
        """
        if self.owner is None:
            return
        owners = {owner for owner in _owners(page) if owner}
        if owners and self.owner not in owners:
            raise CatalogPinned(
                f"catalog {self.catalog} was first filled with models of {self.owner}, "
                f"the source now lists those of {min(owners)} instead",
                hint="Check credentials and project_id; to follow the other owner under the same "
                f"name, run 'syncer backfill --restart --catalog {self.catalog}'.",
            )


def _owners(page: Page) -> list[str | None]:
    return [entry.owner_id for entry in page.entries if not isinstance(entry, Unusable)]

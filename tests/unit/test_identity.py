"""What a catalog was first filled from, and pages that come from elsewhere."""

from __future__ import annotations

import pytest
from support.hand_made import make_model, make_page

from syncer.domain import Privacy, Unusable
from syncer.errors import CatalogPinned
from syncer.planner.identity import OwnerCheck, is_same_source, owner_of, pin_with_owner

PIN = "http://source/v1 project p"


def test_a_private_catalog_is_pinned_to_the_owner_of_its_first_row() -> None:
    page = make_page(make_model("a"), make_model("b", ownerId="proj_1"))

    assert pin_with_owner(PIN, page, Privacy.PRIVATE) == f"{PIN} owner proj_1"
    assert pin_with_owner(PIN, page, Privacy.PUBLIC) == PIN
    assert pin_with_owner(PIN, make_page(make_model("a")), Privacy.PRIVATE) == PIN


def test_the_owner_is_no_part_of_what_is_configured() -> None:
    assert is_same_source(f"{PIN} owner proj_1", PIN)
    assert not is_same_source(f"{PIN} owner proj_1", "http://other/v1 project p")
    assert owner_of(f"{PIN} owner proj_1") == "proj_1"
    assert owner_of(PIN) is None
    assert owner_of(None) is None


def test_a_page_that_shows_other_owners_only_is_refused() -> None:
    """One row of ours is enough: a model may have been handed over to us."""
    ours, other = make_model("a", ownerId="proj_1"), make_model("b", ownerId="proj_2")
    check = OwnerCheck("mine", "proj_1")

    check.check(make_page(other, ours))
    with pytest.raises(CatalogPinned, match="mine was first filled with models of proj_1"):
        check.check(make_page(other))


@pytest.mark.parametrize(
    "entries", [(), (make_model("a"),), (Unusable("a", "broken", b"{}"),)], ids=range(3)
)
def test_a_page_that_names_no_owner_says_nothing_about_it(entries: tuple[Unusable, ...]) -> None:
    OwnerCheck("mine", "proj_1").check(make_page(*entries))


def test_without_a_pinned_owner_every_page_is_taken() -> None:
    OwnerCheck("public").check(make_page(make_model("a", ownerId="proj_2")))

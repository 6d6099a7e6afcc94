"""Pages become batches: one row per key, in key order."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from support.builders import model, page

from syncer.api.decode import read_listed
from syncer.domain import Listed, Millis, Model, Page, SentOrder, Unusable
from syncer.store.rows import (
    ROW_COLUMNS,
    STEP_BYTES,
    Read,
    batch_from_page,
    raw_batch_from_page,
    read_batch,
    read_in_steps,
    row_from_model,
    set_aside,
)


def listing(*entries: object) -> Page:
    return Page(tuple(entries), None, None, SentOrder(41))  # type: ignore[arg-type]


def test_an_empty_page_is_an_empty_batch() -> None:
    batch = batch_from_page("public", page(), read_listed)

    assert (batch.models, batch.unusable, batch.newest_ms, batch.drift) == ((), (), None, ())


def test_models_are_in_the_byte_order_of_their_ids() -> None:
    batch = batch_from_page("public", page("é@1 b@1 a@1 Z@1 🍌@1"), read_listed)

    assert batch.ids == [
        "Z",
        "a",
        "b",
        "é",
        "🍌",
    ]


def test_of_two_versions_on_a_page_the_newer_is_kept_wherever_it_stands() -> None:
    old, new = model("a", 1, name="old"), model("a", 2, name="new")

    assert batch_from_page("public", listing(old, new), read_listed).models == (new,)
    assert batch_from_page("public", listing(new, old), read_listed).models == (new,)


def test_of_two_versions_of_one_instant_the_later_listed_is_kept() -> None:
    first, second = model("a", 1, name="first"), model("a", 1, name="second")

    assert batch_from_page("public", listing(first, second), read_listed).models == (second,)


def test_a_model_that_is_usable_once_on_the_page_is_not_quarantined() -> None:
    broken = Unusable("a", "createdAt is not a date", b"{}")

    for entries in ((broken, model("a")), (model("a"), broken)):
        batch = batch_from_page("public", listing(*entries), read_listed)
        assert (batch.ids, batch.unusable) == (["a"], ())


def test_what_is_unusable_stands_apart_sorted_and_once() -> None:
    first, second = Unusable("b", "one", b"1"), Unusable("b", "two", b"2")
    other = Unusable("a", "three", b"3")

    batch = batch_from_page("public", listing(first, model("m"), second, other), read_listed)

    assert batch.unusable == (other, second)
    assert batch.ids == ["m"]


def test_the_newest_time_counts_unusable_models_too() -> None:
    late = Unusable("x", "too late", b"", updated_ms=model("x", 9).updated_ms)

    assert batch_from_page("public", listing(model("a", 5), late), read_listed).newest_ms == 9


def test_drifted_fields_are_named_once() -> None:
    batch = batch_from_page(
        "public",
        listing(model("a", drift=("tags", "custom")), model("b", drift=("tags",))),
        read_listed,
    )

    assert batch.drift == ("custom", "tags")


def test_a_heavy_page_is_read_in_steps_to_the_same_batch() -> None:
    heavy = [model(f"m{n}", body=b"x" * (STEP_BYTES // 2)) for n in range(5)]
    raw = raw_batch_from_page("public", listing(*heavy))
    steps = read_in_steps(raw, read_listed)

    assert [next(steps), next(steps)] == [None, None]
    with pytest.raises(StopIteration) as end:
        next(steps)
    assert end.value.value == read_batch(raw, read_listed)


def test_models_that_postgres_refuses_move_to_quarantine_in_key_order() -> None:
    """Rows of the quarantine are locked in this order, too."""
    known = Unusable("z", "no id", b"")
    batch = batch_from_page(
        "public", listing(model("a"), model("b"), model("c"), known), read_listed
    )

    aside = set_aside(batch, [Unusable("b", "refused", b"{}")])

    assert aside.ids == ["a", "c"]
    assert [entry.key for entry in aside.unusable] == ["b", "z"]
    assert (aside.sent_order, aside.newest_ms) == (batch.sent_order, batch.newest_ms)


def test_a_row_holds_the_columns_in_the_order_of_the_table() -> None:
    full = model(
        "a",
        1_798_761_600_123,
        body=b'{"id":"a"}',
        content_hash=b"0123456789abcdef",
        name="A",
        type="custom",
        privacy="public",
        status="trained",
        source="other",
        custom=True,
        tags=("t",),
        capabilities=("c",),
        collection_ids=(),
        author_id="author",
        owner_id="owner",
        parent_model_id="parent",
        short_description="short",
        access_restrictions=25,
        training_images_number=3,
        thumbnail_asset_id="asset",
    )
    batch = batch_from_page("public", listing(full), read_listed)
    at = datetime(2027, 1, 1, 0, 0, 0, 123_000, tzinfo=UTC)

    assert dict(zip(ROW_COLUMNS, row_from_model(batch, full), strict=True)) == {
        "catalog": "public",
        "id": "a",
        "name": "A",
        "type": "custom",
        "privacy": "public",
        "status": "trained",
        "source": "other",
        "custom": True,
        "tags": ("t",),
        "capabilities": ("c",),
        "collection_ids": (),
        "author_id": "author",
        "owner_id": "owner",
        "parent_model_id": "parent",
        "short_description": "short",
        "access_restrictions": 25,
        "training_images_number": 3,
        "thumbnail_asset_id": "asset",
        "created_at": at,
        "updated_at": at,
        "body": b'{"id":"a"}',
        "content_hash": b"0123456789abcdef",
        "sent_order": 41,
        "fingerprint": 0,
    }


def read_as(models: dict[str, Model | Unusable]) -> Read:
    return lambda listed: models[listed.id]


def listed(model_id: str, fingerprint: int = 7) -> Listed:
    return Listed(model_id, Millis(0), Millis(0), None, fingerprint, b"{}", "$.models[0]")


def test_what_is_stored_with_the_same_text_is_not_read() -> None:
    raw = raw_batch_from_page("public", listing(listed("a"), listed("b")))

    batch = read_batch(raw, read_as({"b": model("b")}), {"b": None})

    assert (["b"], ["a"]) == ([each.id for each in batch.models], [each.id for each in batch.same])
    assert ["a", "b"] == batch.ids


def test_what_is_stored_with_the_same_content_is_read_and_left_alone() -> None:
    read = model("a", content_hash=b"same")
    raw = raw_batch_from_page("public", listing(listed("a")))

    batch = read_batch(raw, read_as({"a": read}), {"a": b"same"})

    assert ((), ["a"]) == (batch.models, batch.ids)


def test_what_proves_unusable_when_it_is_read_goes_to_quarantine() -> None:
    broken = Unusable("a", "a NUL", b"")
    raw = raw_batch_from_page("public", listing(listed("a"), listed("b")))

    batch = read_batch(raw, read_as({"a": broken, "b": model("b")}))

    assert ((broken,), ["b"]) == (batch.unusable, batch.ids)

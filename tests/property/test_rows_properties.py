"""Rules of turning pages into batches that hold for every page."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from syncer.api.decode import read_listed
from syncer.domain import Millis, Model, Page, SentOrder, Unusable, known_id
from syncer.store.rows import ROW_COLUMNS, batch_from_page, row_from_model, set_aside

quick = settings(deadline=None, derandomize=True, max_examples=150)

keys = st.text("aZé🍌ﬀ-_", min_size=1, max_size=2)
"""The code points of U+FB00 and U+1F34C sort one way as UTF-8 and the other way as UTF-16."""
times = st.integers(0, 3).map(Millis)
models = st.builds(
    Model,
    id=keys,
    created_ms=times,
    updated_ms=times,
    body=st.integers(0, 99).map(lambda number: str(number).encode()),
    content_hash=st.just(b""),
    drift=st.lists(st.sampled_from(("tags", "custom", "name")), max_size=2).map(tuple),
)
unusable = st.builds(
    Unusable,
    key=keys,
    reason=st.just("id is missing"),
    raw=st.binary(max_size=2),
    updated_ms=st.none() | times,
)
pages = st.builds(
    Page,
    entries=st.lists(models | unusable, max_size=12).map(tuple),
    next_token=st.none(),
    source_now_ms=st.none(),
    sent_order=st.integers(0, 99).map(SentOrder),
)


@quick
@given(pages)
def test_a_batch_is_in_byte_order_and_holds_each_key_once(page: Page) -> None:
    """Unsorted keys deadlock, and one statement may not touch a row twice."""
    batch = batch_from_page("public", page, read_listed)

    assert batch.ids == sorted({*batch.ids}, key=str.encode)
    unusable_keys = [entry.key for entry in batch.unusable]
    assert unusable_keys == sorted({*unusable_keys}, key=str.encode)


@quick
@given(pages)
def test_nothing_of_a_page_is_lost_and_nothing_is_added(page: Page) -> None:
    batch = batch_from_page("public", page, read_listed)

    assert {*batch.models, *batch.unusable} <= {*page.entries}
    assert {known_id(entry) for entry in page.entries} == {
        *batch.ids,
        *(entry.key for entry in batch.unusable),
    }


@quick
@given(pages)
def test_the_newest_version_wins_and_on_a_tie_the_later_place(page: Page) -> None:
    batch = batch_from_page("public", page, read_listed)

    for model in batch.models:
        listed = [each for each in page.entries if isinstance(each, Model) and each.id == model.id]
        newest = max(each.updated_ms for each in listed)
        assert model == [each for each in listed if each.updated_ms == newest][-1]


@quick
@given(pages)
def test_what_is_usable_is_not_quarantined_under_the_same_key(page: Page) -> None:
    batch = batch_from_page("public", page, read_listed)

    assert not {*batch.ids} & {entry.key for entry in batch.unusable}


@quick
@given(pages)
def test_a_batch_of_a_batch_is_the_same_batch(page: Page) -> None:
    batch = batch_from_page("public", page, read_listed)
    again = batch_from_page(
        "public", replace(page, entries=(*batch.models, *batch.unusable)), read_listed
    )

    assert (again.models, again.unusable) == (batch.models, batch.unusable)
    assert again.drift == batch.drift


@quick
@given(pages)
def test_the_newest_time_is_that_of_the_page_unusable_models_included(page: Page) -> None:
    seen = [each.updated_ms for each in page.entries if each.updated_ms is not None]

    assert batch_from_page("public", page, read_listed).newest_ms == max(seen, default=None)


@quick
@given(pages, st.data())
def test_models_that_are_refused_move_to_quarantine(page: Page, data: st.DataObject) -> None:
    batch = batch_from_page("public", page, read_listed)
    refused = data.draw(st.sets(st.sampled_from(batch.ids))) if batch.ids else set()
    aside = set_aside(batch, [Unusable(key, "refused", b"") for key in sorted(refused)])

    assert {*aside.ids} == {*batch.ids} - refused
    assert [entry.key for entry in aside.unusable] == sorted(
        {*(entry.key for entry in batch.unusable), *refused}, key=str.encode
    )


@quick
@given(pages)
def test_a_row_has_a_value_for_every_column(page: Page) -> None:
    batch = batch_from_page("public", page, read_listed)

    for model in batch.models:
        row = dict(zip(ROW_COLUMNS, row_from_model(batch, model), strict=True))
        assert (row["catalog"], row["id"], row["sent_order"]) == (
            "public",
            model.id,
            page.sent_order,
        )

"""What is told of a record without reading it holds once it is read."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st
from property.test_decode_properties import (
    MARKS,
    NOISE,
    canonical,
    encode,
    leaves,
    quick,
    read_at,
    records,
)

from syncer.api.decode import list_page, read_listed
from syncer.api.normalise import cut_plain_links, normalise
from syncer.api.record import decode_record
from syncer.domain import Listed, Model, Unusable

if TYPE_CHECKING:
    import random

QUERIES = st.lists(
    st.sampled_from([*MARKS, *NOISE, "=", "p=100", "&", "%2F", "%2f", "~", "_-", "*", "."]),
    max_size=8,
).map("".join)
LINKS = st.builds(
    "{}{}?{}".format,
    st.sampled_from(["https://c.example/x", "HTTP://c.example", "see https://c.example/x", "c/x"]),
    st.sampled_from(["", "/a.b", ":443/~u/", "/é", "%41", ","]),
    QUERIES,
)
OTHER_IDS = ["", "m?Signature=1", "wandbkey:x", "a b", "é", "m\0", "x" * 251, 7, None]
OTHER_TIMES = ["2026-04-22", "2026-04-22T08:57:03Z", "2026-13-22T08:57:03.106Z", "", 5, None]


def page_of(*listed: dict[str, Any]) -> bytes:
    return b'{"models":[' + b",".join(map(encode, listed)) + b"]}"


def with_links(record: dict[str, Any], data: st.DataObject) -> dict[str, Any]:
    """The record with links at some of its leaves, and as keys beside them."""
    linked = copy.deepcopy(record)
    for path in leaves(record):
        if path[0] in {"id", "createdAt", "updatedAt"} or not data.draw(st.booleans()):
            continue
        holder = read_at(linked, path[:-1])
        if holder is not None:
            holder[path[-1]] = data.draw(LINKS)
    linked[f"x_{data.draw(LINKS)}"] = data.draw(LINKS)
    return linked


@quick
@given(records(), st.data())
def test_a_cut_link_is_one_that_would_have_been_cut(
    record: dict[str, Any], data: st.DataObject
) -> None:
    """P10, P5: what is cut at a glance is what the rules cut, and nothing else."""
    raw = encode(with_links(record, data))

    cut = cut_plain_links(raw)

    assert normalise(json.loads(cut)) == normalise(json.loads(raw))


@quick
@given(records(), st.data())
def test_a_record_that_is_read_late_is_the_same_record(
    record: dict[str, Any], data: st.DataObject
) -> None:
    raw = encode(with_links(record, data))
    whole = decode_record(raw, "$.models[0]")

    (entry,) = list_page(b'{"models":[' + raw + b"]}").entries

    assert isinstance(entry, Listed)
    read = read_listed(entry)
    assert isinstance(read, Model)
    assert isinstance(whole, Model)
    assert canonical(read.body) == canonical(whole.body)
    assert read._replace(body=b"", fingerprint=0) == whole._replace(body=b"", fingerprint=0)
    told = (entry.id, entry.created_ms, entry.updated_ms, entry.owner_id, entry.fingerprint)
    assert told == (read.id, read.created_ms, read.updated_ms, read.owner_id, read.fingerprint)


@quick
@given(records(), st.data())
def test_whatever_cannot_be_told_at_a_glance_is_read_at_once(
    record: dict[str, Any], data: st.DataObject
) -> None:
    """A page of any records lists what reading each of them by itself would."""
    odd = st.dictionaries(
        st.sampled_from(["id", "createdAt", "updatedAt", "ownerId"]),
        st.sampled_from([*OTHER_IDS, *OTHER_TIMES]),
        max_size=2,
    )
    listed = [{**record, **data.draw(odd)} for _ in range(3)]

    entries = list_page(page_of(*listed)).entries

    for entry, content in zip(entries, listed, strict=True):
        whole = decode_record(cut_plain_links(encode(content)), "$")
        read = read_listed(entry) if isinstance(entry, Listed) else entry
        if isinstance(whole, Model):
            assert read == whole
        else:
            assert isinstance(read, Unusable)
            assert replace(read, reason="") == replace(whole, reason="")


@quick
@given(records(), st.data(), st.randoms(use_true_random=False))
def test_equal_fingerprints_are_equal_models_and_new_signatures_keep_them(
    record: dict[str, Any], data: st.DataObject, rng: random.Random
) -> None:
    """P3, P5: nothing that differs is taken for stored; signing anew costs no reading."""
    first = with_links(record, data)
    second = copy.deepcopy(first)
    path = rng.choice(leaves(first))
    read_at(second, path[:-1])[path[-1]] = data.draw(LINKS)
    one, other = (decode_record(cut_plain_links(encode(each)), "$") for each in (first, second))

    if isinstance(one, Model) and isinstance(other, Model):
        assert one.fingerprint != other.fingerprint or one == other

    signed = [
        decode_record(
            cut_plain_links(
                encode({**record, "u": f"https://c.example/a?p=1&{mark}={rng.random()}"})
            ),
            "$",
        )
        for mark in MARKS
    ]
    assert 1 == len({each.fingerprint for each in signed if isinstance(each, Model)})

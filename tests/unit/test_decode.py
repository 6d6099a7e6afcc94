"""Answers become models, and one bad record costs one record."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

import pytest

from syncer.api import jsontext
from syncer.api.decode import DecodedPage, decode_model, decode_page, decode_retrieved, list_page
from syncer.api.record import MAX_ID_BYTES, MAX_KEY_CHARS
from syncer.domain import Model, Unusable, format_millis
from syncer.errors import SourceUnavailable, WalkBroken

CREATED = "2026-04-22T08:57:03.106Z"
UPDATED = "2026-08-21T16:57:39.268Z"
SECRET = "c2lnbmF0dXJl"
SIGNED_URL = f"https://cdn.example/assets/a?p=100&Policy={SECRET}&Signature={SECRET}"

# The example row of UPSTREAM §4, public custom model, capture of 2026-08-28.
EXAMPLE = """{"id":"model_openai-gpt-image-2","userId":"apiu_…","authorId":"apiu_…",
 "ownerId":"proj_…","createdAt":"2026-04-22T08:57:03.106Z","updatedAt":"2026-08-21T16:57:39.268Z",
 "name":"GPT Image 2","shortDescription":"(185 characters)","type":"custom","privacy":"public",
 "capabilities":["txt2img","img2img"],"source":"other","status":"trained","trainingProgress":{},
 "parameters":{},"trainingImagesNumber":0,"trainingImagePairs":[],
 "tags":["GPT-Image","OpenAI","editing","sc:featured","sc:third-party"],"collectionIds":[],
 "exampleAssetIds":["asset_zyutsQP8zByJRuFmnTYHPJmU","…"],"custom":true,"accessRestrictions":25,
 "complianceMetadata":{"enterpriseStatus":"Ready",
 "licenseTerms":"https://openai.com/policies/services-agreement/","modelProvider":"OpenAI",
 "subProcessor":"Provider","dataProcessingComment":"temporaryRetention","maintainer":"Scenario"}}"""


def encode_record(**changes: object) -> bytes:
    """A usable record as the source writes it; a change to ``...`` leaves the field out."""
    record = {"id": "model_a", "createdAt": CREATED, "updatedAt": UPDATED, **changes}
    return json.dumps({key: value for key, value in record.items() if value is not ...}).encode()


def encode_page(*records: bytes, tail: bytes = b"") -> bytes:
    return b'{"models":[' + b",".join(records) + b"]" + tail + b"}"


def decode_usable(raw: bytes) -> Model:
    model = decode_model(raw)
    assert isinstance(model, Model), model
    return model


def decode_unusable(raw: bytes) -> Unusable:
    entry = decode_model(raw)
    assert isinstance(entry, Unusable), entry
    return entry


def test_the_captured_example_becomes_a_model_with_every_column() -> None:
    model = decode_usable(EXAMPLE.encode())

    assert model == Model(
        id="model_openai-gpt-image-2",
        created_ms=model.created_ms,
        updated_ms=model.updated_ms,
        body=model.body,
        fingerprint=model.fingerprint,
        content_hash=model.content_hash,
        name="GPT Image 2",
        type="custom",
        privacy="public",
        status="trained",
        source="other",
        custom=True,
        tags=("GPT-Image", "OpenAI", "editing", "sc:featured", "sc:third-party"),
        capabilities=("txt2img", "img2img"),
        collection_ids=(),
        author_id="apiu_…",
        owner_id="proj_…",
        parent_model_id=None,
        short_description="(185 characters)",
        access_restrictions=25,
        training_images_number=0,
        thumbnail_asset_id=None,
        drift=(),
    )
    assert format_millis(model.created_ms) == "2026-04-22T08:57:03.106Z"
    assert format_millis(model.updated_ms) == "2026-08-21T16:57:39.268Z"
    assert json.loads(model.body) == json.loads(EXAMPLE)
    assert len(model.content_hash) == 16


def test_remaining_columns_are_picked() -> None:
    model = decode_usable(
        encode_record(
            parentModelId="model_p", thumbnail={"assetId": "asset_t", "url": SIGNED_URL}, tags=["a"]
        )
    )

    assert (model.parent_model_id, model.thumbnail_asset_id) == ("model_p", "asset_t")
    assert json.loads(model.body)["thumbnail"]["url"] == "https://cdn.example/assets/a"


def test_listed_words_keep_their_order_and_lose_their_duplicates() -> None:
    model = decode_usable(encode_record(tags=["b", "a", "b"], capabilities=["y", "x"]))

    assert (model.tags, model.capabilities) == (("b", "a"), ("y", "x"))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", 1),
        ("type", ["custom"]),
        ("privacy", {}),
        ("status", True),
        ("source", 1.5),
        ("custom", "true"),
        ("custom", 1),
        ("tags", "a,b"),
        ("tags", ["a", None]),
        ("capabilities", [1]),
        ("collectionIds", {"a": "b"}),
        ("authorId", []),
        ("ownerId", 5),
        ("parentModelId", False),
        ("shortDescription", {"text": "x"}),
        ("accessRestrictions", "25"),
        ("accessRestrictions", True),
        ("accessRestrictions", 25.5),
        ("accessRestrictions", 2**31),
        ("trainingImagesNumber", -(2**31) - 1),
        ("trainingImagesNumber", 1e300),
        ("trainingImagesNumber", [1]),
        ("thumbnail", "asset_t"),
    ],
)
def test_a_field_of_unexpected_type_costs_its_column_only(field: str, value: object) -> None:
    columns = {
        "authorId": "author_id",
        "ownerId": "owner_id",
        "parentModelId": "parent_model_id",
        "shortDescription": "short_description",
        "collectionIds": "collection_ids",
        "accessRestrictions": "access_restrictions",
        "trainingImagesNumber": "training_images_number",
        "thumbnail": "thumbnail_asset_id",
    }
    model = decode_usable(encode_record(**{field: value}))

    assert model.drift == (field,)
    assert getattr(model, columns.get(field, field)) is None
    assert json.loads(model.body)[field] == value


def test_a_type_or_tag_too_long_for_an_index_costs_its_column() -> None:
    """Types and tags are index keys: one that fits no page would cost its page."""
    fits, too_long = "\N{BANANA}" * MAX_KEY_CHARS, "x" * (MAX_KEY_CHARS + 1)
    whole = decode_usable(encode_record(type=fits, tags=[fits]))
    cut = decode_usable(encode_record(type=too_long, tags=["a", too_long], source=5))

    assert (whole.type, whole.tags, whole.drift) == (fits, (fits,), ())
    assert (cut.type, cut.tags, cut.drift) == (None, None, ("type", "source", "tags"))
    assert json.loads(cut.body)["type"] == too_long


def test_a_thumbnail_without_readable_asset_drifts_by_its_path() -> None:
    assert decode_usable(encode_record(thumbnail={"assetId": 5})).drift == ("thumbnail.assetId",)
    assert decode_usable(encode_record(thumbnail={"assetId": None})).drift == ()
    assert decode_usable(encode_record(thumbnail={})).drift == ()


def test_one_field_that_drifts_costs_no_other_column() -> None:
    """Nor does it matter that the others are then picked one by one."""
    usual = decode_usable(EXAMPLE.encode())
    record = json.loads(EXAMPLE) | {"source": 5, "thumbnail": {"assetId": "asset_t"}}
    model = decode_usable(json.dumps(record).encode())

    assert model.drift == ("source",)
    assert (model.source, model.thumbnail_asset_id) == (None, "asset_t")
    same = usual._fields[usual._fields.index("name") : usual._fields.index("drift")]
    for name in (each for each in same if each not in {"source", "thumbnail_asset_id"}):
        assert getattr(model, name) == getattr(usual, name), name


def test_absent_and_null_are_not_drift() -> None:
    model = decode_usable(
        encode_record(name=None, tags=None, custom=None, accessRestrictions=None, thumbnail=None)
    )

    assert model.drift == ()
    assert (model.name, model.tags, model.custom, model.access_restrictions) == (None,) * 4


@pytest.mark.parametrize(
    ("text", "number"),
    [("25", 25), ("25.0", 25), ("2.5e1", 25), ("2147483647", 2**31 - 1), ("-0.0", 0)],
)
def test_a_whole_number_is_read_whatever_its_spelling(text: str, number: int) -> None:
    raw = encode_record(accessRestrictions="@").replace(b'"@"', text.encode())

    assert decode_usable(raw).access_restrictions == number


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("2026-08-21T16:57:39.268Z", "2026-08-21T16:57:39.268Z"),
        ("2026-08-21T16:57:39.268999999Z", "2026-08-21T16:57:39.268Z"),
        ("1969-12-31T23:59:59.9999Z", "1969-12-31T23:59:59.999Z"),
        ("2026-08-21T18:57:39.268+02:00", "2026-08-21T16:57:39.268Z"),
        ("2026-08-21T16:57:39", "2026-08-21T16:57:39.000Z"),
        ("2026-08-21t16:57:39z", "2026-08-21T16:57:39.000Z"),
        ("2026-08-21", "2026-08-21T00:00:00.000Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000Z"),
        ("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999Z"),
    ],
)
def test_iso_dates_are_read_to_the_millisecond(text: str, shown: str) -> None:
    assert format_millis(decode_usable(encode_record(updatedAt=text)).updated_ms) == shown


BAD_DATE = re.compile(r"\$\.(createdAt|updatedAt) is .*, which is no date of the years 1 to 9999")


def test_a_listing_reads_a_date_as_a_whole_record_does() -> None:
    """A letter with two capitals separates no time; in a listing it is as unusable as alone."""
    raw = encode_record(updatedAt="2026-08-21ß16:57:39Z").replace(rb"\u00df", "ß".encode())

    (entry,) = list_page(encode_page(raw)).entries

    assert isinstance(entry, Unusable)
    assert entry.updated_ms is decode_unusable(raw).updated_ms is None


@pytest.mark.parametrize("field", ["createdAt", "updatedAt"])
@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2026-02-30T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "10000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59-01:00",
        "2026-08-21T16:57:39+25:00",
        "\U0001f4a5",
    ],
)
def test_an_impossible_date_makes_a_record_unusable(field: str, text: str) -> None:
    entry = decode_unusable(encode_record(**{field: text}))

    assert BAD_DATE.fullmatch(entry.reason)
    assert entry.key == "model_a"
    assert (entry.created_ms is None) == (field == "createdAt")
    assert (entry.updated_ms is None) == (field == "updatedAt")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"id": ...}, "$.id is missing"),
        ({"id": None}, "$.id is missing"),
        ({"id": ""}, "$.id is empty"),
        ({"id": 5}, "$.id is a number, not a string"),
        ({"id": ["a"]}, "$.id is an array, not a string"),
        ({"id": "x" * 1001}, "$.id is longer than the 1000 bytes of an index key"),
        ({"id": "é" * 501}, "$.id is longer than the 1000 bytes of an index key"),
        ({"id": f"?Policy={SECRET}"}, "$.id is empty"),
        ({"id": "a\0"}, "$.id holds a NUL character, which PostgreSQL cannot store"),
        ({"id": "a\udfff"}, "$.id holds a lone surrogate, which PostgreSQL cannot store"),
    ],
)
def test_a_record_without_usable_id_is_known_by_its_digest(
    changes: dict[str, object], reason: str
) -> None:
    entry = decode_unusable(encode_record(**changes))

    assert entry.reason == reason
    assert entry.key == "sha256:" + entry.digest.hex()
    assert len(entry.digest) == hashlib.sha256().digest_size
    assert not entry.has_id
    assert format_millis(entry.created_ms or 0) == CREATED
    assert format_millis(entry.updated_ms or 0) == UPDATED


def test_a_digest_outlives_a_new_signature() -> None:
    raw = encode_record(id=..., url=SIGNED_URL)
    resigned = raw.replace(SECRET.encode(), b"b3RoZXI")

    assert resigned != raw
    assert decode_unusable(raw).key == decode_unusable(resigned).key


def test_a_digest_outlives_another_order_of_keys_and_live_values() -> None:
    raw = encode_record(id=..., name="a\ud800", trainingProgress={"progress": 0.1})
    turned = json.dumps(dict(reversed(json.loads(raw).items())) | {"trainingProgress": {}}).encode()
    changed = raw.replace(b'"a', b'"b')

    assert decode_unusable(raw).key == decode_unusable(turned).key
    assert decode_unusable(raw).key != decode_unusable(changed).key


def test_an_id_of_the_longest_allowed_length_is_usable() -> None:
    assert decode_usable(encode_record(id="x" * MAX_ID_BYTES)).id == "x" * MAX_ID_BYTES


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"createdAt": ...}, "$.createdAt is missing"),
        ({"updatedAt": 1787331459268}, "$.updatedAt is a number, not a date"),
        ({"updatedAt": {}}, "$.updatedAt is an object, not a date"),
        ({"name": "a\0b"}, "$.name holds a NUL character, which PostgreSQL cannot store"),
        (
            {"a": [{"b": [1, "\ud800"]}]},
            "$.a[0].b[1] holds a lone surrogate, which PostgreSQL cannot store",
        ),
        (
            {"a": {"k\0": 1}},
            "$.a has a key that holds a NUL character, which PostgreSQL cannot store",
        ),
        (
            {"a b\n🍌\ud800": {"c": 1}},
            "$ has a key that holds a lone surrogate, which PostgreSQL cannot store",
        ),
        (
            {"a b\n🍌": "\0"},
            '$["a b 🍌"] holds a NUL character, which PostgreSQL cannot store',
        ),
        ({"a": float("nan")}, "$.a is a number that PostgreSQL cannot store"),
        ({"a": float("-inf")}, "$.a is a number that PostgreSQL cannot store"),
    ],
)
def test_what_cannot_be_stored_is_set_aside_with_its_path(
    changes: dict[str, object], reason: str
) -> None:
    entry = decode_unusable(encode_record(**changes))

    assert entry.reason == reason
    assert entry.key == "model_a"
    assert entry.has_id
    assert entry.raw == encode_record(**changes)


def test_an_escaped_backslash_before_u0000_is_no_nul() -> None:
    model = decode_usable(encode_record(name="\\u0000"))

    assert model.name == "\\u0000"


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"5", "$ is a number, not an object"),
        (b"1.5", "$ is a number, not an object"),
        (b"null", "$ is null, not an object"),
        (b"true", "$ is a boolean, not an object"),
        (b'"x"', "$ is a string, not an object"),
        (b'["\\ud800"]', "$[0] holds a lone surrogate, which PostgreSQL cannot store"),
        (b"[]", "$ is an array, not an object"),
        (b"", "$ cannot be read: it is not JSON, expecting value at character 0"),
        (b"\xff", "$ cannot be read: it is not UTF-8"),
    ],
)
def test_what_is_no_record_is_set_aside(raw: bytes, reason: str) -> None:
    entry = decode_unusable(raw)

    assert entry.reason == reason
    assert entry.raw == raw
    assert not entry.has_id


def test_a_broken_record_is_known_by_what_is_readable_of_it() -> None:
    entry = decode_unusable(encode_record(a="@").replace(b'"@"', b"oops"))

    assert entry.key == "model_a"
    assert entry.reason.startswith("$ cannot be read: it is not JSON")
    assert format_millis(entry.updated_ms or 0) == UPDATED


def test_a_record_whose_id_cannot_be_read_is_known_by_its_digest() -> None:
    entry = decode_unusable(b'{"id":oops,"updatedAt":"2026-08-21"}')

    assert not entry.has_id


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
@pytest.mark.parametrize("levels", [500, 20_000])
def test_a_record_nested_too_deep_is_set_aside_with_its_id(opening: bytes, levels: int) -> None:
    closing = b"]" if opening == b"[" else b"}"
    deep = opening * levels + (b"" if opening == b"[" else b"1") + closing * levels
    raw = encode_record(a="@", id="model_deep").replace(b'"@"', deep)

    page = decode_page(encode_page(encode_record(), raw, encode_record(id="model_b")))

    entry = page.entries[1]
    assert isinstance(entry, Unusable)
    assert entry.reason == "$.models[1] is nested more than 500 levels deep"
    assert entry.key == "model_deep"
    assert format_millis(entry.created_ms or 0) == CREATED
    assert [type(entry) for entry in page.entries] == [Model, Unusable, Model]


def test_a_record_nested_just_deep_enough_is_usable() -> None:
    deep = b"[" * 499 + b'"https://x/?Policy=abc"' + b"]" * 499
    model = decode_usable(encode_record(a="@").replace(b'"@"', deep))

    assert b"Policy" not in model.body
    assert model.body.count(b"[") == 499


def test_many_brackets_are_not_depth() -> None:
    model = decode_usable(encode_record(a=[[n] for n in range(600)], b="]]" * 300 + "[" * 600))

    assert len(json.loads(model.body)["a"]) == 600


@pytest.mark.parametrize(
    "text",
    [
        "1.0",
        "1.10",
        "0.1234567890123456789012345",
        "123456789012345678901234567890",
        "18446744073709551616",
        "-9223372036854775809",
        "9" * 5_000,
        "1E+400",
        "1E-400",
        "1E+131071",
        "1E-16383",
        "0." + "1" * 16_383,
        "9" * 131_072,
    ],
    ids=lambda text: text[:30],
)
def test_numbers_that_postgresql_can_hold_survive_digit_for_digit(text: str) -> None:
    model = decode_usable(encode_record(a="@").replace(b'"@"', text.encode()))

    assert model.body.replace(b" ", b"").endswith(b'"a":' + text.encode() + b"}")


@pytest.mark.parametrize(
    "text",
    [
        "1e131072",
        "1e-16384",
        "1.5e-16383",
        "0e-16384",
        "9" * 131_073,
        "0." + "1" * 16_384,
        "1e9999999999999999999999",
        "-1e-9999999999999999999999",
        "0e9999999999",
    ],
    ids=lambda text: text[:30],
)
def test_numbers_that_postgresql_cannot_hold_are_set_aside(text: str) -> None:
    entry = decode_unusable(encode_record(a="@").replace(b'"@"', text.encode()))

    assert entry.reason == "$.a is a number that PostgreSQL cannot store"


def test_a_zero_with_a_large_exponent_is_storable() -> None:
    assert decode_usable(encode_record(a="@").replace(b'"@"', b"0e500000")).id == "model_a"


def test_of_a_repeated_key_the_last_counts() -> None:
    raw = b'{"id":"old","name":"old",' + encode_record(name="new")[1:]
    model = decode_usable(raw)

    assert (model.id, model.name) == ("model_a", "new")
    assert json.loads(model.body)["name"] == "new"


def test_text_of_any_script_is_kept() -> None:
    raw = json.dumps(
        {"id": "m", "createdAt": CREATED, "updatedAt": UPDATED, "名前": "🍌 naïve"},
        ensure_ascii=False,
    ).encode()

    assert json.loads(decode_usable(raw).body)["名前"] == "🍌 naïve"


def test_a_record_of_five_megabytes_is_a_model() -> None:
    model = decode_usable(encode_record(description="x" * 5_000_000))

    assert len(model.body) > 5_000_000


def test_control_characters_that_another_writer_let_slip_are_kept() -> None:
    model = decode_usable(encode_record(name="@").replace(b"@", b"a\nb"))

    assert model.name == "a\nb"
    assert b"a\\nb" in model.body


def test_a_page_keeps_the_listed_order() -> None:
    page = decode_page(encode_page(*(encode_record(id=f"m{n}") for n in (3, 1, 2))))

    assert [entry.id for entry in page.entries if isinstance(entry, Model)] == ["m3", "m1", "m2"]


@pytest.mark.parametrize(
    ("tail", "token"),
    [
        (b"", None),
        (b',"nextPaginationToken":null', None),
        (b',"nextPaginationToken":""', None),
        (b',"nextPaginationToken":"eyJv"', "eyJv"),
        (b',"unknown":{"a":[1]},"nextPaginationToken":"eyJv"', "eyJv"),
    ],
)
@pytest.mark.parametrize("bad", [b"", b',"bad":"\\ud800"'], ids=["fast", "lenient"])
def test_absent_null_and_empty_tokens_are_the_end(
    tail: bytes, token: str | None, bad: bytes
) -> None:
    assert decode_page(encode_page(tail=tail + bad)) == DecodedPage((), token)


@pytest.mark.parametrize(
    "name", ["\ud800", "\udc00x", float("nan"), "\0"], ids=["high", "low", "nan", "nul"]
)
def test_one_bad_record_does_not_cost_the_page(name: object) -> None:
    page = decode_page(
        encode_page(
            encode_record(id="m0"),
            encode_record(id="m1", name=name),
            encode_record(id="m2", name='quoted " and \\ [brackets},'),
            tail=b',"nextPaginationToken":"t"',
        )
    )

    assert [type(entry) for entry in page.entries] == [Model, Unusable, Model]
    assert page.next_token == "t"
    bad = page.entries[1]
    assert isinstance(bad, Unusable)
    assert bad.reason.startswith("$.models[1].name ")


def test_a_byte_order_mark_is_tolerated() -> None:
    mark = b"\xef\xbb\xbf"

    assert len(decode_page(mark + encode_page(encode_record())).entries) == 1
    assert isinstance(decode_model(mark + encode_record()), Model)
    assert isinstance(decode_retrieved(mark + b'{"model":' + encode_record() + b"}"), Model)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"   ",
        b"<html><body>502 Bad Gateway</body></html>",
        b"upstream connect error",
        b"[]",
        b"null",
        b'"models"',
        b"{}",
        b'{"models":null}',
        b'{"message":"Too Many Requests"}',
        encode_page(encode_record())[:-1],
        encode_page(encode_record())[:-20],
        encode_page(encode_record()) + b"x",
        encode_page(encode_record()) + b"}",
        encode_page(encode_record()).replace(b"model_a", b"model_\xff"),
        encode_page(encode_record()).decode().encode("utf-16"),
        b'{"models":[oops]}',
        b'{"models":[{"id":"a",}]}',
        b'{"models":[1,,2]}',
        b'{"models":[1}]',
        b'{"models":[],}',
        b'{"models":[],"x"}',
        b'{"models":[],"x":oops}',
        b'{"models":[],"x":}',
        b'{"models":[],"x":"\xff"}',
        b"{models:[]}",
        b'{"models":oops}',
        b"[" * 20_000,
    ],
    ids=lambda body: ascii(body[:40]),
)
def test_a_body_that_is_no_page_is_worth_another_try(body: bytes) -> None:
    with pytest.raises(SourceUnavailable, match=r'expected \{"models": \[…\]\}, got ') as caught:
        decode_page(body)

    assert len(caught.value.message.partition(", got ")[2].encode()) <= 200


def test_the_excerpt_of_a_broken_body_is_redacted_before_it_is_cut() -> None:
    wandb = f'"wandbKey":"{SECRET}"'
    body = f"<html>\n{wandb} {SIGNED_URL} Authorization: Bearer {SECRET} {'é' * 300}".encode()

    with pytest.raises(SourceUnavailable, match="<html>") as caught:
        decode_page(body)

    assert SECRET not in str(caught.value)
    assert "é" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"models":5}', r"\$\.models is a number, not an array"),
        (b'{"models":{"a":1}}', r"\$\.models is an object, not an array"),
        (b'{"models":"x"}', r"\$\.models is a string, not an array"),
        (b'{"models":true}', r"\$\.models is a boolean, not an array"),
        (b'{"models":[],"nextPaginationToken":5}', r"\$\.nextPaginationToken is a number"),
        (b'{"models":[],"nextPaginationToken":[]}', r"\$\.nextPaginationToken is an array"),
        (b'{"models":[],"nextPaginationToken":{}}', r"\$\.nextPaginationToken is an object"),
        (b'{"models":[],"nextPaginationToken":"\\u0000"}', "holds a NUL character"),
        (b'{"models":[],"nextPaginationToken":"\\ud800"}', "holds a lone surrogate"),
    ],
)
def test_json_of_another_shape_breaks_the_walk(body: bytes, reason: str) -> None:
    with pytest.raises(WalkBroken, match=reason):
        decode_page(body)


def test_both_ways_of_cutting_a_page_agree_on_spaces_and_repeated_keys() -> None:
    body = (
        b' { "models" : [ 1 ] , "models" : [ '
        + encode_record()
        + b" ,\n"
        + encode_record(id="b")
        + b' ] , "nextPaginationToken" : "t" } \n'
    )

    fast = decode_page(body)
    lenient = decode_page(body.replace(b' "t" }', b' "t", "x": NaN }'))

    assert fast == lenient
    assert len(fast.entries) == 2


def test_a_retrieved_model_is_unwrapped() -> None:
    body = b'{"other":[1],"model":' + encode_record(inputs=[{"name": "prompt"}]) + b"}"
    model = decode_retrieved(body)

    assert isinstance(model, Model)
    assert json.loads(model.body)["inputs"] == [{"name": "prompt"}]


def test_a_retrieved_record_that_is_unusable_names_its_path() -> None:
    entry = decode_retrieved(b'{"model":' + encode_record(id=5) + b"}")

    assert isinstance(entry, Unusable)
    assert entry.reason == "$.model.id is a number, not a string"


@pytest.mark.parametrize(
    "body", [b"", b"{}", b'{"model":null}', b'{"model":{}', b'{"model":oops}', b"<html>"]
)
def test_an_answer_without_a_model_is_worth_another_try(body: bytes) -> None:
    with pytest.raises(SourceUnavailable, match=r'expected \{"model": \{…\}\}'):
        decode_retrieved(body)


def test_secrets_reach_neither_body_nor_quarantine_nor_reason() -> None:
    dirty: dict[str, Any] = {
        "parameters": {"wandbKey": SECRET, "x": {"wandb_key": SECRET}},
        "thumbnail": {"url": SIGNED_URL},
        f"note https://u:{SECRET}@h/": [SIGNED_URL],
    }
    model = decode_usable(encode_record(**dirty))
    entries = [
        decode_unusable(encode_record(**dirty, name="\0")),
        decode_unusable(encode_record(**dirty, name="\ud800")),
        decode_unusable(encode_record(**dirty, createdAt=SIGNED_URL)),
        decode_unusable(encode_record(**{**dirty, SIGNED_URL: "\0"})),
        decode_unusable(encode_record(**dirty)[:-1]),
    ]

    assert SECRET.encode() not in model.body
    for entry in entries:
        assert SECRET.encode() not in entry.raw
        assert SECRET not in entry.reason + entry.key


def test_no_reader_is_asked_for_more_than_the_stack_allows() -> None:
    with pytest.raises(RecursionError):
        jsontext.refuse_too_deep(b"[" * 501 + b"]" * 501)
    jsontext.refuse_too_deep(b"[" * 500 + b"]" * 500)


@pytest.mark.parametrize("owner", ["proj_a", None, "", "a b"])
def test_an_owner_of_any_spelling_is_told_without_losing_the_record(owner: str | None) -> None:
    page = list_page(encode_page(encode_record(ownerId=owner)))

    assert [owner] == [entry.owner_id for entry in page.entries if not isinstance(entry, Unusable)]

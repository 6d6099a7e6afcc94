"""Rules of decoding, normalising and hashing that hold for every record."""

from __future__ import annotations

import contextlib
import copy
import json
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from syncer.api import decode
from syncer.api.decode import DecodedPage, decode_model, decode_page, decode_retrieved
from syncer.api.normalise import content_hash, normalise, redact_bytes, redact_text
from syncer.domain import Model, Unusable
from syncer.errors import SourceUnavailable, WalkBroken

if TYPE_CHECKING:
    import random

quick = settings(
    deadline=None,
    derandomize=True,
    max_examples=60,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

SECRET = "Zx9SECRETzX9"
MARKS = ("Signature", "policy", "Key-Pair-Id", "EXPIRES", "X-Amz-Signature", "x-amz-Date")
NOISE = [
    "?", "&", "&amp;", ";", "=", "%3f", "%26", "\\u0026", "\\", "/", "://", "https://", "@", ":",
    ",", "'", '"', ")", ">", " ", "a", "Signature=", "Policy", "x-amz-", "wandbKey", "[redacted]",
]  # fmt: skip

storable = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
plain = st.text("abcdeé🍌 .-_", max_size=8)
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | plain
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(plain, inner, max_size=3),
    max_leaves=8,
)
words = st.lists(plain, max_size=5)
links = st.builds("https://cdn.example/{}".format, st.integers(0, 99))
SIGNED_PATHS = ("url", "downloadUrl")


def asset(link: str) -> dict[str, Any]:
    return {"assetId": "asset_" + link[-2:], "url": link}


@st.composite
def records(draw: st.DrawFn) -> dict[str, Any]:
    record: dict[str, Any] = draw(st.dictionaries(plain.map("x_{}".format), values, max_size=4))
    known = {
        "name": plain,
        "tags": words,
        "capabilities": words,
        "collectionIds": words,
        "exampleAssetIds": words,
        "thumbnail": links.map(asset),
        "epochs": st.lists(
            st.builds(lambda assets: {"epoch": "1", "assets": assets}, st.lists(links.map(asset))),
            max_size=2,
        ),
        "trainingImages": st.lists(
            links.map(lambda link: {"id": link[-2:], "downloadUrl": link}), max_size=2
        ),
        "trainingProgress": st.dictionaries(plain, values, max_size=2),
        "performanceStats": values,
        "class": st.builds(lambda name: {"name": name, "thumbnails": []}, plain),
        "parameters": st.dictionaries(plain, values | links, max_size=3),
        "complianceMetadata": st.dictionaries(plain, plain, max_size=3),
    }
    chosen = draw(st.lists(st.sampled_from(sorted(known)), unique=True))
    record.update({name: draw(known[name]) for name in chosen})
    return {
        "id": "model_a",
        "createdAt": "2026-04-22T08:57:03.106Z",
        "updatedAt": "2026-08-21T16:57:39.268Z",
        **record,
    }


def encode(record: object) -> bytes:
    return json.dumps(record).encode()


def canonical(text: bytes) -> str:
    """JSON text that is equal exactly when the values are: neither ``true`` nor "1" is 1 here."""

    def read(number: str) -> str:
        return f"number {Fraction(number)}"

    return json.dumps(json.loads(text, parse_float=read, parse_int=read), sort_keys=True)


def decode_usable(record: dict[str, Any]) -> Model:
    model = decode_model(encode(record))
    assert isinstance(model, Model), model
    return model


def shuffle_keys(value: Any, rng: random.Random) -> Any:
    if isinstance(value, dict):
        names = list(value)
        rng.shuffle(names)
        return {name: shuffle_keys(value[name], rng) for name in names}
    return [shuffle_keys(item, rng) for item in value] if isinstance(value, list) else value


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if isinstance(value, dict):
        return [leaf for key, item in value.items() for leaf in leaves(item, (*path, key))]
    if isinstance(value, list):
        return [leaf for key, item in enumerate(value) for leaf in leaves(item, (*path, key))]
    return [path]


def read_at(value: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        value = value[step]
    return value


def is_volatile(record: dict[str, Any], path: tuple[Any, ...]) -> bool:
    """UPSTREAM §3.4, written a second time on purpose."""
    head = path[0]
    if head in {"trainingProgress", "performanceStats"}:
        return True
    if head == "parameters" and str(read_at(record, path)).startswith("http"):
        return True
    return (
        path == ("thumbnail", "url")
        or (head == "trainingImages" and path[-1] == "downloadUrl")
        or (head == "epochs" and path[2:3] == ("assets",) and path[-1] == "url")
        or path[:2] == ("class", "thumbnails")
    )


def change(value: Any) -> Any:
    if isinstance(value, bool) or value is None:
        return str(value)
    return value + "x" if isinstance(value, str) else str(value) + "x"


@quick
@given(records(), st.randoms(use_true_random=False))
def test_the_hash_ignores_the_order_of_keys(record: dict[str, Any], rng: random.Random) -> None:
    shuffled = shuffle_keys(record, rng)

    assert decode_usable(shuffled).content_hash == decode_usable(record).content_hash


@quick
@given(records(), st.randoms(use_true_random=False))
def test_the_hash_compares_sets_as_sets(record: dict[str, Any], rng: random.Random) -> None:
    other = copy.deepcopy(record)
    for name in ("tags", "capabilities", "collectionIds"):
        items = other.get(name, [])
        rng.shuffle(items)
        items.extend(items[:1])

    assert decode_usable(other).content_hash == decode_usable(record).content_hash


@quick
@given(records(), st.data())
def test_the_hash_ignores_new_signatures_anywhere(
    record: dict[str, Any], data: st.DataObject
) -> None:
    first, second = copy.deepcopy(record), copy.deepcopy(record)
    for path in leaves(record):
        if isinstance(read_at(record, path), str) and path[0] not in {
            "id",
            "createdAt",
            "updatedAt",
        }:
            for target in (first, second):
                mark = data.draw(st.sampled_from(MARKS))
                text = f"https://c.example/x?p=100&{mark}={data.draw(st.integers(0, 9))}"
                read_at(target, path[:-1])[path[-1]] = text

    assert decode_usable(first).content_hash == decode_usable(second).content_hash


@quick
@given(records())
def test_the_hash_ignores_every_volatile_leaf(record: dict[str, Any]) -> None:
    other = copy.deepcopy(record)
    for path in leaves(record):
        if is_volatile(record, path):
            changed = "https://other.example/" if path[0] == "parameters" else "other"
            read_at(other, path[:-1])[path[-1]] = changed

    assert decode_usable(other).content_hash == decode_usable(record).content_hash


@quick
@given(records(), st.data())
def test_the_hash_sees_every_stable_leaf(record: dict[str, Any], data: st.DataObject) -> None:
    stable = [path for path in leaves(record) if not is_volatile(record, path)]
    path = data.draw(st.sampled_from(stable))
    other = copy.deepcopy(record)
    read_at(other, path[:-1])[path[-1]] = change(read_at(record, path))

    assert content_hash(other) != content_hash(record)


@quick
@given(st.lists(st.sampled_from(NOISE), max_size=14).map("".join))
@example("x?a=1?Policy=2,https://b/&Signature=3")
def test_redaction_is_idempotent(text: str) -> None:
    once = redact_text(text)
    record: dict[str, Any] = {"wandbKey": text, text: [text], "x": text}
    normal = normalise(record)

    assert redact_text(once) == once
    assert normalise(normal) == normal
    assert redact_bytes(redact_bytes(text.encode())) == redact_bytes(text.encode())


def link_in(before: str, mark: str, after: str, scheme: str) -> str:
    return f"{before} {scheme}cdn.example/x?p=100&{mark}={SECRET}&w=1{after}"


secrets = st.builds(
    link_in,
    plain,
    st.sampled_from(MARKS),
    st.sampled_from(
        ["", " and", ")", "'", '"', ", https://x?w=1", "&Signature=" + SECRET, "\\", "\n"]
    ),
    st.sampled_from(["https://", "http://u:p@", "//", "s3://", f"https://u:{SECRET}@"]),
)


@quick
@given(records(), st.lists(secrets, min_size=1, max_size=3), st.data())
def test_no_secret_is_ever_kept(
    record: dict[str, Any], urls: list[str], data: st.DataObject
) -> None:
    record |= {"x_urls": urls, urls[0]: {"x": urls[-1]}, "deep": [{"wandbKey": SECRET + ' ",\\'}]}
    record["parameters"] = {
        "wandb_key": SECRET,
        "text": json.dumps({"a": urls, "wandbKey": SECRET}),
    }
    text = json.dumps(record, ensure_ascii=data.draw(st.booleans()))
    if data.draw(st.booleans()):
        text = text.replace("/", "\\/")
    if data.draw(st.booleans()):
        text = text.replace("&", "\\u0026").replace("=", "\\u003D")
    if data.draw(st.booleans()):
        text = text.replace("wandbKey", "wandb\\u004bey").replace("Signature", "\\u0053ignature")
    raw = text.encode()
    cut = data.draw(st.integers(1, len(raw)))
    broken = [
        raw[:cut],
        raw.replace(b'"model_a"', b"5"),
        raw.replace(b"2026-08", b"2026-88"),
        raw.replace(b'"model_a"', b'"\\ud800"'),
        raw[:-1] + b',"n":"\\u0000"}',
        raw[:-1] + b',"n":' + b"[" * 501 + b"]" * 501 + b"}",
    ]

    model = decode_model(raw)
    assert isinstance(model, Model)
    assert SECRET.encode() not in model.body
    for entry in map(decode_model, broken):
        if isinstance(entry, Unusable):
            assert SECRET.encode() not in entry.raw
            assert SECRET not in entry.reason + entry.key
    for body in (raw[:cut], b'{"models":[' + raw[:cut], b"<html>" + raw):
        with pytest.raises((SourceUnavailable, WalkBroken)) as caught:
            decode_page(body)
        assert SECRET not in str(caught.value)


@quick
@given(st.dictionaries(storable, values | storable, max_size=4), records())
def test_every_field_survives(extra: dict[str, Any], record: dict[str, Any]) -> None:
    raw = encode(extra | record)
    page = decode_page(b'{"models":[' + raw + b"]}")

    (entry,) = page.entries
    assert isinstance(entry, Model)
    assert canonical(entry.body) == canonical(encode(normalise(extra | record)))


@quick
@given(st.decimals(allow_nan=False, allow_infinity=False) | st.integers())
def test_every_number_survives_digit_for_digit(number: Decimal | int) -> None:
    raw = encode({"id": "a", "createdAt": "2026-01-01", "updatedAt": "2026-01-01", "n": "@"})
    model = decode_model(raw.replace(b'"@"', str(number).encode()))

    assert isinstance(model, Model)
    assert json.loads(model.body, parse_float=str, parse_int=str)["n"] == str(number)


@quick
@given(st.lists(st.tuples(st.integers(0, 99), st.sampled_from(["", "\0", "\ud800"])), max_size=8))
def test_entries_keep_the_listed_order(listed: list[tuple[int, str]]) -> None:
    body = encode(
        {
            "models": [
                {"id": f"m{n}", "createdAt": "2026-01-01", "updatedAt": "2026-01-01", "name": bad}
                for n, bad in listed
            ]
        }
    )

    entries = decode_page(body).entries

    assert [entry.id if isinstance(entry, Model) else entry.key for entry in entries] == [
        f"m{n}" for n, _ in listed
    ]
    assert [isinstance(entry, Unusable) for entry in entries] == [bool(bad) for _, bad in listed]


@quick
@given(st.lists(records(), max_size=3), st.sampled_from(["", "t", "\u00e9"]), st.integers(0, 3))
def test_both_ways_of_cutting_a_page_agree(
    listed: list[dict[str, Any]], token: str, indent: int
) -> None:
    body = json.dumps(
        {"x": [listed], "models": listed, "nextPaginationToken": token}, indent=indent
    ).encode()

    fast, fast_token = decode._split_page(body)
    lenient, lenient_token = decode._split_page_leniently(body)

    assert [bytes(raw).strip() for raw in fast] == [bytes(raw) for raw in lenient]
    assert fast_token == lenient_token


def decode_all(body: bytes) -> None:
    with contextlib.suppress(SourceUnavailable, WalkBroken):
        assert isinstance(decode_page(body), DecodedPage)
    with contextlib.suppress(SourceUnavailable):
        assert isinstance(decode_retrieved(body), Model | Unusable)
    assert isinstance(decode_model(body), Model | Unusable)


json_like = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(), max_size=6)
    | st.sampled_from(["\ud800", "\0", "http://x", "2026-01-01", "2026-13-01T"]),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(
        st.sampled_from(
            ["models", "model", "nextPaginationToken", "id", "createdAt", "updatedAt", "tags",
             "thumbnail", "assetId", "url", "epochs", "assets", "parameters", "class",
             "trainingImages", "accessRestrictions", "wandbKey", "\0", "\ud800"]
        ),
        inner,
        max_size=6,
    ),
    max_leaves=25,
)  # fmt: skip


@quick
@given(st.binary(max_size=60))
def test_arbitrary_bytes_raise_documented_errors_only(body: bytes) -> None:
    decode_all(body)


@quick
@given(json_like)
def test_arbitrary_json_raises_documented_errors_only(value: object) -> None:
    decode_all(encode(value))
    decode_all(encode({"models": value}))
    decode_all(encode({"models": [value], "nextPaginationToken": value}))
    decode_all(encode({"model": value}))


@quick
@given(records(), st.data())
def test_damaged_pages_raise_documented_errors_only(
    record: dict[str, Any], data: st.DataObject
) -> None:
    body = bytearray(encode({"models": [record, record], "nextPaginationToken": "t"}))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(body) - 1))
        if data.draw(st.booleans()):
            body[at] = data.draw(st.sampled_from(b'"\\{}[],:0\x00\xff'))
        else:
            del body[at : at + data.draw(st.integers(1, 40))]
            body.extend(b"!")

    decode_all(bytes(body))

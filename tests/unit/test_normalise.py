"""What may be stored and shown, and what counts as content."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from syncer.api.jsontext import exact_number
from syncer.api.normalise import (
    content_hash,
    needs_redaction,
    normalise,
    printable,
    redact_bytes,
    redact_text,
)

SIGNED = "?p=100&Policy=eyJTdGF0ZW1lbnQi&Key-Pair-Id=K36&Signature=c2lnbmF0dXJl~-_"
BASE = "https://cdn.cloud.scenario.com/assets/asset_1"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (BASE + SIGNED, BASE),
        (f"{BASE}?Expires=1700000000", BASE),
        (f"{BASE}?X-Amz-Date=1&x-amz-signature=abc", BASE),
        (f"{BASE}?SIGNATURE=abc", BASE),
        (f"{BASE}?a=1;Signature=abc", BASE),
        (f"{BASE}?a=1&amp;Signature=abc", BASE),
        (f"see {BASE}{SIGNED} and {BASE}{SIGNED}, or not", f"see {BASE} and {BASE}, or not"),
        (f"{BASE}{SIGNED},{BASE}{SIGNED}", f"{BASE},{BASE}"),
        (f"['{BASE}{SIGNED}','{BASE}?w=1']", f"['{BASE},'{BASE}?w=1']"),
        (f"[link]({BASE}{SIGNED}).", f"[link]({BASE})."),
        (f"<a href={BASE}{SIGNED}>x</a>", f"<a href={BASE}>x</a>"),
        (f'{{"url":"{BASE}{SIGNED}","n":1}}', f'{{"url":"{BASE}","n":1}}'),
        (f"{BASE}?w=1 {BASE}?Policy=2", f"{BASE}?w=1 {BASE}"),
        ("/assets/asset_1?Policy=abc", "/assets/asset_1"),
        ("https://p.example/?u=https%3A%2F%2Fc%2Fx%3FPolicy%3Dabc%26w%3D1", "https://p.example/"),
        (r"https:\/\/c.example\/x?p=1\u0026Signature=a\/b", "https://c.example/x"),
        (r"https://c.example/x?\u0053ignature=abc", "https://c.example/x"),
        (f"{BASE}?%53ignature=abc&Key%2DPair%2DId=K36", BASE),
        (f"{BASE}?a=1&%50%6f%6C%69%63%79=abc", BASE),
        (f"{BASE}?X%2dAmz%2DSi%67nature%3Dabc", BASE),
        (f"{BASE}?a=1%3b%45xpires=1", BASE),
        ("https://p.example/?u=https%3A%2F%2Fc%2Fx%3F%2553ignature%3Dabc", "https://p.example/"),
        (
            "https%253A%252F%252Fc%252Fx%253FPolicy%253Dabc%2526w%253D1",
            "https%253A%252F%252Fc%252Fx",
        ),
        ("x=1&%53ignature=abc;b", "x=1;b"),
        (r"https://c.example/x?a=\z&Signature=abc", "https://c.example/x"),
        (f'{BASE}?a="b"&Signature=abc&Policy=def&c=1', f'{BASE}?a="b"&c=1'),
        ("https://user:pass@host.example/a?b=1", "https://host.example/a?b=1"),
        (r"https:\/\/user:p@ss@host.example\/a", "https://host.example/a"),
        ("postgres://syncer:secret@db:5432/x", "postgres://db:5432/x"),
    ],
)
def test_signatures_and_passwords_are_cut_out_of_urls(text: str, shown: str) -> None:
    assert redact_text(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "https://openai.com/policies/services-agreement/?lang=en&expiresoon=1",
        "https://cdn.example/x?policyholder=1&my-signature=2",
        "https://cdn.example/x?%50olicyholder=1&my%2Dsignature=2&q=50%25&r=%",
        "what? a signature = b, expires=never",
        "https://host.example:8080/@user/a",
        "AT&T 100% \\o/",
        "",
    ],
)
def test_what_is_not_signed_keeps_its_text(text: str) -> None:
    assert redact_text(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("wandbKey=abc123 next", "wandbKey=[redacted] next"),
        ('{"wandbKey": "a\\"b c", "x": 1}', '{"wandbKey": "[redacted]", "x": 1}'),
        (r"{\"wandb_key\":\"ab cd\",\"x\":1}", r"{\"wandb_key\":\"[redacted]\",\"x\":1}"),
        ("{'WANDBAPIKEY': 'ab cd', 'x': 1}", "{'WANDBAPIKEY': '[redacted]', 'x': 1}"),
        ('"wandbKey":"cut off in the mid', '"wandbKey":"[redacted]'),
        ("{'wandbKey': 'cut off in the mid", "{'wandbKey': '[redacted]"),
        ('{"wandbKey":"","x":"y"}', '{"wandbKey":"","x":"y"}'),
        (r"{\"wandbKey\":\"\",\"x\":\"y\"}", r"{\"wandbKey\":\"\",\"x\":\"y\"}"),
        ("Authorization: Basic a2V5OnNlY3JldA==", "Authorization: Basic [redacted]"),
        ('"authorization": "Bearer ey.a.b"', '"authorization": "Bearer [redacted]"'),
        ("Authorization: public-auth-token", "Authorization: [redacted]"),
        ("sent Bearer ey.a.b, got 403", "sent Bearer [redacted], got 403"),
        ("the basic auth. of cu-basic accounts", "the basic auth. of cu-basic accounts"),
    ],
)
def test_secrets_are_cut_out_of_logged_text(text: str, shown: str) -> None:
    assert redact_text(text) == shown
    assert redact_text(shown) == shown


def test_printable_text_is_one_redacted_line() -> None:
    assert printable(f" a\n\tb\x00 {BASE}{SIGNED} ") == f"a b {BASE}"


def test_secret_keys_are_redacted_at_any_depth() -> None:
    record: dict[str, Any] = {
        "parameters": {"wandbKey": "s3cret", "WANDB_KEY": "s3cret", "rank": 64},
        "list": [[{"wandbApiKey": "s3cret"}]],
        "empty": {"wandbKey": ""},
        "other": {"wandbKey": None, "wandbKeyHint": "kept"},
    }

    assert normalise(record) == {
        "parameters": {"wandbKey": "[redacted]", "WANDB_KEY": "[redacted]", "rank": 64},
        "list": [[{"wandbApiKey": "[redacted]"}]],
        "empty": {"wandbKey": ""},
        "other": {"wandbKey": None, "wandbKeyHint": "kept"},
    }


def test_signatures_are_cut_in_values_keys_and_lists() -> None:
    record: dict[str, Any] = {
        "thumbnail": {"assetId": "a", "url": BASE + SIGNED},
        "a": [BASE + SIGNED, "b", 1, None],
        BASE + SIGNED: True,
    }

    assert normalise(record) == {
        "thumbnail": {"assetId": "a", "url": BASE},
        "a": [BASE, "b", 1, None],
        BASE: True,
    }


def test_a_parameter_name_is_compared_as_the_server_reads_it() -> None:
    url = f"{BASE}?p=100&%53ignature=abc&Key%2DPair%2DId=K36"

    assert normalise({"a": url, "b": [url], url: 1}) == {"a": BASE, "b": [BASE], BASE: 1}


def test_json_inside_a_text_loses_its_secrets_too() -> None:
    text = r'{"url":"https:\/\/u:p@c.example\/x?p=1\u0026Signature=a\/b","wandbKey":"s3cret"}'

    assert normalise({"log": text}) == {
        "log": r'{"url":"https:\/\/c.example\/x","wandbKey":"[redacted]"}'
    }


def test_a_record_without_secrets_is_not_copied() -> None:
    record: dict[str, Any] = {"a": {"b": ["c", 1, "what?"]}, "d": "e & f", "g": ["x?", "y"]}

    assert normalise(record) is record


def test_normalising_does_not_modify_its_argument() -> None:
    record: dict[str, Any] = {"a": {"wandbKey": "x"}, "b": [BASE + SIGNED]}
    before = json.dumps(record)

    normalise(record)

    assert json.dumps(record) == before


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        (b'{"wandbKey" : "s3cret","a":1}', b'{"wandbKey" : "[redacted]","a":1}'),
        (rb'{"wandb\u004Bey":"s3cret"}', b'{"wandbKey":"[redacted]"}'),
        (rb'"https:\/\/c\/x?p=1\u0026Signature=ab\/c","b"', b'"https://c/x","b"'),
        (rb'"https://c/x?p=\u00e9&Signature=ab","b"', b'"https://c/x","b"'),
        (rb'"https://c/x?p=\\","b"', rb'"https://c/x?p=\\","b"'),
        (rb'"https://c/x?Policy=\\","b"', b'"https://c/x","b"'),
        (rb'"a \"https://c/x?Policy=1\" b"', rb'"a \"https://c/x\" b"'),
        (b'"https://c/x?p=\xc3\xa0&Signature=ab"', b'"https://c/x"'),
        (b'\xff\xfe{"wandbKey":"s3cr', b'\xff\xfe{"wandbKey":"[redacted]'),
        (b'"https://u:p@h/\xff"', b'"https://h/\xff"'),
        (b"<html>\x00?Signature=abc</html>", b"<html>\x00</html>"),
        (b'"https://c/x?%53ignature=abc&Key%2DPair%2DId=K","b"', b'"https://c/x","b"'),
        (rb'"https:\/\/c\/x?p=1\u0026\u002553ignature=ab","b"', b'"https://c/x","b"'),
    ],
)
def test_bytes_of_any_kind_lose_their_secrets(raw: bytes, clean: bytes) -> None:
    assert redact_bytes(raw) == clean


def test_bytes_without_secrets_stay_as_received() -> None:
    raw = rb'{"a":"\u0041\/\ud800\"\\","b":"\u0022"' + b"\xff\x00"

    assert redact_bytes(raw) == raw


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b'{"a":"b","c":[1]}', False),
        (rb'{"a":"line\nbreak"}', False),
        (b'{"a":"https://x/?w=1"}', False),
        (b'{"signature":"none"}', False),
        (b'{"a":"https://x/?SIGNATURE=1"}', True),
        (b'{"a":"%3FPolicy%3D1"}', True),
        (b'{"a":"https://x/a%20b%2Fc?q=100%25&n=%31"}', False),
        (b'{"a":"https://x/?%53igna%74ure=1"}', True),
        (b'{"a":"https://x/?Key%2DPair%2did=1"}', True),
        (b'{"a":"https%3A%2F%2Fx%2F%3F%2553ignature%3D1"}', True),
        (rb'{"a":"https://x/?w=1\u0026..."}', True),
        (b'{"a":"https://u:p@h/"}', True),
        (b'{"WandbKey":"x"}', True),
    ],
)
def test_the_quick_look_errs_towards_redaction(raw: bytes, expected: bool) -> None:
    assert needs_redaction(raw) is expected


@pytest.mark.parametrize(
    "text",
    [
        "?" * 300_000,
        "&" * 300_000,
        "\\" * 300_000,
        "?Policy=" + ")" * 300_000 + "x",
        "://a:" * 60_000,
        "wandbKey" * 40_000,
        "wandbKey\\" * 40_000,
        "wandbKey:'" * 40_000,
        "Authorization: " * 20_000,
        "basic " * 50_000,
        "&x-amz-" * 40_000,
        "%26x-amz-" * 40_000,
        "?x-amz%2d%61" * 30_000,
        "?%" + "25" * 150_000,
        "?%25%53" * 40_000,
        "?a,https" * 40_000,
    ],
    ids=lambda text: text[:12],
)
def test_redaction_takes_linear_time_on_hostile_text(text: str) -> None:
    def spend(part: str) -> float:
        started = time.process_time()
        redact_text(part)
        redact_bytes(part.encode())
        return time.process_time() - started

    # A quadratic pattern takes minutes for this length; linear ones take a fraction of a second.
    assert spend(text) < 20


def make_record(**changes: object) -> dict[str, Any]:
    return {
        "id": "m",
        "updatedAt": "2026-08-21T16:57:39.268Z",
        "tags": ["b", "a"],
        "capabilities": ["x", "y"],
        "collectionIds": [],
        "exampleAssetIds": ["e1", "e2"],
        "thumbnail": {"assetId": "t", "url": "https://c/1"},
        "epochs": [{"epoch": "1", "assets": [{"assetId": "ea", "url": "https://c/2"}]}],
        "trainingImages": [{"id": "i", "downloadUrl": "https://c/3"}],
        "trainingProgress": {"stage": "x", "updatedAt": 1},
        "performanceStats": {"default": "d"},
        "class": {"name": "c", "thumbnails": ["https://c/4"]},
        "parameters": {"rank": 64, "link": "https://c/5", "deep": [{"l": ["HTTP://c/6", 7]}]},
        **changes,
    }


@pytest.mark.parametrize(
    "changes",
    [
        {"thumbnail": {"assetId": "t", "url": "https://c/other"}},
        {"thumbnail": {"assetId": "t"}},
        {"epochs": [{"assets": [{"url": "https://c/other", "assetId": "ea"}], "epoch": "1"}]},
        {"trainingImages": [{"id": "i", "downloadUrl": None}]},
        {"trainingProgress": {}},
        {"performanceStats": {"variants": [{"votes": 3}]}},
        {"class": {"name": "c", "thumbnails": []}},
        {"parameters": {"deep": [{"l": [7, "https://c/8"]}], "rank": 64}},
        {"tags": ["a", "b", "a"]},
        {"capabilities": ["y", "x"]},
    ],
    ids=lambda changes: str(next(iter(changes))),
)
def test_what_the_source_changes_by_itself_does_not_count(changes: dict[str, object]) -> None:
    assert content_hash(make_record(**changes)) == content_hash(make_record())


@pytest.mark.parametrize(
    "changes",
    [
        {"updatedAt": "2026-08-21T16:57:39.269Z"},
        {"thumbnail": {"assetId": "other", "url": "https://c/1"}},
        {"epochs": [{"epoch": "1", "assets": [{"assetId": "other", "url": "https://c/2"}]}]},
        {"trainingImages": [{"id": "other", "downloadUrl": "https://c/3"}]},
        {"class": {"name": "other", "thumbnails": ["https://c/4"]}},
        {"parameters": {"rank": 65}},
        {"tags": ["a"]},
        {"exampleAssetIds": ["e2", "e1"]},
        {"unknown": None},
        {"id": "https://c/5"},
    ],
    ids=lambda changes: str(next(iter(changes))),
)
def test_everything_else_counts(changes: dict[str, object]) -> None:
    assert content_hash(make_record(**changes)) != content_hash(make_record())


@pytest.mark.parametrize("value", ["text", 1, None, True, [], {}, ["x"], [None], [{"assets": 1}]])
@pytest.mark.parametrize(
    "field",
    ["thumbnail", "epochs", "trainingImages", "class", "parameters", "tags", "performanceStats"],
)
def test_unexpected_shapes_at_volatile_paths_are_hashed_all_the_same(
    field: str, value: object
) -> None:
    assert len(content_hash(make_record(**{field: value}))) == 16


def test_a_link_in_place_of_the_parameters_is_volatile_too() -> None:
    one, other = (content_hash({"parameters": f"https://c/{n}"}) for n in (1, 2))

    assert one == other


def test_numbers_count_by_value() -> None:
    def digest(text: str) -> bytes:
        number = exact_number(text) if set(text) & set(".eE") else int(text)
        return content_hash({"a": [{"b": number}, "c", ["d"]]})

    assert digest("25") == digest("25.0") == digest("2.5e1")
    assert digest("0.1") == digest("0.10") == digest("1e-1")
    assert digest("-0.0") == digest("0")
    assert digest("1e400") == digest("10e399")
    assert len({digest("25"), digest("25.1"), digest("1e400"), digest("1e401")}) == 4


def test_a_number_is_not_its_text() -> None:
    assert content_hash({"a": exact_number("1.5")}) != content_hash({"a": "1.5"})

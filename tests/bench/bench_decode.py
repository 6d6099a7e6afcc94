"""
How fast pages become models: run with ``python tests/bench/bench_decode.py``.

Prints models per second of ``decode_page`` for pages of 500 records of the sizes that UPSTREAM §4
measured, with and without anything to redact, and for a page that the fast decoder refuses.
Kind: edge (prints).
"""

from __future__ import annotations

import json
import statistics
import sys
import time

from syncer.api.decode import decode_page

PAGE_MODELS = 500
ROUNDS = 7
SIGNED = "?p=100&Policy=" + "e" * 300 + "&Key-Pair-Id=K2&Signature=" + "s" * 344


def build_record(number: int, **extra: object) -> dict[str, object]:
    """A record of the usual size."""
    return {
        "id": f"model_bench-{number}",
        "userId": "apiu_x",
        "authorId": "apiu_x",
        "ownerId": "proj_x",
        "createdAt": "2026-04-22T08:57:03.106Z",
        "updatedAt": "2026-08-21T16:57:39.268Z",
        "name": f"Bench {number}",
        "shortDescription": "d" * 185,
        "type": "custom",
        "privacy": "public",
        "capabilities": ["txt2img", "img2img"],
        "source": "other",
        "status": "trained",
        "trainingProgress": {},
        "parameters": {},
        "trainingImagesNumber": 0,
        "trainingImagePairs": [],
        "tags": ["GPT-Image", "OpenAI", "editing", "sc:featured", "sc:third-party"],
        "collectionIds": [],
        "exampleAssetIds": [f"asset_{number:05}{example:019}" for example in range(35)],
        "custom": True,
        "accessRestrictions": 25,
        "complianceMetadata": {"enterpriseStatus": "Ready", "modelProvider": "OpenAI"},
        **extra,
    }


def build_page(kind: str) -> bytes:
    """The body of a page of one kind."""
    extra: dict[str, object] = {}
    if kind == "signed":
        extra["thumbnail"] = {"assetId": "a", "url": f"https://cdn.example/assets/a{SIGNED}"}
        extra["concepts"] = [{"modelId": "m", "scale": 0.8}]
    records = [build_record(number, **extra) for number in range(PAGE_MODELS)]
    if kind == "one lone surrogate":
        records[7]["name"] = "\ud800"
    return json.dumps({"models": records}, separators=(",", ":")).encode()


def main() -> None:
    """Time each kind of page."""
    for kind in ("plain", "signed", "one lone surrogate"):
        body = build_page(kind)
        rounds = []
        for _ in range(ROUNDS):
            started = time.perf_counter()
            decode_page(body)
            rounds.append(time.perf_counter() - started)
        spent_s = statistics.median(rounds)
        sys.stdout.write(
            f"{kind:20} {len(body) / PAGE_MODELS:7.0f} bytes/model"
            f" {spent_s / PAGE_MODELS * 1e6:7.1f} µs/model"
            f" {PAGE_MODELS / spent_s:9.0f} models/s\n"
        )


if __name__ == "__main__":
    main()

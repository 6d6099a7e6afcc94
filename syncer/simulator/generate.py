"""
Models that look like the real catalog, from a seed (UPSTREAM §3.3, §4, §8, §11).

Owns what a generated model contains. Never reads a clock; never random beyond its seed.
Invariant: equal seed, counts and end of history give equal models.
Kind: pure.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from syncer.simulator.instants import format_ms, parse_ms
from syncer.simulator.vocabulary import (
    ADJECTIVES,
    COMMENTS,
    CUSTOM_CAPABILITIES,
    EMOJI,
    LORA_CAPABILITIES,
    MAKERS,
    NOUNS,
    SENTENCES,
    STATUSES,
    STYLE_TAGS,
    SYSTEM_TAGS,
    TOPIC_TAGS,
    UNKNOWN_TYPES,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

PUBLIC_OWNER = "proj_simulatedCatalog00000001"
PUBLIC_AUTHOR = "apiu_simulatedCatalogAuthor01"
CDN = "https://cdn.cloud.scenario.com/assets/"

DAY_MS = 86_400_000
HISTORY_MS = 900 * DAY_MS
"""The span in which generated models were created."""

_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789"
_ASSETS = 4096
_MOST_EXAMPLES = 150
_ODD_EVERY = 347
_ODD_TYPE = 11
_ODDITIES: dict[int, dict[str, Any]] = {
    5: {"accessRestrictions": 1},
    6: {"accessRestrictions": 1},
    17: {"safetyReview": {"grade": "A", "notes": [], "reviewer": None}},
    23: {"name": "Ἀθηνᾶ \u202eDraft\u202c 🧑‍🎤", "shortDescription": ""},
}
"""What one model in so many has, by its place among them."""

_TRAINED_TYPES = (
    *("flux.1-lora",) * 137,
    *("flux.1-composition",) * 14,
    *("flux.1-kontext-lora",) * 5,
    *("flux.2-dev-lora",) * 3,
)
"""In the proportions of the real catalog; one model in 4.4 is trained, the others are custom."""


@dataclass
class Generator:
    """A stream of models; the same stream for the same seed."""

    seed: int
    end_ms: int
    schema_clean: bool = False
    owner: str = PUBLIC_OWNER
    _rng: random.Random = field(init=False)
    _assets: list[str] = field(init=False)
    _bulk_ms: list[int] = field(init=False)
    _made: int = field(default=0, init=False)
    _parts: list[str] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        rng = random.Random(self.seed)  # noqa: S311 - reproducible, not secret
        self._rng = rng
        self._assets = ["asset_" + token(rng) for _ in range(_ASSETS)]
        self._bulk_ms = sorted(self.end_ms - int(rng.random() * 90 * DAY_MS) for _ in range(12))

    @property
    def assets(self) -> list[str]:
        """The pool that example assets are taken from, in runs."""
        return self._assets

    def public(self, count: int) -> Iterator[dict[str, Any]]:
        """That many public models."""
        for _ in range(count):
            yield self.model()

    def model(self, at_ms: int | None = None) -> dict[str, Any]:
        """One public model, created at ``at_ms`` or at some time in the history."""
        self._made += 1
        created_ms = at_ms
        if created_ms is None:
            # The square root makes the catalog grow faster towards its end, as the real one does.
            created_ms = self.end_ms - HISTORY_MS + int(HISTORY_MS * self._rng.random() ** 0.5)
        trained = self._happens(159 / 709)
        model = self._base(created_ms, self._updated(created_ms, at_ms))
        if trained:
            self._make_trained(model)
        else:
            self._make_custom(model)
        if not self.schema_clean:
            self._make_odd(model)
        return model

    def private(self, count: int) -> Iterator[dict[str, Any]]:
        """That many private models of ``owner``: LoRAs in every status, with training images."""
        for number in range(count):
            model = self.model()
            status = "trained" if number % 2 else STATUSES[number // 2 % len(STATUSES)]
            model |= {"privacy": "private", "ownerId": self.owner, "status": status}
            model |= {"custom": False, "type": "flux.2-dev-lora", "exampleAssetIds": []}
            model |= {"source": "scenario", "trainingImagesNumber": 16, "parameters": {"rank": 64}}
            model["collectionIds"] = ["collection_simulated1"] if number % 3 == 0 else []
            model["trainingImages"] = training_images(model["id"], 3, model["createdAt"])
            model["trainingProgress"] = self._progress(status)
            if status == "trained":
                model["parameters"] = self._parameters(model["id"])
            if not model["trainingProgress"] and self.schema_clean:
                del model["trainingProgress"]
            yield model

    def unlisted(self) -> dict[str, Any]:
        """A model that answers by id and is in no list."""
        model = self.model() | {"privacy": "unlisted"}
        self._parts.insert(0, model["id"])
        return model

    def _happens(self, share: float) -> bool:
        return self._rng.random() < share

    def _updated(self, created_ms: int, at_ms: int | None) -> int:
        if at_ms is not None:
            return at_ms
        bulk_ms = self._rng.choice(self._bulk_ms)
        # Bulk edits touch many models in one instant (UPSTREAM §11).
        if bulk_ms >= created_ms and self._happens(0.3):
            return bulk_ms
        return created_ms + int((self.end_ms - created_ms) * self._rng.random())

    def _base(self, created_ms: int, updated_ms: int) -> dict[str, Any]:
        rng = self._rng
        maker, family, processor = rng.choice(MAKERS)
        version = f"{1 + int(rng.random() * 4)}.{int(rng.random() * 10)}"
        name = f"{family} {version}"
        if self._happens(0.04):
            name += f" {rng.choice(EMOJI)}"
        slug = maker.lower().replace(" ", "-")
        model: dict[str, Any] = {
            "id": f"model_{slug}-{family.lower()}-{version}-{self._made}",
            "userId": PUBLIC_AUTHOR,
            "authorId": PUBLIC_AUTHOR,
            "ownerId": PUBLIC_OWNER,
            "createdAt": format_ms(created_ms),
            "updatedAt": format_ms(updated_ms),
            "name": name,
            "shortDescription": f"{rng.choice(SENTENCES)} {rng.choice(SENTENCES)}",
            "type": "custom",
            "privacy": "public",
            "capabilities": [],
            "source": "other",
            "status": "trained",
        }
        if not self.schema_clean:
            model["trainingProgress"] = {}
        return model | {
            "parameters": {},
            "trainingImagesNumber": 0,
            "trainingImagePairs": [],
            "tags": sorted({family, maker, rng.choice(TOPIC_TAGS), rng.choice(TOPIC_TAGS)}),
            "collectionIds": [],
            "exampleAssetIds": self._examples(),
            "custom": True,
            "accessRestrictions": rng.choice((0, 0, 25, 25, 50, 75, 100)),
            "complianceMetadata": {
                "enterpriseStatus": "Ready",
                "licenseTerms": f"https://{slug}.example/terms",
                "modelProvider": maker,
                "subProcessor": processor,
                "dataProcessingComment": rng.choice(COMMENTS),
                "maintainer": "Scenario" if self._happens(0.66) else "Fal",
            },
        }

    def _examples(self) -> list[str]:
        count = int(self._rng.triangular(-2, _MOST_EXAMPLES + 0.999, 55))
        start = int(self._rng.random() * (_ASSETS - _MOST_EXAMPLES))
        return self._assets[start : start + max(0, count)]

    def _make_custom(self, model: dict[str, Any]) -> None:
        rng = self._rng
        model["capabilities"] = list(rng.choice(CUSTOM_CAPABILITIES))
        model["tags"].append("sc:third-party")
        if self._happens(0.05):
            model["tags"].append(rng.choice(SYSTEM_TAGS))
        if self._happens(0.02):
            model["performanceStats"] = performance_stats(model["capabilities"][0])

    def _make_trained(self, model: dict[str, Any]) -> None:
        rng = self._rng
        kind = rng.choice(_TRAINED_TYPES)
        model_id = token(rng)[:22] if self._happens(0.02) else "model_" + token(rng)
        model |= {
            "id": model_id,
            "name": f"{rng.choice(ADJECTIVES)} {rng.choice(NOUNS)} {self._made}",
            "type": kind,
            "custom": False,
            "source": "scenario",
            "capabilities": list(LORA_CAPABILITIES[: rng.choice((13, 17))]),
            "tags": sorted({"sc:scenario", "Flux.1 LoRA", rng.choice(STYLE_TAGS)}),
            "concepts": [{"modelId": model_id, "scale": 0.8}],
            "thumbnail": self._signed_asset(),
            "trainingImagesNumber": 8 + int(rng.random() * 40),
        }
        model["complianceMetadata"] |= {"maintainer": "Scenario", "subProcessor": "AWS"}
        if kind == "flux.1-composition":
            # The first part is the unlisted one: references may dangle (UPSTREAM §3.3).
            parts = [*self._parts[:1], *self._parts[-1:]]
            model["concepts"] = [{"modelId": part, "scale": 0.8} for part in parts]
            return
        self._parts.append(model_id)
        if kind.startswith("flux.1"):
            model["compliantModelIds"] = ["flux.1-dev", "flux.1-schnell"]
        else:
            model["parentModelId"] = self._parts[0]
        if self._happens(0.15):
            model["epochs"] = [
                {"epoch": f"{number:06}", "assets": [self._signed_asset(), self._signed_asset()]}
                for number in range(1, 5)
            ]
        if self._happens(0.3):
            model["parameters"] = self._parameters(model_id)

    def _make_odd(self, model: dict[str, Any]) -> None:
        """What the real catalog holds against its own schema, at fixed places of the stream."""
        lap, place = divmod(self._made, _ODD_EVERY)
        if place == _ODD_TYPE:
            model["type"] = UNKNOWN_TYPES[lap % len(UNKNOWN_TYPES)]
        model |= _ODDITIES.get(place, {})

    def _parameters(self, model_id: str) -> dict[str, Any]:
        return {
            "learningRate": 0.00005,
            "rank": 64,
            "batchSize": 1,
            "nbEpochs": 10,
            "nbRepeats": 20,
            "conceptPrompt": "",
            "wandbKey": f"wandb-{model_id[-8:]}-not-a-real-key",
            "storagePath": f"/mnt/training/{model_id}/weights.safetensors",
            "weightsUrl": f"https://sim-training.s3.amazonaws.com/{model_id}/weights.safetensors",
        }

    def _progress(self, status: str) -> dict[str, Any]:
        if status != "training":
            return {}
        return {"stage": "running-train", "updatedAt": 0, "progress": 0.4, "position": 0}

    def _signed_asset(self) -> dict[str, Any]:
        asset_id = self._assets[int(self._rng.random() * _ASSETS)]
        return {"assetId": asset_id, "url": CDN + asset_id}


def token(rng: random.Random) -> str:
    """24 characters as the source's ids have them."""
    return "".join(rng.choices(_LETTERS, k=24))


def training_images(model_id: str, count: int, created_at: str) -> list[dict[str, Any]]:
    """The first training images of a model; a list row holds three, a retrieve all."""
    created_ms = parse_ms(created_at) or 0
    rng = random.Random(model_id)  # noqa: S311 - reproducible, not secret
    images = []
    for number in range(1, count + 1):
        asset_id = "asset_" + token(rng)
        images.append(
            {
                "id": asset_id,
                "name": f"image-{number}.png",
                "description": f"training image {number}",
                "automaticCaptioning": "a knight, side view",
                "createdAt": format_ms(created_ms),
                "downloadUrl": CDN + asset_id,
            }
        )
    return images


def performance_stats(capability: str) -> dict[str, Any]:
    """Statistics that the source recomputes all the time."""
    return {
        "default": "standard",
        "variants": [
            {
                "variantKey": "standard",
                "capability": capability,
                "computedAt": "2025-12-01T00:00:00.000Z",
                "inferenceLatencyP50Sec": 4.2,
                "totalLatencyP75Sec": 7.5,
            }
        ],
    }

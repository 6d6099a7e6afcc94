"""
What ``GET /v1/models/{id}`` and ``POST /v1/models/get-bulk`` show of one model (UPSTREAM §3.3, §9).

Owns the fields that no list row has. Never decides who may see a model.
Kind: pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from syncer.simulator.generate import training_images
from syncer.simulator.rows import content, encode_row, render

if TYPE_CHECKING:
    from syncer.simulator.catalog import Record
    from syncer.simulator.rows import Moment

INPUTS = [
    {
        "name": "prompt",
        "type": "string",
        "label": "Prompt",
        "prompt": True,
        "required": {"always": True},
    },
    {"name": "image", "type": "file", "kind": "image", "label": "Image", "maxSize": 20_000_000},
    {"name": "numOutputs", "type": "number", "default": 1, "min": 1, "max": 4, "costImpact": True},
]
UI_CONFIG = {
    "inputProperties": {"image": {"collapsed": False}},
    "triggerGenerate": {"label": "Generate", "position": "bottom"},
}


def whole_model(record: Record, moment: Moment, *, volatile: bool) -> bytes:
    """The model as a retrieve shows it: the form of a custom model, all training images."""
    model = content(record.row)
    extra: dict[str, Any] = {}
    if model.get("custom") is True:
        extra = {"inputs": INPUTS, "uiConfig": UI_CONFIG}
    if "trainingImages" in model:
        count = int(model.get("trainingImagesNumber") or 0)
        extra["trainingImages"] = training_images(record.id, count, str(model.get("createdAt")))
    if not extra:
        return render(record.row, moment)
    return render(encode_row(model | extra, volatile=volatile), moment)


def minimal_model(record: Record) -> dict[str, Any]:
    """What ``minimal`` leaves of a model."""
    model = content(record.row)
    return {name: model[name] for name in ("id", "name", "privacy", "type") if name in model}

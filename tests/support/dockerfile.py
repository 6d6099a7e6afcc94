"""
The Dockerfile of the image, taken apart: what its last stage is started with.

Kind: edge (file system).
"""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path

from dockerfile_parse import DockerfileParser

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "deploy" / "docker" / "Dockerfile"


def instructions() -> list[tuple[str, str]]:
    """Each instruction with its value, as it stands in the file."""
    parser = DockerfileParser(fileobj=BytesIO(DOCKERFILE.read_bytes()))
    return [
        (part["instruction"], part["value"])
        for part in parser.structure
        if part["instruction"] != "COMMENT"
    ]


def last_stage() -> list[tuple[str, str]]:
    """The instructions that make the image itself."""
    found = instructions()
    begin = max(number for number, (name, _) in enumerate(found) if name == "FROM")
    return found[begin:]


def value(name: str) -> str:
    """The one value of an instruction of the last stage."""
    (found,) = [text for each, text in last_stage() if each == name]
    return found


def user() -> tuple[int, int]:
    """Number and group of the user."""
    number, group = value("USER").split(":")
    return int(number), int(group)


def health_command() -> list[str]:
    """What the engine runs to learn whether the container is well."""
    return list(json.loads(value("HEALTHCHECK").partition("CMD ")[2]))


def environment() -> dict[str, str]:
    """The variables of the last stage."""
    pairs = [pair.split("=", 1) for pair in value("ENV").split()]
    return {name: text.strip('"') for name, text in pairs}

"""The image installs what pyproject.toml asks for: pinned, hashed, and from nowhere named."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "deploy" / "docker"
AGAIN = "run deploy/docker/compile-requirements"
ENVIRONMENTS = [
    {"python_version": version, "python_full_version": f"{version}.0", "sys_platform": "linux"}
    for version in ("3.11", "3.12", "3.13", "3.14")
]


def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def wanted(name: str) -> list[str]:
    if name == "requirements.txt":
        return list(project()["project"]["dependencies"])
    return list(project()["build-system"]["requires"])


def lines(name: str) -> list[str]:
    """Whole requirements: pip joins lines that end with a backslash."""
    text = (DOCKER / name).read_text(encoding="utf-8").replace("\\\n", " ")
    return [
        line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")
    ]


def pins(name: str) -> dict[str, Requirement]:
    found = [Requirement(line.partition(" --hash=")[0].strip()) for line in lines(name)]
    return {canonicalize_name(each.name): each for each in found}


LISTS = pytest.mark.parametrize("name", ["requirements.txt", "build-requirements.txt"])


@LISTS
def test_every_dependency_is_pinned_to_a_version_that_it_allows(name: str) -> None:
    pinned = pins(name)
    missing = []
    for text in wanted(name):
        requirement = Requirement(text)
        pin = pinned.get(canonicalize_name(requirement.name))
        version = str(pin.specifier).removeprefix("==") if pin else ""
        if not pin or not requirement.specifier.contains(version, prereleases=True):
            missing.append(text)

    assert missing == [], AGAIN


@LISTS
def test_every_line_is_one_version_with_hashes_and_names_no_place(name: str) -> None:
    entry = re.compile(
        r"[a-z0-9-]+==[0-9][\w.]*( ; [^#]+?)?(\s+--hash=sha256:[0-9a-f]{64})+\s*", re.ASCII
    )
    odd = [line[:80] for line in lines(name) if not entry.fullmatch(line)]

    assert lines(name)
    assert odd == []
    assert "//" not in (DOCKER / name).read_text(encoding="utf-8")


def test_nothing_that_a_dependency_needs_is_missing() -> None:
    """With --no-deps pip would not notice; the packages of this environment say what they need."""
    from importlib.metadata import requires  # noqa: PLC0415

    pinned = pins("requirements.txt")
    missing = []
    for name, pin in pinned.items():
        if pin.marker and not pin.marker.evaluate():
            continue  # not for this machine, so not installed here
        for text in requires(name) or ():
            requirement = Requirement(text)
            applies = requirement.marker is None or any(
                requirement.marker.evaluate({**environment, "extra": ""})
                for environment in ENVIRONMENTS
            )
            if applies and canonicalize_name(requirement.name) not in pinned:
                missing.append(f"{name}: {text}")

    assert missing == [], AGAIN

"""
What Kubernetes is given: the overlays as kustomize renders them, kept in tests/deploy/rendered.

    uv run python tests/support/kustomize.py

writes them anew; that needs kustomize 5, or a kubectl that has it. The tests that only read them
need nothing. Each begins with a digest of all files under deploy/kubernetes, so that none is
older than what it was made from.
Kind: edge (processes, file system).
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
MANIFESTS = ROOT / "deploy" / "kubernetes"
OVERLAYS = tuple(sorted(path.name for path in (MANIFESTS / "overlays").iterdir()))
RENDERED = ROOT / "tests" / "deploy" / "rendered"
OLDEST = 5


def digest() -> str:
    """Over the names and contents of all that is rendered."""
    files = sorted(path for path in MANIFESTS.rglob("*") if path.is_file())
    whole = hashlib.sha256()
    for path in files:
        content = path.read_bytes()
        whole.update(f"{path.relative_to(MANIFESTS)}\0{len(content)}\0".encode() + content)
    return whole.hexdigest()


def render(overlay: str) -> str:
    """One overlay, by the real kustomize."""
    answer = subprocess.run(
        [*_program(), MANIFESTS / "overlays" / overlay], capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stderr
    # It warns of what it will soon refuse.
    assert answer.stderr == ""
    return f"# inputs: {digest()}\n{answer.stdout}"


def kept(overlay: str) -> str:
    """One overlay as it was last written."""
    return (RENDERED / f"{overlay}.yaml").read_text(encoding="utf-8")


def documents(overlay: str) -> list[dict[str, Any]]:
    """The resources of one overlay."""
    return list(yaml.safe_load_all(kept(overlay)))


def _program() -> list[str]:
    if shutil.which("kustomize"):
        return ["kustomize", "build"]
    kubectl = shutil.which("kubectl")
    said = kubectl and subprocess.run(
        [kubectl, "version", "--client"], capture_output=True, text=True, check=False
    )
    found = re.search(r"Kustomize Version: v(\d+)", said.stdout) if said else None
    assert found, "neither kustomize is here nor a kubectl that says which one it has"
    assert int(found[1]) >= OLDEST, f"{found[0]} is too old; {OLDEST} is needed"
    return ["kubectl", "kustomize"]


def main() -> None:
    """Write all of them."""
    for overlay in OVERLAYS:
        (RENDERED / f"{overlay}.yaml").write_text(render(overlay), encoding="utf-8")


if __name__ == "__main__":
    main()

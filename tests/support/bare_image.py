"""
The real Dockerfile, built by a real builder, and run with its root read-only.

Buildah needs no daemon and, isolated by chroot, no privileges that a plain root has not. Where no
registry can be asked, the base is stood in for by a bare Debian with its own Python of the same
version: made by debootstrap, and called by the base's name. What the base's own file system adds to
that is not proven here.
Kind: edge (processes, file system).
"""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support import dockerfile

BASE = "python:3.13-slim-trixie"
SUITE = "trixie"
TRUSTED = Path("/etc/ssl/certs/ca-certificates.crt")
PIP = Path("/etc/pip.conf")

READ_ONLY = """
set -eu
root=$1 user=$2 group=$3 home=$4
shift 4
mount --bind "$root" "$root"
mount -o remount,ro,bind "$root"
mount -t tmpfs -o mode=1777,size=64m tmpfs "$root/tmp"
mount -t tmpfs -o "uid=$user,gid=$group,mode=0700" tmpfs "$root$home"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
exec chroot "$root" setpriv --reuid "$user" --regid "$group" --clear-groups --no-new-privs \\
  --inh-caps=-all --bounding-set=-all env --chdir="$home" -i "$@"
"""
"""In a mount and a process namespace of its own: what is mounted goes when it ends."""


def run(*command: object, cwd: Path | None = None) -> str:
    """A command that must succeed; its standard output."""
    answer = subprocess.run(
        [str(each) for each in command], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, f"{command}\n{answer.stdout[-4000:]}\n{answer.stderr[-4000:]}"
    return answer.stdout


@dataclass(frozen=True, slots=True)
class Image:
    """A built image: its root as a directory, and how the engine is told to start it."""

    root: Path
    config: dict[str, Any]

    def start(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command as the image's user, without a capability, the root read-only."""
        user, group = self.config["User"].split(":")
        arguments = [self.root, user, group, self.config["WorkingDir"], *self.config["Env"]]
        return subprocess.run(
            ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", READ_ONLY, "sh"]
            + [str(each) for each in [*arguments, *command]],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )


def build(place: Path) -> Image:
    """Build ``deploy/docker/Dockerfile``; all that it makes lies under ``place``."""
    builder = ["buildah", "--storage-driver", "vfs"]
    builder += ["--root", str(place / "store"), "--runroot", str(place / "run")]
    settings = PIP if PIP.exists() else place / "pip.conf"
    if settings != PIP:
        settings.touch()
    container = run(*builder, "from", "scratch").strip()
    run(*builder, "copy", "--quiet", container, _bare_root(place), "/")
    run(*builder, "commit", "--quiet", "--rm", container, BASE)
    run(
        *builder,
        "build-using-dockerfile",
        *("--format", "docker", "--isolation", "chroot", "--network", "host", "--pull-never"),
        *("--secret", f"id=pip.conf,src={settings}"),
        *("--file", dockerfile.DOCKERFILE, "--tag", "syncer:test", "."),
        cwd=dockerfile.ROOT,
    )
    container = run(*builder, "from", "--pull-never", "syncer:test").strip()
    inspected = json.loads(run(*builder, "inspect", "--type", "image", "syncer:test"))
    return Image(
        root=Path(run(*builder, "mount", container).strip()),
        config=inspected["Docker"]["config"],
    )


def _bare_root(place: Path) -> Path:
    """What the base has that we use: a Debian, its certificates, ``python`` on the PATH."""
    root = place / "bare"
    packages = "--include=python3,python3-venv,ca-certificates"
    run("debootstrap", "--variant=minbase", packages, SUITE, root)
    for name in ("python", "python3"):
        (root / "usr/local/bin" / name).symlink_to("/usr/bin/python3")
    if TRUSTED.exists():
        shutil.copy(TRUSTED, root / TRUSTED.relative_to("/"))
    return root

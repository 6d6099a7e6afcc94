"""
What needs more than Python: the image built and run, the overlays rendered.

    .ci/system-tests tests/deploy
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support import bare_image, dockerfile, kustomize

from syncer import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.bare_image import Image

pytestmark = [pytest.mark.system, pytest.mark.timeout(1200)]


@pytest.mark.parametrize("overlay", kustomize.OVERLAYS)
def test_kustomize_renders_what_the_other_tests_read(overlay: str) -> None:
    assert kustomize.render(overlay) == kustomize.kept(overlay)


@pytest.fixture(name="image", scope="module")
def image_fixture() -> Iterator[Image]:
    """The Dockerfile, built. Not below pytest's own directory: that keeps the last three."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as place:
        yield bare_image.build(Path(place))


def test_the_image_is_started_as_its_file_says(image: Image) -> None:
    assert image.config["User"] == "{}:{}".format(*dockerfile.user())
    assert image.config["Entrypoint"] == ["syncer"]
    assert image.config["Cmd"] == ["run"]
    assert image.config["Healthcheck"]["Test"] == ["CMD", *dockerfile.health_command()]


def test_the_program_in_the_image_is_this_version(image: Image) -> None:
    answer = image.start("syncer", "--version")

    assert answer.stdout == f"syncer, version {__version__}\n"


def test_the_image_writes_to_its_directory_and_to_tmp_only(image: Image) -> None:
    answer = image.start(
        "sh", "-c", "for p in / /etc /opt/syncer /tmp ~; do touch $p/new && echo $p; done"
    )

    assert answer.stdout.split() == ["/tmp", "/var/lib/syncer"]  # noqa: S108 - in the image


def test_the_demo_runs_with_a_read_only_root_and_no_capability(image: Image) -> None:
    """A whole life: an embedded PostgreSQL, a source, a backfill, a sweep, a comparison."""
    answer = image.start("syncer", "demo", "--models", "300")

    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "Nothing is left running" in answer.stdout


def test_the_daemon_in_the_image_refuses_to_fill_a_throw_away_database(image: Image) -> None:
    answer = image.start("syncer", "run")

    assert answer.returncode == 2, answer.stderr
    assert "database.url" in answer.stderr


def test_no_build_tool_is_in_the_image(image: Image) -> None:
    answer = image.start("python", "-c", "import pip")

    assert "No module named 'pip'" in answer.stderr
    for name in ("gcc", "cc", "make", "git", "curl"):
        assert image.start("sh", "-c", f"command -v {name}").returncode != 0, name

"""The Dockerfile, as far as it can be judged without an engine; test_system.py builds it."""

from __future__ import annotations

import fnmatch
import json
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

import pytest
from support import dockerfile

from syncer import __version__
from syncer.config import load_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[2]


def test_the_linter_finds_nothing() -> None:
    linter = Path(sys.executable).with_name("hadolint")
    answer = subprocess.run(
        [linter, "--no-color", dockerfile.DOCKERFILE], capture_output=True, text=True, check=False
    )

    assert answer.stdout + answer.stderr == ""
    assert answer.returncode == 0


def test_all_stages_are_of_one_base_with_a_pinned_minor_version() -> None:
    """Else the environment that is copied would not find its Python."""
    bases = {text.split()[0] for name, text in dockerfile.instructions() if name == "FROM"}

    assert bases == {"python:3.13-slim-trixie"}


def test_the_user_is_a_number_and_not_root() -> None:
    assert min(dockerfile.user()) >= 10_000


def test_the_last_stage_installs_nothing() -> None:
    programs = [text for name, text in dockerfile.last_stage() if name == "RUN"]

    assert len(programs) == 1
    assert not any(word in programs[0] for word in ("pip", "apt", "curl", "wget"))


def test_it_stops_by_the_signal_that_the_daemon_hears() -> None:
    assert dockerfile.value("STOPSIGNAL") == "SIGTERM"
    assert json.loads(dockerfile.value("ENTRYPOINT")) == ["syncer"]
    assert json.loads(dockerfile.value("CMD")) == ["run"]


def test_it_never_falls_back_to_a_throw_away_database() -> None:
    settings = load_settings(None, dockerfile.environment())

    assert settings.database.embedded == "never"


def test_its_label_is_the_version() -> None:
    assert f'org.opencontainers.image.version="{__version__}"' in dockerfile.value("LABEL")


@pytest.fixture(name="serve")
def serve_fixture() -> Iterator[Callable[[int], int]]:
    """Start a server that answers /healthz with a status; returns its port."""
    servers = []

    def serve(status: int) -> int:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(status if self.path == "/healthz" else 404)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        servers.append((server, thread))
        return server.server_port

    yield serve
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


def health(port: int) -> int:
    """The exit code of the image's own check, asked of another port."""
    python, *arguments = dockerfile.health_command()
    assert python == "python"
    assert "8787" in arguments[-1]
    arguments[-1] = arguments[-1].replace("8787", str(port))
    # A proxy in the environment is none of its business.
    answer = subprocess.run(
        [sys.executable, *arguments],
        env={"http_proxy": "http://127.0.0.1:1"},
        capture_output=True,
        check=False,
    )
    return answer.returncode


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1), (500, 1), (302, 1)])
def test_the_health_check_goes_by_the_answer(
    serve: Callable[[int], int], status: int, code: int
) -> None:
    assert health(serve(status)) == code


def test_the_health_check_fails_when_nobody_answers() -> None:
    assert health(1) != 0


def test_the_health_check_asks_where_the_daemon_listens() -> None:
    listens = load_settings(None, {}).http.address

    assert listens is not None
    assert f"('{listens[0]}', {listens[1]}, " in dockerfile.health_command()[-1]
    assert dockerfile.value("EXPOSE") == str(listens[1])


def kept_rules() -> list[str]:
    text = (ROOT / ".dockerignore").read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def test_a_build_sees_what_it_copies_and_nothing_else() -> None:
    first, *rest = kept_rules()
    seen = {rule.removeprefix("!") for rule in rest if rule.startswith("!")}
    copied = {
        source.rstrip("/")
        for name, text in dockerfile.instructions()
        if name == "COPY" and not text.startswith("--from")
        for source in text.split()[:-1]
    }

    assert first == "*"
    assert copied == seen
    assert all((ROOT / name).exists() for name in seen)


def test_no_secret_gets_near_a_build_or_into_git() -> None:
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()

    assert "deploy/docker/secrets/" in ignored
    assert not any(fnmatch.fnmatch("deploy/docker/secrets", rule[1:]) for rule in kept_rules()[1:])

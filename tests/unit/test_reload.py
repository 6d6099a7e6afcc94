"""What a reload hides: the secrets of the configuration that is still at work."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from syncer.cli.frame import Invocation
from syncer.errors import ConfigError
from syncer.telemetry import Event, logger


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture(name="place")
def place_fixture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where key, secret and configuration are read from files."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SCENARIO_SDK_API_KEY_FILE", str(tmp_path / "key"))
    monkeypatch.setenv("SCENARIO_SDK_API_SECRET_FILE", str(tmp_path / "secret"))
    return tmp_path


def put(place: Path, generation: str) -> None:
    (place / "key").write_text(f"key-{generation}")
    (place / "secret").write_text(f"hush-{generation}")
    (place / "config.toml").write_text(
        f'[database]\nurl = "postgresql://u:pass-{generation}@127.0.0.1/x"\n'
    )


SECRETS = [f"{kind}-{when}" for kind in ("key", "hush", "pass") for when in ("before", "after")]


def test_p10_secrets_of_before_a_reload_stay_hidden_while_the_last_page_is_in_hand(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    invocation = Invocation(None, "json", "info")
    put(place, "before")
    before = invocation.configuration(for_daemon=True)
    put(place, "after")
    invocation.configuration(for_daemon=True, earlier=before)
    logger(detail=" ".join(SECRETS)).info(Event.CONFIG_RELOADED)
    said = capsys.readouterr().err

    assert "config_reloaded" in said
    assert [secret for secret in SECRETS if secret in said] == []


def test_p10_a_rejected_reload_leaves_the_secrets_in_force_hidden(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    invocation = Invocation(None, "json", "info")
    put(place, "before")
    before = invocation.configuration(for_daemon=True)
    (place / "config.toml").write_text('[log]\nlevel = "error"\n')
    monkeypatch.setenv("SYNCER_DATABASE__EMBEDDED", "never")
    with pytest.raises(ConfigError, match="there is no database"):
        invocation.configuration(for_daemon=True, earlier=before)
    logger(detail="pass-before hush-before").info(Event.CONFIG_REJECTED)
    said = capsys.readouterr().err

    assert "config_rejected" in said
    assert "before" not in said

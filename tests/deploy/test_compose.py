"""deploy/docker/compose.yaml: valid by the Compose specification, and in step with the program."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from compose_spec import _PyOptions
from support import dockerfile

from syncer import __version__
from syncer.cli import main
from syncer.config import load_credentials, load_settings, validate_credentials
from syncer.shutdown import GRACE_S, LAST_S

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "deploy" / "docker"
FILES = ("compose.yaml", "compose.credentials.yaml")
BY_OTHERS = {
    "../prometheus/prometheus.yaml",
    "../prometheus/alerts.yaml",
    "../grafana/dashboard.json",
}
"""Mounted here, and tested where they are made."""


def read(name: str) -> dict[str, Any]:
    """A file with its merge keys (``<<``) resolved."""
    document: dict[str, Any] = yaml.safe_load((DOCKER / name).read_text(encoding="utf-8"))
    return document


SERVICES: dict[str, dict[str, Any]] = read("compose.yaml")["services"]


def check_strictly(text: str) -> None:
    _PyOptions(apply_merge=True).from_yaml(text).validate()


@pytest.mark.parametrize("name", FILES)
def test_it_is_valid_by_the_compose_specification(name: str) -> None:
    check_strictly((DOCKER / name).read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"read_onyl": True}, "extension key `read_onyl`"),
        ({"healthcheck": {"interval": "5x"}}, "not a valid duration unit"),
        ({"networks": ["nowhere"]}, "nowhere"),
    ],
)
def test_the_specification_is_applied_strictly(change: dict[str, Any], complaint: str) -> None:
    document = read("compose.yaml")
    document["services"]["syncer"] |= change

    with pytest.raises(ValueError, match=complaint):
        check_strictly(yaml.safe_dump(document))


def test_its_configuration_is_what_the_program_takes() -> None:
    service = SERVICES["syncer"]
    (mount,) = [text for text in service["volumes"] if "/etc/syncer/config.toml" in text]
    file = DOCKER / mount.split(":")[0]
    settings = load_settings(file, dockerfile.environment())

    assert settings.warnings == ()
    assert settings.database.url == "postgresql://syncer@postgres:5432/syncer"
    assert settings.database.embedded == "never"
    assert settings.http.address is not None
    assert settings.http.address[0] == "0.0.0.0"  # noqa: S104 - Prometheus is another container
    assert f"127.0.0.1:8787:{settings.http.address[1]}" in service["ports"]
    credentials = load_credentials(settings.source.auth, {}, for_daemon=True)
    validate_credentials(settings, credentials)


def test_its_command_is_one_of_the_program() -> None:
    service = SERVICES["syncer"]
    name, *arguments = service["command"]
    command = main.get_command(click.Context(main), name)

    assert command is not None
    command.make_context(name, arguments)
    assert service["image"] == f"syncer:{__version__}"
    assert (DOCKER / service["build"]["context"] / service["build"]["dockerfile"]).resolve() == (
        dockerfile.DOCKERFILE
    )


def test_the_credentials_are_files_that_the_program_reads(tmp_path: Path) -> None:
    document = read("compose.credentials.yaml")
    service = document["services"]["syncer"]
    environ = {}
    for variable, path in service["environment"].items():
        name = path.removeprefix("/run/secrets/")
        assert name in service["secrets"]
        assert name in document["secrets"]
        (tmp_path / name).write_text(f"{name}\n")
        environ[variable] = str(tmp_path / name)

    assert load_credentials("auto", environ, for_daemon=True).kind == "basic"


def test_no_password_stands_in_a_file() -> None:
    for name in FILES:
        document = read(name)
        for secret in document["secrets"].values():
            assert list(secret) == ["file"]
            assert secret["file"].startswith("./secrets/")
        for service in document["services"].values():
            for variable, value in service.get("environment", {}).items():
                secret_like = re.search("PASSWORD|SECRET|KEY|TOKEN", variable)
                assert not secret_like or value.startswith("/run/secrets/"), variable


def test_nothing_is_reached_from_another_machine() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", ())]

    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


@pytest.mark.parametrize("name", SERVICES)
def test_every_container_has_no_more_rights_than_it_needs(name: str) -> None:
    service = SERVICES[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not service.get("privileged")
    assert re.fullmatch(r"[\w./-]+:v?\d[\w.-]*", service["image"])
    if name not in {"postgres", "passfile"}:
        assert "cap_add" not in service


def test_what_is_waited_for_says_when_it_is_ready() -> None:
    for service in SERVICES.values():
        for other, how in service.get("depends_on", {}).items():
            if how["condition"] == "service_healthy":
                assert "healthcheck" in SERVICES[other]
            else:
                assert how["condition"] in {"service_started", "service_completed_successfully"}


def test_what_is_mounted_is_there() -> None:
    volumes = set(read("compose.yaml")["volumes"])
    sources = {
        text.split(":")[0] for service in SERVICES.values() for text in service.get("volumes", ())
    }
    absent = {
        source
        for source in sources - volumes - BY_OTHERS
        if not source.startswith("./") or not (DOCKER / source).exists()
    }

    assert absent == set()
    assert volumes <= sources


def test_it_is_killed_only_when_it_had_time_to_stop() -> None:
    assert int(SERVICES["syncer"]["stop_grace_period"].removesuffix("s")) > GRACE_S + LAST_S


def test_grafana_finds_prometheus_and_the_dashboard() -> None:
    (source,) = yaml.safe_load((DOCKER / "grafana/datasources/prometheus.yaml").read_text())[
        "datasources"
    ]
    (provider,) = yaml.safe_load((DOCKER / "grafana/dashboards/syncer.yaml").read_text())[
        "providers"
    ]
    places = [text.split(":")[1] for text in SERVICES["grafana"]["volumes"]]

    assert source["url"] == "http://prometheus:9090"
    assert "127.0.0.1:9090:9090" in SERVICES["prometheus"]["ports"]
    assert f"{provider['options']['path']}/syncer.json" in places


def test_the_passfile_is_one_that_the_driver_reads(tmp_path: Path) -> None:
    """The service's own script, with its paths and its user replaced by the test's."""
    secret, folder = tmp_path / "postgres_password", tmp_path / "passfile"
    secret.write_text("a password\n")
    folder.mkdir()
    (script,) = SERVICES["passfile"]["command"]
    user, group = dockerfile.user()
    assert f"chown {user}:{group} " in script
    script = (
        script.replace("$$", "$")
        .replace("/run/secrets/postgres_password", str(secret))
        .replace("/run/passfile", str(folder))
        .replace(f"chown {user}:{group} ", f"chown {os.getuid()}:{os.getgid()} ")
    )
    # Twice: the next start of the project finds the file of the one before.
    for _ in range(2):
        subprocess.run([*SERVICES["passfile"]["entrypoint"], script], check=True)
    path = folder / "pgpass"

    assert [path] == list(folder.iterdir())
    assert path.stat().st_mode & 0o777 == 0o400
    assert SERVICES["syncer"]["environment"]["PGPASSFILE"] == "/run/passfile/pgpass"
    assert password_of(path) == "a password"


def password_of(passfile: Path) -> str | None:
    """What asyncpg would send."""
    from asyncpg.connect_utils import _parse_connect_dsn_and_args  # noqa: PLC0415

    settings = load_settings(DOCKER / "syncer.toml", {})
    nothing: dict[str, Any] = dict.fromkeys(
        (
            "host",
            "port",
            "user",
            "password",
            "database",
            "ssl",
            "direct_tls",
            "server_settings",
            "target_session_attrs",
            "krbsrvname",
            "gsslib",
            "service",
            "servicefile",
        )
    )
    _, parameters = _parse_connect_dsn_and_args(
        dsn=settings.database.url, passfile=str(passfile), **nothing
    )
    password: str | None = parameters.password
    return password

"""DESIGN §4: where credentials come from, which of them win, and what never becomes visible."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from syncer.config import (
    AuthKind,
    CatalogSettings,
    Settings,
    load_credentials,
    validate_credentials,
)
from syncer.domain import Privacy
from syncer.errors import ConfigError, ExitCode, SourceRefused

if TYPE_CHECKING:
    from pathlib import Path

Mount = Callable[[str, str], str]

KEY = "api_geheim_key"
SECRET = "geheim_secret"
JWT = "eyJ.geheim.jwt"
BASIC = {"SCENARIO_SDK_API_KEY": KEY, "SCENARIO_SDK_API_SECRET": SECRET}
BEARER = {"SCENARIO_SDK_JWT": JWT}
ALL_VARIABLES = (*BASIC, *BEARER)
BASIC_HEADER = "Basic " + base64.b64encode(f"{KEY}:{SECRET}".encode()).decode()


@pytest.fixture
def mounted(tmp_path: Path) -> Mount:
    def mounted(name: str, content: str) -> str:
        path = tmp_path / name
        path.write_text(content, encoding="utf-8")
        return str(path)

    return mounted


def refused(auth: str, environ: dict[str, str], *, for_daemon: bool = False) -> str:
    with pytest.raises(ConfigError) as caught:
        load_credentials(auth, environ, for_daemon=for_daemon)
    assert caught.value.exit_code is ExitCode.USAGE
    assert caught.value.hint
    assert "geheim" not in str(caught.value)
    return str(caught.value)


def test_without_any_credentials_auto_is_public() -> None:
    credentials = load_credentials("auto", {})
    assert credentials.kind is AuthKind.PUBLIC
    assert credentials.authorization() == "public-auth-token"
    assert credentials.describe() == "public: no credentials in the environment"
    assert credentials.secrets() == ()


@pytest.mark.parametrize("auth", ["auto", "basic"])
def test_key_and_secret_make_a_basic_header(auth: str) -> None:
    credentials = load_credentials(auth, BASIC)
    assert credentials.kind is AuthKind.BASIC
    assert credentials.authorization() == BASIC_HEADER
    assert credentials.describe() == (
        "basic: key from environment SCENARIO_SDK_API_KEY and "
        "secret from environment SCENARIO_SDK_API_SECRET"
    )


@pytest.mark.parametrize("auth", ["auto", "bearer"])
def test_a_jwt_makes_a_bearer_header(auth: str) -> None:
    credentials = load_credentials(auth, BEARER)
    assert credentials.kind is AuthKind.BEARER
    assert credentials.authorization() == f"Bearer {JWT}"
    assert credentials.describe() == "bearer: JWT from environment SCENARIO_SDK_JWT"


def test_each_value_may_come_from_a_file_with_a_line_end(mounted: Mount) -> None:
    path = mounted("secret", f"{SECRET}\n")
    environ = {"SCENARIO_SDK_API_KEY": KEY, "SCENARIO_SDK_API_SECRET_FILE": path}
    credentials = load_credentials("auto", environ)
    assert credentials.authorization() == BASIC_HEADER
    assert f"secret from file {path} (SCENARIO_SDK_API_SECRET_FILE)" in credentials.describe()


def test_basic_wins_when_both_are_complete_and_check_says_so() -> None:
    credentials = load_credentials("auto", BASIC | BEARER)
    assert credentials.kind is AuthKind.BASIC
    assert credentials.describe().endswith(
        "environment SCENARIO_SDK_JWT ignored: Basic wins when both are complete, "
        "as in the vendor's SDK"
    )


def test_bearer_is_used_where_it_is_demanded_although_basic_is_complete() -> None:
    credentials = load_credentials("bearer", BASIC | BEARER)
    assert credentials.kind is AuthKind.BEARER
    assert "SCENARIO_SDK_API_KEY" in credentials.describe()
    assert credentials.describe().endswith("ignored: source.auth is 'bearer'")


@pytest.mark.parametrize("auth", ["auto", "basic", "bearer"])
@pytest.mark.parametrize("variable", ALL_VARIABLES)
@pytest.mark.parametrize("value", ["", " \n"])
def test_an_empty_variable_is_refused(auth: str, variable: str, value: str) -> None:
    text = refused(auth, BASIC | BEARER | {variable: value})
    assert f"environment {variable} is empty" in text


@pytest.mark.parametrize("variable", ALL_VARIABLES)
def test_an_empty_file_name_is_refused(variable: str) -> None:
    assert f"environment {variable}_FILE is empty" in refused("auto", {f"{variable}_FILE": ""})


@pytest.mark.parametrize("variable", ALL_VARIABLES)
def test_an_empty_or_missing_file_is_refused(mounted: Mount, variable: str, tmp_path: Path) -> None:
    path = mounted("empty", "\n")
    assert f"file {path} is empty" in refused("auto", {f"{variable}_FILE": path})
    gone = str(tmp_path / "gone")
    text = refused("auto", {f"{variable}_FILE": gone})
    assert f"file {gone} cannot be read: no such file" in text


@pytest.mark.parametrize("auth", ["auto", "basic", "bearer"])
@pytest.mark.parametrize(
    ("given", "missing"),
    [tuple(BASIC), tuple(reversed(BASIC))],
)
def test_half_a_pair_is_refused_even_beside_a_jwt(auth: str, given: str, missing: str) -> None:
    text = refused(auth, {given: BASIC[given]} | BEARER)
    assert f"{given} is given, but {missing} is not" in text


@pytest.mark.parametrize("variable", ALL_VARIABLES)
def test_a_value_and_its_file_cannot_both_be_given(mounted: Mount, variable: str) -> None:
    environ = BASIC | BEARER | {f"{variable}_FILE": mounted("x", "geheim")}
    assert f"{variable} and {variable}_FILE are both set" in refused("auto", environ)


def test_all_problems_are_named_at_once() -> None:
    text = refused("auto", {"SCENARIO_SDK_API_KEY": "", "SCENARIO_SDK_JWT": ""})
    assert "2 problems" in text
    assert "SCENARIO_SDK_API_KEY is empty" in text
    assert "SCENARIO_SDK_JWT is empty" in text


@pytest.mark.parametrize("value", ["geheim x", "geheim\nx", "geheimé", "geheim\udcff"])
def test_a_value_that_would_break_the_header_is_refused(value: str) -> None:
    text = refused("auto", BASIC | {"SCENARIO_SDK_API_SECRET": value})
    assert "a space, a line break or a character beyond ASCII" in text


def test_a_key_that_contains_the_pair_is_refused() -> None:
    text = refused("auto", BASIC | {"SCENARIO_SDK_API_KEY": f"{KEY}:{SECRET}"})
    assert "SCENARIO_SDK_API_KEY holds a ':'" in text


def test_a_file_without_end_is_not_read_to_its_end(mounted: Mount) -> None:
    path = mounted("large", "geheim" * 20_000)
    assert "is longer than 65536 bytes" in refused("auto", {"SCENARIO_SDK_JWT_FILE": path})


def test_basic_and_bearer_demand_theirs() -> None:
    assert "there is no API key" in refused("basic", BEARER)
    assert "there is no JWT" in refused("bearer", BASIC)
    assert "there is no API key" in refused("basic", {})


def test_public_ignores_credentials_even_broken_ones_and_says_so() -> None:
    credentials = load_credentials("public", BASIC | {"SCENARIO_SDK_JWT": ""})
    assert credentials.kind is AuthKind.PUBLIC
    assert credentials.authorization() == "public-auth-token"
    assert credentials.describe() == (
        "public: SCENARIO_SDK_API_KEY, SCENARIO_SDK_API_SECRET, SCENARIO_SDK_JWT ignored, "
        "because source.auth is 'public'"
    )


@pytest.mark.parametrize("auth", ["auto", "bearer"])
def test_the_daemon_takes_a_jwt_from_a_file_only(mounted: Mount, auth: str) -> None:
    assert "one lives about 60 s" in refused(auth, BEARER, for_daemon=True)
    environ = {"SCENARIO_SDK_JWT_FILE": mounted("jwt", JWT)}
    assert load_credentials(auth, environ, for_daemon=True).kind is AuthKind.BEARER


def test_the_daemon_does_not_mind_a_jwt_that_basic_outdoes() -> None:
    assert load_credentials("auto", BASIC | BEARER, for_daemon=True).kind is AuthKind.BASIC


def test_a_jwt_file_is_read_anew_for_each_header(mounted: Mount) -> None:
    credentials = load_credentials("auto", {"SCENARIO_SDK_JWT_FILE": mounted("jwt", "geheim1")})
    assert credentials.authorization() == "Bearer geheim1"
    mounted("jwt", "geheim2\n")
    assert credentials.authorization() == "Bearer geheim2"
    assert credentials.secrets() == ("geheim2", "geheim1")


def test_a_jwt_file_that_vanished_is_a_refusal_that_can_pass(
    mounted: Mount, tmp_path: Path
) -> None:
    credentials = load_credentials("auto", {"SCENARIO_SDK_JWT_FILE": mounted("jwt", JWT)})
    (tmp_path / "jwt").unlink()
    with pytest.raises(SourceRefused, match=r"there is no JWT to send: file .* cannot be read"):
        credentials.authorization()
    mounted("jwt", "new")
    assert credentials.authorization() == "Bearer new"


def test_reload_takes_rotated_files(mounted: Mount) -> None:
    environ = {
        "SCENARIO_SDK_API_KEY_FILE": mounted("key", "old"),
        "SCENARIO_SDK_API_SECRET_FILE": mounted("secret", "old_secret"),
    }
    credentials = load_credentials("auto", environ)
    before = credentials.authorization()
    mounted("key", KEY)
    mounted("secret", SECRET)
    assert credentials.authorization() == before
    credentials.reload()
    assert credentials.authorization() == BASIC_HEADER
    assert {KEY, SECRET, "old", "old_secret"} <= set(credentials.secrets())


def test_a_failed_reload_changes_nothing(mounted: Mount) -> None:
    environ = {
        "SCENARIO_SDK_API_KEY_FILE": mounted("key", KEY),
        "SCENARIO_SDK_API_SECRET_FILE": mounted("secret", SECRET),
    }
    credentials = load_credentials("auto", environ)
    mounted("key", "other")
    mounted("secret", "")
    with pytest.raises(ConfigError, match=r"were not read anew: file .* is empty"):
        credentials.reload()
    assert credentials.authorization() == BASIC_HEADER


@pytest.mark.parametrize("auth", ["basic", "bearer"])
def test_no_text_form_of_credentials_shows_them(auth: str) -> None:
    credentials = load_credentials(auth, BASIC | BEARER)
    secrets = {"basic": (KEY, SECRET, BASIC_HEADER[6:]), "bearer": (JWT,)}[auth]
    assert credentials.secrets() == secrets
    shown = f"{credentials!r} {credentials} {credentials.describe()} {credentials._parts!r}"
    assert not any(secret in shown for secret in secrets)


def test_a_private_catalog_needs_credentials() -> None:
    settings = Settings(
        catalogs=(CatalogSettings(), CatalogSettings(name="ours", privacy=Privacy.PRIVATE))
    )
    with pytest.raises(ConfigError, match=r"private catalogs need credentials.*: ours"):
        validate_credentials(settings, load_credentials("auto", {}))
    validate_credentials(settings, load_credentials("auto", BASIC))
    validate_credentials(Settings(), load_credentials("auto", {}))

"""DESIGN §4: one test per rule of the configuration file and its environment variables."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from collections.abc import Callable
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncer.config import (
    CatalogSettings,
    ConfigValue,
    DatabaseSettings,
    HttpSettings,
    PartitionBy,
    Settings,
    describe,
    example_config,
    find_config,
    load_settings,
    mask_url,
    require_database,
)
from syncer.config.keys import keys_of
from syncer.config.settings import SECTIONS
from syncer.domain import Privacy, Scope
from syncer.errors import ConfigError, ExitCode

Write = Callable[[str], Path]

TABLES = {**SECTIONS, "catalog": CatalogSettings}
ALL_KEYS = {f"{section}.{key.name}" for section, kind in TABLES.items() for key in keys_of(kind)}
PASSWORD = "hunter2-geheim"


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(text: str) -> Path:
        path = tmp_path / "config.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def refused(path: Path | None, environ: dict[str, str] | None = None) -> str:
    """The text of the one error that this configuration is refused with."""
    with pytest.raises(ConfigError) as caught:
        load_settings(path, environ or {})
    assert caught.value.exit_code is ExitCode.USAGE
    assert caught.value.hint
    return str(caught.value)


# ---------------------------------------------------------------- defaults and the example file


def test_without_file_and_environment_the_documented_defaults_hold() -> None:
    settings = load_settings(None, {}, is_root=True)
    assert settings.source.base_url == "https://api.cloud.scenario.com/v1"
    assert (settings.source.auth, settings.source.page_size) == ("auto", 500)
    assert settings.source.max_requests_per_minute == 90
    assert (settings.source.max_concurrency, settings.source.request_timeout_s) == (8, 60)
    assert (settings.database.url, settings.database.embedded) == ("", "auto")
    assert settings.database.data_dir == Path("/var/lib/syncer")
    assert (settings.database.pool_size, settings.database.migrate) == (4, "auto")
    assert settings.lease.ttl_s == 30
    assert (settings.limits.retry_deadline_s, settings.limits.stall_after_s) == (300, 600)
    assert settings.limits.max_page_bytes == 67108864
    assert settings.http.listen == "127.0.0.1:8787"
    assert (settings.log.level, settings.log.format) == ("info", "auto")
    (catalog,) = settings.catalogs
    assert (catalog.name, catalog.privacy, catalog.partition_by) == ("public", "public", "auto")
    assert (catalog.poll_interval_s, catalog.sweep_interval_s) == (60, 3600)
    assert (catalog.overlap_s, catalog.max_removed_fraction) == (300, 0.2)
    assert (catalog.freshness_limit_s, catalog.effective_freshness_limit_s) == (0, 300)
    assert settings.path is None
    assert settings.warnings == ()
    assert set(settings.origins.values()) == {"default"}


def test_the_example_file_means_exactly_the_defaults(write: Write) -> None:
    settings = load_settings(write(example_config()), {}, is_root=True)
    defaults = load_settings(None, {}, is_root=True)
    for section in SECTIONS:
        assert getattr(settings, section) == getattr(defaults, section)
    assert settings.catalogs == defaults.catalogs
    assert settings.warnings == ()


def test_the_example_file_has_every_key_and_no_other() -> None:
    document = tomllib.loads(example_config())
    (document["catalog"],) = document["catalog"]
    assert {f"{table}.{key}" for table, keys in document.items() for key in keys} == ALL_KEYS


def test_the_example_file_of_an_installed_wheel_goes_first(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "_sql").mkdir()
    (tmp_path / "_sql" / "config.example.toml").write_text("# packaged", encoding="utf-8")
    monkeypatch.setattr("importlib.resources.files", {"syncer": tmp_path}.get)
    assert example_config() == "# packaged"


def test_each_key_of_the_example_file_is_explained_on_its_line_as_the_table_of_keys_does() -> None:
    lines = example_config().splitlines()
    for section in TABLES.values():
        for key in keys_of(section):
            (line,) = (line for line in lines if line.startswith(f"{key.name} ="))
            assert line.endswith(f"  # {key.comment}")


def test_the_second_catalog_of_the_example_works_when_its_comment_signs_are_removed(
    write: Write,
) -> None:
    text = example_config()
    for line in ("[[catalog]]", 'name = "ours"', 'privacy = "private"'):
        assert f"# {line}" in text
        text = text.replace(f"# {line}", line)
    assert [catalog.name for catalog in load_settings(write(text), {}).catalogs] == [
        "public",
        "ours",
    ]


def test_settings_written_by_hand_equal_those_of_an_empty_file(write: Write) -> None:
    loaded = load_settings(write(""), {})
    assert loaded.source == Settings().source
    assert loaded.catalogs == Settings().catalogs


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        setattr(load_settings(None, {}).source, "page_size", 1)  # noqa: B010 - mypy knows it cannot


def test_importing_the_configuration_loads_no_heavy_module() -> None:
    code = (
        "import sys, syncer.config; "
        "print([m for m in ('aiohttp', 'asyncpg', 'asyncio', 'platformdirs', 'rich') "
        "if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_file_longer_than_a_mebibyte_is_refused(write: Write) -> None:
    longest = "#" * 2**20
    assert load_settings(write(longest), {}).path
    assert "config.toml is longer than 1048576 bytes" in refused(write(longest + "#"))


def test_a_file_without_an_end_is_refused() -> None:
    assert "/dev/zero is longer than 1048576 bytes" in refused(Path("/dev/zero"))


# ------------------------------------------------------------------------------ finding the file


@pytest.fixture
def places(tmp_path: Path) -> dict[str, Path]:
    (tmp_path / "cwd").mkdir()
    names = {name: tmp_path / f"{name}.toml" for name in ("flag", "variable", "system")}
    names["local"] = tmp_path / "cwd" / "config.toml"
    for path in names.values():
        path.touch()
    return names


def find(places: dict[str, Path], explicit: str | None, environ: dict[str, str]) -> Path | None:
    cwd = places["local"].parent
    return find_config(explicit, environ, cwd, system=places["system"])


def test_flag_then_variable_then_directory_then_system_then_nothing(
    places: dict[str, Path],
) -> None:
    environ = {"SYNCER_CONFIG": str(places["variable"])}
    assert find(places, str(places["flag"]), environ) == places["flag"]
    assert find(places, None, environ) == places["variable"]
    assert find(places, None, {}) == places["local"]
    places["local"].unlink()
    assert find(places, None, {}) == places["system"]
    places["system"].unlink()
    assert find(places, None, {}) is None


def test_a_relative_name_starts_at_the_working_directory(places: dict[str, Path]) -> None:
    assert find(places, "../flag.toml", {}) == places["local"].parent / "../flag.toml"


def test_a_file_named_by_the_flag_must_exist(places: dict[str, Path]) -> None:
    with pytest.raises(ConfigError, match=r"gone\.toml, named by --config, is not there"):
        find(places, "gone.toml", {})


def test_a_file_named_by_the_variable_must_exist_even_where_another_would_do(
    places: dict[str, Path],
) -> None:
    with pytest.raises(ConfigError, match=r"named by \$SYNCER_CONFIG, is not there"):
        find(places, None, {"SYNCER_CONFIG": "gone.toml"})


def test_an_empty_variable_names_no_file(places: dict[str, Path]) -> None:
    assert find(places, None, {"SYNCER_CONFIG": ""}) == places["local"]


def test_a_name_that_cannot_be_looked_at_is_refused_and_not_passed_over(
    places: dict[str, Path],
) -> None:
    with pytest.raises(ConfigError, match="cannot be read: file name too long"):
        find(places, "x" * 5000, {})


def test_a_directory_is_no_configuration_file(places: dict[str, Path]) -> None:
    places["local"].unlink()
    places["local"].mkdir()
    assert find(places, None, {}) == places["system"]
    with pytest.raises(ConfigError, match="is not there"):
        find(places, str(places["local"]), {})


# ------------------------------------------------------------------------------ reading the file


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("[source]\npage_size = \n", ":2:13"),
        ("[source]\npage_size = 5\npage_size = 6\n", ":3:14"),
        ("[source\n", ":1:8"),
    ],
)
def test_a_syntax_error_names_file_line_and_column(write: Write, text: str, place: str) -> None:
    path = write(text)
    assert f"{path}{place}: this is not TOML: " in refused(path)


def test_a_syntax_error_at_the_end_of_the_file_names_its_last_line(write: Write) -> None:
    path = write('[log]\nlevel = """info\n\n')
    assert f"{path}:4:1: this is not TOML: unterminated string. Correct" in refused(path)


def test_a_file_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(b"# caf\xe9\n")
    assert f"{path} is not UTF-8: byte 5" in refused(path)


def test_a_byte_order_mark_is_not_content(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(b"\xef\xbb\xbf[source]\npage_size = 7\n")
    assert load_settings(path, {}).source.page_size == 7


def test_a_file_that_cannot_be_read_is_refused_with_the_reason(tmp_path: Path) -> None:
    assert f"{tmp_path} cannot be read: is a directory" in refused(tmp_path)


def test_all_problems_are_named_at_once_each_with_its_remedy(write: Write) -> None:
    text = refused(
        write('[source]\npage_size = 0\nauht = "auto"\n[[catalog]]\nprivacy = "secret"\n'),
        {"SYNCER_LEASE__TTL_S": "soon"},
    )
    assert text.startswith("the configuration has 4 problems. Correct them:\n  1. ")
    for part in (
        "source.page_size = 0 (",
        "expected 1 to 500 models",
        "Did you mean 'auth'?",
        'catalog.public.privacy = "secret"',
        'lease.ttl_s = "soon" (environment SYNCER_LEASE__TTL_S)',
    ):
        assert part in text
    assert text.count("Correct it, or remove it to get the default.") == 2


def test_a_problem_names_key_value_expectation_and_file(write: Write) -> None:
    path = write("[source]\npage_size = 501\n")
    assert f"source.page_size = 501 ({path}): expected 1 to 500 models. Correct it" in refused(path)


# ---------------------------------------------------------------------------- keys and sections


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[source]\npagesize = 5", "source.pagesize"),
        ("[source]\npagesize = 5", "Did you mean 'page_size'?"),
        ("[sorce]\npage_size = 5", "Did you mean 'source'?"),
        ("page_size = 5", "The key belongs below the line [source]."),
        ('tags = ["a"]', "The key belongs below the line [[catalog]]."),
        ("[[catalog]]\ncollectionIds = []", "Did you mean 'collection_ids'?"),
        ("[[catalog]]\npoll-interval = 5", "Did you mean 'poll_interval_s'?"),
        ("[log]\nxyzzy = 1", "Known are: format, level."),
        ("[[catalog]]\nxyzzy = 1", "catalog.public.xyzzy"),
        ("source = 5", "Begin it with a line [source]."),
        ('[catalog]\nname = "public"', "Begin each catalog with a line [[catalog]]"),
        ("catalog = []", "Begin each catalog with a line [[catalog]]"),
        ("catalog = [5]", "Begin each catalog with a line [[catalog]]"),
    ],
)
def test_an_unknown_key_or_section_is_an_error_with_the_way_out(
    write: Write, text: str, expected: str
) -> None:
    assert expected in refused(write(text))


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("loaded_only", "on a GPU"),
        ("loadedOnly", "on a GPU"),
        ("sort_by", "order is the crawler's own"),
        ("sortBy", "order is the crawler's own"),
        ("sort_direction", "order is the crawler's own"),
        ("pagination_token", "Paging is the crawler's own"),
        ("paginationToken", "Paging is the crawler's own"),
        ("type", "Use types, a list"),
        ("updated_after", "bounds are the crawler's own"),
        ("updatedBefore", "bounds are the crawler's own"),
        ("created_after", "bounds are the crawler's own"),
        ("created_before", "bounds are the crawler's own"),
        ("page_size", "source.page_size"),
    ],
)
def test_a_parameter_that_no_catalog_takes_is_refused_with_the_reason(
    write: Write, key: str, reason: str
) -> None:
    assert reason in refused(write(f'[[catalog]]\n{key} = "x"'))


@pytest.mark.parametrize("key", ["api_key", "api_secret", "jwt", "token", "apiKey"])
def test_credentials_in_the_file_are_refused_and_not_shown(write: Write, key: str) -> None:
    text = refused(write(f'[source]\n{key} = "{PASSWORD}"'))
    assert "Credentials never stand in the configuration" in text
    assert PASSWORD not in text


# ------------------------------------------------------------------------------------- values


@pytest.mark.parametrize(
    ("section", "key", "good", "bad"),
    [
        ("source", "page_size", [1, 500], [0, 501, -1, 1.5, "5", True, [5]]),
        ("source", "max_requests_per_minute", [1, 6000], [0, -1, "90"]),
        ("source", "max_concurrency", [1, 256], [0, 257]),
        ("source", "request_timeout_s", [0.5, 60], [0, -1, "60", True]),
        ("source", "auth", ["auto", "basic", "bearer", "public"], ["none", "Basic", "", 1]),
        ("database", "pool_size", [2, 500], [1, 0, 501]),
        ("database", "embedded", ["auto", "never"], ["always", True]),
        ("database", "migrate", ["auto", "manual"], ["never"]),
        ("lease", "ttl_s", [1, 30, 3600], [0, 0.5, -1, 3601]),
        ("limits", "retry_deadline_s", [1], [0, -5]),
        ("limits", "stall_after_s", [301], [0, -5]),
        ("history", "keep_days", [0, 1, 36500], [-1, 36501, 0.5]),
        ("limits", "max_page_bytes", [1024, 1073741824], [0, 1023, 1073741825, 1e6]),
        ("log", "level", ["debug", "info", "warning", "error"], ["INFO", "trace"]),
        ("log", "format", ["auto", "json", "console"], ["text"]),
        ("catalog", "poll_interval_s", [0.1, 60], [0, -1, 1e12]),
        ("catalog", "sweep_interval_s", [1, 86400], [0, -1]),
        ("catalog", "overlap_s", [0, 300], [-1, -0.5]),
        ("catalog", "max_removed_fraction", [0, 0.2, 1], [-0.1, 1.1]),
        ("catalog", "freshness_limit_s", [0, 900], [-1]),
        ("catalog", "privacy", ["public", "private"], ["unlisted", "Public", 1]),
        ("catalog", "partition_by", ["auto", "time", "type", "tag"], ["tags", "types"]),
        ("catalog", "blacklisted", [True, False], ["true", 1, 0]),
        ("catalog", "original_assets", [True, False], ["false", 1]),
        ("catalog", "types", [[], ["custom"]], ["custom", [1], [""], ["a,b"], ["a", "a"]]),
        ("catalog", "tags", [["a b", "sc", "Ü:1"]], ["a", [["a"]], ["a,b"], [" "]]),
        ("catalog", "collection_ids", [["c1", "c2"]], ["c1", ["c1,c2"], {}]),
        ("catalog", "project_id", ["proj_1"], [1, ["proj_1"], "a\nb"]),
    ],
)
def test_a_key_takes_its_values_and_no_others(
    write: Write, section: str, key: str, good: list[object], bad: list[object]
) -> None:
    head = "[[catalog]]" if section == "catalog" else f"[{section}]"
    for value in good:
        settings = load_settings(write(f"{head}\n{key} = {json.dumps(value)}"), {})
        part = settings.catalogs[0] if section == "catalog" else getattr(settings, section)
        expected = tuple(value) if isinstance(value, list) else value
        assert getattr(part, key) == expected
    for value in bad:
        written = "{}" if value == {} else json.dumps(value)
        assert f".{key} = " in refused(write(f"{head}\n{key} = {written}"))


@pytest.mark.parametrize("word", ["nan", "inf", "-inf"])
def test_no_number_of_seconds_is_infinite_or_undefined(write: Write, word: str) -> None:
    assert "expected seconds" in refused(write(f"[source]\nrequest_timeout_s = {word}"))
    assert "expected seconds" in refused(None, {"SYNCER_SOURCE__REQUEST_TIMEOUT_S": word})


def test_a_date_is_called_a_date(write: Write) -> None:
    text = refused(write("[[catalog]]\npoll_interval_s = 2026-01-01"))
    assert '"2026-01-01"' in text
    assert "but it is a date or time" in text


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("ftp://host/v1", "does not begin with https://"),
        ("api.cloud.scenario.com/v1", "does not begin with https://"),
        ("https://", "names no host"),
        (f"https://key:{PASSWORD}@host/v1", "contains credentials"),
        (f"https://host/v1?token={PASSWORD}", "a query or a fragment"),
        (f"https://host/v1#{PASSWORD}", "a query or a fragment"),
        ("https://host:port/v1", "host or port cannot be read"),
        ("https://ho st/v1", "contains a space"),
    ],
)
def test_the_base_url_is_a_plain_http_address_and_no_secret_in_it_is_repeated(
    write: Write, url: str, reason: str
) -> None:
    text = refused(write(f'[source]\nbase_url = "{url}"'))
    assert reason in text
    assert PASSWORD not in text


def test_a_slash_at_the_end_of_the_base_url_makes_no_difference(write: Write) -> None:
    settings = load_settings(write('[source]\nbase_url = "http://127.0.0.1:99/v1/"'), {})
    assert settings.source.base_url == "http://127.0.0.1:99/v1"


@pytest.mark.parametrize(
    ("listen", "address"),
    [
        ("", None),
        ("127.0.0.1:8787", ("127.0.0.1", 8787)),
        ("0.0.0.0:0", ("0.0.0.0", 0)),  # noqa: S104 - read, not bound
        ("localhost:1", ("localhost", 1)),
        ("[::1]:8787", ("::1", 8787)),
    ],
)
def test_listen_is_host_and_port_or_empty(
    write: Write, listen: str, address: tuple[str, int] | None
) -> None:
    settings = load_settings(write(f'[http]\nlisten = "{listen}"'), {})
    assert settings.http == HttpSettings(listen=listen)
    assert settings.http.address == address


@pytest.mark.parametrize(
    "listen", ["8787", ":8787", "host", "host:", "host:65536", "host:x", "::1:87", "[h]:1", "a b:1"]
)
def test_listen_without_host_or_port_is_refused(write: Write, listen: str) -> None:
    assert "expected host:port" in refused(write(f'[http]\nlisten = "{listen}"'))


# --------------------------------------------------------------------------------- environment


def test_a_variable_overrides_the_file_and_the_default(write: Write) -> None:
    path = write('[source]\npage_size = 100\nauth = "public"\n')
    settings = load_settings(
        path, {"SYNCER_SOURCE__PAGE_SIZE": "50", "SYNCER_LOG__LEVEL": "debug"}, is_root=True
    )
    assert (settings.source.page_size, settings.source.auth) == (50, "public")
    assert settings.log.level == "debug"
    assert settings.origins["source.page_size"] == "environment SYNCER_SOURCE__PAGE_SIZE"
    assert settings.origins["source.auth"] == str(path)
    assert settings.origins["source.base_url"] == "default"
    assert settings.path == path


def test_a_catalog_is_overridden_by_its_name(write: Write) -> None:
    path = write('[[catalog]]\nname = "a"\n[[catalog]]\nname = "b_2"\n')
    settings = load_settings(
        path,
        {
            "SYNCER_CATALOG__B_2__TYPES": '["custom", "flux.1-lora"]',
            "SYNCER_CATALOG__A__PRIVACY": "private",
        },
    )
    first, second = settings.catalogs
    assert (first.privacy, first.types) == (Privacy.PRIVATE, ())
    assert (second.privacy, second.types) == (Privacy.PUBLIC, ("custom", "flux.1-lora"))
    assert settings.origins["catalog.b_2.types"] == "environment SYNCER_CATALOG__B_2__TYPES"


def test_a_name_with_two_underscores_is_still_told_from_its_key(write: Write) -> None:
    settings = load_settings(
        write('[[catalog]]\nname = "a__b_"\n'), {"SYNCER_CATALOG__A__B___OVERLAP_S": "7"}
    )
    assert settings.catalogs[0].overlap_s == 7


def test_the_built_in_catalog_is_overridden_without_a_file() -> None:
    settings = load_settings(None, {"SYNCER_CATALOG__PUBLIC__OVERLAP_S": "0"})
    assert settings.catalogs == (CatalogSettings(overlap_s=0),)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("SYNCER_SOURCE__PAGESIZE", "5", "Did you mean 'SYNCER_SOURCE__PAGE_SIZE'?"),
        ("SYNCER_SURCE__PAGE_SIZE", "5", "Did you mean 'SYNCER_SOURCE__PAGE_SIZE'?"),
        ("SYNCER_CATALOG__PUBLIC__TAG", "[]", "Did you mean 'tags'?"),
        ("SYNCER_CATALOG__PUBLIC__SORT_BY", "score", "order is the crawler's own"),
        ("SYNCER_CATALOG__PUBLIK__TAGS", "[]", "Did you mean 'public'?"),
        ("SYNCER_CATALOG__OTHER__TAGS", "[]", "No catalog is called 'other'"),
        ("SYNCER_CATALOG__PUBLIC__NAME", "x", "change the name in the file"),
        ("SYNCER_SOURCE__API_KEY", PASSWORD, "Credentials never stand in the configuration"),
        ("SYNCER_CATALOG__TAGS", "[]", "No catalog is called"),
    ],
)
def test_an_unknown_variable_is_an_error_with_the_way_out(
    name: str, value: str, expected: str
) -> None:
    text = refused(None, {name: value})
    assert f"{name} (environment) is no key" in text
    assert expected in text
    assert PASSWORD not in text


def test_variables_that_are_not_keys_by_their_form_are_left_alone() -> None:
    environ = {
        "SYNCER_CONFIG": "elsewhere.toml",
        "SYNCER_TEST_DSN": "postgresql://elsewhere",
        "SYNCER_SERVICE_HOST": "10.0.0.1",
        "SYNCER_PORT_8787_TCP_ADDR": "10.0.0.1",
        "OTHER__THING": "1",
    }
    assert load_settings(None, environ) == load_settings(None, {})


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("SYNCER_DATABASE_URL", "SYNCER_DATABASE__URL"),
        ("SYNCER_SOURCE_PAGE_SIZE", "SYNCER_SOURCE__PAGE_SIZE"),
        ("SYNCER_CATALOG_PUBLIC_TYPES", "SYNCER_CATALOG__PUBLIC__TYPES"),
        ("SYNCER_CATALOG__PUBLIC_TYPES", "SYNCER_CATALOG__PUBLIC__TYPES"),
        ("SYNCER_CATALOG_PUBLIC__TYPES", "SYNCER_CATALOG__PUBLIC__TYPES"),
        ("SYNCER__DATABASE_URL", "SYNCER_DATABASE__URL"),
    ],
)
def test_a_variable_with_too_few_underscores_is_refused_and_spelled_out(
    written: str, meant: str
) -> None:
    text = refused(None, {written: f"postgresql://syncer:{PASSWORD}@db/mirror"})
    assert f"{written} (environment) is no key" in text
    assert f"Did you mean {meant}?" in text
    assert PASSWORD not in text


@pytest.mark.parametrize("service", ["", "SOURCE_", "DATABASE_", "HTTP_", "CATALOG_PUBLIC_"])
def test_what_kubernetes_injects_for_a_service_of_our_name_is_harmless(service: str) -> None:
    port = f"SYNCER_{service}PORT"
    environ = {
        f"SYNCER_{service}SERVICE_HOST": "10.0.0.1",
        f"SYNCER_{service}SERVICE_PORT": "8787",
        f"SYNCER_{service}SERVICE_PORT_HTTP": "8787",
        port: "tcp://10.0.0.1:8787",
        f"{port}_8787_TCP": "tcp://10.0.0.1:8787",
        f"{port}_8787_TCP_PROTO": "tcp",
        f"{port}_8787_TCP_PORT": "8787",
        f"{port}_8787_TCP_ADDR": "10.0.0.1",
    }
    assert load_settings(None, environ) == load_settings(None, {})


@pytest.mark.parametrize(
    ("text", "value"),
    [("true", True), ("false", False), ("1", True), ("0", False), ("TRUE", True)],
)
def test_true_and_false_have_four_spellings_in_the_environment(text: str, value: bool) -> None:
    settings = load_settings(None, {"SYNCER_CATALOG__PUBLIC__BLACKLISTED": text})
    assert settings.catalogs[0].blacklisted is value


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("SYNCER_CATALOG__PUBLIC__BLACKLISTED", "yes", "expected true | false"),
        ("SYNCER_CATALOG__PUBLIC__BLACKLISTED", "", "expected true | false"),
        ("SYNCER_SOURCE__PAGE_SIZE", "many", "but it is not a whole number"),
        ("SYNCER_SOURCE__PAGE_SIZE", "1.5", "but it is not a whole number"),
        ("SYNCER_SOURCE__PAGE_SIZE", "501", "expected 1 to 500 models"),
        ("SYNCER_LEASE__TTL_S", "", "but it is not a number"),
        ("SYNCER_CATALOG__PUBLIC__TAGS", "a", "but it is not JSON"),
        ("SYNCER_CATALOG__PUBLIC__TAGS", '"a"', "but it is text"),
        ("SYNCER_CATALOG__PUBLIC__TAGS", '["a,b"]', "contains a comma"),
        ("SYNCER_CATALOG__PUBLIC__PROJECT_ID", "\udcff", "not UTF-8"),
    ],
)
def test_a_variable_of_the_wrong_form_is_named_with_what_is_expected(
    name: str, text: str, expected: str
) -> None:
    message = refused(None, {name: text})
    assert f"(environment {name})" in message
    assert expected in message


INTEGERS = {"source.page_size": (1, 500), "limits.max_page_bytes": (1024, 2**30)}
PLAIN_TEXT = st.text(
    st.characters(exclude_categories=("Cc", "Cs"), exclude_characters="\x7f"), max_size=30
)


def _scalars() -> st.SearchStrategy[tuple[str, object]]:
    return st.one_of(
        *(st.tuples(st.just(key), st.integers(*bounds)) for key, bounds in INTEGERS.items()),
        st.tuples(st.just("source.request_timeout_s"), st.floats(1e-6, 1e6)),
        st.tuples(st.just("catalog.max_removed_fraction"), st.floats(0, 1)),
        st.tuples(st.just("catalog.overlap_s"), st.integers(0, 10**6)),
        st.tuples(st.just("catalog.blacklisted"), st.booleans()),
        st.tuples(st.just("catalog.project_id"), PLAIN_TEXT),
        st.tuples(st.just("log.level"), st.sampled_from(["debug", "info", "warning", "error"])),
        st.tuples(st.just("catalog.partition_by"), st.sampled_from([*PartitionBy])),
    )


@given(_scalars())
def test_a_scalar_means_the_same_in_the_file_and_in_the_environment(
    tmp_path_factory: pytest.TempPathFactory, scalar: tuple[str, object]
) -> None:
    dotted, value = scalar
    section, key = dotted.split(".")
    head = "[[catalog]]" if section == "catalog" else f"[{section}]"
    path = tmp_path_factory.getbasetemp() / "scalar.toml"
    path.write_text(f"{head}\n{key} = {json.dumps(value, ensure_ascii=False)}", encoding="utf-8")
    owner = "CATALOG__PUBLIC" if section == "catalog" else section.upper()
    written = value if isinstance(value, str) else json.dumps(value)
    from_environment = load_settings(None, {f"SYNCER_{owner}__{key.upper()}": written})
    from_file = load_settings(path, {})

    def read(settings: Settings) -> object:
        part = settings.catalogs[0] if section == "catalog" else getattr(settings, section)
        return getattr(part, key)

    assert read(from_file) == read(from_environment) == (value if value != "" else None)
    # What 'check' shows can be written back.
    name = "catalog.public." + key if section == "catalog" else dotted
    (shown,) = (each.value_text for each in describe(from_file) if each.key == name)
    assert tomllib.loads(f"v = {shown}")["v"] == value


# ------------------------------------------------------------------------------------ catalogs


@pytest.mark.parametrize("name", ["Public", "1a", "_a", "a-b", "a b", "", "ü", "a\\n", "a.b"])
def test_a_catalog_name_begins_with_a_letter_and_has_no_sign_beyond_underscore(
    write: Write, name: str
) -> None:
    assert "expected a-z, 0-9 and _" in refused(write(f'[[catalog]]\nname = "{name}"'))


def test_a_catalog_name_is_text(write: Write) -> None:
    assert "catalog.2.name = [1]" in refused(write("[[catalog]]\n[[catalog]]\nname = [1]"))


def test_two_catalogs_cannot_share_a_name(write: Write) -> None:
    text = refused(write('[[catalog]]\nname = "a"\n[[catalog]]\nname = "a"'))
    assert "2 catalogs have the name 'a'" in text
    assert "2 catalogs have the name 'public'" in refused(write("[[catalog]]\n[[catalog]]"))


@pytest.mark.parametrize("key", ["types", "tags", "collection_ids"])
def test_lists_narrow_public_catalogs_only(write: Write, key: str) -> None:
    text = refused(write(f'[[catalog]]\nname = "a"\nprivacy = "private"\n{key} = ["x"]'))
    assert f"catalog.a.{key} is set" in text
    assert "public listings only" in text


@pytest.mark.parametrize(("key", "value"), [("collection_id", "c1"), ("status", "trained")])
def test_collection_id_and_status_narrow_private_catalogs_only(
    write: Write, key: str, value: str
) -> None:
    text = refused(write(f'[[catalog]]\nname = "a"\n{key} = "{value}"'))
    assert f"catalog.a.{key} is set" in text
    assert "private listings only" in text
    settings = load_settings(
        write(f'[[catalog]]\nname = "a"\nprivacy = "private"\n{key} = "{value}"'), {}
    )
    assert getattr(settings.catalogs[0], key) == value


def test_a_wrong_privacy_is_not_followed_by_complaints_that_rest_on_it(write: Write) -> None:
    text = refused(write('[[catalog]]\nname = "a"\nprivacy = "x"\nstatus = "new"'))
    assert "problems" not in text


@pytest.mark.parametrize("status", ["new", "training", "trained", "failed"])
def test_a_private_catalog_takes_the_statuses_of_the_source(write: Write, status: str) -> None:
    text = f'[[catalog]]\nname = "a"\nprivacy = "private"\nstatus = "{status}"'
    assert load_settings(write(text), {}).catalogs[0].status == status


def test_status_deleted_is_the_crawlers_own_feed(write: Write) -> None:
    text = refused(write('[[catalog]]\nname = "a"\nprivacy = "private"\nstatus = "deleted"'))
    assert "the crawler reads the feed of deleted models by itself" in text


@pytest.mark.parametrize("cut", ["type", "tag"])
def test_only_public_catalogs_are_cut_by_type_or_tag(write: Write, cut: str) -> None:
    assert load_settings(write(f'[[catalog]]\npartition_by = "{cut}"'), {}).warnings == ()
    text = refused(write(f'[[catalog]]\nprivacy = "private"\npartition_by = "{cut}"'))
    assert f"partition_by is '{cut}'" in text


@pytest.mark.parametrize("key", ["tags", "types", "collection_ids"])
def test_a_name_with_a_comma_cannot_be_asked_for(write: Write, key: str) -> None:
    text = refused(write(f'[[catalog]]\n{key} = ["a", "b,c"]'))
    assert "'b,c' contains a comma" in text


def test_a_system_tag_as_scope_is_a_warning(write: Write) -> None:
    settings = load_settings(write('[[catalog]]\ntags = ["sc:scenario", "Video"]'), {})
    assert settings.catalogs[0].tags == ("sc:scenario", "Video")
    (warning,) = settings.warnings
    assert "catalog.public.tags contains 'sc:scenario'" in warning


def test_the_scope_is_what_narrows_the_listing_and_nothing_else(write: Write) -> None:
    text = """
        [[catalog]]
        name = "a"
        tags = ["t"]
        types = ["custom"]
        collection_ids = ["c"]
        project_id = "p"
        blacklisted = true
        original_assets = true
        poll_interval_s = 5
        [[catalog]]
        name = "b"
        privacy = "private"
        collection_id = "c"
        status = "failed"
    """
    first, second = load_settings(write(text), {}).catalogs
    assert first.scope == Scope(
        types=("custom",),
        tags=("t",),
        collection_ids=("c",),
        project_id="p",
        blacklisted=True,
        original_assets=True,
    )
    assert second.scope == Scope(privacy=Privacy.PRIVATE, collection_id="c", status="failed")


@pytest.mark.parametrize(
    ("limit_s", "poll_s", "expected_s"),
    [(0, 60, 300), (0, 10, 300), (0, 120, 600), (45, 10, 45)],
)
def test_the_freshness_limit_follows_the_poll_interval_unless_given(
    limit_s: float, poll_s: float, expected_s: float
) -> None:
    catalog = CatalogSettings(freshness_limit_s=limit_s, poll_interval_s=poll_s)
    assert catalog.effective_freshness_limit_s == expected_s


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("[[catalog]]\nfreshness_limit_s = 60", "catalog.public.freshness_limit_s"),
        ("[limits]\nstall_after_s = 300", "limits.stall_after_s"),
        ('[source]\nbase_url = "http://example.com/v1"', "source.base_url"),
    ],
)
def test_what_is_allowed_but_hardly_meant_is_a_warning(write: Write, text: str, key: str) -> None:
    (warning,) = load_settings(write(text), {}).warnings
    assert warning.startswith(f"{key} is not")


# ------------------------------------------------------------------------------------ database


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://u:{PASSWORD}@host:5432/db",
        f"postgres://u:{PASSWORD}@host/db?sslmode=require",
        "postgresql:///db?host=/var/run/postgresql",
        f"postgresql://host/db?user=u&password={PASSWORD}",
    ],
)
def test_a_postgresql_url_is_taken_as_written_and_its_password_never_shown(
    write: Write, url: str
) -> None:
    settings = load_settings(write(f'[database]\nurl = "{url}"'), {})
    assert settings.database.url == url
    for shown in (repr(settings), str(settings.database), json.dumps([*_shown(settings)])):
        assert PASSWORD not in shown
    assert (PASSWORD in url) == (PASSWORD in settings.database.secrets())


def _shown(settings: Settings) -> list[dict[str, str]]:
    return [value.to_json() for value in describe(settings)]


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        (f"mysql://u:{PASSWORD}@host/db", "does not begin with postgresql://"),
        (f"host=h password={PASSWORD}", "contains a space"),
        (f"postgresql+asyncpg://u:{PASSWORD}@host/db", "names a driver"),
        (f"postgresql://u:{PASSWORD}#1@host/db", "host or port cannot be read"),
        (f"postgresql://u@host/db#{PASSWORD}", "contains a '#'"),
        (f"postgresql://u:{PASSWORD}/x@host/db", "host or port cannot be read"),
        (f"postgresql://u:{PASSWORD}[@host/db", "host or port cannot be read"),
    ],
)
@pytest.mark.parametrize("variable", ["DATABASE_URL", "SYNCER_DATABASE__URL"])
def test_any_other_database_url_is_refused_without_repeating_it(
    url: str, reason: str, variable: str
) -> None:
    text = refused(None, {variable: url})
    assert reason in text
    assert variable in text
    assert PASSWORD not in text


def test_database_url_steps_in_where_no_url_is_given(write: Write) -> None:
    environ = {"DATABASE_URL": "postgresql://fallback/db"}
    settings = load_settings(write('[database]\nurl = ""'), environ)
    assert settings.database.url == "postgresql://fallback/db"
    assert settings.origins["database.url"] == "DATABASE_URL"
    path = write('[database]\nurl = "postgresql://file/db"')
    settings = load_settings(path, environ)
    assert settings.database.url == "postgresql://file/db"
    assert settings.origins["database.url"] == str(path)


def test_an_empty_database_url_counts_as_unset_and_is_warned_about() -> None:
    settings = load_settings(None, {"DATABASE_URL": ""})
    assert settings.database.url == ""
    assert settings.warnings == ("DATABASE_URL is set but empty; it counts as unset",)


def test_embedded_never_without_a_url_is_refused_only_where_a_database_is_needed(
    write: Write,
) -> None:
    path = write('[database]\nembedded = "never"')
    settings = load_settings(path, {})
    with pytest.raises(ConfigError, match="there is no database") as caught:
        require_database(settings)
    assert str(path) in caught.value.message
    require_database(load_settings(path, {"DATABASE_URL": "postgresql://h/db"}))
    require_database(load_settings(None, {}))


def test_the_data_directory_is_the_users_or_the_systems_for_root(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert load_settings(None, {}, is_root=False).database.data_dir == tmp_path / "syncer"
    assert load_settings(None, {}, is_root=True).database.data_dir == Path("/var/lib/syncer")


def test_a_data_directory_is_absolute_after_the_tilde(
    write: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    settings = load_settings(write('[database]\ndata_dir = "~/pg"'), {})
    assert settings.database.data_dir == tmp_path / "pg"
    assert "depends on where" in refused(write('[database]\ndata_dir = "pg"'))
    assert "is not known" in refused(write('[database]\ndata_dir = "~no_such_user_/pg"'))


def test_an_empty_data_directory_is_the_platforms(write: Write) -> None:
    settings = load_settings(write('[database]\ndata_dir = ""'), {}, is_root=True)
    assert settings.database.data_dir == Path("/var/lib/syncer")


# ------------------------------------------------------------------------------------ describe


def test_check_shows_every_key_with_value_and_origin(write: Write) -> None:
    path = write('[[catalog]]\nname = "a"\ntags = ["Ü"]\n[[catalog]]\nname = "b"\n')
    environ = {"DATABASE_URL": f"postgresql://u:{PASSWORD}@h:5/db?password={PASSWORD}&x=1"}
    values = describe(load_settings(path, environ))
    keys = [value.key for value in values]
    catalog_keys = len([*keys_of(CatalogSettings)])
    assert len(keys) == len(set(keys)) == len(ALL_KEYS) + catalog_keys
    assert ConfigValue("catalog.a.tags", '["Ü"]', str(path)) in values
    assert ConfigValue("source.request_timeout_s", "60", "default") in values
    assert ConfigValue("catalog.b.project_id", '""', "default") in values
    assert ConfigValue("catalog.b.blacklisted", "false", "default") in values
    url = '"postgresql://u:***@h:5/db?password=***&x=1"'
    assert ConfigValue("database.url", url, "DATABASE_URL") in values


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("", ""),
        ("postgresql://h/db", "postgresql://h/db"),
        ("postgresql://u@h/db", "postgresql://u@h/db"),
        ("postgresql://u:p@h/db", "postgresql://u:***@h/db"),
        ("postgresql://u:p%40q@h/db", "postgresql://u:***@h/db"),
        ("postgresql:///db?host=/run/pg", "postgresql:///db?host=/run/pg"),
        ("postgresql://h/db?sslpassword=x", "postgresql://h/db?sslpassword=***"),
    ],
)
def test_a_masked_url_keeps_all_but_the_password(url: str, shown: str) -> None:
    assert mask_url(url) == shown


def test_the_secrets_of_a_url_are_its_password_as_written_and_decoded() -> None:
    database = DatabaseSettings(url="postgresql://u:p%40q@h/db?sslpassword=r")
    assert database.secrets() == ("p%40q", "p@q", "r")
    assert DatabaseSettings(url="postgresql://u@h/db").secrets() == ()

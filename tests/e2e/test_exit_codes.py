"""Exit codes are interface: each with the situation it stands for, what happened and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.command import Place
from support.postgres import execute, with_database
from support.serving import Serve
from support.stored import assert_mirrors, count_models, fetch_value
from support.tcp_proxy import address_of, proxy_to, through

COMMANDS = [("backfill",), ("sync",), ("run",), ("status",), ("quarantine", "list"), ("migrate",)]
CRAWLS = [("backfill",), ("sync",)]
AHEAD = """
    INSERT INTO syncer.migration (number, name, checksum, oldest_compatible)
    SELECT max(number) + 1, 'come_from_the_future', 'unknown', max(number) + 1 FROM syncer.migration
"""


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
async def test_2_for_a_configuration_that_is_not_usable(
    bare_place: Place, command: tuple[str, ...]
) -> None:
    bare_place.write_config("[source]\npage_sise = 10\n")
    said = (await bare_place.run(*command)).failed_with(2)

    assert "page_sise" in said
    assert "page_size" in said


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[source\n", "config.toml"),
        ("[source]\npage_size = 501\n", "page_size"),
        ('[[catalog]]\nname = "a"\nsort_by = "score"\n', "sort_by"),
        ('[[catalog]]\nname = "a"\nprivacy = "private"\ntypes = ["custom"]\n', "types"),
        ('[[catalog]]\nname = "a"\ntags = ["a,b"]\n', "a,b"),
        ('[[catalog]]\nname = "a"\n[[catalog]]\nname = "a"\n', "'a'"),
        ('[source]\napi_key = "k"\n', "SCENARIO_SDK_API_KEY"),
    ],
)
async def test_2_names_the_key_that_is_wrong(bare_place: Place, text: str, named: str) -> None:
    bare_place.write_config(text)

    assert named in (await bare_place.run("sync")).failed_with(2)


async def test_2_for_a_configuration_file_that_is_not_there(bare_place: Place) -> None:
    ended = await bare_place.run("--config", "elsewhere.toml", "status")

    assert "elsewhere.toml" in ended.failed_with(2)


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({"SCENARIO_SDK_API_KEY": "key"}, "SCENARIO_SDK_API_SECRET"),
        ({"SCENARIO_SDK_API_SECRET_FILE": "/nowhere/secret"}, "/nowhere/secret"),
        ({"SCENARIO_SDK_JWT": ""}, "SCENARIO_SDK_JWT is empty"),
        ({"SYNCER_SOURCE__PAGE_SICE": "5"}, "SYNCER_SOURCE__PAGE_SICE"),
        ({"SYNCER_CATALOG__PUBLIC__PRIVACY": "private"}, "private catalogs need credentials"),
    ],
)
async def test_2_for_an_environment_that_is_not_usable(
    bare_place: Place, environment: dict[str, str], named: str
) -> None:
    bare_place.environment |= environment

    assert named in (await bare_place.run("sync")).failed_with(2)


@pytest.mark.parametrize(
    "arguments",
    [
        ("--no-such-option",),
        ("no-such-command",),
        ("backfill", "--no-such-option"),
        ("backfill", "--deadline", "soon"),
        ("backfill", "--deadline", "0"),
        ("quarantine", "dismiss"),
    ],
    ids=" ".join,
)
async def test_2_for_a_wrong_command_line(bare_place: Place, arguments: tuple[str, ...]) -> None:
    ended = await bare_place.run(*arguments)

    assert (ended.code, ended.stdout) == (2, "")
    assert "Error: " in ended.stderr
    assert "--help" in ended.stderr
    assert "Traceback" not in ended.stderr


async def test_2_for_a_database_that_does_not_exist(
    place: Place, serve: Serve, migrated_database_url: str
) -> None:
    place.set(database__url=with_database(migrated_database_url, "no_such_database"))
    async with serve():
        said = (await place.run("sync")).failed_with(2)

    assert "no_such_database" in said


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
async def test_3_for_a_database_that_a_newer_build_has_migrated(
    place: Place, migrated_database_url: str, command: tuple[str, ...]
) -> None:
    await execute(migrated_database_url, AHEAD)
    said = (await place.run(*command)).failed_with(3)

    assert "this build knows" in said
    assert "Install" in said


@pytest.mark.parametrize("command", [("backfill",), ("sync",), ("run",)], ids=" ".join)
async def test_3_for_a_database_that_is_behind_when_migrating_is_manual(
    bare_place: Place, database_url: str, command: tuple[str, ...]
) -> None:
    bare_place.set(database__url=database_url, database__migrate="manual")
    said = (await bare_place.run(*command)).failed_with(3)

    assert "empty" in said
    assert "syncer migrate" in said
    assert (
        await fetch_value(
            database_url, "SELECT count(*) FROM pg_namespace WHERE nspname = 'syncer'"
        )
        == 0
    )


async def test_3_for_data_of_another_major_version_of_postgresql(
    bare_place: Place, serve: Serve
) -> None:
    async with serve(models=5):
        assert (await bare_place.run("sync")).code == 0
        found = (bare_place.home / "data").rglob("PG_VERSION")
        min(found, key=lambda path: len(path.parts)).write_text("9\n", encoding="utf-8")
        said = (await bare_place.run("sync")).failed_with(3)

        assert "postgresql 9" in said
        assert "move the directory away" in said


@pytest.mark.parametrize("command", CRAWLS, ids=" ".join)
@pytest.mark.parametrize("fault", ["unauthorized", "forbidden"])
async def test_6_when_the_source_refuses_the_credentials(
    place: Place, serve: Serve, command: tuple[str, ...], fault: str
) -> None:
    async with serve(faults=(fault,)) as source:
        said = (await place.run(*command)).failed_with(6)

        assert "refused the credentials" in said
        assert "SCENARIO_SDK_API_KEY" in said
        assert len(source.requests) == 1


@pytest.mark.parametrize("command", CRAWLS, ids=" ".join)
async def test_7_when_nobody_answers_at_the_sources_address(
    place: Place, command: tuple[str, ...]
) -> None:
    async with proxy_to(("127.0.0.1", 0)) as nobody:
        place.set(
            limits__retry_deadline_s=0.2, source__base_url=f"http://127.0.0.1:{nobody.port}/v1"
        )
        said = (await place.run(*command)).failed_with(7)

    assert f"127.0.0.1:{nobody.port}" in said
    assert "run the command again" in said


@pytest.mark.parametrize("fault", ["error-503", "html-200", "rate-limit-bare", "truncated-body"])
async def test_7_when_the_source_stays_in_trouble_until_the_retry_deadline(
    place: Place, serve: Serve, fault: str
) -> None:
    place.set(limits__retry_deadline_s=0.2)
    async with serve() as source:
        assert (await place.run("sync")).code == 0
        source.add_fault(fault)

        (await place.run("sync")).failed_with(7)


@pytest.mark.parametrize("command", [*CRAWLS, ("status",), ("migrate",)], ids=" ".join)
async def test_7_when_the_database_is_away(
    place: Place, serve: Serve, migrated_database_url: str, command: tuple[str, ...]
) -> None:
    async with serve() as source, proxy_to(address_of(migrated_database_url)) as proxy:
        place.set(database__url=through(proxy, migrated_database_url))
        said = (await place.run(*command)).failed_with(7)

        assert "the database cannot be reached" in said
        assert source.requests == []


async def test_7_when_the_database_goes_away_and_what_was_committed_stays(
    place: Place, serve: Serve, migrated_database_url: str
) -> None:
    place.set(source__page_size=10, source__max_concurrency=2, limits__retry_deadline_s=0.5)
    async with serve(models=200) as source, proxy_to(address_of(migrated_database_url)) as proxy:
        place.set(database__url=through(proxy, migrated_database_url))
        await proxy.restore()

        async def cut_once(_: dict[str, str]) -> None:
            if len(source.requests) == 8:
                await proxy.cut()

        source.on_request = cut_once
        ended = await place.run("backfill")
        source.on_request = None
        kept, asked = await count_models(migrated_database_url), len(source.requests)
        await proxy.restore()
        rest = await place.run("backfill")

        ended.failed_with(7)
        assert 0 < kept < 200
        assert rest.code == 0, rest.stderr
        assert len(source.requests) - asked < 200 / 9
        await assert_mirrors(migrated_database_url, source)


async def test_5_when_the_plan_limit_is_reached(place: Place, serve: Serve) -> None:
    async with serve(faults=("plan-limit",)) as source:
        said = (await place.run("sync")).failed_with(5)

        assert "limit" in said
        assert len(source.requests) == 1


async def test_of_several_outcomes_the_gravest_is_the_exit_code(
    place: Place, serve: Serve, migrated_database_url: str
) -> None:
    place.set(limits__retry_deadline_s=0.2)
    async with serve(models=20) as source:
        source.put_raw("nameless", b'{"name": "no id"}')
        quarantined = await place.run("sync")
        source.add_fault("error-503")
        unavailable = await place.run("sync")
        source.clear_faults()
        source.add_fault("unauthorized")
        refused = await place.run("sync")

        assert (quarantined.code, unavailable.code, refused.code) == (5, 7, 6)


@pytest.mark.parametrize(("faults", "code"), [((), 0), (("unauthorized",), 6)])
async def test_a_full_disk_behind_stderr_does_not_change_the_code(
    place: Place, serve: Serve, tmp_path: Path, faults: tuple[str, ...], code: int
) -> None:
    script = tmp_path / "stderr-is-full.sh"
    script.write_text(f'#!/bin/sh\nexec {place.program} "$@" 2>/dev/full\n', encoding="utf-8")
    script.chmod(0o755)
    place.program = script
    async with serve(models=20, faults=faults) as source:
        ended = await place.run("sync")

        assert ended.code == code
        assert source.requests

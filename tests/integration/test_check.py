"""``syncer check`` through its command: against the simulated source and a real PostgreSQL."""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
import structlog
from aiohttp import web
from aiohttp.test_utils import TestServer
from click.testing import CliRunner, Result

from syncer.api.query import PARAMETERS
from syncer.cli import main
from syncer.config.rules import snake_case
from syncer.simulator import SimulatedSource, SimulatorOptions
from syncer.store.queries import load_migrations

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping

HANDFUL = 8
LAST = load_migrations()[-1].number
BASIC = {"SCENARIO_SDK_API_KEY": "key-of-ours", "SCENARIO_SDK_API_SECRET": "hunter2-secret"}


@pytest.fixture(autouse=True)
def _logging_is_put_back() -> Iterator[None]:
    root = logging.getLogger()
    before = list(root.handlers)
    yield
    for handler in set(root.handlers) - set(before):
        root.removeHandler(handler)
    structlog.reset_defaults()


@dataclass
class Place:
    """Where a check runs: a source, a database, an environment."""

    source: SimulatedSource
    base_url: str
    env: dict[str, str]
    tmp_path: Path

    async def check(self, *options: str, config: str = "", **env: str | None) -> Result:
        """Run the command as its user would, in a thread: it brings its own event loop."""
        file = self.tmp_path / "config.toml"
        file.write_text(config)
        environment: Mapping[str, str | None] = {
            "SYNCER_SOURCE__BASE_URL": self.base_url,
            "SYNCER_LIMITS__RETRY_DEADLINE_S": "0.1",
            **self.env,
            **env,
        }
        return await asyncio.to_thread(
            CliRunner().invoke,
            main,
            ["--config", str(file), "check", *options],
            env=environment,
            catch_exceptions=False,
        )

    async def document(self, exit_code: int, *, config: str = "", **env: str | None) -> Any:
        """The document of a check that ends with this code."""
        result = await self.check("--json", config=config, **env)
        assert result.exit_code == exit_code, result.output
        return json.loads(result.stdout)


@asynccontextmanager
async def place(
    tmp_path: Path, options: SimulatorOptions | None = None, **env: str
) -> AsyncIterator[Place]:
    source = SimulatedSource(options or SimulatorOptions(models=700))
    async with source.serve() as base_url:
        yield Place(source, base_url, env, tmp_path)


@pytest.fixture(name="here")
async def here_fixture(tmp_path: Path, migrated_database_url: str) -> AsyncIterator[Place]:
    """A healthy source and a migrated database."""
    async with place(tmp_path, DATABASE_URL=migrated_database_url) as found:
        yield found


@pytest.fixture(name="undatabased")
async def undatabased_fixture(tmp_path: Path) -> AsyncIterator[Place]:
    """A healthy source, and a data directory in which nothing was ever made."""
    async with place(tmp_path, SYNCER_DATABASE__DATA_DIR=str(tmp_path / "data")) as found:
        yield found


async def fetch(url: str, query: str, *values_: object) -> list[tuple[Any, ...]]:
    connection = await asyncpg.connect(url)
    try:
        return [tuple(row) for row in await connection.fetch(query, *values_)]
    finally:
        await connection.close()


def values(document: Any) -> dict[str, Any]:
    return {key: each["value"] for key, each in document["source"]["findings"].items()}


async def test_a_healthy_place_is_found_healthy_with_a_handful_of_requests(here: Place) -> None:
    document = await here.document(0)
    found = values(document)

    assert document["ok"]
    assert document["problems"] == []
    assert document["warnings"] == []
    assert "custom" in found.pop("public.types")
    assert abs(found.pop("clock_skew_s")) <= 2
    assert found == {
        "public.largest_page": 500,
        "public.order.updatedAt": "ascending",
        "public.bounds.updatedAt": "exclusive",
        "public.order.createdAt": "ascending",
        "public.bounds.createdAt": "exclusive",
        "public.token": "offset",
        "public.end_token": "absent",
        "rate_headers": "none",
        "compression": "gzip",
        "date_header": "readable",
    }
    assert document["source"]["requests"] == len(here.source.requests)
    assert len(here.source.requests) <= HANDFUL
    assert document["database"]["schema"] == {"state": "current", "applied": LAST, "needed": LAST}
    assert int(document["database"]["server_version"].split(".")[0]) >= 15
    assert document["database"]["missing_rights"] == []
    assert document["credentials"] == "public: no credentials in the environment"
    assert {
        "key": "source.base_url",
        "value": f'"{here.base_url}"',
        "origin": "environment SYNCER_SOURCE__BASE_URL",
    } in document["configuration"]


async def test_findings_are_stored_and_found_again_without_a_warning(here: Place) -> None:
    read = "SELECT key, value, first_found_at, found_at FROM syncer.finding WHERE source = $1"
    first = await here.document(0)
    before = await fetch(here.env["DATABASE_URL"], read, here.base_url)
    second = await here.document(0)
    after = await fetch(here.env["DATABASE_URL"], read, here.base_url)

    assert {row[0]: json.loads(row[1]) for row in before} == values(first)
    assert second["warnings"] == []
    stable = [(row[0], row[2]) for row in before if row[0] != "clock_skew_s"]
    assert stable == [(row[0], row[2]) for row in after if row[0] != "clock_skew_s"]
    assert all(new[3] > old[3] for old, new in zip(before, after, strict=True))


async def test_a_source_that_behaves_otherwise_than_before_is_a_warning_once(here: Place) -> None:
    await here.document(0)
    await fetch(
        here.env["DATABASE_URL"],
        "UPDATE syncer.finding SET value = '\"last key\"', first_found_at = '2026-01-02', "
        "found_at = '2026-01-03' WHERE key = 'public.token'",
    )
    changed = await here.document(0)
    settled = await here.document(0)

    assert changed["warnings"] == [
        "the source changed since 2026-01-02: public.token: was last key, is offset"
    ]
    assert settled["warnings"] == []


async def test_another_source_does_not_count_as_a_change(here: Place, tmp_path: Path) -> None:
    await here.document(0)
    async with place(
        tmp_path, SimulatorOptions(models=3), DATABASE_URL=here.env["DATABASE_URL"]
    ) as other:
        other.source.add_fault("empty-string-end-token")
        document = await other.document(0)

    assert values(document)["public.end_token"] == "empty"
    assert document["warnings"] == []


CATALOG = '[[catalog]]\nname = "mine"\n'
PRIVATE = CATALOG + 'privacy = "private"\n'
BAD_CONFIGURATIONS = {
    "tags on a private catalog": (PRIVATE + 'tags = ["Video"]', "mine.tags"),
    "types on a private catalog": (PRIVATE + 'types = ["custom"]', "mine.types"),
    "collection_ids on a private one": (PRIVATE + 'collection_ids = ["c"]', "collection_ids"),
    "a type partition of a private one": (PRIVATE + 'partition_by = "type"', "partition_by"),
    "collection_id on a public catalog": (CATALOG + 'collection_id = "c"', "mine.collection_id"),
    "status on a public catalog": (CATALOG + 'status = "trained"', "mine.status"),
    "the deleted feed as a scope": (PRIVATE + 'status = "deleted"', "mine.status"),
    "a tag with a comma": (CATALOG + 'tags = ["a,b"]', "mine.tags"),
    "a page of 501": ("[source]\npage_size = 501", "source.page_size"),
    "a page of none": ("[source]\npage_size = 0", "source.page_size"),
    "a key that does not exist": (CATALOG + "privacc = 1", "privacc"),
    "no TOML": ("catalog = [", "config.toml"),
} | {
    f"{parameter.name}, which is {parameter.use}": (
        f"{CATALOG}{snake_case(parameter.name)} = true",
        snake_case(parameter.name),
    )
    for parameter in PARAMETERS
    if parameter.key_or_none is None
}


@pytest.mark.parametrize("case", BAD_CONFIGURATIONS)
async def test_a_configuration_that_cannot_work_is_refused_before_any_request(
    undatabased: Place, case: str
) -> None:
    config, named = BAD_CONFIGURATIONS[case]
    document = await undatabased.document(2, config=config, **BASIC)

    assert not document["ok"]
    assert any(named in problem["what"] for problem in document["problems"])
    assert all(problem["remedy"] for problem in document["problems"])
    assert {problem["exit_code"] for problem in document["problems"]} == {2}
    assert document["source"] is None
    assert len(undatabased.source.requests) == 0


def test_every_parameter_of_the_source_is_a_key_or_refused() -> None:
    """The keys are those that check shows, so nothing in the table is a promise without a key."""
    result = CliRunner().invoke(main, ["check", "--offline", "--json"])
    keys = {each["key"] for each in json.loads(result.stdout)["configuration"]}
    named = [each.key_or_none for each in PARAMETERS if each.key_or_none]

    assert len(PARAMETERS) == 19
    assert [key for key in named if key.replace("catalog.", "catalog.public.") not in keys] == []


async def test_all_problems_are_named_at_once_each_with_its_remedy(undatabased: Place) -> None:
    document = await undatabased.document(
        2,
        config='[source]\npage_size = 900\n[[catalog]]\nname = "mine"\ncollection_id = "c"\n',
        SCENARIO_SDK_API_KEY="half",
    )
    whats = [problem["what"] for problem in document["problems"]]
    remedies = [problem["remedy"] for problem in document["problems"]]

    assert len(whats) == 3
    assert "source.page_size" in whats[0]
    assert "catalog.mine.collection_id" in whats[1]
    assert "SCENARIO_SDK_API_SECRET" in whats[2]
    assert remedies[0] == "Correct it, or remove it to get the default."
    assert len(undatabased.source.requests) == 0


@pytest.mark.parametrize(
    "env",
    [
        {"SCENARIO_SDK_API_KEY": ""},
        {"SCENARIO_SDK_API_SECRET": "alone"},
        {"SYNCER_SOURCE__AUTH": "basic"},
        {"SYNCER_DATABASE__EMBEDDED": "never"},
        {"SYNCER_DATABASE__POOL_SIZE": "none"},
    ],
    ids=lambda env: next(iter(env)),
)
async def test_an_environment_that_cannot_work_is_refused_before_any_request(
    undatabased: Place, env: dict[str, str]
) -> None:
    document = await undatabased.document(2, **env)

    assert document["problems"][0]["remedy"]
    assert len(undatabased.source.requests) == 0


async def test_a_private_catalog_without_credentials_is_refused_before_any_request(
    undatabased: Place,
) -> None:
    document = await undatabased.document(2, config=PRIVATE)

    assert "private catalogs need credentials" in document["problems"][0]["what"]
    assert len(undatabased.source.requests) == 0


async def test_a_missing_file_is_said_in_the_document_too(undatabased: Place) -> None:
    result = await asyncio.to_thread(
        CliRunner().invoke, main, ["--config", "nowhere.toml", "check", "--json"]
    )

    assert result.exit_code == 2
    assert "nowhere.toml" in json.loads(result.stdout)["problems"][0]["what"]


async def test_offline_sends_and_makes_nothing(undatabased: Place) -> None:
    result = await undatabased.check("--offline")

    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1].startswith("Next: syncer check")
    assert "source.page_size" in result.stdout
    assert len(undatabased.source.requests) == 0
    assert not (undatabased.tmp_path / "data").exists()


async def test_without_a_database_it_says_so_and_makes_none(undatabased: Place) -> None:
    document = await undatabased.document(0)

    assert document["database"]["schema"]["state"] == "absent"
    assert document["database"]["where"] == str(undatabased.tmp_path / "data")
    assert "makes it" in document["database"]["note"]
    assert not (undatabased.tmp_path / "data").exists()


async def test_an_empty_database_stays_empty(tmp_path: Path, database_url: str) -> None:
    async with place(tmp_path, DATABASE_URL=database_url) as here:
        document = await here.document(0)
        refused = await here.document(3, SYNCER_DATABASE__MIGRATE="manual")

    schemas = await fetch(
        database_url, "SELECT nspname FROM pg_namespace WHERE nspname IN ('scenario', 'syncer')"
    )
    assert schemas == []
    assert document["database"]["schema"] == {"state": "empty", "applied": None, "needed": LAST}
    assert "syncer migrate" in refused["problems"][0]["remedy"]


async def test_a_schema_that_is_behind_is_named_with_both_numbers(here: Place) -> None:
    await fetch(here.env["DATABASE_URL"], "DELETE FROM syncer.migration WHERE number = $1", LAST)
    document = await here.document(0)
    refused = await here.document(3, SYNCER_DATABASE__MIGRATE="manual")

    assert document["database"]["schema"]["state"] == "pending"
    assert f"{LAST - 1:04d}, this build needs {LAST:04d}" in refused["problems"][0]["what"]


async def test_a_schema_that_is_ahead_is_a_warning_while_compatible(here: Place) -> None:
    insert = (
        "INSERT INTO syncer.migration (number, name, checksum, oldest_compatible) "
        "VALUES ($1, 'add_more', 'x', 1)"
    )
    await fetch(here.env["DATABASE_URL"], insert, LAST + 1)
    document = await here.document(0)
    contract = "UPDATE syncer.migration SET oldest_compatible = $1 WHERE number = $1"
    await fetch(here.env["DATABASE_URL"], contract, LAST + 1)
    refused = await here.document(3)

    assert document["database"]["schema"]["state"] == "ahead"
    assert "a newer syncer has been here" in document["warnings"][0]
    assert refused["database"]["schema"]["state"] == "mismatched"


@asynccontextmanager
async def limited_role(url: str, *grants: str) -> AsyncIterator[str]:
    """The URL of the same database for a user without rights but these."""
    role = f"syncer_test_{secrets.token_hex(6)}"
    await fetch(url, f"CREATE ROLE {role}")
    for grant in grants:
        await fetch(url, f"GRANT {grant} TO {role}")
    try:
        yield f"{url}{'&' if '?' in url else '?'}role={role}"
    finally:
        await fetch(url, f"DROP OWNED BY {role}")
        await fetch(url, f"DROP ROLE {role}")


async def test_missing_rights_are_named(here: Place) -> None:
    read = "USAGE ON SCHEMA scenario, syncer", "SELECT ON ALL TABLES IN SCHEMA scenario, syncer"
    async with limited_role(here.env["DATABASE_URL"], *read) as url:
        document = await here.document(2, DATABASE_URL=url)

    assert "the database user lacks rights" in document["problems"][0]["what"]
    assert "INSERT ON scenario.models" in document["database"]["missing_rights"]
    assert not any("SELECT" in right for right in document["database"]["missing_rights"])


async def test_a_user_who_may_not_create_the_schema_is_told_before(
    tmp_path: Path, database_url: str
) -> None:
    async with place(tmp_path) as here, limited_role(database_url) as url:
        document = await here.document(2, DATABASE_URL=url)

    assert "may not create" in document["problems"][0]["what"]


async def test_a_read_only_database_is_unavailable(here: Place) -> None:
    mark = "&" if "?" in here.env["DATABASE_URL"] else "?"
    url = f"{here.env['DATABASE_URL']}{mark}default_transaction_read_only=on"
    document = await here.document(7, DATABASE_URL=url)

    assert [problem["exit_code"] for problem in document["problems"]] == [7]
    assert "read-only" in document["problems"][0]["what"]


async def test_an_unreachable_database_does_not_hide_the_source(here: Place) -> None:
    url = f"postgresql://u:pass-word@127.0.0.1:{await closed_port()}/db"
    document = await here.document(7, DATABASE_URL=url)

    assert document["database"]["reachable"] is False
    assert document["database"]["schema"]["state"] == "unreachable"
    assert values(document)["public.bounds.updatedAt"] == "exclusive"
    assert "pass-word" not in json.dumps(document)


async def closed_port() -> int:
    """A port on which nobody listens any more."""
    async with SimulatedSource(SimulatorOptions(models=0)).serve() as base_url:
        return int(base_url.rpartition(":")[2].removesuffix("/v1"))


async def test_an_unreachable_source_does_not_hide_the_database(here: Place) -> None:
    base_url = f"http://127.0.0.1:{await closed_port()}/v1"
    document = await here.document(7, SYNCER_SOURCE__BASE_URL=base_url)

    assert document["database"]["schema"]["state"] == "current"
    assert "cannot be reached" in document["problems"][0]["what"]
    assert "source.base_url" in document["problems"][0]["remedy"]


@pytest.mark.parametrize("fault", ["unauthorized", "forbidden"])
async def test_refused_credentials_end_with_6(undatabased: Place, fault: str) -> None:
    undatabased.source.add_fault(fault)
    document = await undatabased.document(6)

    assert "refused the credentials" in document["problems"][0]["what"]
    assert "SCENARIO_SDK_API_KEY" in document["problems"][0]["remedy"]
    assert document["source"]["catalogs"] == {"public": "failed"}
    assert len(undatabased.source.requests) == 1


async def test_of_several_problems_the_first_in_precedence_is_the_exit_code(here: Place) -> None:
    here.source.add_fault("unauthorized")
    url = f"postgresql://127.0.0.1:{await closed_port()}/db"
    document = await here.document(6, DATABASE_URL=url)

    assert {problem["exit_code"] for problem in document["problems"]} == {6, 7}


async def test_a_source_that_asks_for_patience_is_not_asked_on(undatabased: Place) -> None:
    undatabased.source.add_fault("rate-limit-seconds", 1)
    document = await undatabased.document(7)

    assert "slow down" in document["problems"][0]["what"]
    assert len(undatabased.source.requests) == 1


async def test_an_empty_listing_is_a_warning_that_names_the_usual_causes(tmp_path: Path) -> None:
    async with place(
        tmp_path, SimulatorOptions(models=0), SYNCER_DATABASE__DATA_DIR=str(tmp_path / "data")
    ) as here:
        document = await here.document(0)

    assert document["source"]["catalogs"] == {"public": "empty"}
    (warning,) = document["warnings"]
    assert all(word in warning for word in ("privacy", "filter", "project_id", "credentials"))


async def test_a_filter_that_the_source_does_not_know_ends_with_5(undatabased: Place) -> None:
    document = await undatabased.document(5, config=CATALOG + 'types = ["no-such-type"]')

    assert "catalog mine" in document["problems"][0]["what"]
    assert "filters" in document["problems"][0]["remedy"]


async def test_a_private_catalog_is_looked_at_with_its_own_handful(undatabased: Place) -> None:
    document = await undatabased.document(
        0, config=PRIVATE, **BASIC, SCENARIO_SDK_JWT="a.jwt.unused"
    )
    found = values(document)

    assert len(undatabased.source.requests) == 4
    assert found["private.order.createdAt"] == "ascending"
    assert found["private.bounds.createdAt"] == "exclusive"
    assert found["private.token"] == "last key"
    assert "private.order.updatedAt" not in found
    assert document["credentials"].startswith("basic: key from environment SCENARIO_SDK_API_KEY")
    assert "Basic wins" in document["credentials"]


async def test_no_secret_is_shown_in_either_form(here: Place) -> None:
    env: dict[str, str | None] = dict(BASIC)
    env["DATABASE_URL"] = "postgresql://u:swordfish@127.0.0.1:1/db"
    human = await here.check(config=PRIVATE, **env)
    document = await here.check("--json", config=PRIVATE, **env)

    for result in (human, document):
        assert result.exit_code == 7
        assert "postgresql://u:***@127.0.0.1:1/db" in result.output
        assert not any(secret in result.output for secret in (*BASIC.values(), "swordfish"))


def rewriting(change: Callable[[str, str], str]) -> Any:
    """A middleware that lets the source see other bounds than were sent."""

    @web.middleware
    async def rewrite(request: web.Request, handler: Any) -> web.StreamResponse:
        query = {name: change(name, value) for name, value in request.query.items()}
        rewritten = request.clone(rel_url=request.rel_url.with_query(query))
        response: web.StreamResponse = await handler(rewritten)
        return response

    return rewrite


def to_seconds(name: str, value: str) -> str:
    return f"{value[:19]}.000Z" if name.endswith(("After", "Before")) else value


def inclusive_after(name: str, value: str) -> str:
    if not name.endswith("After"):
        return value
    whole, ms = value[:20], int(value[20:23])
    return f"{whole}{ms - 1:03d}Z" if ms else value


def no_bounds(name: str, value: str) -> str:
    if name.endswith("After"):
        return "2001-01-01T00:00:00.000Z"
    return "2099-01-01T00:00:00.000Z" if name.endswith("Before") else value


@pytest.mark.parametrize(
    ("change", "value"),
    [(to_seconds, "inclusive"), (inclusive_after, "inclusive"), (no_bounds, "ignored")],
)
async def test_bounds_that_walks_cannot_rely_on_are_a_problem(
    undatabased: Place, change: Callable[[str, str], str], value: str
) -> None:
    app = undatabased.source.app
    app.middlewares.append(rewriting(change))
    async with TestServer(app) as server:
        document = await undatabased.document(
            5, SYNCER_SOURCE__BASE_URL=str(server.make_url("/v1"))
        )

    assert values(document)["public.bounds.updatedAt"] == value
    assert values(document)["public.bounds.createdAt"] == value
    assert len(document["problems"]) == 2
    assert "syncer check" in document["problems"][0]["remedy"]


async def test_a_listing_out_of_order_is_a_problem(undatabased: Place) -> None:
    undatabased.source.add_fault(
        "unsorted-page", when=lambda params: params.get("sortBy") == "updatedAt"
    )
    document = await undatabased.document(5)

    assert values(document)["public.order.updatedAt"] == "unordered"
    assert values(document)["public.order.createdAt"] == "ascending"
    assert "rising order of updatedAt" in document["problems"][0]["what"]


async def test_a_page_size_that_the_source_refuses_is_a_problem_only_where_it_is_used(
    tmp_path: Path,
) -> None:
    options = SimulatorOptions(models=300, max_page_size=100)
    env = {"SYNCER_DATABASE__DATA_DIR": str(tmp_path / "data")}
    async with place(tmp_path, options, **env) as here:
        refused = await here.document(5)
        asked = len(here.source.requests)
        accepted = await here.document(0, SYNCER_SOURCE__PAGE_SIZE="100")

    assert "source.page_size" in refused["problems"][0]["remedy"]
    assert asked <= HANDFUL
    assert values(accepted)["public.largest_page"] == "refused"
    assert values(accepted)["public.bounds.createdAt"] == "exclusive"


async def test_trouble_half_way_keeps_what_was_found_before(here: Place) -> None:
    here.source.add_fault("error-503", when=lambda params: params.get("sortBy") == "createdAt")
    document = await here.document(7)
    stored = await fetch(here.env["DATABASE_URL"], "SELECT key FROM syncer.finding")

    assert values(document)["public.bounds.updatedAt"] == "exclusive"
    assert "public.bounds.createdAt" not in values(document)
    assert ("public.bounds.updatedAt",) in stored
    assert "the public listing" in document["problems"][0]["what"]


async def test_each_further_catalog_costs_one_request(undatabased: Place) -> None:
    other = '[[catalog]]\nname = "other"\ntypes = ["custom"]\n'
    document = await undatabased.document(0, config=CATALOG + other)

    assert document["source"]["catalogs"] == {"mine": "listed", "other": "listed"}
    assert len(undatabased.source.requests) == HANDFUL + 1


async def test_a_listing_without_a_readable_date_proves_nothing(tmp_path: Path) -> None:
    env = {"SYNCER_DATABASE__DATA_DIR": str(tmp_path / "data")}
    async with place(tmp_path, SimulatorOptions(models=0), **env) as here:
        here.source.put_raw("odd", b'{"id":"odd"}')
        document = await here.document(0)

    assert values(document)["public.order.updatedAt"] is None
    assert "public.bounds.updatedAt" not in values(document)


async def test_a_clock_far_from_ours_is_a_warning(undatabased: Place) -> None:
    undatabased.source.add_fault("clock-ahead-10m")
    document = await undatabased.document(0)

    (warning,) = document["warnings"]
    assert "ahead of ours" in warning
    assert 595 <= values(document)["clock_skew_s"] <= 605


async def test_a_source_without_a_date_is_a_warning(undatabased: Place) -> None:
    undatabased.source.add_fault("no-date-header")
    document = await undatabased.document(0)

    assert values(document)["date_header"] == "absent"
    assert "Date header" in document["warnings"][0]


async def test_an_answer_that_is_no_page_is_named_and_ends_with_7(undatabased: Place) -> None:
    undatabased.source.add_fault("html-200")
    document = await undatabased.document(7)

    assert "cannot be read" in document["problems"][0]["what"]


async def test_people_read_what_was_found_and_what_to_run_next(here: Place) -> None:
    well = await here.check()
    here.source.add_fault("unauthorized")
    ill = await here.check()

    assert well.exit_code == 0
    assert "public.bounds.updatedAt" in well.stdout
    assert well.stdout.splitlines()[-1].startswith("Next: syncer run")
    assert ill.exit_code == 6
    assert "fix: " in ill.stderr
    assert ill.stdout.splitlines()[-1] == "Next: mend the problem above, then run: syncer check"

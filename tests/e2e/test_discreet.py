"""
P10: credentials, wandb keys and signatures reach no output and no table.

Every secret here is a fake that occurs nowhere else; each test looks for all of them in everything
that any of its commands said, and in every column of every table.
"""

from __future__ import annotations

import base64
import json
import signal
from typing import Any
from urllib.parse import quote

import pytest
from support.command import Place
from support.serving import Serve
from support.stored import fetch
from support.tcp_proxy import TcpProxy, address_of, proxy_to, through
from support.web import ask, listening

from syncer.simulator import SimulatedSource

API_KEY = "api-key-fake-0a1b2c3d"
API_SECRET = "api-secret-fake-9z8y7x6w"
JWT = "eyJmYWtl.and-a-payload-fake.signature-fake-5t4r3e"
DB_PASSWORD = "db-pass/word:with@signs-fake-1q2w3e"
WANDB_KEY = "wandb-key-fake-4d3c2b1a"
SIGNATURE = "signature-fake~6h5g4f"
POLICY = "policy-fake_7j8k9l"
AMZ_SIGNATURE = "amz-signature-fake-2z3x4c"
SIGNED_URL = (
    f"https://cdn.cloud.scenario.com/assets/asset_1?p=100&Policy={POLICY}"
    f"&Key-Pair-Id=KFAKEPAIRID&Signature={SIGNATURE}"
)
AMZ_URL = (
    "https://bucket.s3.amazonaws.com/weights.safetensors"
    f"?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature={AMZ_SIGNATURE}"
)
CREATED = "2026-01-02T03:04:05.678Z"

BASIC = base64.b64encode(f"{API_KEY}:{API_SECRET}".encode()).decode()
SECRETS = (
    API_KEY,
    API_SECRET,
    BASIC,
    JWT,
    DB_PASSWORD,
    quote(DB_PASSWORD, safe=""),
    quote(DB_PASSWORD),
    WANDB_KEY,
    SIGNATURE,
    POLICY,
    AMZ_SIGNATURE,
)

TABLES = """
    SELECT format('%I.%I', table_schema, table_name) AS name FROM information_schema.tables
    WHERE table_schema IN ('scenario', 'syncer')
"""


def found_in(text: str) -> list[str]:
    """The secrets that a text holds, plain or as JSON spells them."""
    return [each for each in SECRETS if each in text or json.dumps(each)[1:-1] in text]


def everything_said(place: Place) -> str:
    """The whole output of every command that ran in a place."""
    files = sorted([*place.home.glob("*.stdout"), *place.home.glob("*.stderr")])
    assert files
    return "\n".join(path.read_text(encoding="utf-8") for path in files)


async def everything_stored(url: str) -> str:
    """Every value of every table and view, bytes included."""
    texts: list[str] = []
    for table in await fetch(url, TABLES):
        for row in await fetch(url, f"SELECT * FROM {table['name']}"):  # noqa: S608 - our tables
            texts.extend(_text_of(value) for value in row.values())
    assert texts
    return "\n".join(texts)


def _text_of(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


async def assert_discreet(place: Place, url: str) -> None:
    """Nothing that was said or stored holds a secret."""
    assert found_in(everything_said(place)) == []
    assert found_in(await everything_stored(url)) == []


def list_models_with_secrets(source: SimulatedSource) -> None:
    """One model that can be stored and one that cannot, both full of secrets."""
    secrets: dict[str, object] = {
        "parameters": {"wandbKey": WANDB_KEY, "storage": AMZ_URL, "rank": 64},
        "thumbnail": {"assetId": "asset_1", "url": SIGNED_URL},
        "unknownField": {"deep": [{"wandb_api_key": WANDB_KEY, "link": SIGNED_URL}]},
        "shortDescription": f"see {SIGNED_URL} and {AMZ_URL}",
    }
    source.add_model(id="model_usable", **secrets)
    unusable = {
        "id": "model_unusable",
        "name": "with a \0",
        "type": "custom",
        "privacy": "public",
        "createdAt": CREATED,
        "updatedAt": CREATED,
    }
    raw = json.dumps(unusable | secrets).encode()
    source.put_raw("model_unusable", raw, created_at=CREATED, updated_at=CREATED)
    nameless = json.dumps({"name": SIGNED_URL, "parameters": {"wandbKey": WANDB_KEY}}).encode()
    source.put_raw("nameless", nameless)


@pytest.fixture(name="secret_place")
def secret_place_fixture(place: Place) -> Place:
    """Speaks of everything, and knows the API key."""
    place.set(log__level="debug", limits__retry_deadline_s=0.2, source__page_size=20)
    place.environment |= {"SCENARIO_SDK_API_KEY": API_KEY, "SCENARIO_SDK_API_SECRET": API_SECRET}
    return place


def with_password(place: Place, proxy: TcpProxy, url: str) -> None:
    """Reach the database with a password in its URL."""
    place.set(database__url=through(proxy, url, password=quote(DB_PASSWORD, safe="")))


@pytest.mark.parametrize("log_format", ["json", "console"])
async def test_what_is_mirrored_and_what_is_quarantined_holds_no_secret(
    secret_place: Place, serve: Serve, migrated_database_url: str, log_format: str
) -> None:
    place = secret_place
    place.set(log__format=log_format)
    async with serve(models=50) as source, proxy_to(address_of(migrated_database_url)) as proxy:
        with_password(place, proxy, migrated_database_url)
        await proxy.restore()
        list_models_with_secrets(source)
        synced = await place.run("sync")
        for arguments in (
            ("backfill", "--restart"),
            ("backfill", "--plan"),
            ("status",),
            ("status", "--json"),
            ("quarantine", "list"),
            ("quarantine", "list", "--json"),
            ("quarantine", "retry"),
            ("quarantine", "dismiss", "model_unusable"),
            ("check",),
            ("check", "--json"),
        ):
            await place.run(*arguments)

        assert synced.code == 5, synced.stderr
        assert {request.auth for request in source.requests} == {"basic"}
        (row,) = await fetch(
            migrated_database_url,
            "SELECT body::text FROM scenario.models WHERE id = 'model_usable'",
        )
        usable = json.loads(row["body"])
        assert usable["parameters"]["rank"] == 64
        assert usable["thumbnail"]["url"] == SIGNED_URL.partition("?")[0]
        kept = await fetch(migrated_database_url, "SELECT key, raw FROM syncer.quarantine")
        assert len(kept) == 2
        assert all(b"cdn.cloud.scenario.com/assets/asset_1" in row["raw"] for row in kept)
        await assert_discreet(place, migrated_database_url)


@pytest.mark.parametrize(
    "fault",
    ["unauthorized", "forbidden", "error-400", "error-500", "html-200", "invalid-json"],
)
async def test_errors_of_the_source_hold_no_secret(
    secret_place: Place, serve: Serve, migrated_database_url: str, fault: str
) -> None:
    async with serve(models=20) as source:
        list_models_with_secrets(source)
        source.add_fault(fault)
        ended = await secret_place.run("sync")
        await secret_place.run("status")

        assert ended.code not in {0, 1}
        await assert_discreet(secret_place, migrated_database_url)


async def test_a_token_and_its_refusal_are_not_shown(
    place: Place, serve: Serve, migrated_database_url: str
) -> None:
    place.set(log__level="debug", source__auth="bearer")
    place.environment["SCENARIO_SDK_JWT"] = JWT
    async with serve(models=20) as source:
        synced = await place.run("sync")
        source.add_fault("expired-jwt")
        refused = await place.run("sync")

        assert (synced.code, refused.code) == (0, 6)
        assert {request.auth for request in source.requests} == {"bearer"}
        await assert_discreet(place, migrated_database_url)


async def test_a_daemon_with_mounted_secrets_does_not_show_them(
    place: Place, serve: Serve, migrated_database_url: str
) -> None:
    place.write_config('[[catalog]]\nname = "public"\npoll_interval_s = 0.2\n')
    place.set(log__level="debug")
    token_path = place.home / "token"
    token_path.write_text("a-first.token-fake.8u7y\n", encoding="utf-8")
    place.environment["SCENARIO_SDK_JWT_FILE"] = str(token_path)
    async with serve(models=20) as source, proxy_to(address_of(migrated_database_url)) as proxy:
        with_password(place, proxy, migrated_database_url)
        list_models_with_secrets(source)
        async with place.start("run") as daemon:
            await daemon.until_event("database_unavailable")
            await proxy.restore()
            await daemon.until_poll()
            token_path.write_text(JWT, encoding="utf-8")
            daemon.send(signal.SIGHUP)
            await daemon.until_event("config_reloaded")
            source.add_fault("unauthorized")
            await daemon.until_event("cycle_failed")
            ended = await daemon.stop()

        assert ended.code == 0
        assert "a-first.token-fake" not in ended.stderr
        await assert_discreet(place, migrated_database_url)


async def test_what_a_daemon_answers_over_http_holds_no_secret(
    secret_place: Place, serve: Serve, migrated_database_url: str
) -> None:
    """P10: while the database is away, when all is well, and when the source refuses."""
    secret_place.write_config('[[catalog]]\nname = "public"\npoll_interval_s = 0.2\n')
    secret_place.set(http__listen="127.0.0.1:0")
    said: list[str] = []

    async def has_said(text: str) -> bool:
        paths = ("/healthz", "/readyz", "/metrics", "/status.json")
        said.extend([(await ask(address, path)).text for path in paths])
        return text in said[-1]

    async with serve(models=20) as source, proxy_to(address_of(migrated_database_url)) as proxy:
        with_password(secret_place, proxy, migrated_database_url)
        list_models_with_secrets(source)
        async with secret_place.start("run") as daemon:
            address = await listening(daemon)
            await daemon.until(lambda: has_said("database: "), "a word about the database")
            await proxy.restore()
            await daemon.until(lambda: has_said('"ready": true'), "to be ready")
            source.add_fault("unauthorized")
            await daemon.until(lambda: has_said("blocked: "), "a word about the source")
            assert (await daemon.stop()).code == 0

    assert [] == found_in("\n".join(said))


async def test_a_database_that_cannot_be_reached_or_refuses_is_named_without_its_password(
    secret_place: Place, serve: Serve, migrated_database_url: str
) -> None:
    async with serve(models=5), proxy_to(address_of(migrated_database_url)) as proxy:
        with_password(secret_place, proxy, migrated_database_url)
        away = await secret_place.run("sync")
        await proxy.restore()
        url = through(proxy, migrated_database_url, password=quote(DB_PASSWORD, safe=""))
        secret_place.set(database__url=url.replace("syncer:", "nobody_we_know:"))
        refused = await secret_place.run("sync")

        assert "cannot be reached" in away.failed_with(7)
        refused.failed_with(2)
        await assert_discreet(secret_place, migrated_database_url)


@pytest.mark.parametrize(
    "settings",
    [
        {"database__url": f"mysql://user:{quote(DB_PASSWORD, safe='')}@localhost/mirror"},
        {"database__url": f"postgresql://user:{DB_PASSWORD}@localhost/mirror"},
        {"database__url": f"postgresql://user:{quote(DB_PASSWORD)}#x@localhost/mirror"},
        {"database__url": f"postgresql+asyncpg://user:{quote(DB_PASSWORD)}@localhost/mirror"},
        {"database__url": f"postgresql://localhost/mirror?sslmode=no&password={API_SECRET}"},
        {"source__base_url": f"https://user:{API_SECRET}@api.example/v1"},
        {"source__base_url": f"https://api.example/v1?Signature={SIGNATURE}"},
        {"source__api_secret": API_SECRET},
        {"database__password": API_SECRET},
    ],
)
async def test_what_is_wrong_with_a_setting_is_said_without_its_value(
    bare_place: Place, settings: dict[str, str]
) -> None:
    bare_place.set(**settings)
    ended = await bare_place.run("sync")

    assert ended.code in {2, 7}, ended
    assert "Traceback" not in ended.stderr
    assert found_in(everything_said(bare_place)) == []


@pytest.mark.parametrize(
    "text",
    [
        f'[source]\napi_secret = "{API_SECRET}"\n',
        f'[database]\nurll = "postgresql://user:{API_SECRET}@localhost/mirror"\n',
        f'[database]\nurl = "postgresql://user:{API_SECRET}@localhost/mirror\n',
        f'[database]\nurl = "postgresql://user:{API_SECRET}@localhost:port/mirror"\n',
        f'[database]\nurl = ["postgresql://user:{API_SECRET}@localhost/mirror"]\n',
    ],
)
async def test_what_is_wrong_with_a_file_is_said_without_its_secrets(
    bare_place: Place, text: str
) -> None:
    bare_place.write_config(text)
    bare_place.environment.pop("SYNCER_DATABASE__URL", None)
    ended = await bare_place.run("sync")

    ended.failed_with(2)
    assert found_in(everything_said(bare_place)) == []

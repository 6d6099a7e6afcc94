"""A scrape against a real database and a simulated source: complete, and as it is stored."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
from aiohttp import web
from support.command import until
from support.mirror import (
    CATALOG,
    NoJitter,
    SourceTime,
    add_models,
    mirroring,
    new_source,
    sweep_job,
)
from support.scrape import labels_by_metric, scrape_by_design
from support.sweeps import private_source
from support.web import Scrape, ask

from syncer.clock import SystemClock
from syncer.config import load_credentials
from syncer.crawl import StopSignal
from syncer.jobs import Job
from syncer.oneshot import run_job
from syncer.progress import NoProgress
from syncer.runtime import open_runtime
from syncer.web.application import LOOKOUT, create_application
from syncer.web.health import Duty
from syncer.web.listener import Listener
from syncer.web.lookout import Lookout

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from support.mirror import Mirror

    from syncer.simulator.source import SimulatedSource

PAGE_SIZE = 5
KEYS: dict[str, str] = {"SCENARIO_SDK_API_KEY": "key", "SCENARIO_SDK_API_SECRET": "secret"}

CONTRACT = {
    "syncer_requests_total": ("catalog", "outcome"),
    "syncer_request_duration_seconds_bucket": ("le",),
    "syncer_request_duration_seconds_sum": (),
    "syncer_throttled_seconds_total": (),
    "syncer_pages_total": ("catalog",),
    "syncer_models_total": ("catalog", "outcome"),
    "syncer_commit_duration_seconds_bucket": ("le",),
    "syncer_commit_duration_seconds_count": (),
    "syncer_watermark_timestamp_seconds": ("catalog",),
    "syncer_lag_seconds": ("catalog",),
    "syncer_freshness_seconds": ("catalog",),
    "syncer_live_models": ("catalog",),
    "syncer_removals_waiting": ("catalog",),
    "syncer_cycles_total": ("catalog", "kind", "outcome"),
    "syncer_lease_held": ("catalog",),
    "syncer_build_info": ("version",),
    "syncer_quarantined_models": ("catalog",),
    "syncer_freshness_limit_seconds": ("catalog",),
    "syncer_stalled": ("catalog",),
    "syncer_budget_requests_per_minute": (),
    "syncer_budget_wait_seconds": (),
    "syncer_event_loop_lag_seconds": (),
}
"""DESIGN §6, and what the alerts need beside it."""


class HastyClock(SystemClock):
    """Between two looks at the database there is hardly a rest."""

    async def sleep(self, delay_s: float) -> None:
        await super().sleep(min(delay_s, 0.02))


class Watched:
    """A process that works as the daemon does, watched by a lookout."""

    def __init__(self, mirror: Mirror, lookout: Lookout, runtime: Any) -> None:
        self.mirror = mirror
        self.lookout = lookout
        self.runtime = runtime

    async def work(self, job: Job) -> None:
        result = await run_job(self.runtime, self.runtime.settings.catalogs, job)
        assert all(each.complete for each in result.catalogs[0].cycles)
        # The next one may have begun before the job had ended.
        for _ in range(2):
            seen = self.lookout.snapshot
            await until(lambda: self.lookout.snapshot is not seen, "another look at the database")  # noqa: B023 - awaited here

    def scrape(self) -> Scrape:
        return Scrape(self.lookout.exposition().decode())

    async def count(self, what: str) -> float:
        return float(await self.mirror.value(f"SELECT count(*) FROM {what}"))  # noqa: S608


@asynccontextmanager
async def watched(mirror: Mirror, **keys: object) -> AsyncIterator[Watched]:
    settings = mirror.settings(**keys)
    credentials = load_credentials("auto", mirror.credentials)
    lookout = Lookout(settings, credentials, HastyClock())
    async with (
        open_runtime(
            settings,
            credentials,
            clock=mirror.clock,
            rng=NoJitter(),
            progress=NoProgress(),
            stop=StopSignal(),
            observer=lookout.observer,
        ) as runtime,
        lookout.watching(),
    ):
        with lookout.attached(runtime):
            yield Watched(mirror, lookout, runtime)


@asynccontextmanager
async def watched_private(
    database_url: str, source: SimulatedSource, time: SourceTime
) -> AsyncIterator[tuple[Mirror, Watched]]:
    """A private catalog of several pages."""
    keys = {"privacy": "private", "source__page_size": PAGE_SIZE}
    async with mirroring(database_url, source, time=time, **keys) as mirror:
        mirror.credentials = KEYS
        async with watched(mirror) as process:
            yield mirror, process


async def test_after_a_backfill_every_metric_is_there_and_agrees_with_the_database(
    migrated_database_url: str,
) -> None:
    """DESIGN §6, P8."""
    time = SourceTime()
    source = new_source(time)
    add_models(source, 22, "m", tags=["sc:scenario"])
    at = "2026-11-01T11:00:00.000Z"
    broken = {"id": "broken", "createdAt": at, "updatedAt": at, "name": "a\0b"}
    source.put_raw("broken", json.dumps(broken).encode(), created_at=at, updated_at=at)
    keys = {"source__page_size": PAGE_SIZE}
    async with mirroring(migrated_database_url, source, time=time, **keys) as mirror:
        async with watched(mirror) as process:
            source.add_fault("rate-limit-seconds", 1)
            await process.work(Job(follow=True))
            found = process.scrape()

            def counted(outcome: str) -> float | None:
                return found.value("syncer_models_total", catalog=CATALOG, outcome=outcome)

            for name, labels in CONTRACT.items():
                assert {tuple(sorted(labels))} == found.labels(name), name
            assert 22 == counted("inserted") == await process.count("scenario.live_models")
            assert 1 == counted("quarantined") == await process.count("syncer.quarantine")
            assert 22 == found.value("syncer_live_models", catalog=CATALOG)
            assert 1 == found.value("syncer_quarantined_models", catalog=CATALOG)
            answered = found.value("syncer_requests_total", catalog=CATALOG, outcome="ok")
            assert len(source.requests) - 1 == answered
            throttled = {"catalog": CATALOG, "outcome": "throttled"}
            assert 1 == found.value("syncer_requests_total", **throttled)
            assert len(source.requests) == found.value("syncer_request_duration_seconds_count")
            assert (found.value("syncer_throttled_seconds_total") or 0) >= 1
            pages = found.value("syncer_pages_total", catalog=CATALOG)
            assert pages == found.value("syncer_commit_duration_seconds_count")
            said = [line for line in mirror.events if line["event"] == "page_committed"]
            assert len(said) == pages >= 23 / PAGE_SIZE
            backfill = {"catalog": CATALOG, "kind": "backfill", "outcome": "complete"}
            assert 1 == found.value("syncer_cycles_total", **backfill)
            watermark = await mirror.value("SELECT watermark FROM syncer.catalog")
            assert watermark.timestamp() == found.value(
                "syncer_watermark_timestamp_seconds", catalog=CATALOG
            )

            source.remove_model("m00003")
            time.advance(4000)
            await process.work(sweep_job())
            found = process.scrape()
            assert 1 == counted("removed")
            assert 21 == await process.count("scenario.live_models")
        assert 0 == process.scrape().value("syncer_lease_held", catalog=CATALOG)
        source.restore_model("m00003", touch=True)
        time.advance(400)
        async with watched(mirror) as process:
            await process.work(Job(follow=True))
            found = process.scrape()
            assert (1, 0) == (counted("restored"), counted("inserted"))


async def test_removals_and_the_age_of_the_feed_of_a_private_catalog_are_told(
    migrated_database_url: str,
) -> None:
    source = private_source(time := SourceTime())
    async with watched_private(migrated_database_url, source, time) as (_, process):
        await process.work(Job(follow=True))
        time.advance(400)
        source.remove_model("p00003")
        time.advance(1)
        await process.work(Job(follow=True))
        found = process.scrape()

        removed = found.value("syncer_models_total", catalog=CATALOG, outcome="removed")
        gone = "scenario.models WHERE removed_at IS NOT NULL"
        assert 1 == removed == await process.count(gone)
        age_s = found.value("syncer_deleted_feed_age_seconds", catalog=CATALOG)
        assert age_s is not None
        assert 0 <= age_s < 600


async def test_alerts_and_dashboard_are_checked_against_what_a_scrape_says(
    migrated_database_url: str,
) -> None:
    """Their checks read a text that stands for a scrape; this is the scrape that it stands for."""
    source = private_source(time := SourceTime())
    async with watched_private(migrated_database_url, source, time) as (mirror, process):
        await process.work(Job(follow=True))
        await mirror.value("UPDATE syncer.catalog SET verified_at = now(), verify_differences = 2")
        await process.work(Job(follow=True))
        text = process.lookout.exposition().decode()

    assert labels_by_metric(text) == labels_by_metric(scrape_by_design())


async def test_extra_routes_are_mounted_under_the_same_rules_and_find_what_is_known(
    migrated_database_url: str,
) -> None:
    async def page(request: web.Request) -> web.Response:
        lookout = request.app[LOOKOUT]
        budget = lookout.budget
        assert budget is not None
        text = f"{lookout.status()['ready']} {budget.requests_per_minute}"
        return web.Response(text=text, headers={"Content-Security-Policy": "default-src 'self'"})

    async def broken(_request: web.Request) -> web.Response:
        raise web.HTTPNotFound(text="secrets")

    time = SourceTime()
    async with mirroring(migrated_database_url, new_source(time, models=3), time=time) as mirror:
        async with watched(mirror) as process:
            await process.work(Job(follow=True))
            process.lookout.take_duty(CATALOG, Duty.HOLDER)
            routes = [web.get("/", page), web.get("/broken", broken)]
            async with Listener(create_application(process.lookout, routes)) as listener:
                await listener.listen_on(("127.0.0.1", 0))
                ((host, port),) = listener.addresses
                answer = await ask(f"{host}:{port}", "/")
                refused = await ask(f"{host}:{port}", "/", "POST")
                lost = await ask(f"{host}:{port}", "/broken")

        assert (200, "True 1000000") == (answer.status, answer.text)
        assert "default-src 'self'" == answer.headers["Content-Security-Policy"]
        assert "no-store" == answer.headers["Cache-Control"]
        assert 405 == refused.status
        assert (404, {"error": "not found"}) == (lost.status, lost.document)


async def test_a_reader_that_stays_does_not_hold_the_end_up(migrated_database_url: str) -> None:
    """P6: a connection that is kept open is closed with the listener."""
    time = SourceTime()
    async with mirroring(migrated_database_url, new_source(time), time=time) as mirror:
        credentials = load_credentials("auto", {})
        lookout = Lookout(mirror.settings(), credentials, SystemClock())
        async with aiohttp.ClientSession() as session:
            async with Listener(create_application(lookout)) as listener:
                await listener.listen_on(("127.0.0.1", 0))
                ((host, port),) = listener.addresses
                async with session.get(f"http://{host}:{port}/healthz") as answer:
                    assert 200 == answer.status
            assert () == listener.addresses

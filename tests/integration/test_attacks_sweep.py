"""Attacks on sweep, guard, private catalogs and verify: each test is a promise that was doubted."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

import pytest
from support.interrupt import When, run_cancelled
from support.mirror import (
    START,
    Mirror,
    SourceTime,
    add_models,
    engine_of,
    mirroring,
    new_source,
    spread,
)
from support.sweeps import (
    LONG_AGO,
    MODELS,
    private_source,
    source_of,
    sweeping,
    tombstones,
)

from syncer.config import load_credentials
from syncer.engine import Engine
from syncer.errors import ExitCode, Stopped
from syncer.jobs import Job, SweepJob, carry_out
from syncer.proof import Verified, verify_catalogs


async def verified(mirror: Mirror, *, repair: bool = False, **keys: object) -> Verified:
    """``syncer verify``."""
    async with mirror.process(**keys) as runtime:
        (result,) = await verify_catalogs(runtime, runtime.settings.catalogs, repair=repair)
        return result


def found(result: Verified) -> dict[str, list[str]]:
    """The differences, by kind."""
    assert result.comparison is not None, result.error
    return {how: ids for how, ids in result.comparison.ids.items() if ids}


@pytest.fixture(name="with_key")
def with_key_fixture(monkeypatch: pytest.MonkeyPatch) -> None:
    """An API key, which private listings ask for."""
    environ = {"SCENARIO_SDK_API_KEY": "key", "SCENARIO_SDK_API_SECRET": "secret"}
    monkeypatch.setattr(
        "support.mirror.load_credentials", lambda auth, _: load_credentials(auth, environ)
    )


async def test_p2_every_absence_is_confirmed_where_neighbours_share_a_window(
    migrated_database_url: str,
) -> None:
    """P2: a model that is back when it is asked for a second time is never tombstoned."""
    time = SourceTime()
    source = new_source(time)
    add_models(source, 3, "m", createdAt=spread(LONG_AGO, step_ms=1), updatedAt=LONG_AGO)
    others = spread(LONG_AGO + timedelta(hours=1), step_ms=60_000)
    add_models(source, 20, "n", createdAt=others, updatedAt=LONG_AGO)
    gone = ["m00000", "m00001", "m00002", "n00004", "n00009"]
    async with mirroring(migrated_database_url, source, time=time) as mirror:
        await mirror.sync()
        for model_id in gone:
            source.remove_model(model_id)
        asked = 0

        def come_back(_: dict[str, str]) -> None:
            nonlocal asked
            asked += 1
            if asked == 2:
                for model_id in gone:
                    source.restore_model(model_id)

        source.on_request = come_back
        await mirror.sync()

        assert asked >= 2
        assert [] == await tombstones(mirror)
        assert [] == await mirror.differences()


async def test_p8_a_sync_that_finishes_an_old_sweep_catches_up_as_well(
    migrated_database_url: str,
) -> None:
    """P8: success means complete, also where the listing fits one page."""
    time = SourceTime()
    source = source_of(time, models=20)
    async with mirroring(migrated_database_url, source, time=time) as mirror:
        await mirror.sync()
        time.advance(3600)
        source.remove_model("m00003")
        source.add_fault("error-400", when=lambda params: "createdBefore" in params)
        broken = await mirror.sync()
        source.clear_faults()
        time.advance(3 * 86_400)
        add_models(source, 1, "new")
        source.update_model("m00007", name="newer")
        done = await mirror.sync()

        assert not broken.complete
        assert ExitCode.OK == done.exit_code
        assert [] == await mirror.differences()


async def test_allowed_removals_are_a_ceiling_of_the_command_not_of_each_sweep_in_it(
    migrated_database_url: str,
) -> None:
    """DESIGN §2: at most N removals pass, also when an unfinished sweep is finished first."""
    time = SourceTime()
    source = source_of(time)
    async with sweeping(migrated_database_url, source, time, sweep_interval_s=1) as mirror:
        await mirror.sync()
        time.advance(3600)
        for number in range(30, 40):
            source.remove_model(f"m{number:05}")
        await mirror.observer.execute("UPDATE syncer.catalog SET swept_at = '-infinity'")
        asked = len(source.requests)
        await mirror.run_until(lambda: len(source.requests) > asked + 3, Stopped())
        for number in range(10):
            source.remove_model(f"m{number:05}")
        await mirror.sweep(allow_removals=10)

        assert 10 >= len(await tombstones(mirror))


@pytest.mark.usefixtures("with_key")
async def test_models_that_the_deleted_feed_names_do_not_count_against_the_guard_of_a_sweep(
    migrated_database_url: str,
) -> None:
    """DESIGN §2: rows named by the deleted feed do not count, whichever command finds them."""
    time = SourceTime()
    source = private_source(time, MODELS)
    async with sweeping(migrated_database_url, source, time, privacy="private") as mirror:
        await mirror.sync()
        time.advance(3600)
        for number in range(12):
            source.remove_model(f"p{number:05}")
        done = await mirror.sweep()

        assert ExitCode.OK == done.exit_code
        assert {"deleted"} == {reason for _, reason in await tombstones(mirror)}


@pytest.mark.usefixtures("with_key")
async def test_a_feed_that_was_refused_once_is_asked_again_in_a_small_catalog(
    migrated_database_url: str,
) -> None:
    """Absence decides until the next sweep, and each poll of a small catalog is one."""
    time = SourceTime()
    source = private_source(time, 20)
    async with (
        mirroring(migrated_database_url, source, time=time, privacy="private") as mirror,
        engine_of(mirror) as engine,
    ):
        await engine.backfill(await engine.prepare())
        source.add_fault("plan-limit", 1, when=lambda params: params.get("status") == "deleted")
        await engine.follow(await engine.prepare())
        for number in range(12):
            source.remove_model(f"p{number:05}")
        for _ in range(5):
            await engine.follow(await engine.prepare())

        assert {"deleted"} == {reason for _, reason in await tombstones(mirror)}


async def test_p1_a_version_dated_in_the_future_gives_way_when_the_source_corrects_it(
    migrated_database_url: str,
) -> None:
    """DESIGN §2: an older version shown by a sweep and a second question is taken."""
    time = SourceTime()
    source = source_of(time)
    async with sweeping(migrated_database_url, source, time) as mirror:
        await mirror.sync()
        source.update_model("m00005", name="wrong", updatedAt=START + timedelta(days=3650))
        await mirror.sync()
        source.update_model("m00005", name="right", updatedAt=START + timedelta(seconds=1))
        for _ in range(3):
            time.advance(86_400)
            await mirror.sync()
            await mirror.sweep()

        assert [] == await mirror.differences()


async def test_p9_a_broken_question_by_id_does_not_hold_up_polls_and_removals(
    migrated_database_url: str,
) -> None:
    """P6, P9: the reason of a removal is a courtesy; it may not cost a retry deadline each."""
    time = SourceTime()
    source = source_of(time)
    keys = {"limits__retry_deadline_s": 1}
    async with sweeping(migrated_database_url, source, time, **keys) as mirror:
        await mirror.sync()
        for number in range(3):
            source.remove_model(f"m{number:05}")
        source.add_fault("error-503", when=lambda params: "privacy" not in params)
        done = await mirror.sweep()
        asked = {each.path for each in source.requests if "/models/" in each.path}

        assert 3 == done.tally.removed
        # Nobody asks for the second one once the first was not answered.
        assert 1 == len(asked)


async def test_a_dismissal_outlives_an_empty_listing(migrated_database_url: str) -> None:
    """DESIGN §3: silenced until its content changes; wrong credentials change no content."""
    time = SourceTime()
    source = source_of(time, models=3)
    raw = b'{"id": "bad", "createdAt": "x"}'
    source.put_raw("bad", raw, created_at=LONG_AGO, updated_at=LONG_AGO)
    async with mirroring(migrated_database_url, source, time=time) as mirror:
        await mirror.sync()
        await mirror.observer.execute("UPDATE syncer.quarantine SET dismissed = true")
        ids = ["bad", "m00000", "m00001", "m00002"]
        for model_id in ids:
            source.remove_model(model_id)
        await mirror.sync()
        for model_id in ids:
            source.restore_model(model_id)
        done = await mirror.sync()

        assert ExitCode.OK == done.exit_code
        assert await mirror.value("SELECT dismissed FROM syncer.quarantine")


@pytest.mark.parametrize("moved_s", [-900, 900])
async def test_verify_calls_a_listed_model_stale_not_extra(
    migrated_database_url: str, moved_s: int
) -> None:
    """Also when created_at was changed by hand, to either side; and mends it."""
    time = SourceTime()
    source = source_of(time)
    async with sweeping(migrated_database_url, source, time) as mirror:
        await mirror.sync()
        await mirror.observer.execute(
            "UPDATE scenario.models SET created_at = created_at + $1 WHERE id = 'm00020'",
            timedelta(seconds=moved_s),
        )
        before = await verified(mirror)
        mended = await verified(mirror, repair=True)

        assert {"stale": ["m00020"]} == found(before)
        assert {} == found(mended)
        assert 1 == mended.repaired


NUMBERS = (b"1e5", b"1E-7", b"-0.0", b"1.0", b"1.50", b"0.1e1", b"1" * 30, b"-0", b"1e400")


async def test_verify_finds_no_difference_in_odd_but_faithful_records(
    migrated_database_url: str,
) -> None:
    """What JSON allows and jsonb writes otherwise is no difference."""
    time = SourceTime()
    source = source_of(time, models=3)
    head = b'"createdAt": "2026-07-01T00:00:00.000Z", "updatedAt": "2026-07-01T00:00:00.000Z"'
    at = datetime.fromisoformat("2026-07-01T00:00:00.000Z")
    odd = {
        **{f"n{at:02}": b'"x": ' + number for at, number in enumerate(NUMBERS)},
        "o2": b'"x": {"a": 1, "a": 2}, "name": "twice", "name": "last"',
        "o3": '"x": "\\ud83d\\ude00 \\u2028 é e\u0301", "": {"": []}'.encode(),
        "o4": b'"tags": ["b", "a", "a"], "capabilities": [1, "txt2img"], "custom": "yes"',
        "o5": b'"name": 5, "accessRestrictions": 1e2, "trainingImagesNumber": 3.0',
    }
    for model_id, fields in odd.items():
        raw = b'{"id": "%s", %s, %s}' % (model_id.encode(), head, fields)
        source.put_raw(model_id, raw, created_at=at, updated_at=at)
    async with mirroring(migrated_database_url, source, time=time) as mirror:
        await mirror.sync()
        idle = await mirror.sync()

        assert {} == found(await verified(mirror))
        assert 1 == idle.requests


async def test_p9_ids_that_postgresql_cannot_hold_are_seen_and_quarantined_by_sweep_and_verify(
    migrated_database_url: str,
) -> None:
    """P9: NUL, a lone surrogate, far too long, no string, not there at all."""
    time = SourceTime()
    source = source_of(time)
    dates = b'"createdAt": "2026-07-24T12:05:00.000Z", "updatedAt": "2026-07-24T12:05:00.000Z"'
    at = LONG_AGO + timedelta(minutes=5)
    long_id = b"".join(b"%04x" % (number * 7919 % 65536) for number in range(1500))
    ids = [b'"a\\u0000b"', b'"\\ud800"', b'"%s"' % long_id, b"5", b"null", b'""']
    async with sweeping(migrated_database_url, source, time, source__page_size=20) as mirror:
        await mirror.sync()
        for number, model_id in enumerate(ids):
            raw = b'{"id": %s, %s}' % (model_id, dates)
            source.put_raw(f"odd{number}", raw, created_at=at, updated_at=at)
        source.remove_model("m00035")
        done = await mirror.sweep()
        again = await mirror.sweep()
        result = await verified(mirror)

        assert (6, 1) == (done.tally.quarantined, done.tally.removed)
        assert 0 == again.tally.quarantined
        assert ExitCode.NOT_ALL_WELL == done.exit_code
        assert {} == found(result)


async def test_p5_a_record_without_an_id_whose_links_are_signed_anew_is_no_news(
    migrated_database_url: str,
) -> None:
    """P5: signed URLs never count as a change, in quarantine as elsewhere."""
    time = SourceTime()
    source = source_of(time, models=5)

    def sign(number: int) -> None:
        url = b"https://x/y.png?Expires=%d&Signature=s%d&Key-Pair-Id=k" % (number, number)
        raw = b'{"createdAt": "2026-07-24T12:05:00.000Z", "thumbnail": {"url": "%s"}}' % url
        at = LONG_AGO + timedelta(minutes=5)
        source.put_raw("idless", raw, created_at=at, updated_at=at)

    async with mirroring(migrated_database_url, source, time=time) as mirror:
        sign(1)
        await mirror.sync()
        time.advance(3600)
        await mirror.sync()
        before = await mirror.observer.fetch("SELECT ctid, xmin FROM syncer.quarantine")
        sign(2)
        idle = await mirror.sync()

        assert before == await mirror.observer.fetch("SELECT ctid, xmin FROM syncer.quarantine")
        assert 1 == idle.requests


async def test_p5_removals_that_wait_do_not_make_every_poll_a_sweep_of_many_writes(
    migrated_database_url: str,
) -> None:
    """P5: idle is free, also while an operator has yet to answer."""
    time = SourceTime()
    source = source_of(time, models=30)
    async with mirroring(migrated_database_url, source, time=time) as mirror:
        await mirror.sync()
        time.advance(3600)
        for number in range(10):
            source.remove_model(f"m{number:05}")
        await mirror.sync()
        time.advance(3600)
        await mirror.sync()
        cycles = await mirror.value("SELECT count(*) FROM syncer.cycle")
        idle = await mirror.sync()

        assert 10 == await mirror.value("SELECT removals_waiting FROM scenario.sync_status")
        assert ExitCode.NOT_ALL_WELL == idle.exit_code
        assert cycles == await mirror.value("SELECT count(*) FROM syncer.cycle")


async def test_p8_a_sync_while_removals_wait_does_not_say_that_all_is_well(
    migrated_database_url: str,
) -> None:
    """P8: a refused removal is 5, whether or not this very command refused it."""
    time = SourceTime()
    source = source_of(time)
    async with sweeping(migrated_database_url, source, time) as mirror:
        await mirror.sync()
        for number in range(12):
            source.remove_model(f"m{number:05}")
        await mirror.sweep()
        done = await mirror.sync()

        assert 12 == await mirror.value("SELECT removals_waiting FROM scenario.sync_status")
        assert ExitCode.NOT_ALL_WELL == done.exit_code


async def test_a_tie_larger_than_a_page_is_swept_and_confirmed(migrated_database_url: str) -> None:
    """P2: the window of a second question may take many pages, too."""
    time = SourceTime()
    source = new_source(time)
    add_models(source, 35, "t", createdAt=LONG_AGO, updatedAt=LONG_AGO)
    add_models(source, 20, "u", createdAt=spread(START, step_ms=1), updatedAt=LONG_AGO)
    async with sweeping(migrated_database_url, source, time) as mirror:
        await mirror.sync()
        source.remove_model("t00017")
        source.remove_model("u00009")
        done = await mirror.sweep()

        assert [("t00017", "absent"), ("u00009", "absent")] == await tombstones(mirror)
        assert ExitCode.OK == done.exit_code
        assert {} == found(await verified(mirror))


async def test_the_end_of_a_sweep_does_not_slow_down_with_the_square_of_the_catalog(
    migrated_database_url: str,
) -> None:
    """P6: whatever the planner remembers of an empty seen-set, as autovacuum leaves it."""
    time = SourceTime()
    source = source_of(time, models=1)
    async with mirroring(migrated_database_url, source, time=time) as mirror:
        await mirror.sync()
        await mirror.observer.execute(MANY_MODELS)
        await mirror.observer.execute("ANALYZE scenario.models")
        await mirror.observer.execute("VACUUM ANALYZE syncer.seen")
        sweep = await mirror.value(OPEN_SWEEP)
        await mirror.observer.execute(ALL_SEEN, sweep)
        body = await mirror.value(BODY_OF_UNSEEN)
        await mirror.observer.execute("".join(await mirror.value(SETTINGS_OF_UNSEEN)))
        asked = re.sub(r"(unseen_models\.)?\bsweep\b", str(sweep), body)
        plan = await mirror.observer.fetch(f"EXPLAIN {asked}")

        assert 0 == await mirror.value("SELECT count(*) FROM syncer.unseen_models($1)", sweep)
        # Each model is looked up among the hashes, not compared with all of them.
        assert any("Hash Cond: (hashtextextended" in line[0] for line in plan), plan


BODY_OF_UNSEEN = """
    SELECT btrim(regexp_replace(
        pg_get_function_sqlbody('syncer.unseen_models(bigint)'::regprocedure),
        '^BEGIN ATOMIC|END$', '', 'g'
    ), E' \\n;')
"""
SETTINGS_OF_UNSEEN = """
    SELECT array_agg('SET ' || setting || ';')
    FROM pg_proc, unnest(proconfig) AS setting
    WHERE oid = 'syncer.unseen_models(bigint)'::regprocedure
"""
MANY_MODELS = """
    INSERT INTO scenario.models (
        catalog, id, created_at, updated_at, body, content_hash, sent_order, first_seen_at,
        changed_at
    )
    SELECT 'public', md5(n::text), timestamptz '2020-01-01' + n * interval '1 minute',
        '2024-01-01', '{}', '', 1, '2024-01-01', '2024-01-01'
    FROM generate_series(1, 10000) AS n
"""
OPEN_SWEEP = """
    INSERT INTO syncer.cycle (catalog, kind, strategy, reason, source_now)
    VALUES ('public', 'sweep', 'time', 'test', now()) RETURNING cycle_id
"""
ALL_SEEN = """
    INSERT INTO syncer.seen (cycle_id, hashes, older_ids, is_blind)
    SELECT $1, array_agg(hashtextextended(id COLLATE "C", $1)), '{}', false
    FROM (SELECT id, row_number() OVER () / 500 AS page FROM scenario.models) AS m GROUP BY page
"""


async def test_a_record_without_an_id_forbids_removals_within_its_page_only(
    migrated_database_url: str,
) -> None:
    """DESIGN §2: its own createdAt is readable, so it was not created after that."""
    time = SourceTime()
    source = source_of(time)
    at = LONG_AGO + timedelta(minutes=9, seconds=-1)
    raw = b'{"name": "who am I", "createdAt": "2026-07-24T12:08:59.000Z"}'
    source.put_raw("hidden", raw, created_at=at, updated_at=at)
    async with sweeping(migrated_database_url, source, time) as mirror:
        await mirror.sync()
        source.remove_model("m00035")
        await mirror.sweep()

        assert [("m00035", "absent")] == await tombstones(mirror)


@pytest.mark.parametrize("when", ["while", "after"])
async def test_p2_a_sweep_cancelled_anywhere_removes_only_what_is_gone(
    migrated_database_url: str, when: When
) -> None:
    """P2, P4: and the next one comes to the right end, whatever was stored."""
    time = SourceTime()
    source = source_of(time, models=26)
    async with sweeping(migrated_database_url, source, time) as mirror:
        await mirror.sync()
        flipped = iter(range(10**6))
        number = 1
        while True:
            model_id = f"m{next(flipped) % 26:05}"
            source.remove_model(model_id)
            async with mirror.context() as context:
                engine = Engine(context)
                state = await engine.prepare()
                work = engine.sweep(state, reason="test")
                reached, _ = await run_cancelled(work, number, when)
            assert {model_id} >= {each for each, _ in await tombstones(mirror)}
            source.restore_model(model_id)
            done = await mirror.sweep()
            assert ExitCode.OK == done.exit_code, (number, done)
            assert [] == await mirror.differences(), number
            assert [] == await tombstones(mirror), number
            assert 0 == await mirror.value("SELECT count(*) FROM syncer.seen")
            if not reached:
                break
            number += STEP
        assert number > 20


STEP = 9
"""1 tries every suspension, and takes half a minute."""


async def test_verify_reports_and_mends_rows_that_were_changed_by_hand(
    migrated_database_url: str,
) -> None:
    """DESIGN §3: a column, the body, the hash, a date in the future, a tombstone, a lost row."""
    time = SourceTime()
    source = source_of(time)
    async with sweeping(migrated_database_url, source, time) as mirror:
        await mirror.sync()
        for number, change in enumerate(
            (
                "name = 'x'",
                'body = body || \'{"name": "x"}\'',
                "content_hash = 'x'",
                "updated_at = updated_at + interval '1000 days'",
                "updated_at = updated_at - interval '1000 days'",
                "tags = '{x}'",
                "removed_at = now(), removed_reason = 'absent'",
            )
        ):
            await mirror.observer.execute(
                f"UPDATE scenario.models SET {change} WHERE id = 'm{number:05}'"  # noqa: S608
            )
        await mirror.observer.execute("DELETE FROM scenario.models WHERE id = 'm00007'")
        before = await verified(mirror)
        mended = await verified(mirror, repair=True)

        stale = [f"m{number:05}" for number in range(6)]
        assert {"missing": ["m00006", "m00007"], "stale": stale} == found(before)
        assert {} == found(mended)
        assert 8 == mended.repaired
        assert [] == await mirror.differences()


async def test_p3_a_repair_that_comes_late_does_not_set_a_newer_version_back(
    migrated_database_url: str,
) -> None:
    """P3: what was compared has been replaced meanwhile, and then the source is away."""
    time = SourceTime()
    source = source_of(time)
    async with sweeping(migrated_database_url, source, time) as mirror:
        await mirror.sync()
        await mirror.observer.execute("UPDATE scenario.models SET name = 'x' WHERE id = 'm00005'")
        result = await verified(mirror)
        assert result.comparison is not None
        job = Job(follow=False, sweep=SweepJob(), doubt=result.comparison.suspects.versions)
        source.update_model("m00005", name="newer")
        await mirror.sync()
        newest = await mirror.value("SELECT max(updated_at) FROM scenario.models")
        source.add_fault("unauthorized")
        async with engine_of(mirror) as engine:
            _ = [each async for each in carry_out(engine, job)]

        assert newest == await mirror.value("SELECT max(updated_at) FROM scenario.models")


@pytest.mark.usefixtures("with_key")
async def test_private_models_are_removed_by_the_feed_and_come_back_without_tags(
    migrated_database_url: str,
) -> None:
    """A feed of several pages, a row of it that is listed again, and a month offline."""
    time = SourceTime()
    source = private_source(time, MODELS)
    keys: dict[str, object] = {"privacy": "private", "sweep_interval_s": 100 * 86_400}
    async with sweeping(migrated_database_url, source, time, **keys) as mirror:
        await mirror.sync()
        for number in range(25):
            source.remove_model(f"p{number:05}")
        first = await mirror.sync()
        source.restore_model("p00003")
        second = await mirror.sync()
        await mirror.sweep()
        restored = await mirror.value("SELECT tags FROM scenario.models WHERE id = 'p00003'")
        source.catalog.drop("p00039")
        await mirror.observer.execute(
            "UPDATE syncer.catalog SET fed_at = now() - interval '31 days',"
            " swept_at = now() - interval '31 days'"
        )
        await mirror.sync()

        assert (25, 0) == (first.tally.removed, second.tally.removed)
        assert 0 == first.exit_code == second.exit_code
        assert [] == restored
        removed = dict(await tombstones(mirror))
        assert "p00003" not in removed
        assert "absent" == removed.pop("p00039")
        assert {"deleted"} == set(removed.values())


@pytest.mark.usefixtures("with_key")
async def test_p5_an_idle_private_poll_costs_two_requests_and_writes_no_model(
    migrated_database_url: str,
) -> None:
    """P5: new models and the deleted feed, also when the feed names what is listed again."""
    time = SourceTime()
    source = private_source(time, MODELS)
    async with sweeping(migrated_database_url, source, time, privacy="private") as mirror:
        await mirror.sync()
        for number in range(3):
            source.remove_model(f"p{number:05}")
        await mirror.sync()
        time.advance(3600)
        await mirror.sync()
        before = await mirror.observer.fetch("SELECT ctid, xmin FROM scenario.models")
        idle = await mirror.sync()

        assert 2 == idle.requests
        assert before == await mirror.observer.fetch("SELECT ctid, xmin FROM scenario.models")


@pytest.mark.usefixtures("with_key")
async def test_p8_a_private_sync_that_finishes_an_old_sweep_is_not_fresh(
    migrated_database_url: str,
) -> None:
    """P8: private updates are seen by sweeps alone, so pages of days ago prove nothing of today."""
    time = SourceTime()
    source = private_source(time, MODELS)
    async with sweeping(migrated_database_url, source, time, privacy="private") as mirror:
        await mirror.sync()
        await mirror.observer.execute("UPDATE syncer.catalog SET swept_at = '-infinity'")
        asked = len(source.requests)
        broken = await mirror.run_until(lambda: len(source.requests) > asked + 5, Stopped())
        assert not broken.complete
        assert 0 < await mirror.value("SELECT count(*) FROM syncer.seen")
        time.advance(3 * 86_400)
        await mirror.observer.execute(
            "UPDATE syncer.cycle SET started_at = started_at - interval '3 days'"
            " WHERE finished_at IS NULL"
        )
        source.update_model("p00001", name="newer")
        done = await mirror.sync()

        assert ExitCode.OK == done.exit_code
        assert "newer" == await mirror.value("SELECT name FROM scenario.models WHERE id = 'p00001'")


async def test_an_abandoned_sweep_leaves_no_seen_set_behind(migrated_database_url: str) -> None:
    """8 bytes a model while a sweep runs, and none afterwards."""
    time = SourceTime()
    source = source_of(time)
    async with sweeping(migrated_database_url, source, time) as mirror:
        await mirror.sync()
        await mirror.observer.execute("UPDATE syncer.catalog SET swept_at = '-infinity'")
        asked = len(source.requests)
        await mirror.run_until(lambda: len(source.requests) > asked + 3, Stopped())
        await mirror.refill()
        await mirror.sweep()

        assert 0 == await mirror.value("SELECT count(*) FROM syncer.seen")

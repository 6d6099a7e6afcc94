"""The steps of the demo on a real PostgreSQL: what they report is what is there."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.postgres import execute

from syncer.clock import SystemClock
from syncer.config import DatabaseSettings, SourceSettings
from syncer.database import open_reader
from syncer.demo import DemoPlace, Story, quiet_settings
from syncer.embedded import EmbeddedServer
from syncer.errors import SyncerError
from syncer.progress import NoProgress
from syncer.simulator import SimulatedSource, SimulatorOptions

MODELS = 40


@pytest.fixture(name="story")
async def story_fixture(migrated_database_url: str, tmp_path: Path) -> AsyncIterator[Story]:
    """A story at its beginning; the database is the test's own."""
    source = SimulatedSource(SimulatorOptions(models=MODELS))
    async with source.serve() as base_url:
        settings = replace(
            quiet_settings(),
            source=SourceSettings(base_url=base_url, page_size=10, max_requests_per_minute=10_000),
            database=DatabaseSettings(url=migrated_database_url),
        )
        server = EmbeddedServer(migrated_database_url, tmp_path, "psql")
        async with open_reader(settings, migrated_database_url) as connection:
            place = DemoPlace(source, server, settings)
            yield Story(place, connection, SystemClock(), random.Random(1))  # noqa: S311 - jitter


async def test_the_whole_story_ends_with_mirror_and_source_equal(story: Story) -> None:
    filled = await story.backfill(NoProgress())
    followed = await story.follow()
    polled = await story.poll()
    added = await story.add()
    swept = await story.sweep()
    proof = await story.prove()

    assert filled.comparison.agrees
    assert sum(listed for _, listed, _ in filled.types) == MODELS
    assert (followed.run.requests, followed.updated, followed.untouched) == (1, 3, MODELS - 3)
    assert followed.after.name == f"{followed.before.name} II"
    assert (polled.run.requests, polled.written) == (1, 0)
    assert added.run.requests == 1
    assert [version.type for version in added.mirrored] == ["flux.1-lora", "hologram-lora"]
    assert [key for key, _ in added.quarantined] == ["model_broken"]
    assert (len(swept.removed), swept.run.tally.removed) == (2, 2)
    assert swept.edited.name is not None
    assert swept.edited.name.endswith("(silently)")
    assert proof.agrees
    assert (proof.source_models, proof.mirror_models, proof.quarantined) == (41, 40, 1)


@pytest.mark.parametrize(
    ("statement", "differs"),
    [
        ("DELETE FROM scenario.models WHERE id = '{}'", "missing"),
        ("UPDATE scenario.models SET id = 'model_other' WHERE id = '{}'", "extra"),
        (
            "UPDATE scenario.models SET updated_at = updated_at + interval '1 ms' WHERE id = '{}'",
            "stale",
        ),
    ],
)
async def test_the_proof_finds_a_single_row_that_differs(
    story: Story, statement: str, differs: str
) -> None:
    await story.backfill(NoProgress())
    victim = sorted(story.place.source.live_models())[MODELS // 2]
    await execute(story.place.server.dsn, statement.format(victim))
    proof = await story.prove()

    assert not proof.agrees
    assert len(getattr(proof, differs)) == 1


async def test_a_step_that_goes_otherwise_than_told_is_an_error(story: Story) -> None:
    """The story says "exactly those three"; a fourth must not be passed over."""
    await story.backfill(NoProgress())
    ids = sorted(story.place.source.live_models())
    story.place.source.update_model(ids[0], name="Not in the story")

    with pytest.raises(SyncerError, match="rows written: 4 instead of 3"):
        await story.follow()


async def test_example_questions_are_answered_by_the_views_for_readers(story: Story) -> None:
    await story.backfill(NoProgress())
    answers = await story.ask()

    assert all(answer.rows and answer.columns for answer in answers)
    assert all(answer.sql.startswith("SELECT ") for answer in answers)
    assert {"scenario.live_models", "scenario.model_tags"} == {
        word for answer in answers for word in answer.sql.split() if word.startswith("scenario.")
    }


async def test_the_status_document_shows_the_filled_catalog(story: Story) -> None:
    await story.backfill(NoProgress())
    document = await story.read_status()

    assert document["ready"]
    assert [catalog["live_models"] for catalog in document["catalogs"]] == [MODELS]

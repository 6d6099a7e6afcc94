"""
Questions that people ask of the mirror, with what it answers:

    uv run python tests/support/questions.py --write

Owns the catalog that they are asked of, how ``sql/QUESTIONS.md`` is taken apart, and how an answer
looks in it. The truth is what the simulated source was told to hold, never what SQL says of it.
Kind: conductor.
"""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncpg
from support.dictionary import new_mirror
from support.mirror import Mirror, SourceTime, mirroring, new_source

from syncer.formats import table_lines
from syncer.store.answering import Column

if TYPE_CHECKING:
    from syncer.simulator import SimulatedSource

ROOT = Path(__file__).parents[2]
QUESTIONS = ROOT / "sql" / "QUESTIONS.md"
COMMAND = "PYTHONPATH=tests uv run python tests/support/questions.py --write"

MODELS = 300
BEGAN = datetime(2026, 11, 1, 12, tzinfo=UTC)
"""When the mirror was filled; each stage is a day later."""

_SECTION = re.compile(
    r"^## (?P<number>\d+)\. (?P<title>.+?)\n(?P<prose>.*?)```sql\n(?P<sql>.+?)```\n\n"
    r"```text\n(?P<answer>.*?)```\n",
    re.DOTALL | re.MULTILINE,
)

_DATE_ROWS = """
WITH stage AS (SELECT catalog, id, operation FROM scenario.model_changes WHERE change_id > $1)
UPDATE scenario.models AS m
SET
    first_seen_at = CASE s.operation WHEN 'insert' THEN $2 ELSE m.first_seen_at END,
    changed_at = CASE s.operation WHEN 'remove' THEN m.changed_at ELSE $2 END,
    removed_at = CASE s.operation WHEN 'remove' THEN $2 END
FROM stage AS s
WHERE m.catalog = s.catalog AND m.id = s.id
"""
_DATE_CHANGES = "UPDATE scenario.model_changes SET committed_at = $2 WHERE change_id > $1"


@dataclass(frozen=True, slots=True)
class Question:
    """One section of the page."""

    number: int
    title: str
    sql: str
    answer: str


@dataclass(slots=True)
class Truth:
    """What the source held, told apart from everything that SQL does."""

    first: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """When the mirror was filled, by id."""
    now: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    renamed: str = ""
    cheaper: str = ""
    gone: tuple[str, ...] = ()
    back: str = ""
    added: str = ""

    @property
    def live(self) -> Sequence[Mapping[str, Any]]:
        """Now."""
        return list(self.now.values())


def read_questions() -> tuple[Question, ...]:
    """The page, taken apart."""
    text = QUESTIONS.read_text(encoding="utf-8")
    return tuple(
        Question(int(found["number"]), found["title"], found["sql"], found["answer"])
        for found in _SECTION.finditer(text)
    )


async def fill(database_url: str) -> Truth:
    """Mirror a catalog for five days; days of the mirror are those of the page."""
    time = SourceTime(BEGAN)
    source = new_source(time, models=MODELS)
    truth = Truth(first=source.live_models())
    async with mirroring(database_url, source, time=time, details=True) as mirror:
        await _stage(mirror, 0)
        trained = sorted(i for i, each in truth.first.items() if each["type"] == "flux.1-lora")
        custom = sorted(i for i, each in truth.first.items() if each["type"] == "custom")
        truth.renamed, truth.cheaper = custom[3], custom[5]
        source.update_model(truth.renamed, name="Renamed Model")
        source.update_model(truth.cheaper, accessRestrictions=0, tags=["Video", "on sale"])
        await _stage(mirror, 1)
        truth.gone, truth.back = (trained[0], custom[7]), trained[1]
        for model_id in (*truth.gone, truth.back):
            source.remove_model(model_id)
        await _stage(mirror, 2)
        source.restore_model(truth.back, touch=True)
        truth.added = _add(source, time)
        await _stage(mirror, 3)
        old = custom[9]
        tags = [*truth.first[old]["tags"], "deprecated", f"deprecated:{truth.added}"]
        source.update_model(old, tags=tags)
        await _stage(mirror, 4)
        truth.now = source.live_models()
    return truth


def _add(source: SimulatedSource, time: SourceTime) -> str:
    added = source.add_model(
        id="model_paper_lanterns",
        name="Paper Lanterns",
        type="flux.1-lora",
        shortDescription="Warm light through folded paper.",
        tags=["Flux.1 LoRA", "lighting"],
        createdAt=time.now,
        updatedAt=time.now,
    )
    return str(added["id"])


async def _stage(mirror: Mirror, day: int) -> None:
    """Follow what has happened, and let it have been on one day at noon."""
    last = await mirror.value("SELECT coalesce(max(change_id), 0) FROM scenario.model_changes")
    mirror.time.advance(600)
    await mirror.sync()
    await mirror.sweep(allow_removals=10)
    at = BEGAN + timedelta(days=day)
    for statement in (_DATE_ROWS, _DATE_CHANGES):
        await mirror.observer.execute(statement, last, at)
    mirror.time.advance((BEGAN + timedelta(days=day + 1) - mirror.time.now).total_seconds())


async def ask(connection: asyncpg.Connection[asyncpg.Record], sql: str) -> tuple[list[Any], str]:
    """The rows of an answer, and how it looks on the page."""
    prepared = await connection.prepare(sql)
    columns = [Column(each.name, each.type.name) for each in prepared.get_attributes()]
    rows = [tuple(row) for row in await prepared.fetch()]
    return rows, table_lines(columns)(rows).decode()


async def connect(database_url: str) -> asyncpg.Connection[asyncpg.Record]:
    """As readers do, in UTC."""
    return await asyncpg.connect(
        database_url, server_settings={"timezone": "UTC", "search_path": "scenario"}
    )


async def write_answers() -> int:
    """Ask all of them of a mirror made for it, and put the answers on the page."""
    text = QUESTIONS.read_text(encoding="utf-8")
    async with new_mirror() as url:
        await fill(url)
        connection = await connect(url)
        for question in read_questions():
            _, answer = await ask(connection, question.sql)
            old = f"```sql\n{question.sql}```\n\n```text\n{question.answer}```\n"
            new = f"```sql\n{question.sql}```\n\n```text\n{answer}```\n"
            assert text.count(old) == 1
            text = text.replace(old, new)
        await connection.close()
    QUESTIONS.write_text(text, encoding="utf-8")
    return len(read_questions())


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        raise SystemExit(f"usage: {COMMAND}")
    sys.stdout.write(f"{asyncio.run(write_answers())} questions answered\n")

"""
A rival: an async loop on the vendor's SDK with array upserts, as a careful user would write it.

Windows of createdAt make it concurrent; each page is one prepared ``INSERT … SELECT unnest … ON
CONFLICT DO UPDATE`` over arrays. ``typed`` reads the SDK's model objects, ``raw`` takes the body of
its raw response, which spares the SDK its own parsing. No checkpoints, no retries but the SDK's, no
removals.
Kind: edge (HTTP, asyncpg).
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import asyncpg
import msgspec
from scenario_sdk import AsyncScenario

PAGE = 500

TABLE = """
CREATE SCHEMA mirror;
CREATE TABLE mirror.models (
    id text PRIMARY KEY, name text, type text, privacy text, status text, tags text[],
    capabilities text[], created_at timestamptz NOT NULL, updated_at timestamptz NOT NULL,
    body jsonb NOT NULL
);
CREATE INDEX ON mirror.models (updated_at);
CREATE INDEX ON mirror.models (created_at);
"""
UPSERT = """
INSERT INTO mirror.models
SELECT id, name, type, privacy, status,
    ARRAY(SELECT jsonb_array_elements_text(body -> 'tags')),
    ARRAY(SELECT jsonb_array_elements_text(body -> 'capabilities')),
    created_at, updated_at, body
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::timestamptz[],
    $7::timestamptz[], $8::jsonb[])
    AS p (id, name, type, privacy, status, created_at, updated_at, body)
ON CONFLICT (id) DO UPDATE SET
    name = excluded.name, type = excluded.type, privacy = excluded.privacy,
    status = excluded.status, tags = excluded.tags, capabilities = excluded.capabilities,
    created_at = excluded.created_at, updated_at = excluded.updated_at, body = excluded.body
WHERE mirror.models.updated_at < excluded.updated_at
"""

Window = tuple[str, str]
Record = tuple[Any, ...]


class Raw(msgspec.Struct):
    """The fields of a record that have columns, without building the rest."""

    id: str
    createdAt: datetime  # noqa: N815 - the API's name
    updatedAt: datetime  # noqa: N815
    name: str | None = None
    type: str | None = None
    privacy: str | None = None
    status: str | None = None


class RawPage(msgspec.Struct):
    """A list answer."""

    models: list[msgspec.Raw]
    nextPaginationToken: str | None = None  # noqa: N815 - the API's name


def records_from_raw(page: RawPage) -> list[Record]:
    """One tuple per model, in the order of the statement's arrays."""
    found = []
    for text in page.models:
        m = msgspec.json.decode(text, type=Raw)
        body = bytes(text).decode()
        found.append((m.id, m.name, m.type, m.privacy, m.status, m.createdAt, m.updatedAt, body))
    return found


def records_from_typed(models: Iterable[Any]) -> list[Record]:
    """The same from the SDK's objects."""
    found = []
    for m in models:
        body = msgspec.json.encode(m.to_dict(mode="json")).decode()
        times = parse(m.created_at), parse(m.updated_at)
        found.append((m.id, m.name, m.type, m.privacy, m.status, *times, body))
    return found


def parse(text: str) -> datetime:
    """The API's form of an instant."""
    return datetime.fromisoformat(text)


def show(at: datetime) -> str:
    """The API's form of an instant."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


async def cut(sdk: AsyncScenario, windows: int) -> list[Window]:
    """Windows of equal length between the first and the last model."""
    ends = []
    for direction in ("asc", "desc"):
        page = await sdk.models.list(
            privacy="public", sort_by="createdAt", sort_direction=direction, page_size=1
        )
        ends.append(parse(page.models[0].created_at))
    first, last = ends
    step = (last - first) / windows
    # Bounds are exclusive, to the millisecond.
    instant = timedelta(milliseconds=1)
    edges = [first + step * number for number in range(windows)] + [last + instant]
    return [(show(low - instant), show(high)) for low, high in pairwise(edges)]


async def fetch(
    sdk: AsyncScenario, window: Window, token: str | None, mode: str
) -> tuple[Any, ...]:
    """One page of a window as records, and the next token."""
    after, before = window
    question: dict[str, Any] = {
        "privacy": "public",
        "sort_by": "createdAt",
        "sort_direction": "asc",
        "created_after": after,
        "created_before": before,
        "page_size": PAGE,
        **({"pagination_token": token} if token else {}),
    }
    if mode == "raw":
        answer = await sdk.models.with_raw_response.list(**question)
        body = await answer.read()
        raw = msgspec.json.decode(body, type=RawPage)
        return records_from_raw(raw), raw.nextPaginationToken
    page = await sdk.models.list(**question)
    return records_from_typed(page.models), page.next_pagination_token


async def mirror(mode: str, url: str, base_url: str, limits: list[int]) -> float:
    """Fill the table; the seconds from the first request to the last commit."""
    connections, concurrency, window_count = limits
    pool = await asyncpg.create_pool(url, min_size=connections, max_size=connections)
    await pool.execute(TABLE)
    # Any pair will do for the simulated source.
    async with AsyncScenario(api_key="key", api_secret="secret", base_url=base_url) as sdk:
        began = time.perf_counter()
        windows = await cut(sdk, window_count)

        async def work() -> None:
            while windows:
                window = windows.pop()
                records, token = await fetch(sdk, window, None, mode)
                while True:
                    if records:
                        await pool.execute(UPSERT, *(list(c) for c in zip(*records, strict=True)))
                    if not token:
                        break
                    records, token = await fetch(sdk, window, token, mode)

        async with asyncio.TaskGroup() as group:
            for _ in range(concurrency):
                group.create_task(work())
        took = time.perf_counter() - began
    await pool.close()
    return took


if __name__ == "__main__":
    _, kind, database, source, *limits = sys.argv
    seconds = asyncio.run(mirror(kind, database, source, [int(limit) for limit in limits]))
    print(json.dumps({"work_s": seconds}))

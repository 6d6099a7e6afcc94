"""
The bound: a bare binary COPY of finished rows into the empty ``scenario.models``, nothing else.

Owns rows that are ready before anything is timed; each line on stdin names a database to copy them
into. Pages are transactions, over as many connections as the backfill may use.
Kind: edge (asyncpg, HTTP).
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

import aiohttp
import asyncpg
from bench.mirror import CONNECTIONS, PAGE
from bench.process import peak_memory_bytes

from syncer.api.decode import decode_page, read_listed
from syncer.domain import Model, Page, SentOrder
from syncer.store.pool import open_pool
from syncer.store.rows import ROW_COLUMNS, batch_from_page, row_from_model

Rows = list[tuple[Any, ...]]

QUESTION = {
    "privacy": "public",
    "sortBy": "createdAt",
    "sortDirection": "asc",
    "pageSize": str(PAGE),
}
PUBLIC = {"Authorization": "public-auth-token"}


async def read_rows(base_url: str) -> list[Rows]:
    """Every page of the source as finished rows."""
    pages: list[Rows] = []
    token: str | None = ""
    async with aiohttp.ClientSession(headers=PUBLIC) as session:
        while token is not None:
            query = QUESTION | ({"paginationToken": token} if token else {})
            async with session.get(f"{base_url}/models", params=query) as answer:
                decoded = decode_page(await answer.read())
            page = Page(decoded.entries, decoded.next_token, None, SentOrder(1))
            batch = batch_from_page("public", page, read_listed)
            pages.append([row_from_model(batch, m) for m in batch.models if isinstance(m, Model)])
            token = decoded.next_token
    return pages


async def copy_bare(url: str, pages: list[Rows]) -> float:
    """Seconds for COPY alone."""
    pool = await open_pool(
        url,
        size=CONNECTIONS,
        statement_timeout_s=600,
        idle_in_transaction_timeout_s=600,
        application_name="bench",
    )
    waiting = list(reversed(pages))

    async def work() -> None:
        async with pool.acquire() as connection:
            assert isinstance(connection, asyncpg.pool.PoolConnectionProxy)
            while waiting:
                await connection.copy_records_to_table(
                    "models", schema_name="scenario", columns=ROW_COLUMNS, records=waiting.pop()
                )

    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(CONNECTIONS):
            group.create_task(work())
    took = time.perf_counter() - began
    await pool.close()
    return took


async def main(base_url: str) -> None:
    """Read, say so, and copy into whatever database is named."""
    pages = await read_rows(base_url)
    print(json.dumps({"models": sum(map(len, pages))}), flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        cpu_s = time.process_time()
        seconds = await copy_bare(line.strip(), pages)
        cpu_s = time.process_time() - cpu_s
        answer = {"work_s": seconds, "cpu_s": cpu_s, "peak_bytes": peak_memory_bytes("self")}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))

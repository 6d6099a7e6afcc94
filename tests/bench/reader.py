"""
A reader that discards what it reads: the most that anybody could get out of the simulated source.

Kind: edge (HTTP).
"""

from __future__ import annotations

import asyncio
import base64
import json
import sys
import time

import aiohttp

PUBLIC = {"Authorization": "public-auth-token"}


async def read(base_url: str, concurrency: int, page: int) -> tuple[int, float]:
    """Pages and seconds for the whole listing; the tokens of the source can be written ahead."""
    waiting = iter(range(0, 1 << 40, page))
    pages, over = 0, False
    question = {
        "privacy": "public",
        "sortBy": "createdAt",
        "sortDirection": "asc",
        "pageSize": str(page),
    }

    async def work(session: aiohttp.ClientSession) -> None:
        nonlocal pages, over
        while not over:
            position = {"offset": next(waiting), "limit": page}
            token = base64.b64encode(json.dumps(position).encode()).decode()
            asked = session.get(f"{base_url}/models", params={**question, "paginationToken": token})
            async with asked as answer:
                body = await answer.read()
            pages += not body.startswith(b'{"models":[]')
            over = over or b"nextPaginationToken" not in body[-200:]

    async with aiohttp.ClientSession(headers=PUBLIC) as session:
        began = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for _ in range(concurrency):
                group.create_task(work(session))
        return pages, time.perf_counter() - began


if __name__ == "__main__":
    found, seconds = asyncio.run(read(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
    print(json.dumps({"pages": found, "work_s": seconds}))

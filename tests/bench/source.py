"""
The simulated source as a process of its own, and what it tells the suite.

Owns that process and its second, private port: the arrivals so far, and an edit on request. Never
changes how the source answers.
Kind: edge (processes, HTTP).
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.request import Request, urlopen

import psutil
from aiohttp import web
from bench.process import clean_environment, hear, module, talking

from syncer.simulator import SimulatedSource, SimulatorOptions

ANSWER_LIMIT_S = 60
KEEP_MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": str(1 << 30),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 31),
    "MALLOC_TOP_PAD_": str(1 << 26),
}
"""For glibc: a body of two megabytes that is mapped anew each time costs a fifth of the speed."""


@dataclass(frozen=True)
class Source:
    """A source that runs; the methods ask it from outside."""

    base_url: str
    desk_url: str
    started_s: float
    process: psutil.Process

    def cpu_s(self) -> float:
        """CPU seconds that the process has used since it was ready."""
        times = self.process.cpu_times()
        return float(times.user + times.system)

    def rss_bytes(self) -> int:
        """Memory that it holds now."""
        return int(self.process.memory_info().rss)

    def arrivals(self) -> list[dict[str, Any]]:
        """Every request since the last ``forget``: ``at_s``, ``status``, ``rows``."""
        found = self._ask("GET", "/arrivals")
        assert isinstance(found, list)
        return found

    def forget(self) -> None:
        """Begin a new list of arrivals."""
        self._ask("POST", "/forget")

    def touch(self, model_id: str) -> str:
        """Update a model now; its new ``updatedAt``."""
        return str(self._ask("POST", f"/touch?id={model_id}"))

    def _ask(self, method: str, path: str) -> Any:
        request = Request(self.desk_url + path, method=method)  # noqa: S310 - our own loopback port
        with urlopen(request, timeout=ANSWER_LIMIT_S) as answer:  # noqa: S310 - as above
            return json.loads(answer.read())


@contextlib.contextmanager
def source_process(**options: Any) -> Iterator[Source]:
    """A source in a process of its own, as cheap as it gets unless told otherwise: no gzip."""
    chosen = {"gzip": False, "volatile": False, **options}
    began = time.perf_counter()
    environment = clean_environment(**KEEP_MEMORY)
    with talking(module("source", json.dumps(chosen)), environment) as process:
        said = hear(process)
        yield Source(
            said["base_url"],
            said["desk_url"],
            time.perf_counter() - began,
            psutil.Process(process.pid),
        )


def build_desk(source: SimulatedSource) -> web.Application:
    """What the suite may ask beside the API."""

    async def arrivals(_: web.Request) -> web.Response:
        return web.json_response(
            [
                {"at_s": each.at.timestamp(), "status": each.status, "rows": each.rows}
                for each in source.requests
            ]
        )

    async def forget(_: web.Request) -> web.Response:
        source.requests.clear()
        return web.json_response(None)

    async def touch(request: web.Request) -> web.Response:
        return web.json_response(source.update_model(request.query["id"])["updatedAt"])

    app = web.Application()
    app.router.add_get("/arrivals", arrivals)
    app.router.add_post("/forget", forget)
    app.router.add_post("/touch", touch)
    return app


async def serve(options: SimulatorOptions) -> None:
    """Serve until killed; one line on stdout says where."""
    gc.disable()
    source = SimulatedSource(options)
    # What is made by now stays: without this each collection walks through a million records.
    gc.freeze()
    gc.enable()
    runner = web.AppRunner(build_desk(source), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with source.serve() as base_url:
        desk_url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        print(json.dumps({"base_url": base_url, "desk_url": desk_url}), flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(SimulatorOptions(**json.loads(sys.argv[1]))))

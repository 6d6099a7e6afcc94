"""
The simulated source as a process of its own: it changes all the time, and misbehaves when told to.

Owns that process, its edits, and the private port by which the soak run asks it. Never knows what
syncer does.
Kind: edge (processes, HTTP).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import sys
from collections import Counter
from dataclasses import dataclass
from typing import Any

from aiohttp import ClientSession, ClientTimeout, web
from bench.figures import busiest_window

from syncer.simulator import SimulatedSource, SimulatorOptions

BROKEN_ID = "model_soakBroken"
BROKEN_AT = "2025-01-01T00:00:00.000Z"
BROKEN = (
    f'{{"id":"{BROKEN_ID}","name":"NUL \\u0000","createdAt":"{BROKEN_AT}",'
    f'"updatedAt":"{BROKEN_AT}","privacy":"public","type":"custom"}}'
).encode()
ANSWER_LIMIT_S = 60


class Restless:
    """Edits both listings for ever, in every way that the source knows."""

    def __init__(self, source: SimulatedSource, per_minute: float) -> None:
        self.source = source
        self.edits = 0
        self.is_quiet = False
        self._pause_s = 60 / per_minute
        self._rng = random.Random("soak")  # noqa: S311 - reproducible, not secret

    async def run(self) -> None:
        """Edit until nobody needs it any more."""
        while True:
            await asyncio.sleep(self._pause_s)
            if not self.is_quiet:
                self._edit()
                self.edits += 1

    def _edit(self) -> None:
        dice = self._rng.random()
        if dice < 0.1:
            self._edit_private()
        elif dice < 0.15:
            # Nothing in updatedAt: only a sweep finds it.
            self.source.update_model(self._any("public"), touch=False, name=f"silent {dice}")
        elif dice < 0.2:
            later = {"id": self._any("public"), "name": f"late {dice}"}
            self.source.publish_later(later, after_s=self._rng.uniform(0, 5))
        else:
            self.source.tick()

    def _edit_private(self) -> None:
        source, dice = self.source, self._rng.random()
        if dice < 0.3:
            source.add_model(privacy="private")
        elif dice < 0.5 and (gone := source.deleted_models()):
            source.restore_model(self._rng.choice(list(gone)))
        elif dice < 0.6 and len(source.live_models("private")) > 15:
            source.remove_model(self._any("private"))
        else:
            source.update_model(self._any("private"), name=f"edited {dice}")

    def _any(self, privacy: str) -> str:
        return self._rng.choice(list(self.source.live_models(privacy)))


def build_desk(source: SimulatedSource, restless: Restless) -> web.Application:
    """What the soak run may ask beside the API."""

    async def set_faults(request: web.Request) -> web.Response:
        source.clear_faults()
        for name, share in (await request.json()).items():
            source.add_fault(name, share=share)
        return web.json_response(None)

    async def quiet(_: web.Request) -> web.Response:
        restless.is_quiet = True
        return web.json_response(None)

    async def poison(_: web.Request) -> web.Response:
        source.put_raw(BROKEN_ID, BROKEN, created_at=BROKEN_AT, updated_at=BROKEN_AT)
        return web.json_response(None)

    async def cure(_: web.Request) -> web.Response:
        source.remove_model(BROKEN_ID)
        return web.json_response(None)

    async def truth(request: web.Request) -> web.Response:
        return web.json_response(source.live_models(request.query["privacy"]))

    async def figures(_: web.Request) -> web.Response:
        return web.json_response(figures_of(source, restless))

    app = web.Application()
    app.router.add_post("/faults", set_faults)
    app.router.add_post("/quiet", quiet)
    app.router.add_post("/poison", poison)
    app.router.add_post("/cure", cure)
    app.router.add_get("/truth", truth)
    app.router.add_get("/figures", figures)
    return app


def figures_of(source: SimulatedSource, restless: Restless) -> dict[str, Any]:
    """What was asked so far, and how it was answered."""
    arrivals = sorted(each.at.timestamp() for each in source.requests)
    return {
        "edits": restless.edits,
        "requests": len(arrivals),
        "busiest_60s": busiest_window(arrivals, 60),
        "faults_struck": Counter(each.fault for each in source.requests if each.fault),
    }


@dataclass(frozen=True)
class Source:
    """A source that runs; the methods ask it from outside."""

    base_url: str
    desk_url: str
    session: ClientSession

    async def tell(self, what: str, body: object = None) -> None:
        """Set faults, be quiet, poison, cure."""
        async with self.session.post(f"{self.desk_url}/{what}", json=body) as answer:
            answer.raise_for_status()

    async def ask(self, what: str) -> Any:
        """The figures, or the truth of one listing."""
        async with self.session.get(f"{self.desk_url}/{what}") as answer:
            answer.raise_for_status()
            return await answer.json()


@contextlib.asynccontextmanager
async def source_process(environment: dict[str, str], **options: Any) -> Any:
    """A restless source in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "soak.source",
        json.dumps(options),
        env=environment,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        said = json.loads(await process.stdout.readline())
        async with ClientSession(timeout=ClientTimeout(ANSWER_LIMIT_S)) as session:
            yield Source(said["base_url"], said["desk_url"], session)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def serve(edits_per_minute: float, **options: Any) -> None:
    """Serve until killed; one line on stdout says where."""
    source = SimulatedSource(SimulatorOptions(restless=True, **options))
    restless = Restless(source, edits_per_minute)
    runner = web.AppRunner(build_desk(source, restless), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with source.serve() as base_url, asyncio.TaskGroup() as group:
        desk_url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        print(json.dumps({"base_url": base_url, "desk_url": desk_url}), flush=True)
        group.create_task(restless.run())


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(**json.loads(sys.argv[1])))

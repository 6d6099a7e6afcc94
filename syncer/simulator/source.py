"""
The simulated source, whole: its models, its faults, its server.

Owns the life of a server: what ``serve`` starts is gone when it ends.
Kind: conductor.
"""

from __future__ import annotations

import asyncio
import random
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from aiohttp import web

from syncer.simulator.answers import Answer, gateway, refused
from syncer.simulator.auth import issue_jwt
from syncer.simulator.editing import Editing, UtcClock
from syncer.simulator.faults import Condition, FaultBox
from syncer.simulator.options import SimulatorOptions
from syncer.simulator.requestlog import RequestLog
from syncer.simulator.server import Desk, Hook

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

SHUTDOWN_S = 1.0
"""How long answers under way may go on when a server ends."""


def system_utc() -> datetime:
    """The machine's wall clock."""
    return datetime.now(UTC)  # noqa: TID251 - the default only; tests pass their own


class SimulatedSource(Editing):
    """A source of models that behaves like the real one, and misbehaves on request.

    Everything can be changed while it is being asked, from the same event loop.
    """

    def __init__(
        self,
        options: SimulatorOptions | None = None,
        *,
        clock: UtcClock = system_utc,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        options = options or SimulatorOptions()
        super().__init__(options, clock)
        self._faults = FaultBox(random.Random(f"faults {options.seed}"))  # noqa: S311 - not secret
        for spec in options.faults:
            self._faults.add_spec(spec)
        self.requests = RequestLog()
        """Every request so far, oldest first."""
        self._desk = Desk(self, self._faults, clock=clock, sleep=sleep, log=self.requests)

    @property
    def on_request(self) -> Hook | None:
        """Called with the parameters before each list answer is computed; may change models."""
        return self._desk.on_request

    @on_request.setter
    def on_request(self, hook: Hook | None) -> None:
        self._desk.on_request = hook

    def show_retrieved(
        self, model_id: str, body: bytes | None = b"", *, status: int | None = None
    ) -> None:
        """Let ``GET /models/{id}`` answer so; ``None``: 404, though listed; empty: as it is."""
        if status is not None:
            answer = gateway(status, "planted")
        elif body is None:
            answer = refused(404, f"Model {model_id} not found")
        elif body:
            answer = Answer(200, body, rows=1)
        else:
            self._desk.retrieved.pop(model_id, None)
            return
        self._desk.retrieved[model_id] = answer

    @property
    def app(self) -> web.Application:
        """A new application over this source."""
        return self._desk.build_app()

    def add_fault(
        self,
        name: str,
        times: int | None = None,
        *,
        share: float = 1,
        when: Condition | None = None,
    ) -> None:
        """Let one of ``FAULTS`` strike: so many times, a share of requests, only ``when`` so."""
        self._faults.add(name, times, share=share, when=when)

    def clear_faults(self) -> None:
        """Let nothing go wrong any more."""
        self._faults.clear()

    def issue_jwt(self, ttl_s: float = 60) -> str:
        """A Bearer token that this source accepts for ``ttl_s`` seconds of its clock."""
        return issue_jwt(self._clock(), timedelta(seconds=ttl_s))

    @asynccontextmanager
    async def serve(self, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
        """Serve until the block ends; the base URL, with the port that was free."""
        runner = web.AppRunner(
            self.app, access_log=None, handler_cancellation=True, shutdown_timeout=SHUTDOWN_S
        )
        await runner.setup()
        try:
            await web.TCPSite(runner, host, port).start()
            bound_port = runner.addresses[0][1]
            shown = f"[{host}]" if ":" in host else host
            yield f"http://{shown}:{bound_port}/v1"
        finally:
            await runner.cleanup()

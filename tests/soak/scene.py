"""
What happens to the processes of a soak run, and when.

Owns the configuration under test, the order of blows, and the rotation of faults. Never judges.
Kind: conductor.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import ClientError, ClientSession, ClientTimeout
from soak.database import WAL_BYTES, Database
from soak.fleet import Fleet
from soak.source import Source

from syncer.simulator import FAULTS

CATALOGS = ("public", "ours", "narrow")
NARROW_TYPES = ("flux.1-lora",)
BUDGET_PER_MINUTE = 900
CONFIG = """
[source]
page_size = 100
max_concurrency = 4
request_timeout_s = 5
max_requests_per_minute = {budget}
[lease]
ttl_s = 6
[limits]
retry_deadline_s = 20
stall_after_s = 120
max_page_bytes = 2000000
[[catalog]]
name = "public"
poll_interval_s = {poll_s}
sweep_interval_s = 20
overlap_s = 15
max_removed_fraction = 1
[[catalog]]
name = "ours"
privacy = "private"
poll_interval_s = 2
sweep_interval_s = 10
max_removed_fraction = 1
[[catalog]]
name = "narrow"
types = {types}
poll_interval_s = 3
sweep_interval_s = 30
overlap_s = 15
max_removed_fraction = 1
"""
FAULT_S = 7.0
CALM_S = 3.0
FAULT_SHARE = 0.2
AWAY_S = 4.0
TAKE_OVER_LIMIT_S = 60.0
HEALTH_LIMIT_S = 5.0

Say = Callable[[str], None]


@dataclass
class Moment:
    """What was seen of the whole at one moment."""

    at_s: float
    wal_bytes: int | None
    requests: int
    is_ready: bool | None
    freshness_s: dict[str, float | None]
    live_models: dict[str, int]


@dataclass
class Scene:
    """One soak run under way."""

    database: Database
    source: Source
    fleet: Fleet
    say: Say
    minutes: float
    began_s: float = field(default_factory=time.monotonic)
    moments: list[Moment] = field(default_factory=list)
    blows: list[tuple[float, str]] = field(default_factory=list)
    take_over_s: float | None = None

    @property
    def at_s(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self.began_s

    def configure(self, *, poll_s: float = 1, more: str = "") -> None:
        """Write the file that all of them read."""
        types = str(list(NARROW_TYPES)).replace("'", '"')
        text = CONFIG.format(budget=BUDGET_PER_MINUTE, poll_s=poll_s, types=types)
        Path(self.fleet.place / "config.toml").write_text(text + more, encoding="utf-8")

    async def play(self) -> None:
        """Every blow at its share of the time, until the time is over."""
        blows: list[tuple[float, str, Callable[[], Awaitable[None]]]] = [
            (0.05, "source lists an unreadable model", lambda: self.source.tell("poison")),
            (0.08, "SIGHUP, another poll interval", self._reload),
            (0.12, "database restarted by its administrator", self._restart),
            (0.20, "leader killed with SIGKILL", self._kill_leader),
            (0.28, "database stopped without notice and started", self._crash),
            (0.32, "SIGHUP, an invalid file", self._reload_invalid),
            (0.35, "SIGHUP, the first configuration again", self._reload_back),
            (0.60, "source lists the unreadable model no more", lambda: self.source.tell("cure")),
        ]
        for share, what, strike in blows:
            await self._until(share)
            self.blows.append((round(self.at_s, 1), what))
            self.say(what)
            await strike()
        await self._until(1.0)

    async def rotate_faults(self) -> None:
        """Two faults at a time, then a moment of calm; each comes round every few minutes."""
        names = sorted(FAULTS)
        place = 0
        while True:
            pair = (names[place % len(names)], names[(place + len(names) // 2) % len(names)])
            await self.source.tell("faults", dict.fromkeys(pair, FAULT_SHARE))
            await asyncio.sleep(FAULT_S)
            await self.source.tell("faults", {})
            await asyncio.sleep(CALM_S)
            place += 1

    async def watch(self, every_s: float) -> None:
        """Look at everything now and then."""
        timeout = ClientTimeout(HEALTH_LIMIT_S)
        async with ClientSession(timeout=timeout) as session:
            while True:
                began_s = self.at_s
                await self._look(session)
                await asyncio.sleep(max(0.1, every_s - (self.at_s - began_s)))

    async def _look(self, session: ClientSession) -> None:
        status = await self.fleet.status()
        catalogs: list[dict[str, Any]] = status["catalogs"] if status else []
        holders = [self.fleet.holder(each["lease"]["holder"]) for each in catalogs]
        for member in self.fleet.living:
            healthz = await _healthz(session, member.listen)
            leads = holders.count(member) if status else None
            member.look(self.at_s, leads=leads, healthz=healthz)
        figures = await self.source.ask("figures")
        self.moments.append(
            Moment(
                at_s=round(self.at_s, 1),
                wal_bytes=await self.database.value(WAL_BYTES),
                requests=figures["requests"],
                is_ready=status["ready"] if status else None,
                freshness_s={each["name"]: each["freshness_s"] for each in catalogs},
                live_models={each["name"]: each["live_models"] for each in catalogs},
            )
        )

    async def _until(self, share: float) -> None:
        await asyncio.sleep(max(0.0, share * self.minutes * 60 - self.at_s))

    async def _reload(self) -> None:
        self.configure(poll_s=1.5)
        self.fleet.tell(signal.SIGHUP)

    async def _reload_invalid(self) -> None:
        self.fleet.has_invalid_file = True
        self.configure(more="[limits\n")
        self.fleet.tell(signal.SIGHUP)
        await asyncio.sleep(1)
        self.configure(poll_s=1.5)
        self.fleet.has_invalid_file = False

    async def _reload_back(self) -> None:
        self.configure()
        self.fleet.tell(signal.SIGHUP)

    async def _restart(self) -> None:
        await self.database.restart(signal.SIGINT, away_s=AWAY_S)

    async def _crash(self) -> None:
        await self.database.restart(signal.SIGQUIT, away_s=AWAY_S)

    async def _kill_leader(self) -> None:
        leader = None
        while leader is None:
            leader = await self._leader()
        await leader.kill()
        began_s = self.at_s
        while await self._leader() is None and self.at_s - began_s < TAKE_OVER_LIMIT_S:
            await asyncio.sleep(0.1)
        self.take_over_s = self.at_s - began_s
        await self.fleet.start()

    async def _leader(self) -> Any:
        holder = await self.database.value(
            "SELECT holder FROM syncer.lease WHERE catalog = 'public'"
            " AND expires_at > clock_timestamp()"
        )
        return self.fleet.holder(holder)


async def _healthz(session: ClientSession, listen: str) -> int | None:
    try:
        async with session.get(f"http://{listen}/healthz") as answer:
            return answer.status
    except (ClientError, TimeoutError, OSError):
        return None

"""
Ask a running daemon over HTTP, as Prometheus and Kubernetes do.

Owns where it listens (its log says it) and what a scrape means. Never knows how an answer is made.
Kind: edge (HTTP).
"""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiohttp
from prometheus_client.parser import text_string_to_metric_families
from support.command import log_lines
from support.tcp_proxy import address_of as address_of_database
from support.tcp_proxy import proxy_to, through

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from support.command import Place, Running
    from support.tcp_proxy import TcpProxy

FAST = '[[catalog]]\nname = "public"\npoll_interval_s = 0.2\n'
ANY_PORT = "127.0.0.1:0"

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@dataclass(frozen=True, slots=True)
class Answered:
    """One answer, read whole."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def document(self) -> Any:
        return json.loads(self.text)


class Scrape:
    """The samples of one exposition, read by the parser of Prometheus' own library."""

    def __init__(self, text: str) -> None:
        self.samples: Samples = {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    def value(self, name: str, **labels: str) -> float | None:
        """One value; ``None`` when it is not there."""
        return self.samples.get((name, tuple(sorted(labels.items()))))

    def labels(self, name: str) -> set[tuple[str, ...]]:
        """The label names under which a metric is there."""
        return {tuple(key for key, _ in labels) for found, labels in self.samples if found == name}


def address_of(running: Running) -> str | None:
    """Where it listens now, as ``host:port``; ``None`` when it does not say so yet."""
    told = [line for line in log_lines(running.stderr) if line["event"].startswith("listener_")]
    return told[-1]["addresses"][0] if told and told[-1]["event"] == "listener_opened" else None


async def listening(running: Running) -> str:
    """Wait until it listens; returns the address."""
    address: str = await running.until(lambda: address_of(running), "a listener")
    return address


@asynccontextmanager
async def parted(place: Place, database_url: str) -> AsyncIterator[TcpProxy]:
    """Configure a daemon that soon notices when the proxy to its database is cut."""
    place.write_config(FAST)
    place.set(http__listen=ANY_PORT, lease__ttl_s=3, limits__retry_deadline_s=1)
    async with proxy_to(address_of_database(database_url)) as proxy:
        place.set(database__url=through(proxy, database_url))
        await proxy.restore()
        yield proxy


async def ask(address: str, path: str, method: str = "GET") -> Answered:
    """One request on a connection of its own."""
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, f"http://{address}{path}", allow_redirects=False) as answer,
    ):
        return Answered(answer.status, dict(answer.headers), await answer.text())


async def is_answered(address: str, path: str, status: int) -> Answered | None:
    """The answer, if it has this status."""
    answer = await ask(address, path)
    return answer if answer.status == status else None


async def scrape(address: str) -> Scrape:
    """What Prometheus would see now."""
    answer = await ask(address, "/metrics")
    assert answer.status == 200, answer
    return Scrape(answer.text)

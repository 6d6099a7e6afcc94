"""
The metrics of a daemon, in the dialect of Prometheus.

Owns their names, labels and help (public contract, DESIGN §6). Never reads the database, never
waits: a scrape shows what is known already.
Invariant: no label but those bounded by the configuration or by a list in the program; what is not
known is left out, never shown as 0.
Kind: edge (prometheus-client).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple, Protocol

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector

from syncer import __version__
from syncer.api.observer import OUTCOMES
from syncer.domain import CycleKind
from syncer.store.merging import CommitResult

CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4

REQUEST_OUTCOMES: Final = ("ok", *(name for _, name in OUTCOMES))
MODEL_OUTCOMES: Final = (
    "inserted",
    "updated",
    "unchanged",
    "stale",
    "rewound",
    "removed",
    "restored",
    "quarantined",
    "missed",
    "unannounced",
)
CYCLE_OUTCOMES: Final = ("complete", "failed", "stopped")

REQUEST_BUCKETS_S: Final = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60, 300)
COMMIT_BUCKETS_S: Final = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 20)


@dataclass(frozen=True, slots=True)
class Budget:
    """The request budget, as this process sees it now."""

    requests_per_minute: int
    """Allowed at present to all processes together: configured, or less after a 429."""
    requests_in_window: int
    """Of this process, that count against the budget now."""
    wait_s: float
    """How long the next request would wait."""
    throttled_s: float
    """Pauses that the source asked for since the limiter was made."""


class Verified(NamedTuple):
    """What the last comparison of a catalog with its source found."""

    at_s: float
    """Seconds since 1970, by the database's clock."""
    differences: int


class Known(Protocol):
    """What is known at the moment of a scrape."""

    @property
    def document(self) -> Mapping[str, Any] | None:
        """The newest status document."""
        ...

    @property
    def document_age_s(self) -> float:
        """Seconds since it was read."""
        ...

    @property
    def freshness_limits_s(self) -> Mapping[str, float]:
        """By catalog."""
        ...

    @property
    def feed_ages_s(self) -> Mapping[str, float]:
        """Since the feed of deleted models was read, by private catalog, when it was read."""
        ...

    @property
    def verified(self) -> Mapping[str, Verified]:
        """By catalog, for those that were ever compared."""
        ...

    @property
    def held(self) -> Mapping[str, bool]:
        """Whether this process holds the lease, by configured catalog."""
        ...

    @property
    def stalled(self) -> Mapping[str, bool]:
        """By configured catalog."""
        ...

    @property
    def budget(self) -> Budget | None:
        """``None`` while nothing is open."""
        ...

    @property
    def loop_lag_s(self) -> float:
        """How late the event loop was lately."""
        ...


class Metrics:
    """Counters that live as long as the process, and gauges of what is known."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = self._counter(
            "requests", "Requests sent to the source.", "catalog", "outcome"
        )
        self._request_s = Histogram(
            "syncer_request_duration_seconds",
            "Of a request to the source, from sending to the end of its answer.",
            registry=self.registry,
            buckets=REQUEST_BUCKETS_S,
        )
        self._throttled = self._counter(
            "throttled_seconds", "Pauses that the source asked for (429, Retry-After)."
        )
        self._throttled_seen_s = 0.0
        self._pages = self._counter("pages", "Pages committed.", "catalog")
        self._models = self._counter(
            "models", "Models of committed pages, by what became of them.", "catalog", "outcome"
        )
        self._commit_s = Histogram(
            "syncer_commit_duration_seconds",
            "Of the transaction of a page.",
            registry=self.registry,
            buckets=COMMIT_BUCKETS_S,
        )
        self._cycles = self._counter(
            "cycles", "Cycles that ended, by how.", "catalog", "kind", "outcome"
        )

    def expect(self, catalogs: Iterable[str]) -> None:
        """Show the counters of these catalogs from 0 on: a rate needs a first value."""
        for catalog in catalogs:
            self._pages.labels(catalog)
            for outcome in REQUEST_OUTCOMES:
                self._requests.labels(catalog, outcome)
            for outcome in MODEL_OUTCOMES:
                self._models.labels(catalog, outcome)
            for kind in CycleKind:
                for outcome in CYCLE_OUTCOMES:
                    self._cycles.labels(catalog, str(kind), outcome)

    def show(self, known: Known) -> None:
        """Add the gauges."""
        self.registry.register(_State(known))

    def count_request(self, catalog: str, outcome: str, duration_s: float) -> None:
        """One request has ended."""
        self._requests.labels(catalog, outcome).inc()
        self._request_s.observe(duration_s)

    def count_page(self, catalog: str, result: CommitResult, duration_s: float) -> None:
        """One page is durable."""
        self._pages.labels(catalog).inc()
        self._commit_s.observe(duration_s)
        for outcome in MODEL_OUTCOMES:
            if number := getattr(result, outcome, 0):
                self._models.labels(catalog, outcome).inc(number)

    def count_removed(self, catalog: str, models: int) -> None:
        """Tombstones were set."""
        self._models.labels(catalog, "removed").inc(models)

    def count_cycle(self, catalog: str, kind: str, outcome: str) -> None:
        """A cycle ended."""
        self._cycles.labels(catalog, kind, outcome).inc()

    def note_throttled(self, throttled_s: float | None) -> None:
        """What the limiter in use has counted so far; ``None``: there will be another one."""
        if throttled_s is None:
            self._throttled_seen_s = 0.0
            return
        self._throttled.inc(max(0.0, throttled_s - self._throttled_seen_s))
        self._throttled_seen_s = throttled_s

    def exposition(self) -> bytes:
        """Everything, as Prometheus reads it."""
        return generate_latest(_WithoutBirthdays(self.registry))

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"syncer_{name}_total", text, labels, registry=self.registry)


class _WithoutBirthdays(CollectorRegistry):
    """A registry without the ``_created`` series: twice as many lines, and nobody asks for them."""

    def __init__(self, inner: CollectorRegistry) -> None:
        super().__init__()
        self._inner = inner

    def collect(self) -> Iterator[Metric]:
        for metric in self._inner.collect():
            metric.samples = [each for each in metric.samples if not each.name.endswith("_created")]
            yield metric


class _State(Collector):
    """Gauges, made anew at each scrape: a catalog that is gone leaves none behind."""

    def __init__(self, known: Known) -> None:
        self._known = known

    def describe(self) -> Iterable[Metric]:
        """Nothing to say in advance; it saves a collection at registration."""
        return ()

    def collect(self) -> Iterator[Metric]:
        known = self._known
        yield _build_info()
        yield from _of_document(known)
        limits_s, feed_s = known.freshness_limits_s, known.feed_ages_s
        age_s = known.document_age_s
        yield _gauge(
            "freshness_limit_seconds", "Freshness above which a catalog is not ready.", limits_s
        )
        yield _gauge(
            "deleted_feed_age_seconds",
            "Since the feed of deleted models was read whole; it goes back 30 days.",
            {name: each + age_s for name, each in feed_s.items()},
        )
        verified = known.verified
        yield _gauge(
            "verified_timestamp_seconds",
            "When the catalog was last compared with its source.",
            {name: each.at_s for name, each in verified.items()},
        )
        yield _gauge(
            "verify_differences",
            "Models that differed then, after the repair if there was one.",
            {name: each.differences for name, each in verified.items()},
        )
        yield _gauge("lease_held", "Whether this process holds the lease.", known.held)
        yield _gauge("stalled", "Whether a crawl is stalled (see /healthz).", known.stalled)
        if (budget := known.budget) is not None:
            yield GaugeMetricFamily(
                "syncer_budget_requests_per_minute",
                "Requests a minute allowed now to all processes together.",
                budget.requests_per_minute,
            )
            yield GaugeMetricFamily(
                "syncer_budget_wait_seconds",
                "How long the next request would wait.",
                budget.wait_s,
            )
        yield GaugeMetricFamily(
            "syncer_event_loop_lag_seconds",
            "How late the event loop was at worst in the last minute.",
            known.loop_lag_s,
        )


_GAUGES: Final = {
    "live_models": ("live_models", "Models that the mirror holds and the source lists."),
    "quarantined_models": ("quarantined_models", "Models that could not be stored, not dismissed."),
    "removals_waiting": ("removals_waiting", "Confirmed removals that the guard holds back."),
    "lag_seconds": ("lag_s", "Newest source time seen, less the watermark."),
}
"""Metric, key of the status document, help."""


def _of_document(known: Known) -> Iterator[Metric]:
    document = known.document
    catalogs = [] if document is None else document["catalogs"]
    live = {each["name"]: each for each in catalogs if each["phase"] != "retired"}
    for metric, (key, text) in _GAUGES.items():
        yield _gauge(metric, text, {name: each[key] for name, each in live.items()})
    yield _gauge(
        "watermark_timestamp_seconds",
        "Source time up to which the catalog is completely stored.",
        {name: _timestamp(each["watermark"]) for name, each in live.items()},
    )
    # It grows while nobody can look: that nothing was finished meanwhile is all that is known.
    age_s = known.document_age_s
    yield _gauge(
        "freshness_seconds",
        "Since the last complete cycle.",
        {name: _plus(each["freshness_s"], age_s) for name, each in live.items()},
    )


def _gauge(name: str, text: str, values: Mapping[str, float | None]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"syncer_{name}", text, labels=["catalog"])
    for catalog, value in values.items():
        if value is not None:
            family.add_metric([catalog], float(value))
    return family


def _build_info() -> GaugeMetricFamily:
    family = GaugeMetricFamily(
        "syncer_build_info", "The version that runs; always 1.", labels=["version"]
    )
    family.add_metric([__version__], 1)
    return family


def _plus(value: float | None, more: float) -> float | None:
    return None if value is None else value + more


def _timestamp(text: str | None) -> float | None:
    return None if text is None else datetime.fromisoformat(text).timestamp()

"""
Every key of the configuration: its name, type, default, range, unit and reason.

Owns the one table of keys: the fields of these classes (the catalog's are in
``syncer.config.catalog``). The loader, ``syncer check``, the
environment names and the test of config.example.toml are all derived from it, so that a new key
is one line here and one in the example. Never reads a file or the environment.
Invariant: a ``Settings`` from ``load_settings`` has passed every check; all values are immutable.
Kind: pure.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from syncer.config import kinds, urls
from syncer.config.catalog import CatalogSettings
from syncer.config.keys import key

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT_DATA_DIR = Path("/var/lib/syncer")


def default_data_dir(*, is_root: bool | None = None) -> Path:
    """Where the embedded server keeps its data when ``database.data_dir`` is empty."""
    if is_root is None:
        is_root = os.geteuid() == 0
    if is_root:
        return ROOT_DATA_DIR
    import platformdirs  # noqa: PLC0415 - 'syncer --help' must not pay for it

    return Path(platformdirs.user_data_dir("syncer", appauthor=False))


@dataclass(frozen=True, slots=True)
class SourceSettings:
    """``[source]``: the API, and how hard it may be asked."""

    base_url: str = key(
        "https://api.cloud.scenario.com/v1",
        kinds.text("http(s) URL", urls.check_base_url),
        "the API to mirror",
    )
    auth: str = key(
        "auto",
        kinds.one_of("auto", "basic", "bearer", "public"),
        "auto: what the environment holds, else public",
    )
    page_size: int = key(
        500, kinds.integer(1, 500, "models"), "the largest page means the fewest requests"
    )
    max_requests_per_minute: int = key(
        90,
        kinds.integer(1, 1_000_000, "requests in any 60 s"),
        "of all processes together; the vendor names 100",
    )
    max_concurrency: int = key(
        8, kinds.integer(1, 256, "requests at a time"), "more gains nothing under the budget above"
    )
    request_timeout_s: float = key(
        60.0, kinds.positive_seconds(), "for one request, answer included"
    )


@dataclass(frozen=True, slots=True)
class DatabaseSettings:
    """``[database]``: where the mirror is kept. ``url`` may hold a password: never log it."""

    url: str = key(
        "",
        kinds.text("postgresql:// URL", urls.check_database_url),
        "empty: $DATABASE_URL, else the embedded PostgreSQL",
        secret=True,
    )
    embedded: str = key(
        "auto",
        kinds.one_of("auto", "never"),
        "never: stop without a URL, so a lost secret fills no throw-away database",
    )
    data_dir: Path = field(
        default_factory=default_data_dir,
        metadata={
            "kind": kinds.directory(),
            "why": "of the embedded server; empty: the user's, as root /var/lib/syncer",
        },
    )
    pool_size: int = key(
        4, kinds.integer(2, 500, "connections"), "beside one for each catalog's lease"
    )
    migrate: str = key(
        "auto",
        kinds.one_of("auto", "manual"),
        "manual: refuse to start until 'syncer migrate' was run",
    )

    @property
    def safe_url(self) -> str:
        """The URL with its password shown as ``***``."""
        return urls.mask_url(self.url)

    def secrets(self) -> tuple[str, ...]:
        """Values that must never be logged."""
        return urls.url_secrets(self.url)


@dataclass(frozen=True, slots=True)
class LeaseSettings:
    """``[lease]``: the right to write."""

    ttl_s: float = key(
        30.0,
        kinds.number(1, 3600, "1 to 3600 seconds"),
        "after a crash another process takes over this late",
    )


@dataclass(frozen=True, slots=True)
class LimitsSettings:
    """``[limits]``: after how much waiting or memory something is given up."""

    retry_deadline_s: float = key(
        300.0, kinds.positive_seconds(), "one request is retried for this long at most"
    )
    stall_after_s: float = key(
        600.0, kinds.positive_seconds(), "a crawl without a new page for so long fails /healthz"
    )
    max_page_bytes: int = key(
        67_108_864,
        kinds.integer(1024, 2**30, "bytes"),
        "a larger answer is asked for again in smaller pages",
    )


@dataclass(frozen=True, slots=True)
class HistorySettings:
    """``[history]``: what is kept of the past."""

    keep_days: int = key(
        0,
        kinds.integer(0, 36_500, "days"),
        "older changes of models are removed; 0: they are kept for ever",
    )


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """``[http]``: health, metrics and the status page."""

    listen: str = key(
        "127.0.0.1:8787",
        kinds.text("host:port", urls.check_listen),
        "for /healthz, /readyz, /metrics and the status page; empty turns it off",
    )

    @property
    def address(self) -> tuple[str, int] | None:
        """Host and port; ``None`` when the listener is off. Port 0 takes any free one."""
        return urls.split_listen(self.listen) if self.listen else None


@dataclass(frozen=True, slots=True)
class LogSettings:
    """``[log]``: what is said, and in which form."""

    level: str = key(
        "info",
        kinds.one_of("debug", "info", "warning", "error"),
        "info is one line per cycle, debug one per page",
    )
    format: str = key(
        "auto",
        kinds.one_of("auto", "json", "console"),
        "auto is console on a terminal, JSON elsewhere",
    )


def _no_origins() -> Mapping[str, str]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Settings:
    """The whole effective configuration; ``Settings()`` is what an empty file means."""

    source: SourceSettings = field(default_factory=SourceSettings)
    database: DatabaseSettings = field(default_factory=DatabaseSettings)
    catalogs: tuple[CatalogSettings, ...] = (CatalogSettings(),)
    lease: LeaseSettings = field(default_factory=LeaseSettings)
    limits: LimitsSettings = field(default_factory=LimitsSettings)
    history: HistorySettings = field(default_factory=HistorySettings)
    http: HttpSettings = field(default_factory=HttpSettings)
    log: LogSettings = field(default_factory=LogSettings)
    path: Path | None = None
    """The file that was read; ``None`` when there was none."""
    origins: Mapping[str, str] = field(default_factory=_no_origins)
    """Where each value comes from, by its key: ``source.page_size``, ``catalog.public.types``."""
    warnings: tuple[str, ...] = ()
    """What is allowed but probably not meant; said once at start and by ``syncer check``."""

    @property
    def detailed(self) -> tuple[str, ...]:
        """Names of the catalogs whose models are fetched one by one, too."""
        return tuple(catalog.name for catalog in self.catalogs if catalog.details)


SECTIONS: Mapping[str, type[Any]] = MappingProxyType(
    {
        "source": SourceSettings,
        "database": DatabaseSettings,
        "lease": LeaseSettings,
        "limits": LimitsSettings,
        "history": HistorySettings,
        "http": HttpSettings,
        "log": LogSettings,
    }
)
"""The tables of the file that stand in it once, by name; ``catalog`` may stand in it often."""

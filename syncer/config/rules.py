"""
What keys may not be combined, what is refused and why, and what is allowed but odd.

Owns every rule that looks at more than one key, and the list of keys that people try in vain.
Never reads a file or the environment.
Kind: pure.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING

from syncer.config.catalog import PartitionBy
from syncer.config.problems import Problem, did_you_mean
from syncer.config.urls import is_loopback
from syncer.domain import Privacy
from syncer.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from syncer.config.catalog import CatalogSettings
    from syncer.config.settings import Settings

_PUBLIC_ONLY = ("types", "tags", "collection_ids")
_PRIVATE_ONLY = ("collection_id", "status")

_NO_CREDENTIALS = (
    "Credentials never stand in the configuration: set SCENARIO_SDK_API_KEY and "
    "SCENARIO_SDK_API_SECRET, or the same names with _FILE."
)
_OWN_ORDER = "The order is the crawler's own: only rising time order can be resumed without gaps."
_OWN_BOUNDS = "Time bounds are the crawler's own: it derives them from its watermark."
_REFUSED: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "source": dict.fromkeys(
            ("api_key", "api_secret", "key", "secret", "jwt", "token", "password"), _NO_CREDENTIALS
        ),
        "catalog": {
            "loaded_only": "It lists what is on a GPU at this moment: models would come and go.",
            "sort_by": _OWN_ORDER,
            "sort_direction": _OWN_ORDER,
            "pagination_token": "Paging is the crawler's own: it steps by time, not by token.",
            "type": 'Use types, a list: types = ["..."].',
            "updated_after": _OWN_BOUNDS,
            "updated_before": _OWN_BOUNDS,
            "created_after": _OWN_BOUNDS,
            "created_before": _OWN_BOUNDS,
            "page_size": "It is one key for all catalogs: source.page_size.",
        },
    }
)


def refusal(section: str, name: str) -> str | None:
    """Why a key that exists elsewhere (say, on the API's page) is refused here."""
    return _REFUSED.get(section, {}).get(snake_case(name))


def unknown_key(section: str, name: str, known: Iterable[str]) -> str:
    """What to tell about a key that does not exist: the reason, or the nearest one that does."""
    return refusal(section, name) or did_you_mean(snake_case(name), known)


def snake_case(name: str) -> str:
    """The API's ``collectionIds`` as it would be called here."""
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower().replace("-", "_")


def catalog_problems(catalog: CatalogSettings) -> Iterator[Problem]:
    """Combinations that the source does not answer."""
    name = f"catalog.{catalog.name}"
    wrong, right = (
        (_PRIVATE_ONLY, Privacy.PRIVATE)
        if catalog.privacy is Privacy.PUBLIC
        else (_PUBLIC_ONLY, Privacy.PUBLIC)
    )
    for key in wrong:
        if getattr(catalog, key):
            yield Problem(
                f"{name}.{key} is set, but the source takes it for {right} listings only",
                f"Remove it, or give it to a catalog with privacy = '{right}'.",
            )
    if catalog.privacy is Privacy.PRIVATE and catalog.partition_by in {
        PartitionBy.TYPE,
        PartitionBy.TAG,
    }:
        yield Problem(
            f"{name}.partition_by is '{catalog.partition_by}', but the source filters private "
            "listings by neither type nor tag",
            "Use partition_by = 'auto' or 'time'.",
        )


def warnings_of(settings: Settings) -> Iterator[str]:
    """What is allowed but probably not meant."""
    base_url = settings.source.base_url
    if base_url.startswith("http:") and not is_loopback(base_url):
        yield "source.base_url is not https: credentials cross the network readable by anybody"
    if settings.limits.stall_after_s <= settings.limits.retry_deadline_s:
        yield (
            "limits.stall_after_s is not above limits.retry_deadline_s: /healthz reports a stall "
            "while a request is still being retried"
        )
    for catalog in settings.catalogs:
        yield from _catalog_warnings(catalog)


def _catalog_warnings(catalog: CatalogSettings) -> Iterator[str]:
    name = f"catalog.{catalog.name}"
    for tag in catalog.tags:
        if tag.startswith("sc:"):
            yield f"{name}.tags contains '{tag}': the source returns nothing for 'sc:' tags"
    if catalog.effective_freshness_limit_s <= catalog.poll_interval_s:
        yield (
            f"{name}.freshness_limit_s is not above poll_interval_s: /readyz says no before "
            "each poll"
        )


def require_database(settings: Settings) -> None:
    """Refuse to go on without a database URL where the embedded server is ruled out.

    A function of its own, so that commands that need no database work without one.

    Raises:
        ConfigError: ``database.embedded = "never"`` and no URL.
    """
    if settings.database.embedded == "never" and not settings.database.url:
        origin = settings.origins.get("database.embedded", "default")
        raise ConfigError(
            f"there is no database: database.url and DATABASE_URL are empty, and "
            f"database.embedded is 'never' ({origin})",
            hint="Set DATABASE_URL to postgresql://user:password@host:5432/database.",
        )

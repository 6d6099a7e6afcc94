"""
The keys of one ``[[catalog]]``.

Owns the catalog's rows in the table of keys, the scope and the limits derived from them. What may
not be combined is in ``syncer.config.rules``.
Kind: pure.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass

from syncer.config import kinds
from syncer.config.keys import key
from syncer.domain import Privacy, Scope

MIN_FRESHNESS_LIMIT_S = 300.0
POLLS_UNTIL_STALE = 5
CATALOG_NAME = re.compile(r"[a-z][a-z0-9_]*", re.ASCII)


class PartitionBy(enum.StrEnum):
    """How a catalog is cut into parts that are crawled at the same time."""

    AUTO = "auto"
    TIME = "time"
    TYPE = "type"
    TAG = "tag"


def _check_catalog_name(name: str) -> str:
    if not CATALOG_NAME.fullmatch(name):
        raise kinds.BadValueError(
            remedy="Rename it; the name becomes part of SYNCER_CATALOG__<NAME>__<KEY>."
        )
    return name


@dataclass(frozen=True, slots=True)
class CatalogSettings:
    """One ``[[catalog]]``: a slice of the source, and how closely it is followed."""

    name: str = key(
        "public",
        kinds.text("a-z, 0-9 and _, first a letter", _check_catalog_name),
        "the value of column 'catalog'",
    )
    privacy: Privacy = key(  # noqa: RUF009 - key() is field()
        Privacy.PUBLIC,
        kinds.member(Privacy),
        "which listing; private is what the credentials own",
    )
    partition_by: PartitionBy = key(  # noqa: RUF009 - key() is field()
        PartitionBy.AUTO,
        kinds.member(PartitionBy),
        "auto picks the fewest requests; type and tag are for public",
    )
    types: tuple[str, ...] = key(
        (), kinds.names("model types"), "public only; empty means all, else only these"
    )
    tags: tuple[str, ...] = key(
        (), kinds.names("tags"), "public only; models with any of them; 'sc:…' finds nothing"
    )
    collection_ids: tuple[str, ...] = key(
        (), kinds.names("collection ids"), "public only; models in any of them"
    )
    collection_id: str | None = key(
        None, kinds.optional_text("one collection id"), "private only; empty means all"
    )
    status: str | None = key(
        None,
        kinds.optional_one_of(
            "new",
            "training",
            "trained",
            "failed",
            refused={
                "deleted": "Leave it out: the crawler reads the feed of deleted models by itself."
            },
        ),
        "private only; empty means all",
    )
    project_id: str | None = key(
        None,
        kinds.optional_text("one project id"),
        "empty: the project of the credentials; needed with a JWT for several",
    )
    blacklisted: bool = key(False, kinds.flag(), "list blacklisted models too; team admins only")
    original_assets: bool = key(
        False, kinds.flag(), "asset URLs name the originals; changes nothing else"
    )
    poll_interval_s: float = key(
        60.0, kinds.positive_seconds(), "between two looks for changes; one request each when idle"
    )
    sweep_interval_s: float = key(
        3600.0, kinds.positive_seconds(), "between two full comparisons, which find removals"
    )
    overlap_s: float = key(
        300.0, kinds.seconds_or_zero(), "asked again, because the source may show a change late"
    )
    max_removed_fraction: float = key(
        0.2,
        kinds.number(0, 1, "share, 0 to 1"),
        "more removals in 24 h wait for 'syncer sweep --allow-removals'",
    )
    freshness_limit_s: float = key(
        0.0,
        kinds.seconds_or_zero(),
        "after which /readyz says no; 0: 5 x poll_interval_s, at least 300",
    )

    details: bool = key(
        False,
        kinds.flag(),
        "fetch each new or changed model by itself, too: one request each, after all others",
    )

    @property
    def scope(self) -> Scope:
        """What every list request of this catalog is narrowed to."""
        return Scope(
            privacy=self.privacy,
            types=self.types,
            tags=self.tags,
            collection_ids=self.collection_ids,
            collection_id=self.collection_id,
            status=self.status,
            project_id=self.project_id,
            blacklisted=self.blacklisted,
            original_assets=self.original_assets,
        )

    @property
    def effective_freshness_limit_s(self) -> float:
        """The freshness beyond which the catalog counts as stale."""
        if self.freshness_limit_s:
            return self.freshness_limit_s
        return max(POLLS_UNTIL_STALE * self.poll_interval_s, MIN_FRESHNESS_LIMIT_S)

"""
What a question looks like on the wire, and what becomes of every parameter the source offers.

Owns the names of the query parameters. Never sends, never decides what to ask.
Invariant: every parameter of the source's reference page has exactly one row in ``PARAMETERS``.
Kind: pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from syncer.domain import Privacy, Question, Scope, SortKey, format_millis

DELETED = "deleted"
"""The status of the deleted feed: what left a private listing in the last 30 days."""

_BOUNDS = {
    SortKey.CREATED: ("createdAfter", "createdBefore"),
    SortKey.UPDATED: ("updatedAfter", "updatedBefore"),
}
"""The source answers 400 when a bound does not belong to the sort key (UPSTREAM §2.2)."""


@dataclass(frozen=True, slots=True)
class SeedParameter:
    """One query parameter of ``GET /models`` and what the program does with it."""

    name: str
    """As the source spells it."""
    use: Literal["crawler", "catalog", "refused"]
    """Set by the crawler itself, set by an operator per catalog, or never sent."""
    key_or_none: str | None
    """The configuration key that sets it."""
    reason: str
    """How it is used, or why it is not."""


PARAMETERS: tuple[SeedParameter, ...] = (
    SeedParameter(
        "privacy",
        "catalog",
        "catalog.privacy",
        "which of the two listings is mirrored; always sent",
    ),
    SeedParameter(
        "types",
        "catalog",
        "catalog.types",
        "narrows a public catalog; a type that nobody has listed yet is allowed",
    ),
    SeedParameter(
        "tags",
        "catalog",
        "catalog.tags",
        "narrows a public catalog to the union of the tags; a tag with a comma cannot be asked for",
    ),
    SeedParameter("collectionIds", "catalog", "catalog.collection_ids", "narrows a public catalog"),
    SeedParameter(
        "collectionId",
        "catalog",
        "catalog.collection_id",
        "narrows a private catalog to one collection",
    ),
    SeedParameter(
        "status",
        "catalog",
        "catalog.status",
        "narrows a private catalog; the crawler also asks for 'deleted' to hear of removals",
    ),
    SeedParameter(
        "projectId",
        "catalog",
        "catalog.project_id",
        "selects the project where the credentials reach several; newer than the reference page",
    ),
    SeedParameter(
        "blacklisted",
        "catalog",
        "catalog.blacklisted",
        "lists the team's blacklisted models too; for team administrators",
    ),
    SeedParameter(
        "originalAssets",
        "catalog",
        "catalog.original_assets",
        "asks for links to untransformed assets; changes links only",
    ),
    SeedParameter(
        "pageSize",
        "crawler",
        "source.page_size",
        "sent always; halved when a page exceeds the byte cap",
    ),
    SeedParameter(
        "sortBy",
        "crawler",
        None,
        "createdAt or updatedAt, as the walk needs; never score, whose order moves with usage",
    ),
    SeedParameter(
        "sortDirection", "crawler", None, "always asc: new rows then come after those already read"
    ),
    SeedParameter("createdAfter", "crawler", None, "lower bound of a range walk (exclusive)"),
    SeedParameter("createdBefore", "crawler", None, "upper bound of a range walk (exclusive)"),
    SeedParameter("updatedAfter", "crawler", None, "lower bound of a delta walk (exclusive)"),
    SeedParameter("updatedBefore", "crawler", None, "upper bound of a delta window (exclusive)"),
    SeedParameter(
        "type",
        "crawler",
        None,
        "one type partition of a public catalog; a catalog is narrowed with catalog.types",
    ),
    SeedParameter(
        "paginationToken",
        "crawler",
        None,
        "followed only where stepping by time cannot go on; a live offset skips rows",
    ),
    SeedParameter(
        "loadedOnly",
        "refused",
        None,
        "which models are on a GPU changes from minute to minute: a mirror of it would "
        "tombstone and restore the same models for ever",
    ),
)
"""All that the source offers: the rows of the reference page, and ``projectId``."""


def build_params(scope: Scope, question: Question) -> dict[str, str]:
    """Spell one list request as query parameters; those that narrow nothing are left out.

    The whole scope goes with every request, with a token too: a token carries an offset and
    nothing else (UPSTREAM §5).

    Raises:
        ValueError: a private scope was asked by ``updatedAt``, which the source does not offer.
    """
    if scope.privacy is Privacy.PRIVATE and question.sort_key is SortKey.UPDATED:
        raise ValueError("a private listing has no updatedAt order; ask it by createdAt")
    return _scope_params(scope, question) | _page_params(question)


def build_model_params(project_id: str | None, *, original_assets: bool) -> dict[str, str]:
    """The query parameters of ``GET /models/{id}``."""
    optional = {
        "projectId": project_id,
        "originalAssets": "true" if original_assets else None,
    }
    return {name: value for name, value in optional.items() if value}


def _scope_params(scope: Scope, question: Question) -> dict[str, str]:
    tags = scope.tags if question.tag is None else (question.tag,)
    optional = {
        # The source refuses type and types together, so a type partition replaces the list.
        "type": question.type,
        "types": ",".join(scope.types) if question.type is None else None,
        "tags": ",".join(tags),
        "collectionIds": ",".join(scope.collection_ids),
        "collectionId": scope.collection_id,
        "status": DELETED if question.is_deleted_feed else scope.status,
        "projectId": scope.project_id,
        "blacklisted": "true" if scope.blacklisted else None,
        "originalAssets": "true" if scope.original_assets else None,
    }
    return {"privacy": scope.privacy.value} | {
        name: value for name, value in optional.items() if value
    }


def _page_params(question: Question) -> dict[str, str]:
    after_name, before_name = _BOUNDS[question.sort_key]
    params = {
        "sortBy": question.sort_key.value,
        "sortDirection": "asc",
        "pageSize": str(question.page_size),
    }
    if question.after_ms is not None:
        params[after_name] = format_millis(question.after_ms)
    if question.before_ms is not None:
        params[before_name] = format_millis(question.before_ms)
    if question.token:
        params["paginationToken"] = question.token
    return params

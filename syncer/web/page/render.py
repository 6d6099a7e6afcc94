"""
Render the status page.

Owns the template and what it is given. Never waits, never reads the database or a clock; the
template engine and the charts are loaded with the first page, not with the program.
Invariant: every text is redacted and escaped; what is put in as it is, is a drawing of our own
making.
Kind: pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from syncer.status import Document
from syncer.web.page import plots, words
from syncer.web.page.series import all_series
from syncer.web.page.values import Extras, Facts
from syncer.web.page.view import age_s, page_notices, summarise, view_catalog

if TYPE_CHECKING:
    from jinja2 import Template

_NO_FACTS = Facts()


def render_page(
    document: Document,
    extras: Extras | None,
    requests_per_minute: Sequence[tuple[datetime, int]],
    now: datetime,
    *,
    facts: Facts = _NO_FACTS,
) -> str:
    """The page as HTML.

    Args:
        document: the status document; the last good one where the database is away.
        extras: ``None`` where they could not be read.
        requests_per_minute: of this process; minutes without a request may be left out.
    """
    document_age_s = age_s(document, now)
    return _template().render(
        now=now,
        version=document["version"],
        generated_at=words.parse(document["generated_at"]),
        summary=summarise(document, now, facts),
        notices=page_notices(document, facts),
        catalogs=[view_catalog(each, document_age_s, facts) for each in document["catalogs"]],
        series=all_series(extras, requests_per_minute, now, facts),
        has_extras=extras is not None,
        cycles=() if extras is None else extras.cycles,
        changes=() if extras is None else extras.changes,
    )


@cache
def _template() -> Template:
    """Compiled once; the same for every page."""
    from jinja2 import Environment, StrictUndefined  # noqa: PLC0415 - only the page needs it
    from markupsafe import Markup  # noqa: PLC0415

    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_discreet,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        {
            "ago": words.ago,
            "count": words.count,
            # Built element by element from a fixed set, with its texts escaped: see plots.py.
            "draw": lambda plot: Markup(plots.draw(plot)),  # noqa: S704
            "duration": words.duration,
            "machine": words.machine,
            "moment": words.moment,
            "parse": words.parse,
            "public_thumbnail": words.public_thumbnail,
            "short": words.short,
        }
    )
    return environment.from_string(read_static("page.html.jinja"))


def _discreet(value: object) -> object:
    """Whatever is put in: no secret, no signature and no control character passes here."""
    # Not what is marked as safe: it was put together from pieces that came through here.
    return words.sentence(value) if type(value) is str else value


def read_static(name: str) -> str:
    """A file that is shipped with the page."""
    return resources.files("syncer.web.page").joinpath("static", name).read_text(encoding="utf-8")

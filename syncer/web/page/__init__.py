"""The status page for people, at ``/``."""

from syncer.web.page.extras import read_extras
from syncer.web.page.render import render_page
from syncer.web.page.routes import page_headers, page_routes
from syncer.web.page.values import (
    CatalogProgress,
    ChangedModel,
    Extras,
    Facts,
    ModelCount,
    PageInput,
    RecentCycle,
)

__all__ = [
    "CatalogProgress",
    "ChangedModel",
    "Extras",
    "Facts",
    "ModelCount",
    "PageInput",
    "RecentCycle",
    "page_headers",
    "page_routes",
    "read_extras",
    "render_page",
]

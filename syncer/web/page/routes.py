"""
Serve the status page and its three files.

Owns the paths and the headers. Never reads the database itself, never writes; answers GET and HEAD
only.
Invariant: the browser may load nothing but these files, from here, and nobody may frame the page.
Kind: edge (HTTP server).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Final

from aiohttp import web

from syncer.web.page.render import read_static, render_page
from syncer.web.page.values import PageInput

_POLICY: Final = (
    "default-src 'none'; "
    "script-src 'self'; "
    "style-src 'self'; "
    "img-src 'self'; "
    "connect-src 'self'; "
    "base-uri 'none'; "
    "form-action 'none'; "
    "frame-ancestors 'none'"
)
_HEADERS: Final = MappingProxyType(
    {
        "Cache-Control": "no-store",
        "Content-Security-Policy": _POLICY,
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
)
_FILES: Final = {
    "page.css": "text/css",
    "page.js": "text/javascript",
    "page.svg": "image/svg+xml",
}


def page_headers() -> Mapping[str, str]:
    """What goes with every answer for people."""
    return _HEADERS


def page_routes(read: Callable[[], Awaitable[PageInput]]) -> list[web.RouteDef]:
    """``/`` and the files that it loads.

    Args:
        read: gives what is to be shown; called for each request, and may be slow or cached. Where
            the database is away it does not raise, but says so in ``facts.database_problem``.
    """

    async def answer(_request: web.Request) -> web.Response:
        page = await read()
        # The charts take some tens of milliseconds, which the crawl shall not wait for.
        text = await asyncio.to_thread(
            render_page,
            page.document,
            page.extras,
            page.requests_per_minute,
            page.now,
            facts=page.facts,
        )
        return _response(text, "text/html")

    files = [_file_route(name, kind) for name, kind in _FILES.items()]
    return [web.get("/", answer), *files]


def _file_route(name: str, content_type: str) -> web.RouteDef:
    text = read_static(name)

    async def answer(_request: web.Request) -> web.Response:
        return _response(text, content_type)

    return web.get(f"/{name}", answer)


def _response(text: str, content_type: str) -> web.Response:
    # "replace": half a character in a message is no reason to show nothing.
    body = text.encode("utf-8", "replace")
    return web.Response(body=body, content_type=content_type, charset="utf-8", headers=_HEADERS)

"""
Answer over HTTP: ``/healthz``, ``/readyz``, ``/metrics``, ``/status.json``, and what is mounted.

Owns the paths, the form of refusals and the headers of every answer. Never waits: all it says is
in the lookout's memory.
Invariant: nothing here changes anything; an answer tells no more than the path asks.
Kind: edge (aiohttp.web).
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, Final

from aiohttp import hdrs, web

from syncer.web.lookout import Lookout
from syncer.web.metrics import CONTENT_TYPE

LOOKOUT: Final = web.AppKey("lookout", Lookout)
"""Where a mounted handler finds what is known: ``request.app[LOOKOUT]``."""

HEADERS: Final = MappingProxyType(
    {
        "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; "
        "form-action 'none'",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cache-Control": "no-store",
    }
)
"""Of every answer that does not set its own."""

ALLOWED: Final = ("GET", "HEAD")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def create_application(
    lookout: Lookout, extra_routes: Iterable[web.AbstractRouteDef] = ()
) -> web.Application:
    """The application; ``extra_routes`` are mounted beside ours, under the same rules."""
    application = web.Application(middlewares=[_refuse], client_max_size=1024)
    application[LOOKOUT] = lookout
    application.add_routes(
        [
            web.get("/healthz", _healthz),
            web.get("/readyz", _readyz),
            web.get("/metrics", _metrics),
            web.get("/status.json", _status),
            *extra_routes,
        ]
    )
    application.on_response_prepare.append(_finish_headers)
    return application


async def _healthz(request: web.Request) -> web.Response:
    document = request.app[LOOKOUT].health()
    return _json(document, HTTPStatus.OK if document["healthy"] else HTTPStatus.SERVICE_UNAVAILABLE)


async def _readyz(request: web.Request) -> web.Response:
    reasons = request.app[LOOKOUT].unready()
    document = {"ready": not reasons, "reasons": reasons}
    return _json(document, HTTPStatus.SERVICE_UNAVAILABLE if reasons else HTTPStatus.OK)


async def _metrics(request: web.Request) -> web.Response:
    body = request.app[LOOKOUT].exposition()
    return web.Response(body=body, headers={hdrs.CONTENT_TYPE: CONTENT_TYPE})


async def _status(request: web.Request) -> web.Response:
    return _json(request.app[LOOKOUT].status())


@web.middleware
async def _refuse(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Only reading, and refusals as JSON like everything else."""
    if request.method not in ALLOWED:
        return _refusal(HTTPStatus.METHOD_NOT_ALLOWED, {hdrs.ALLOW: ", ".join(ALLOWED)})
    try:
        return await handler(request)
    except web.HTTPRedirection:
        raise
    except web.HTTPException as error:
        return _refusal(HTTPStatus(error.status))


def _refusal(status: HTTPStatus, headers: dict[str, str] | None = None) -> web.Response:
    answer = _json({"error": status.phrase.lower()}, status)
    answer.headers.update(headers or {})
    return answer


def _json(document: Any, status: HTTPStatus = HTTPStatus.OK) -> web.Response:  # noqa: ANN401
    text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    return web.Response(text=text, status=status, content_type="application/json")


async def _finish_headers(_request: web.Request, response: web.StreamResponse) -> None:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    # It names the library and its version.
    response.headers.pop(hdrs.SERVER, None)

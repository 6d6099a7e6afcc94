"""
The answers of the source as values: status, headers, body.

Owns the body shapes of UPSTREAM §6.2. Never sends anything.
Kind: pure.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Any

import msgspec

JSON_TYPE = "application/json; charset=utf-8"
HTML_TYPE = "text/html"
EDGE_PAGE = b"<html><head><title>502 Bad Gateway</title></head><body>Bad Gateway</body></html>"


@dataclass(frozen=True, slots=True)
class Answer:
    """One complete answer."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = JSON_TYPE
    rows: int = 0
    """How many models it holds."""


def json_answer(status: int, body: dict[str, Any], **headers: str) -> Answer:
    """An answer with a small JSON body; ``retry_after`` becomes the header ``Retry-After``."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, msgspec.json.encode(body), named)


def refused(status: int, reason: str) -> Answer:
    """A 4xx of the API itself."""
    return json_answer(status, {"reason": reason})


def gateway(status: int, message: str, **headers: str) -> Answer:
    """An error of the gateway or the authoriser in front of the API."""
    return json_answer(status, {"message": message}, **headers)


def expired_jwt() -> Answer:
    """What tells an expired token from a refusal (UPSTREAM §1)."""
    return gateway(403, "Forbidden", x_amzn_errortype="AccessDeniedException")


def too_many(retry_after_s: float) -> Answer:
    """429 with the whole seconds to wait, as the rate limiter answers."""
    return gateway(429, "Too Many Requests", Retry_After=str(max(1, -int(-retry_after_s // 1))))


def fault_answer(name: str, now: datetime, wait_s: float) -> Answer:
    """The answer of one of ``ERROR_FAULTS``."""
    if name.startswith("rate-limit-"):
        return _rate_limited(name, now, wait_s)
    return _FIXED[name]


def _rate_limited(name: str, now: datetime, wait_s: float) -> Answer:
    message = "Too Many Requests"
    if name == "rate-limit-seconds":
        return gateway(429, message, Retry_After=f"{wait_s:g}")
    if name == "rate-limit-date":
        at = (now + timedelta(seconds=wait_s)).replace(microsecond=0)
        return gateway(429, message, Retry_After=http_date(at))
    if name == "rate-limit-ms":
        return gateway(429, message, retry_after_ms=f"{wait_s * 1000:g}")
    if name == "rate-limit-body":
        return json_answer(429, {"reason": "cooldown", "remainingSeconds": wait_s})
    return gateway(429, message)


def http_date(at: datetime) -> str:
    """The form of ``Date`` and ``Retry-After``."""
    return format_datetime(at, usegmt=True)


_PLAN_LIMIT = {
    "reason": "You have reached the limit of your plan",
    "name": "PlanLimitReachedError",
    "details": {
        "actionName": "list-models",
        "actionLimit": 1000,
        "actionValue": 1001,
        "limitScope": "team",
    },
}

_FIXED = {
    "plan-limit": json_answer(429, _PLAN_LIMIT),
    "error-400": refused(400, "The request is not valid"),
    "error-404": refused(404, "Not found"),
    "error-408": gateway(408, "Request Timeout"),
    "error-500": gateway(500, "Internal Server Error"),
    "error-502-html": Answer(502, EDGE_PAGE, content_type=HTML_TYPE),
    "error-503": gateway(503, "Service Unavailable"),
    "unauthorized": gateway(401, "Unauthorized"),
    "forbidden": gateway(403, "API Keys cannot access protected resources"),
    "expired-jwt": expired_jwt(),
    "html-200": Answer(200, b"<html><body>Please stand by</body></html>", content_type=HTML_TYPE),
    "no-models-key": json_answer(200, {"message": "Something went wrong"}),
    "rejected-token": refused(400, "paginationToken is invalid"),
}

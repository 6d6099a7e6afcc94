"""
The HTTP face of the simulated source.

Owns the order in which a request is judged: fault, rate limit, credentials, latency, question.
Never changes a model.
Invariant: every request is in the log before its answer begins.
Kind: edge (aiohttp server).
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import web

from syncer.simulator.answers import (
    Answer,
    expired_jwt,
    fault_answer,
    gateway,
    http_date,
    refused,
    too_many,
)
from syncer.simulator.auth import AuthKind, AuthVerdict, Caller, authenticate
from syncer.simulator.delivery import NO_DATE, Delivery, drop_empty_date
from syncer.simulator.detail import minimal_model, whole_model
from syncer.simulator.faults import DATE_FAULTS, DELIVERY_FAULTS, ERROR_FAULTS, FaultBox
from syncer.simulator.listanswer import ListAnswerer
from syncer.simulator.listing import BadQuery, Rules, parse_query
from syncer.simulator.ratewindow import RateWindow
from syncer.simulator.requestlog import RecordedRequest, RequestLog
from syncer.simulator.rows import Moment, render

if TYPE_CHECKING:
    from syncer.simulator.catalog import Record
    from syncer.simulator.editing import Editing

Hook = Callable[[dict[str, str]], Awaitable[None] | None]
Sleep = Callable[[float], Awaitable[None]]
Respond = Callable[[web.Request, dict[str, str], Caller], Awaitable[Answer]]

_DATE_OFFSETS = {
    "clock-ahead-10m": timedelta(minutes=10),
    "clock-behind-10m": -timedelta(minutes=10),
}


class Desk:
    """Judges and answers requests for one source."""

    def __init__(
        self,
        editing: Editing,
        faults: FaultBox,
        *,
        clock: Callable[[], datetime],
        sleep: Sleep,
        log: RequestLog,
    ) -> None:
        options = editing.options
        self._editing = editing
        self._options = options
        self._faults = faults
        self._clock = clock
        self._sleep = sleep
        self._log = log
        self._window = RateWindow(options.rate_per_minute)
        self._rules = Rules(options.accepted_types, options.max_page_size, options.project_id)
        self._lists = ListAnswerer(
            editing.catalog, faults, padding_bytes=options.oversized_row_bytes
        )
        self._answered = 0
        self.on_request: Hook | None = None
        self.retrieved: dict[str, Answer] = {}
        """What is answered of single models instead of themselves."""

    def build_app(self) -> web.Application:
        """A new application over this desk."""
        closing = asyncio.Event()
        delivery = Delivery(self._sleep, closing, self._options.drip_interval_s, self._options.gzip)

        def route(respond: Respond) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
            async def handle(request: web.Request) -> web.StreamResponse:
                return await self._handle(request, respond, delivery)

            return handle

        async def close(_: web.Application) -> None:
            closing.set()

        app = web.Application()
        app.router.add_get("/v1/models", route(self._list), allow_head=False)
        app.router.add_post("/v1/models/get-bulk", route(self._get_bulk))
        app.router.add_get("/v1/models/{model_id}", route(self._retrieve), allow_head=False)
        app.router.add_route("*", "/{tail:.*}", route(self._unknown_path))
        app.on_response_prepare.append(drop_empty_date)
        app.on_shutdown.append(close)
        return app

    async def _handle(
        self, request: web.Request, respond: Respond, delivery: Delivery
    ) -> web.StreamResponse:
        now = self._clock()
        params = {name: request.query[name] for name in request.query}
        caller = authenticate(request.headers.get("Authorization"), self._options, now)
        fault = self._faults.first(_possible_errors(params, caller), params)
        if fault:
            answer = fault_answer(fault, now, self._options.retry_after_s)
        else:
            answer = self._refusal(caller, now) or await self._respond(
                respond, request, params, caller
            )
            fault = self._faults.first(DELIVERY_FAULTS, params)
        date = self._date_header(params)
        self._log.note(
            RecordedRequest(
                at=now,
                method=request.method,
                path=request.path,
                params=params,
                status=0 if fault == "reset-before-headers" else answer.status,
                rows=answer.rows,
                auth=caller.kind.value,
                fault=fault,
            )
        )
        struck = fault if fault in DELIVERY_FAULTS else None
        return await delivery.send(request, answer, date=date, fault=struck)

    def _refusal(self, caller: Caller, now: datetime) -> Answer | None:
        wait_s = self._window.admit(now)
        if wait_s is not None:
            return too_many(wait_s)
        if caller.verdict is AuthVerdict.EXPIRED:
            return expired_jwt()
        if caller.verdict is AuthVerdict.UNAUTHORIZED:
            return gateway(401, "Unauthorized")
        return None

    async def _respond(
        self, respond: Respond, request: web.Request, params: dict[str, str], caller: Caller
    ) -> Answer:
        if self._options.latency_ms:
            await self._sleep(self._options.latency_ms / 1000)
        try:
            return await respond(request, params, caller)
        except BadQuery as bad:
            return refused(400, str(bad))

    async def _list(self, _: web.Request, params: dict[str, str], caller: Caller) -> Answer:
        if caller.kind is AuthKind.PUBLIC and params.get("privacy") != "public":
            return gateway(401, "Unauthorized")
        query = parse_query(params, self._rules)
        if caller.kind is AuthKind.PUBLIC and query.scope.blacklisted:
            return refused(403, "blacklisted is only available to team admins")
        if self.on_request is not None:
            outcome = self.on_request(params)
            if inspect.isawaitable(outcome):
                await outcome
        self._editing.settle()
        return self._lists.answer(query, params, self._moment(params))

    async def _retrieve(
        self, request: web.Request, params: dict[str, str], caller: Caller
    ) -> Answer:
        self._editing.settle()
        model_id = request.match_info["model_id"]
        record = self._visible(model_id, params, caller)
        if (planted := self.retrieved.get(model_id)) is not None:
            return planted
        if record is None:
            return refused(404, f"Model {model_id} not found")
        body = whole_model(record, self._moment(params), volatile=self._options.volatile)
        return Answer(200, b'{"model":%b}' % body, rows=1)

    async def _get_bulk(
        self, request: web.Request, params: dict[str, str], caller: Caller
    ) -> Answer:
        self._editing.settle()
        try:
            asked: Any = msgspec.json.decode(await request.read())
        except (msgspec.DecodeError, UnicodeDecodeError):
            return refused(400, "The body is not valid JSON")
        ids = asked.get("modelIds") if isinstance(asked, dict) else None
        if not isinstance(ids, list) or not all(isinstance(model_id, str) for model_id in ids):
            return refused(400, "modelIds must be a list of strings")
        moment = self._moment(params)
        found = [self._visible(model_id, params, caller) for model_id in dict.fromkeys(ids)]
        rows = [
            msgspec.json.encode(minimal_model(record))
            if asked.get("minimal") is True
            else render(record.row, moment)
            for record in found
            if record is not None
        ]
        return Answer(200, b'{"models":[%b]}' % b",".join(rows), rows=len(rows))

    async def _unknown_path(self, _: web.Request, __: dict[str, str], ___: Caller) -> Answer:
        return gateway(404, "Not Found")

    def _visible(self, model_id: str, params: dict[str, str], caller: Caller) -> Record | None:
        """The model, if this caller may see it by id; unlisted ones everybody may."""
        record = self._editing.catalog.newest(model_id)
        if record is None or record.deleted_ms is not None:
            return None
        if record.privacy == "private":
            owner = params.get("projectId") or self._options.project_id
            return record if caller.kind is not AuthKind.PUBLIC and record.owner == owner else None
        return record

    def _moment(self, params: dict[str, str]) -> Moment:
        self._answered += 1
        return Moment(self._clock(), self._answered, params.get("originalAssets") == "true")

    def _date_header(self, params: dict[str, str]) -> str:
        fault = self._faults.first(DATE_FAULTS, params)
        if fault == "no-date-header":
            return NO_DATE
        offset = _DATE_OFFSETS[fault] if fault else timedelta()
        return http_date((self._clock() + offset).replace(microsecond=0))


def _possible_errors(params: dict[str, str], caller: Caller) -> tuple[str, ...]:
    """The error faults that can strike this request."""
    impossible = set()
    if "paginationToken" not in params:
        impossible.add("rejected-token")
    if caller.kind is not AuthKind.BEARER:
        impossible.add("expired-jwt")
    return tuple(name for name in ERROR_FAULTS if name not in impossible)

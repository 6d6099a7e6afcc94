"""
Look at the source: are the credentials and each scope good, and does it behave as walks rely on?

Owns which questions are asked, and that they are a handful: one per catalog, then for each privacy
what shows order, bounds, page size, tokens and types (public 7, private 3). Never judges an answer
(``planner.probe`` and ``planner.wire`` do).
Invariant: every request goes through the configured budget, and nothing is retried for long.
Kind: conductor.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from syncer.api.client import RawAnswer, SourceClient
from syncer.api.decode import list_page
from syncer.api.query import build_params
from syncer.api.reason import secret_parts
from syncer.api.retry import error_for_response, parse_http_date
from syncer.checkup.report import CatalogAnswer, SourceReport
from syncer.config import AuthKind, CatalogSettings, Credentials, Settings
from syncer.domain import Clock, Lane, Privacy, Question, Scope, SortKey
from syncer.errors import (
    PageTooLarge,
    SourceRefused,
    SourceRejected,
    SourceThrottled,
    SourceUnavailable,
    SyncerError,
    Verdict,
    WalkBroken,
)
from syncer.planner import wire
from syncer.planner.finding import Finding
from syncer.planner.probe import (
    SAMPLE_PAGE,
    Listing,
    bounds_finding,
    order_finding,
    pick_interval,
)
from syncer.progress import NoProgress
from syncer.runtime import open_source

RETRY_DEADLINE_S = 10.0
"""Somebody is waiting for the answer, and "unavailable" is one."""

_KEYS: Mapping[Privacy, tuple[SortKey, ...]] = {
    Privacy.PUBLIC: (SortKey.UPDATED, SortKey.CREATED),
    # A private listing has no updatedAt order (UPSTREAM §2.2).
    Privacy.PRIVATE: (SortKey.CREATED,),
}
_ANSWERED = range(200, 300)
_RATE_HEADERS = ("x-ratelimit-", "ratelimit", "retry-after")

_REMEDIES: Mapping[type[SyncerError], str] = {
    SourceUnavailable: "Check source.base_url, the network and the proxy, then run 'syncer check' "
    "again.",
    SourceThrottled: "Wait a minute and run 'syncer check' again; if this persists, lower "
    "source.max_requests_per_minute (another process may use up the same budget).",
    SourceRejected: "Check source.base_url (it ends with the version, as in /v1) and the filters "
    "of the catalog.",
    WalkBroken: "Check that source.base_url is that of the Scenario API; if it is, the API has "
    "changed: do not mirror it with this build.",
}


async def look_at_source(
    settings: Settings, credentials: Credentials, *, clock: Clock, rng: random.Random
) -> SourceReport:
    """Ask the handful of questions; whatever is wrong is in the report."""
    limits = replace(
        settings.limits, retry_deadline_s=min(settings.limits.retry_deadline_s, RETRY_DEADLINE_S)
    )
    async with open_source(
        replace(settings, limits=limits),
        credentials,
        clock=clock,
        rng=rng,
        progress=NoProgress(),
    ) as client:
        visit = _Visit(settings, client, credentials, clock)
        await visit.ask_each_catalog()
        for privacy, scope in visit.scopes.items():
            await visit.ask_closely(privacy, scope)
        return visit.report()


@dataclass(slots=True)
class _Visit:
    """One look at the source, while it is under way."""

    settings: Settings
    client: SourceClient
    credentials: Credentials
    clock: Clock
    scopes: dict[Privacy, Scope] = field(default_factory=dict)
    """For each privacy the scope of the first catalog whose listing has models."""
    answers: dict[str, str] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    problems: list[SyncerError] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    tokens: dict[Privacy, str] = field(default_factory=dict)
    ends: dict[Privacy, list[str]] = field(default_factory=dict)
    rate_headers: set[str] = field(default_factory=set)
    encoding: str | None = None
    date: str | None = None
    skew_s: float | None = None
    was_answered: bool = False

    async def ask_each_catalog(self) -> None:
        """Prove credentials and scope of each catalog with the smallest listing there is."""
        for catalog in self.settings.catalogs:
            question = Question(_KEYS[catalog.privacy][0], None, None, page_size=1)
            try:
                listing = await self._list(catalog.scope, question)
            except SyncerError as error:
                self.answers[catalog.name] = "failed"
                self.problems.append(self._explained(error, f"catalog {catalog.name}"))
                if error.verdict in {Verdict.RETRY, Verdict.BACK_OFF}:
                    # It would be the same for the others, after the same wait.
                    return
            else:
                self._take_first_answer(catalog, listing)

    def _take_first_answer(self, catalog: CatalogSettings, listing: Listing) -> None:
        if listing.entries or listing.next_token is not None:
            self.answers[catalog.name] = "listed"
            self.scopes.setdefault(catalog.privacy, catalog.scope)
            return
        self.answers[catalog.name] = "empty"
        self.warnings.append(
            f"catalog {catalog.name}: the {catalog.privacy} listing is empty; the source answers "
            "so, without an error, when privacy, a filter, project_id or the credentials are not "
            "those of the models you mean"
        )

    async def ask_closely(self, privacy: Privacy, scope: Scope) -> None:
        """Ask what shows how this listing behaves; an error ends it, findings so far stay."""
        try:
            was_refused = await self._ask_orders(privacy, scope)
            # The refused page was asked again, smaller: the types are left out for it.
            if privacy is Privacy.PUBLIC and not was_refused:
                await self._ask_types(scope)
        except SyncerError as error:
            self.problems.append(self._explained(error, f"the {privacy} listing"))
        self.findings.append(wire.token_finding(privacy, self.tokens.get(privacy)))
        self.findings.append(wire.end_finding(privacy, self.ends.get(privacy, [])))

    async def _ask_orders(self, privacy: Privacy, scope: Scope) -> bool:
        """Whether the largest page was refused."""
        first, *others = _KEYS[privacy]
        page, was_refused = await self._ask_largest(privacy, scope, first)
        await self._ask_bounds(privacy, scope, first, page)
        for key in others:
            page = await self._list(scope, Question(key, None, None, SAMPLE_PAGE))
            await self._ask_bounds(privacy, scope, key, page)
        return was_refused

    async def _ask_largest(
        self, privacy: Privacy, scope: Scope, key: SortKey
    ) -> tuple[Listing, bool]:
        refusal: str | None = None
        try:
            page = await self._list(scope, Question(key, None, None, wire.LARGEST_PAGE))
        except (SourceRejected, PageTooLarge) as error:
            refusal = error.message
            page = await self._list(scope, Question(key, None, None, SAMPLE_PAGE))
        self.findings.append(
            wire.largest_page_finding(
                privacy,
                refused_because=refusal,
                page_size=self.settings.source.page_size,
                models=len(page.entries),
            )
        )
        return page, refusal is not None

    async def _ask_bounds(
        self, privacy: Privacy, scope: Scope, key: SortKey, page: Listing
    ) -> None:
        self.findings.append(order_finding(privacy, key, page))
        interval = pick_interval(key, page)
        if interval is None:
            return
        excluding = await self._list(scope, interval.excluding())
        including = await self._list(scope, interval.including())
        self.findings.append(bounds_finding(privacy, interval, excluding, including))

    async def _ask_types(self, scope: Scope) -> None:
        question = Question(SortKey.UPDATED, None, None, page_size=1, type=wire.IMPOSSIBLE_TYPE)
        answer = await self._ask(scope, question)
        if answer.status not in {*_ANSWERED, 400}:
            raise self._error(answer)
        models = len(list_page(answer.body).entries) if answer.status in _ANSWERED else 0
        self.findings.append(
            wire.types_finding(status=answer.status, body=answer.body, models=models)
        )

    async def _list(self, scope: Scope, question: Question) -> Listing:
        answer = await self._ask(scope, question)
        if answer.status not in _ANSWERED:
            raise self._error(answer)
        decoded = list_page(answer.body)
        if decoded.next_token is None:
            self.ends.setdefault(scope.privacy, []).append(wire.end_form(answer.body))
        else:
            self.tokens.setdefault(scope.privacy, decoded.next_token)
        if question.page_size == wire.LARGEST_PAGE:
            self.encoding = answer.headers.get("content-encoding")
        return Listing(decoded.entries, decoded.next_token)

    async def _ask(self, scope: Scope, question: Question) -> RawAnswer:
        answer = await self.client.probe(build_params(scope, question), lane=Lane.POLL)
        self.rate_headers |= {name for name in answer.headers if name.startswith(_RATE_HEADERS)}
        if not self.was_answered:
            self.was_answered = True
            self.date = answer.headers.get("date")
            at = parse_http_date(self.date)
            self.skew_s = None if at is None else (at - self.clock.now()).total_seconds()
        return answer

    def _error(self, answer: RawAnswer) -> SyncerError:
        public = self.credentials.kind is AuthKind.PUBLIC
        return error_for_response(
            answer.status,
            answer.headers,
            answer.body,
            now=self.clock.now(),
            secrets=() if public else secret_parts(self.credentials.authorization()),
        )

    def _explained(self, error: SyncerError, where: str) -> SyncerError:
        hint = error.hint
        if hint == error.default_hint:
            hint = _REMEDIES.get(type(error), hint)
        if isinstance(error, SourceRefused) and self.credentials.kind is AuthKind.PUBLIC:
            hint = (
                "No credentials are set, and the source does not take the public token: set "
                "SCENARIO_SDK_API_KEY and SCENARIO_SDK_API_SECRET."
            )
        return type(error)(f"{where}: {error.message}", hint=hint, **error.context)

    def report(self) -> SourceReport:
        """What was found out so far."""
        if self.was_answered:
            self.findings += self._common_findings()
        names = [catalog.name for catalog in self.settings.catalogs]
        return SourceReport(
            base_url=self.settings.source.base_url,
            requests=self.client.requests_sent,
            catalogs=tuple(
                CatalogAnswer(name, self.answers.get(name, "not asked")) for name in names
            ),
            findings=tuple(self.findings),
            problems=(*self.problems, *_contradictions(self.findings)),
            warnings=(*self.warnings, *(each.caution for each in self.findings if each.caution)),
        )

    def _common_findings(self) -> Iterable[Finding]:
        overlap_s = min(catalog.overlap_s for catalog in self.settings.catalogs)
        yield wire.rate_headers_finding(sorted(self.rate_headers))
        if self.scopes:
            yield wire.gzip_finding(self.encoding)
        yield from wire.clock_findings(self.date, self.skew_s, overlap_s=overlap_s)


def _contradictions(findings: Iterable[Finding]) -> Iterable[SyncerError]:
    for finding in findings:
        if finding.contradicts:
            yield WalkBroken(finding.contradicts, hint=finding.remedy)

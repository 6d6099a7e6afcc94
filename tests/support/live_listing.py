"""
A source whose listing moves while it is being paged, small enough to be searched by Hypothesis.

``LiveListing`` lists as the public source does (UPSTREAM §5): continuation tokens are offsets into
the order as it is *now*, so what leaves shifts the rest. Pages may be short or empty, the end may
be promised too late, changes may show up late. ``Turn`` is what happens before one question.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from hypothesis import strategies as st

from syncer.domain import Millis, Model, Page, Question, SentOrder, SortKey

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

BASE_MS = 1_800_000_000_000
MAX_EMPTY = 2
"""Empty pages in a row; the next one lists something, as a source that is merely odd would."""
KINDS = ("update", "remove", "add", "late")


@dataclass(frozen=True, slots=True)
class Row:
    """One model as the source has it."""

    id: str
    created_ms: int
    updated_ms: int
    version: int
    rank: int
    """Breaks ties of one instant; any order will do as long as it stands still."""

    @property
    def content(self) -> tuple[str, int, int]:
        return self.id, self.updated_ms, self.version


@dataclass(frozen=True, slots=True)
class Edit:
    """One change of the source."""

    kind: str
    pick: int = 0
    """Which model, modulo their number."""
    late_ms: int = 0
    """How long the listing goes on as if nothing had happened (add, update), or how far back in
    time a ``late`` model is listed."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What happens before one question, and how it is answered."""

    edits: tuple[Edit, ...] = ()
    tick_ms: int = 0
    limit: int | None = None
    """Rows on the page at most: a short page, or an empty one."""
    promises_more: bool = False
    """A token even where nothing follows."""
    lost: bool = False
    """The process dies before the answer is stored."""


QUIET = Turn()


class LiveListing:
    """The truth, and the listing that follows it with some delay."""

    def __init__(
        self, rows: Iterable[tuple[int, int]], *, now_ms: int = 8, date_ahead_ms: int | None = 0
    ) -> None:
        self._numbers = itertools.count()
        self.now_ms = now_ms
        self.date_ahead_ms = date_ahead_ms
        """How far ``Date`` is ahead of the timestamps; negative: behind; ``None``: no ``Date``."""
        self.truth: dict[str, Row] = {}
        self.listed: dict[str, Row] = {}
        self._late: list[tuple[int, Row]] = []
        self.ever_listed: set[tuple[str, int, int]] = set()
        self.touched: set[str] = set()
        """Models that were changed or removed since the start."""
        self.questions = 0
        self._empty = 0
        for created_ms, updated_ms in rows:
            self._put(self._new(created_ms, updated_ms, anywhere=True))

    def play(self, turn: Turn) -> None:
        """Let the turn's changes happen."""
        self.pass_time(turn.tick_ms)
        for edit in turn.edits:
            self.apply(edit)

    def pass_time(self, tick_ms: int) -> None:
        self.now_ms += tick_ms
        due = [row for visible_ms, row in self._late if visible_ms <= self.now_ms]
        self._late = [each for each in self._late if each[0] > self.now_ms]
        for row in due:
            self._show(row)

    def apply(self, edit: Edit) -> None:
        if edit.kind == "add":
            self._put(self._new(self.now_ms, self.now_ms), late_ms=edit.late_ms)
        elif edit.kind == "late":
            at_ms = max(0, self.now_ms - edit.late_ms)
            # It stays: a model that comes and goes between two pages is the sweep's business.
            late = self._new(at_ms, at_ms, anywhere=True)
            self._put(replace(late, id=f"late{late.id}"))
        elif found := [row for row in self.truth.values() if not row.id.startswith("late")]:
            self._change(found[edit.pick % len(found)], edit)

    def answer(self, question: Question, turn: Turn = QUIET) -> Page:
        """The page that the source shows now."""
        self.questions += 1
        rows = self.matching(question)
        start = int(question.token.split("/")[0]) if question.token else 0
        limit = question.page_size if turn.limit is None else min(turn.limit, question.page_size)
        if limit == 0 and self._empty >= MAX_EMPTY:
            limit = 1
        shown = rows[start : start + limit]
        self._empty = 0 if shown else self._empty + 1
        stop = start + len(shown)
        ahead_ms = self.date_ahead_ms
        more = stop < len(rows) or (turn.promises_more and self._empty <= MAX_EMPTY)
        return Page(
            entries=tuple(model_of(row) for row in shown),
            next_token=f"{stop}/{self.questions}" if more else None,
            source_now_ms=None if ahead_ms is None else Millis(BASE_MS + self.now_ms + ahead_ms),
            sent_order=SentOrder(self.questions),
        )

    def matching(self, question: Question) -> list[Row]:
        """The whole listing of a question, in order."""
        low = -1 if question.after_ms is None else question.after_ms - BASE_MS
        high = self.now_ms + 1 if question.before_ms is None else question.before_ms - BASE_MS
        return sorted(
            (row for row in self.listed.values() if low < time_of(row, question.sort_key) < high),
            key=lambda row: (time_of(row, question.sort_key), row.rank, row.id),
        )

    def _change(self, row: Row, edit: Edit) -> None:
        self.touched.add(row.id)
        if edit.kind == "remove":
            del self.truth[row.id]
            self.listed.pop(row.id, None)
            self._late = [each for each in self._late if each[1].id != row.id]
        else:
            newer = replace(
                row, updated_ms=self.now_ms, version=row.version + 1, rank=next(self._numbers)
            )
            self._put(newer, late_ms=edit.late_ms)

    def _new(self, created_ms: int, updated_ms: int, *, anywhere: bool = False) -> Row:
        """A model that stands behind its equals, or anywhere among them."""
        number = next(self._numbers)
        rank = number * 7 % 5 if anywhere else number
        return Row(f"m{number}", created_ms, updated_ms, 1, rank)

    def _put(self, row: Row, *, late_ms: int = 0) -> None:
        self.truth[row.id] = row
        if late_ms:
            self._late.append((self.now_ms + late_ms, row))
        else:
            self._show(row)

    def _show(self, row: Row) -> None:
        shown = self.listed.get(row.id)
        if shown is None or shown.version < row.version:
            self.listed[row.id] = row
            self.ever_listed.add(row.content)


def time_of(row: Row, key: SortKey) -> int:
    return row.created_ms if key is SortKey.CREATED else row.updated_ms


def model_of(row: Row) -> Model:
    return Model(
        id=row.id,
        created_ms=Millis(BASE_MS + row.created_ms),
        updated_ms=Millis(BASE_MS + row.updated_ms),
        body=str(row.version).encode(),
        content_hash=row.version.to_bytes(16, "big"),
    )


def content_of(model: Model) -> tuple[str, int, int]:
    return model.id, model.updated_ms - BASE_MS, int(model.body)


instants = st.integers(0, 7)
row = st.tuples(instants, instants).map(lambda pair: (min(pair), max(pair)))
spread = st.lists(row, max_size=5) | st.lists(row, min_size=6, max_size=14)
few_rows = st.lists(row, max_size=4)
crowds = st.integers(4, 14).map(lambda count: [(3, 3)] * count)
"""As after a bulk edit: more models on one instant than fit a page."""
rows = spread | crowds

calm_turns = st.lists(
    st.sampled_from((QUIET, QUIET, Turn((Edit("remove"),)), Turn((Edit("late", late_ms=5),)))),
    max_size=40,
).map(tuple)
"""Whole pages, nothing lost; now and then a model of a crowd leaves or joins."""


def turns(
    *, kinds: Sequence[str] = KINDS, max_late_ms: int = 4
) -> st.SearchStrategy[tuple[Turn, ...]]:
    """What happens while a source is asked for a while; quiet after that."""
    edit = st.builds(
        Edit,
        st.sampled_from(kinds),
        pick=st.integers(0, 14),
        late_ms=st.integers(0, max_late_ms) | st.just(max_late_ms),
    )
    turn = st.builds(
        Turn,
        edits=st.lists(edit, max_size=2).map(tuple),
        tick_ms=st.integers(0, 2),
        limit=st.sampled_from((None, None, None, None, 0, 1, 2, 5)),
        promises_more=st.sampled_from((False, False, False, True)),
        lost=st.sampled_from((False,) * 7 + (True,)),
    )
    return (st.lists(turn, max_size=8) | st.lists(turn, min_size=12, max_size=24)).map(tuple)

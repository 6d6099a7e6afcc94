"""What answers of the source mean, and how a check tells it: no network, no database."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from syncer.checkup.report import CheckReport, SourceReport, split_errors
from syncer.config.problems import Problem, raise_problems
from syncer.domain import Millis, Model, Privacy, SortKey, Unusable
from syncer.errors import (
    ConfigError,
    ExitCode,
    SourceRefused,
    SourceUnavailable,
    StoreUnavailable,
    WalkBroken,
)
from syncer.planner import wire
from syncer.planner.finding import Finding, drift_warning, say_value
from syncer.planner.probe import (
    SAMPLE_PAGE,
    Interval,
    Listing,
    bounds_finding,
    order_finding,
    pick_interval,
)

PUBLIC, PRIVATE = Privacy.PUBLIC, Privacy.PRIVATE
CREATED, UPDATED = SortKey.CREATED, SortKey.UPDATED
SINCE = datetime(2026, 1, 2, tzinfo=UTC)
EMPTY = Listing((), None)


def listing(*times: int, token: str | None = None) -> Listing:
    """Models at these times, in this order."""
    models = [
        Model(
            id=f"m{n}",
            created_ms=Millis(at_ms),
            updated_ms=Millis(at_ms),
            body=b"{}",
            content_hash=b"",
        )
        for n, at_ms in enumerate(times)
    ]
    return Listing(tuple(models), token)


class TestPickInterval:
    def test_two_neighbouring_instants_are_taken(self) -> None:
        assert pick_interval(UPDATED, listing(10_001, 20_002, 30_003)) == Interval(
            UPDATED, Millis(10_001), Millis(20_002)
        )

    def test_full_seconds_are_passed_over_as_they_cannot_show_a_coarse_bound(self) -> None:
        found = pick_interval(UPDATED, listing(1000, 2000, 3003, 4004))

        assert found == Interval(UPDATED, Millis(3003), Millis(4004))

    def test_neighbours_one_millisecond_apart_have_nothing_between_and_are_passed_over(
        self,
    ) -> None:
        found = pick_interval(UPDATED, listing(5001, 5002, 7007))

        assert found == Interval(UPDATED, Millis(5002), Millis(7007))

    def test_instants_with_more_models_than_a_page_are_passed_over(self) -> None:
        crowd = [1001] * SAMPLE_PAGE

        found = pick_interval(CREATED, listing(*crowd, 2002, 3003))

        assert found == Interval(CREATED, Millis(2002), Millis(3003))

    @pytest.mark.parametrize(
        ("times", "single"), [((1000, 2000), 1000), ((1000, 2002), 2002), ((7,), 7)]
    )
    def test_where_there_are_no_two_fine_ones_a_single_instant_serves(
        self, times: tuple[int, ...], single: int
    ) -> None:
        found = pick_interval(CREATED, listing(*times))

        assert found == Interval(CREATED, Millis(single), Millis(single))

    def test_models_without_readable_times_give_none(self) -> None:
        unreadable = Listing((Unusable("m", "no date", b"{}"),), None)

        assert pick_interval(CREATED, unreadable) is None

    def test_its_questions_ask_between_the_two_and_one_millisecond_around_them(self) -> None:
        pair = Interval(UPDATED, Millis(100), Millis(200))
        single = Interval(UPDATED, Millis(100), Millis(100))

        questions = [pair.excluding(), pair.including(), single.excluding(), single.including()]
        assert [(each.after_ms, each.before_ms) for each in questions] == [
            (100, 200),
            (99, 201),
            (100, None),
            (99, 101),
        ]


class TestOrder:
    def test_rising_times_with_ties_are_ascending(self) -> None:
        found = order_finding(PUBLIC, UPDATED, listing(1, 2, 2, 3))

        assert (found.key, found.value, found.contradicts) == (
            "public.order.updatedAt",
            "ascending",
            "",
        )

    def test_one_fall_contradicts_what_walks_rely_on(self) -> None:
        found = order_finding(PRIVATE, CREATED, listing(1, 3, 2))

        assert found.value == "unordered"
        assert "1970-01-01T00:00:00.002Z comes after a later one" in found.contradicts
        assert "syncer check" in found.remedy

    @pytest.mark.parametrize("times", [(), (5,), (5, 5)])
    def test_a_single_instant_shows_no_order(self, times: tuple[int, ...]) -> None:
        found = order_finding(PUBLIC, CREATED, listing(*times))

        assert (found.value, found.contradicts) == (None, "")


class TestBounds:
    pair = Interval(UPDATED, Millis(1001), Millis(2002))
    single = Interval(UPDATED, Millis(1001), Millis(1001))

    @pytest.mark.parametrize(
        ("excluding", "including", "value"),
        [
            (EMPTY, listing(1001, 2002), "exclusive"),
            (listing(1500), listing(1001, 1500, 2002), "exclusive"),
            (listing(1001), listing(1001, 2002), "inclusive"),
            (listing(2002), listing(1001, 2002), "inclusive"),
            (EMPTY, listing(2002), "coarse"),
            (EMPTY, listing(1001), "coarse"),
            (EMPTY, EMPTY, "coarse"),
            (listing(900), listing(1001, 2002), "ignored"),
            (EMPTY, listing(1001, 2002, 2003), "ignored"),
            (EMPTY, listing(1001, token="more"), None),
        ],
    )
    def test_each_pair_of_answers_has_its_meaning(
        self, excluding: Listing, including: Listing, value: str | None
    ) -> None:
        found = bounds_finding(PUBLIC, self.pair, excluding, including)

        assert (found.key, found.value) == ("public.bounds.updatedAt", value)
        assert bool(found.contradicts) is (value not in {"exclusive", None})
        assert bool(found.remedy) is bool(found.contradicts)

    @pytest.mark.parametrize(
        ("excluding", "including", "value"),
        [
            (listing(5005, 6006), listing(1001), "exclusive"),
            (listing(1001, 5005), listing(1001), "inclusive"),
            (listing(5005), EMPTY, "coarse"),
            (listing(10), listing(1001), "ignored"),
        ],
    )
    def test_a_single_instant_is_judged_by_its_lower_bound(
        self, excluding: Listing, including: Listing, value: str
    ) -> None:
        assert bounds_finding(PUBLIC, self.single, excluding, including).value == value


class TestWire:
    def test_a_refused_page_size_contradicts_only_where_it_is_configured(self) -> None:
        def find(page_size: int, because: str | None) -> Finding:
            return wire.largest_page_finding(
                PUBLIC, refused_because=because, page_size=page_size, models=3
            )

        assert find(500, None).value == 500
        assert (find(100, "too many").value, find(100, "too many").contradicts) == ("refused", "")
        assert "source.page_size = 500 (too many)" in find(500, "too many").contradicts
        assert "source.page_size to 100" in find(500, "too many").remedy

    @pytest.mark.parametrize(
        ("token", "value"),
        [
            (None, None),
            (base64.b64encode(b'{"offset":5,"limit":5}').decode(), "offset"),
            (base64.b64encode(b'{"lastKey":{"at":1}}').decode(), "last key"),
            (base64.b64encode(b'["offset"]').decode(), "opaque"),
            (base64.b64encode(b"\xff\xfe").decode(), "opaque"),
            ("not base64!", "opaque"),
        ],
    )
    def test_the_form_of_a_token_is_told_without_relying_on_it(
        self, token: str | None, value: str | None
    ) -> None:
        assert wire.token_finding(PUBLIC, token).value == value

    @pytest.mark.parametrize(
        ("body", "form"),
        [
            (b'{"models":[]}', "absent"),
            (b'{"models":[],"nextPaginationToken":null}', "null"),
            (b'{"models":[],"nextPaginationToken":""}', "empty"),
        ],
    )
    def test_the_form_of_the_end_is_told(self, body: bytes, form: str) -> None:
        assert wire.end_form(body) == form
        assert wire.end_finding(PUBLIC, [form, form]).value == form

    def test_an_end_in_several_forms_names_them_all_and_none_seen_has_no_value(self) -> None:
        assert wire.end_finding(PUBLIC, ["null", "absent"]).value == ("absent", "null")
        assert wire.end_finding(PUBLIC, []).value is None

    @pytest.mark.parametrize(
        "reason",
        [
            "type must be one of custom, flux.1, zimage-lora; got syncer-check",
            "type must be one of: 'zimage-lora', 'custom' or 'flux.1'.",
            '"type" must be one of [custom, flux.1, zimage-lora]',
            "types: one of custom|flux.1|zimage-lora but was syncer-check",
        ],
    )
    def test_the_accepted_types_are_read_from_the_refusal(self, reason: str) -> None:
        body = json.dumps({"reason": reason}).encode()

        found = wire.types_finding(status=400, body=body, models=0)

        assert found.value == ("custom", "flux.1", "zimage-lora")

    @pytest.mark.parametrize("body", [b'{"message":"no"}', b"<html>", b"[]", b"\xff", b"{}"])
    def test_a_refusal_without_a_list_is_just_a_refusal(self, body: bytes) -> None:
        assert wire.types_finding(status=400, body=body, models=0).value == "refused"

    def test_a_filter_that_is_not_looked_at_is_a_caution(self) -> None:
        lenient = wire.types_finding(status=200, body=b"{}", models=0)
        ignored = wire.types_finding(status=200, body=b"{}", models=1)

        assert (lenient.value, lenient.caution) == ("any", "")
        assert ignored.value == "ignored"
        assert "partition_by" in ignored.caution

    def test_rate_headers_are_named_sorted_and_never_with_values(self) -> None:
        assert wire.rate_headers_finding([]).value == "none"
        assert wire.rate_headers_finding(["b", "a", "b"]).value == ("a", "b")

    def test_compression_is_told(self) -> None:
        assert [wire.gzip_finding(each).value for each in ("gzip", None)] == ["gzip", "none"]

    @pytest.mark.parametrize(
        ("skew_s", "overlap_s", "warned"),
        [
            (60, 300, False),
            (61, 300, True),
            (-61, 300, True),
            (31, 60, True),
            (30, 60, False),
            (2, 0, False),
            (3, 0, True),
        ],
    )
    def test_a_skew_over_a_minute_or_half_the_overlap_is_warned_about(
        self, skew_s: float, overlap_s: float, warned: bool
    ) -> None:
        *_, skew = wire.clock_findings("a date", skew_s, overlap_s=overlap_s)

        assert bool(skew.caution) is warned
        assert skew.measured

    @pytest.mark.parametrize(("date", "value"), [(None, "absent"), ("soon", "unreadable")])
    def test_a_source_that_does_not_tell_its_time_is_a_caution(
        self, date: str | None, value: str
    ) -> None:
        (found,) = wire.clock_findings(date, None, overlap_s=300)

        assert found.value == value
        assert found.caution


class TestDrift:
    finding = Finding("public.token", "offset", "…")

    def test_another_value_names_both(self) -> None:
        said = drift_warning(self.finding, "last key", SINCE)

        assert said == "the source changed since 2026-01-02: public.token: was last key, is offset"

    def test_lists_name_what_is_new_and_what_is_gone(self) -> None:
        finding = replace(self.finding, value=("a", "b", "d"))

        said = drift_warning(finding, ("a", "c"), SINCE)

        assert said.endswith("'b' is new, 'd' is new, 'c' is gone (was 2 values, is 3)")

    def test_a_list_that_became_a_word_names_both(self) -> None:
        assert drift_warning(self.finding, ("a", "b"), SINCE).endswith("was a, b, is offset")

    @pytest.mark.parametrize(
        "finding",
        [
            finding,
            replace(finding, value=None),
            replace(finding, value=7, measured=True),
        ],
    )
    def test_the_same_nothing_or_a_measurement_is_no_news(self, finding: Finding) -> None:
        assert drift_warning(finding, "offset", SINCE) == ""

    def test_what_was_not_found_out_is_said_so(self) -> None:
        assert [say_value(each) for each in (None, 500, ("a", "b"))] == [
            "not found out",
            "500",
            "a, b",
        ]


class TestReport:
    @staticmethod
    def report(**changes: Any) -> CheckReport:
        empty: dict[str, Any] = dict.fromkeys(
            ("config_file", "credentials", "database", "source")
        ) | dict.fromkeys(("configuration", "problems", "warnings"), ())
        return CheckReport(**empty | changes)

    @pytest.mark.parametrize(
        ("problems", "code"),
        [
            ((), ExitCode.OK),
            ((WalkBroken(),), ExitCode.NOT_ALL_WELL),
            ((WalkBroken(), StoreUnavailable()), ExitCode.UNAVAILABLE),
            ((SourceUnavailable(), SourceRefused()), ExitCode.REFUSED),
            ((SourceRefused(), ConfigError()), ExitCode.USAGE),
        ],
    )
    def test_of_several_codes_the_first_in_precedence_counts(
        self, problems: tuple[Any, ...], code: ExitCode
    ) -> None:
        report = self.report(problems=problems)

        assert report.exit_code is code
        assert report.to_json()["ok"] is (code is ExitCode.OK)

    def test_the_document_has_every_key_even_when_nothing_was_tried(self) -> None:
        assert self.report().to_json() == {
            "ok": True,
            "problems": [],
            "warnings": [],
            "configuration": [],
            "credentials": None,
            "database": None,
            "source": None,
        }

    def test_signatures_are_cut_from_every_text(self) -> None:
        signed = "see https://cdn.example/a?Signature=topsecret&Policy=hidden"
        source = SourceReport("http://x", 1, (), (Finding("k", None, signed),))
        report = self.report(
            problems=(WalkBroken(signed, hint=signed),), warnings=(signed,), source=source
        )

        assert "topsecret" not in json.dumps(report.to_json())

    def test_an_error_for_several_problems_becomes_one_error_for_each(self) -> None:
        problems = [Problem("a is wrong. Really", "Mend a."), Problem("b is wrong", "Mend b.")]
        with pytest.raises(ConfigError, match="2 problems") as raised:
            raise_problems(problems)

        split = split_errors([raised.value, SourceRefused("no", hint="yes")])

        assert [(each.message, each.hint) for each in split] == [
            ("a is wrong. Really", "Mend a."),
            ("b is wrong", "Mend b."),
            ("no", "yes"),
        ]

    def test_an_error_for_one_problem_stays_as_it_is(self) -> None:
        with pytest.raises(ConfigError, match="a is wrong") as raised:
            raise_problems([Problem("a is wrong", "Mend a.")])

        assert split_errors([raised.value]) == (raised.value,)

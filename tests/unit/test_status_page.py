"""The status page for people (DESIGN §6): what it says in each state, and what never gets on it."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser
from typing import Any
from xml.etree.ElementTree import Element

import html5lib
import pytest
from support.page_scenes import (
    FILLING,
    HOSTILE,
    HOUR,
    IDLE,
    NOW,
    PUBLIC_THUMBNAIL,
    SCENES,
    SECRETS,
    backfill,
    database_away,
    extras,
    facts,
    hostile,
    idle,
    nothing_yet,
    page,
    retired,
    trouble,
    walked,
)

from syncer.config import Settings
from syncer.web.page import CatalogProgress, PageInput, page_headers, render_page

XHTML = "{http://www.w3.org/1999/xhtml}"


def rendered(given: PageInput) -> str:
    return render_page(
        given.document, given.extras, given.requests_per_minute, given.now, facts=given.facts
    )


def tree(given: PageInput) -> Element:
    """Parsed as a browser does, but strictly: any error fails."""
    document = html5lib.HTMLParser(strict=True).parse(rendered(given))
    assert isinstance(document, Element)
    return document


def text_of(element: Element) -> str:
    """With a blank between elements, as they are read, but none before punctuation."""
    words = " ".join(" ".join(element.itertext()).split())
    return re.sub(r" ([.,:;])", r"\1", words)


def told(given: PageInput) -> str:
    return text_of(tree(given).find(f"{XHTML}body") or pytest.fail("no body"))


def all_of(root: Element, tag: str) -> list[Element]:
    return list(root.iter(f"{XHTML}{tag}"))


def by_id(root: Element, name: str) -> Element:
    (found,) = (each for each in root.iter() if each.get("id") == name)
    return found


def summary(given: PageInput) -> str:
    return text_of(by_id(tree(given), "summary"))


@pytest.mark.parametrize("name", SCENES)
def test_every_state_is_well_formed_html(name: str) -> None:
    root = tree(SCENES[name]())
    ids = [each.get("id") for each in root.iter() if each.get("id")]

    assert sorted(ids) == sorted(set(ids))
    assert [text_of(each) for each in all_of(root, "h1")] == ["syncer status"]
    assert len(all_of(root, "main")) == 1


def test_before_anything_is_mirrored_the_page_says_so() -> None:
    text = told(nothing_yet())

    assert "Not ready. 1 reason, below." in text
    assert "catalog public: nothing is mirrored yet" in text
    assert "public \u2013 new public" in text
    assert "Freshness unknown" in text
    assert "None yet." in text
    assert "0 models were" not in text


def test_an_idle_catalog_shows_its_figures_and_nothing_alarming() -> None:
    text = told(idle())

    assert summary(idle()) == "✓ Ready. Every catalog is within its freshness limit."
    assert "Needs attention" not in text
    assert "public ✓ idle public Freshness 18 s within its limit of 5 min Lag 0 s" in text
    assert "Live models 709 Removed 31 Quarantined 0 Removals waiting 0" in text
    assert "Watermark 2026-11-26 21:34:12 UTC Last cycle delta, complete, 17 s ago" in text
    assert "held by host-a:42, epoch 7, until 2026-11-26 21:40:42 UTC" in text
    assert "2 in the last full minute, 88 in the busiest; the budget is 90 a minute." in text
    assert "From 640 live models on 2026-10-18 to 706 on 2026-11-26; 33 removed in all." in text


def test_a_backfill_shows_how_far_it_is_and_how_long_it_takes() -> None:
    root = tree(backfill())
    (bar,) = all_of(root, "progress")

    assert summary(backfill()) == "▶ Ready. The first backfill of ours is running."
    assert "412,000 of about 1,000,000 models. Remaining time: 1 h 10 min." in text_of(root)
    assert (bar.get("value"), bar.get("max")) == ("412000", "1000000")
    assert "Partitions: 3 of 8 complete" in text_of(root)
    assert [each.get("open") for each in all_of(root, "details")] == [None] * 4


def test_a_remaining_time_that_nobody_knows_is_not_invented() -> None:
    given = backfill()
    elsewhere = replace(given, facts=facts())
    overtaken = facts(progress={"ours": CatalogProgress(412_000, 400_000, None)})

    assert "412,000 models on 824 pages so far. Remaining time: unknown." in told(elsewhere)
    assert "412,000 models so far. Remaining time: unknown." in told(
        replace(given, facts=overtaken)
    )
    assert all_of(tree(elsewhere), "progress") == []


def test_partitions_of_a_finished_cycle_are_no_progress() -> None:
    done = walked(1, catalog="public")

    assert "Remaining time" not in told(page(IDLE, partitions=(done,)))


def test_a_blocked_catalog_shows_the_error_with_its_remedy() -> None:
    text = told(trouble())

    assert "✕ Not ready. 2 reasons, below." in text
    assert "✕ blocked" in text
    assert "Blocked (2026-11-26 20:40:12 UTC) the source refused the credentials (401)" in text
    assert "What to do: Check SCENARIO_SDK_API_KEY with 'syncer check'." in text
    assert "Freshness 1 h 6 min over its limit of 5 min" in text


def test_removals_that_wait_and_quarantine_come_with_the_commands_that_decide_them() -> None:
    codes = [text_of(each) for each in all_of(tree(trouble()), "code")]

    assert codes == [
        "syncer sweep --catalog public --dry-run",
        "syncer sweep --catalog public --allow-removals 120",
        "syncer quarantine list --catalog public",
    ]
    assert "120 removals wait for a decision" in told(trouble())
    assert "3 models are in quarantine" in told(trouble())
    one = told(page(replace(IDLE, removals_waiting=1, quarantined_models=1)))
    assert "1 removal waits for a decision" in one
    assert "1 model is in quarantine" in one


def test_a_failed_partition_stands_first_and_says_what_to_do() -> None:
    failed = walked(
        9, "walking", last_error_at=NOW, last_error_message="it looped", last_error_hint="Again."
    )
    partitions = (*(walked(number) for number in range(1, 4)), walked(8, "walking"), failed)
    given = page(FILLING, partitions=partitions, settings=Settings())
    root = tree(given)
    region = by_id(root, "partitions-ours")
    first = [text_of(each) for each in all_of(region, "tr")][1:4]

    assert first[0].startswith("2025-09 walking")
    assert first[1] == "✕ it looped What to do: Again."
    assert first[2].startswith("2025-08 walking")


def test_hundreds_of_partitions_are_cut_with_a_word() -> None:
    partitions = tuple(walked(number) for number in range(1, 300))
    text = told(page(FILLING, partitions=partitions))

    assert "Partitions: 299 of 299 complete" in text
    assert "The first 200; all of them are in status.json." in text


def test_a_database_that_is_away_is_said_first_and_freshness_goes_on_ageing() -> None:
    text = told(database_away())

    assert summary(database_away()) == (
        "✕ Database away. The newest state cannot be read. "
        "What follows is from 2026-11-26 21:40:12 UTC."
    )
    assert "The database cannot be read the database does not answer: connection refused" in text
    assert "State of 2026-11-26 21:40:12 UTC, 10 min ago." in text
    assert "Freshness 10 min 18 s over its limit of 5 min" in text
    assert "Recent cycles" not in text


def test_an_old_document_is_called_old_even_when_it_says_ready() -> None:
    given = idle()

    assert summary(replace(given, now=NOW + timedelta(seconds=60))).startswith("✓ Ready.")
    assert summary(replace(given, now=NOW + timedelta(seconds=61))).startswith("✕ Old data.")


def test_a_retired_catalog_is_shown_without_being_called_late() -> None:
    text = told(retired())

    assert "old_one \u2013 retired" in text
    assert "over its limit" not in text
    assert summary(retired()).startswith("✓ Ready.")


class Collector(HTMLParser):
    """Tags and attributes as a second, lenient parser sees them."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def tags(html: str) -> list[tuple[str, dict[str, str | None]]]:
    collector = Collector()
    collector.feed(html)
    return collector.tags


def test_hostile_text_becomes_text_and_nothing_else() -> None:
    html = rendered(hostile())
    kinds = {tag for tag, _ in tags(html)}

    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert kinds & {"img", "style", "iframe", "object", "form", "base"} == set()
    assert [attrs for tag, attrs in tags(html) if tag == "script"] == [
        {"src": "page.js", "defer": None}
    ]
    assert "49" not in re.findall(r"\b49\b", html.split("7 * 7")[1][:20])
    assert "\u202e" not in html
    assert "\x00" not in html


def test_no_page_has_inline_style_handlers_or_links_that_run() -> None:
    for name, scene in SCENES.items():
        for tag, attrs in tags(rendered(scene())):
            link = attrs.get("href") or attrs.get("src") or ""
            bad = [key for key in attrs if key == "style" or key.startswith("on")]

            assert bad == [], (name, tag)
            assert link == "" or re.match(r"#|page\.|status\.json|metrics|readyz|https://", link)


def test_p10_no_secret_and_no_signature_is_on_the_page() -> None:
    html = rendered(hostile())

    assert [secret for secret in SECRETS if secret in html] == []
    assert any(secret in "".join(HOSTILE) for secret in SECRETS)
    assert "[redacted]" in html


@pytest.mark.parametrize(
    ("url", "is_public"),
    [
        (PUBLIC_THUMBNAIL, True),
        ("https://scenario.com/thumbnails/a.png", True),
        ("https://cdn.cloud.scenario.com/assets/a", False),
        ("https://cdn.cloud.scenario.com/assets-transform/a", False),
        (f"{PUBLIC_THUMBNAIL}?Signature=abc", False),
        (f"{PUBLIC_THUMBNAIL}?p=100", False),
        (f"{PUBLIC_THUMBNAIL}#x", False),
        ("http://cdn.cloud.scenario.com/thumbnails/a", False),
        ("https://user:word@cdn.cloud.scenario.com/thumbnails/a", False),
        ("https://cdn.cloud.scenario.com:444/thumbnails/a", False),
        ("https://cdn.cloud.scenario.com:x/thumbnails/a", False),
        ("https://[cdn.cloud.scenario.com/thumbnails/a", False),
        ("https://evil.example/thumbnails/a", False),
        ("https://notscenario.com/thumbnails/a", False),
        ("https://scenario.com.evil.example/thumbnails/a", False),
        ("https://scenario.com/thumbnails/../assets/a", False),
        ("https://evil.example\\@scenario.com/thumbnails/a", False),
        ("javascript:alert(1)//scenario.com/thumbnails/", False),
        ("/thumbnails/a", False),
        ("", False),
        (None, False),
    ],
)
def test_only_a_link_that_works_for_anybody_is_shown(url: str | None, is_public: bool) -> None:
    """Links into ``/assets`` need the signature that the mirror has cut off."""
    change = replace(extras().changes[0], thumbnail_url=url)
    given = page(IDLE, extras=replace(extras(), changes=(change,)))
    links = [
        each.get("href") for each in all_of(tree(given), "a") if "status" not in str(each.attrib)
    ]

    assert (url in links) is is_public
    assert ("not public" in told(given)) is not is_public


def test_tables_and_plots_can_be_read_without_being_seen() -> None:
    root = tree(backfill())
    plots = [each for each in root.iter() if each.get("class", "").startswith("plot")]
    drawings = [each for each in plots if each.tag.endswith("svg")]

    assert len(drawings) == 3
    for drawing in drawings:
        names = str(drawing.get("aria-labelledby")).split()
        assert drawing.get("role") == "img"
        assert all(text_of(by_id(root, name)) for name in names)
    for table in all_of(root, "table"):
        assert text_of(all_of(table, "caption")[0])
        assert {each.get("scope") for each in all_of(table, "th")} == {"col", "row"}


def test_the_summary_is_told_aloud_and_holds_no_clock_that_would_be_told_again() -> None:
    given = idle()
    later = replace(given, now=NOW + timedelta(seconds=30))

    assert by_id(tree(given), "summary").get("role") == "status"
    assert summary(given) == summary(later)


def test_without_script_the_page_refreshes_itself() -> None:
    html = rendered(idle())

    assert '<noscript><meta http-equiv="refresh" content="30"></noscript>' in html


def test_hours_that_were_not_counted_are_not_shown_as_quiet() -> None:
    cut_at = NOW - 10 * HOUR
    text = told(page(IDLE, extras=replace(extras(), changes_cut_at=cut_at)))

    assert "in these 10 hours" in text
    assert "There were too many to count before Thu 11:40." in text
    all_cut = told(page(IDLE, extras=replace(extras(), changes_cut_at=NOW)))
    assert "More models changed in this hour than are counted." in all_cut


def test_an_estimate_is_called_one() -> None:
    text = told(page(IDLE, extras=replace(extras(), sampled_share=0.028)))

    assert "Estimated from 2.8% of the mirror. From about 640 live models" in text


def _parts(policy: str) -> Iterator[tuple[str, str]]:
    for part in policy.split("; "):
        name, _, sources = part.partition(" ")
        yield name, sources


def test_the_policy_allows_nothing_but_the_files_of_the_page() -> None:
    headers = page_headers()
    policy: dict[str, Any] = dict(_parts(headers["Content-Security-Policy"]))

    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self'",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "no-store"


def test_drawing_leaves_no_finder_behind_that_warns_of_each_import() -> None:
    rendered(idle())

    assert [finder for finder in sys.meta_path if not hasattr(finder, "find_spec")] == []

"""
The status page in a real browser: nothing is refused, nothing leaves this machine, and everybody
can use it.

Needs Chromium (apt-get install chromium) and the dependency group "browser"; see CONTRIBUTING.md.
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from support.browser import Tab, open_tab
from support.page_scenes import NOW, SCENES, backfill, database_away, idle

from syncer.web.page import PageInput, page_routes

pytestmark = pytest.mark.browser

LOOKS = [(theme, width) for theme in ("light", "dark") for width in (1280, 360)]
REFRESH_NOW = "document.dispatchEvent(new Event('visibilitychange'))"
"""As when the reader comes back to the tab."""


@dataclass
class Site:
    """The page behind a real server."""

    url: str
    page: PageInput
    broken: bool = False


@pytest.fixture(name="site")
async def site_fixture() -> AsyncIterator[Site]:
    site = Site("", idle())

    async def read() -> PageInput:
        if site.broken:
            raise web.HTTPServiceUnavailable
        return site.page

    application = web.Application()
    application.add_routes(page_routes(read))
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    site.url = f"http://{host}:{port}/"
    yield site
    await runner.cleanup()


@pytest.fixture(name="tab")
async def tab_fixture() -> AsyncIterator[Tab]:
    async with open_tab() as tab:
        yield tab


async def pictures(tab: Tab, name: str) -> None:
    """For whoever wants to look: PAGE_PICTURES names a directory."""
    if folder := os.environ.get("PAGE_PICTURES"):
        await tab.picture(Path(folder) / f"{name}.png")


@pytest.mark.parametrize("scene", SCENES)
async def test_every_state_works_in_both_themes_and_on_a_phone(
    site: Site, tab: Tab, scene: str
) -> None:
    axe = resources.files("axe_core_python").joinpath("axe.min.js").read_text(encoding="utf-8")
    site.page = SCENES[scene]()
    for theme, width in LOOKS:
        await tab.look(width=width, theme=theme)
        await tab.open(site.url)
        await pictures(tab, f"{scene}-{theme}-{width}")
        too_wide = await tab.run(
            "[...document.querySelectorAll('body *')]"
            ".filter(each => each.getBoundingClientRect().right > innerWidth + 1"
            " && !each.closest('.scroll, .unseen')).map(each => each.outerHTML.slice(0, 80))"
        )
        # Closed details hide their tables from the rules.
        await tab.run("document.querySelectorAll('details').forEach(each => { each.open = true })")
        await tab.run(axe)
        found = json.loads(await tab.run("axe.run().then(found => JSON.stringify(found))"))
        broken = {
            each["id"]: [node["html"][:120] for node in each["nodes"]]
            for each in found["violations"]
        }

        assert too_wide == [], (theme, width)
        assert broken == {}, (theme, width)
        assert len(found["passes"]) > 20
    assert tab.complaints == []
    assert [url for url in tab.requested if not url.startswith(site.url)] == []
    assert {url.removeprefix(site.url) for url in tab.requested} >= {"", "page.css", "page.js"}


async def test_the_policy_would_refuse_what_the_page_does_not_have(site: Site, tab: Tab) -> None:
    """The check is checked: an inline script does not run, and is complained about."""
    await tab.open(site.url)
    await tab.run(
        "{ const bad = document.createElement('script'); bad.textContent = 'window.ran = 1';"
        " document.body.append(bad) }"
    )

    assert await tab.run("window.ran") is None
    assert any("Content Security Policy" in each for each in tab.complaints)


async def open_everything(tab: Tab) -> dict[str, Any]:
    """Be in the middle of reading: details open, a link focused, page and table scrolled."""
    await tab.run(
        "document.querySelectorAll('details').forEach(each => { each.open = true });"
        "document.getElementById('scroll-requests').scrollTop = 40;"
        "document.querySelector('#table-requests > summary').focus();"
        "window.scrollTo(0, 500)"
    )
    return await state(tab)


async def state(tab: Tab) -> dict[str, Any]:
    return dict(
        await tab.run(
            "({open: document.querySelectorAll('details[open]').length,"
            " focus: document.activeElement.outerHTML.slice(0, 60), y: scrollY,"
            " table: document.getElementById('scroll-requests').scrollTop})"
        )
    )


async def test_a_refresh_brings_what_is_new_and_leaves_the_reader_in_place(
    site: Site, tab: Tab
) -> None:
    site.page = backfill()
    await tab.look(width=1280, theme="light")
    await tab.open(site.url)
    before = await open_everything(tab)
    site.page = replace(site.page, now=NOW + timedelta(minutes=5))
    await tab.run(REFRESH_NOW)
    await tab.until("document.querySelector('.read').textContent.includes('5 min ago')")

    assert before["y"] == 500
    assert before["table"] == 40
    assert "As a table" in before["focus"]
    assert await state(tab) == before
    assert await tab.run("document.title") == "Old data · syncer"
    assert await tab.run("document.getElementById('summary').className") == "summary bad"
    assert tab.complaints == []


async def test_the_page_refreshes_by_itself(site: Site, tab: Tab) -> None:
    await tab.open(site.url)
    site.page = database_away()

    await tab.until("document.title === 'Database away · syncer'")


async def test_the_live_region_is_left_alone_while_nothing_changes(site: Site, tab: Tab) -> None:
    await tab.open(site.url)
    await tab.run(
        "window.told = 0; new MutationObserver(() => { window.told += 1 }).observe("
        "document.getElementById('summary'), {childList: true, subtree: true, characterData: true})"
    )
    site.page = replace(idle(), now=NOW + timedelta(seconds=30))
    await tab.run(REFRESH_NOW)
    await tab.until("document.querySelector('.read').textContent.includes('30 s ago')")

    assert await tab.run("window.told") == 0


async def test_a_server_that_does_not_answer_is_said_until_it_does(site: Site, tab: Tab) -> None:
    await tab.open(site.url)
    site.broken = True
    await tab.run(REFRESH_NOW)
    await tab.until("document.getElementById('trouble').textContent !== ''")
    said = await tab.run("document.getElementById('trouble').textContent")
    await pictures(tab, "no-answer")
    site.broken = False
    await tab.run(REFRESH_NOW)
    await tab.until("document.getElementById('trouble').textContent === ''")

    assert said.startswith("syncer does not answer. What you see is from 20")


async def test_refreshing_can_be_paused_by_keyboard(site: Site, tab: Tab) -> None:
    await tab.open(site.url)
    await tab.press("Tab")
    skip = await tab.run("document.activeElement.textContent")
    outline = await tab.run("getComputedStyle(document.activeElement).outlineStyle")
    await tab.press("Tab")
    await tab.press("Enter")
    site.page = database_away()
    asked = tab.requested.count(site.url)
    await tab.run(REFRESH_NOW)

    assert skip == "Skip to the state of the catalogs"
    assert outline == "solid"
    assert await tab.run("document.activeElement.getAttribute('aria-pressed')") == "true"
    assert tab.requested.count(site.url) == asked
    await tab.press("Enter")
    await tab.until("document.title === 'Database away · syncer'")


async def test_marked_text_does_not_vanish_under_the_pointer(site: Site, tab: Tab) -> None:
    await tab.open(site.url)
    await tab.run("getSelection().selectAllChildren(document.querySelector('#main h2'))")
    asked = tab.requested.count(site.url)
    await tab.run(REFRESH_NOW)

    assert tab.requested.count(site.url) == asked


async def test_without_script_the_page_is_whole(site: Site, tab: Tab) -> None:
    await tab.send("Emulation.setScriptExecutionDisabled", value=True)
    await tab.open(site.url)

    assert await tab.run("document.querySelector('.refresh').checkVisibility()") is False
    assert "Every catalog is within its freshness limit" in await tab.run("document.body.innerText")
    assert await tab.run("document.querySelectorAll('svg.plot').length") == 3

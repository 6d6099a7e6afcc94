"""
A headless Chromium, driven by its own protocol.

Owns starting and stopping it, and what it says of a page: console, requests, violations of the
policy. Needs the program ``chromium`` (``apt-get install chromium``) and nothing else: aiohttp
speaks its protocol. Never reaches any host but the one that is asked for.
Kind: edge (processes, HTTP client).
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-sync",
    "--no-first-run",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
)


@dataclass
class Tab:
    """One page in the browser, and all that was heard of it."""

    socket: aiohttp.ClientWebSocketResponse
    events: list[dict[str, Any]] = field(default_factory=list)
    number: int = 0

    async def send(self, method: str, **params: Any) -> dict[str, Any]:
        """One command; what happens until its answer is kept."""
        self.number += 1
        await self.socket.send_json({"id": self.number, "method": method, "params": params})
        while True:
            message = await self.socket.receive_json(timeout=30)
            if message.get("id") == self.number:
                assert "error" not in message, message
                return dict(message["result"])
            self.events.append(message)

    async def run(self, script: str) -> Any:
        """The value of an expression; promises are waited for."""
        answer = await self.send(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    async def open(self, url: str) -> None:
        """Go there and wait until it has loaded."""
        await self.send("Page.navigate", url=url)
        await self.until("document.readyState === 'complete' && location.href !== 'about:blank'")

    async def until(self, condition: str) -> None:
        """Wait for a condition of the page."""
        async with asyncio.timeout(30):
            while not await self.run(condition):
                await asyncio.sleep(0.05)

    async def look(self, *, width: int, theme: str) -> None:
        """Be a screen of this width and theme."""
        await self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=800,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        scheme = {"name": "prefers-color-scheme", "value": theme}
        await self.send("Emulation.setEmulatedMedia", features=[scheme])

    async def press(self, key: str) -> None:
        """One key, down and up."""
        code = {"Tab": 9, "Enter": 13}[key]
        text = {"text": "\r"} if key == "Enter" else {}
        for kind in ("keyDown", "keyUp"):
            await self.send(
                "Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code, **text
            )

    async def picture(self, to: Path) -> None:
        """The whole page, as PNG."""
        answer = await self.send("Page.captureScreenshot", captureBeyondViewport=True)
        to.write_bytes(base64.b64decode(answer["data"]))  # noqa: ASYNC240 - a test may wait

    def heard(self, method: str) -> list[dict[str, Any]]:
        """What was said by events of a kind."""
        return [dict(each["params"]) for each in self.events if each["method"] == method]

    @property
    def complaints(self) -> list[str]:
        """Errors and warnings of the console, violations of the policy, exceptions."""
        logged = [each["entry"]["text"] for each in self.heard("Log.entryAdded")]
        said = [str(each["args"]) for each in self.heard("Runtime.consoleAPICalled")]
        thrown = [str(each["exceptionDetails"]) for each in self.heard("Runtime.exceptionThrown")]
        issues = [str(each["issue"]) for each in self.heard("Audits.issueAdded")]
        return logged + said + thrown + issues

    @property
    def requested(self) -> list[str]:
        """Every URL that was asked for."""
        return [each["request"]["url"] for each in self.heard("Network.requestWillBeSent")]


@contextlib.asynccontextmanager
async def open_tab() -> AsyncIterator[Tab]:
    """A new browser with one empty page."""
    program = shutil.which("chromium")
    assert program, "no Chromium here: apt-get install chromium"
    home = tempfile.mkdtemp(prefix="browser-")
    process = await asyncio.create_subprocess_exec(
        program,
        *_FLAGS,
        f"--user-data-dir={home}",
        "about:blank",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        env={**os.environ, "HOME": home},
    )
    try:
        async with aiohttp.ClientSession() as session:
            address = await _address(session, Path(home))
            async with session.ws_connect(address, max_msg_size=0) as socket:
                tab = Tab(socket)
                for domain in ("Page", "Runtime", "Network", "Log", "Audits"):
                    await tab.send(f"{domain}.enable")
                yield tab
    finally:
        process.kill()
        await process.wait()
        shutil.rmtree(home, ignore_errors=True)


async def _address(session: aiohttp.ClientSession, home: Path) -> str:
    """Where the empty page listens; the browser writes its port into a file."""
    async with asyncio.timeout(60):
        while True:
            with contextlib.suppress(OSError, IndexError, aiohttp.ClientError):
                port = (home / "DevToolsActivePort").read_text().splitlines()[0]
                async with session.get(f"http://127.0.0.1:{port}/json/list") as answer:
                    pages = [each for each in await answer.json() if each["type"] == "page"]
                    return str(pages[0]["webSocketDebuggerUrl"])
            await asyncio.sleep(0.05)

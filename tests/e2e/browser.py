"""A real browser: headless Chromium, told what to do over its DevTools protocol.

What a window paints is also fed to an emulated terminal, so that a test can read it as text; that
the page paints it, too, only a screenshot tells.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import os
import re
import shutil
import time
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

import aiohttp
import pyte
import pytest

from tests.e2e.terminal import PATIENCE

_NAMES: Final = ("chromium", "google-chrome")
_FLAGS: Final = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-dev-shm-usage", "--remote-debugging-port=0", "--window-size=1200,800"),
)
_KEYS: Final = {"enter": ("Enter", 13, "\r"), "escape": ("Escape", 27, ""), "tab": ("Tab", 9, "")}


def chromium() -> str:
    """The browser's path; where there is none the test is skipped, but fails under `.ci/run`."""
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None and os.environ.get("SHORITUI_TEST_BROWSER") == "needed":
        pytest.fail("there is no Chromium: install the package chromium")
    if found is None:
        pytest.skip("there is no Chromium here")
    return found


class Page:
    """One page of the browser."""

    def __init__(self, browser: Browser, session: str) -> None:
        self._browser = browser
        self._session = session
        self.requests: list[str] = []
        """The address of all that the page asked for."""
        self._screen = pyte.Screen(150, 60)
        self._stream = pyte.ByteStream(self._screen)
        self.frames: list[bytes] = []

    async def call(self, method: str, **parameters: object) -> dict[str, Any]:
        """Calls a method of the protocol."""
        return await self._browser.call(method, parameters, self._session)

    async def go_to(self, address: str) -> None:
        """Loads a page; what its window painted before is forgotten."""
        self._screen.reset()
        await self.call("Page.navigate", url=address)

    async def evaluate(self, script: str) -> Any:
        """The value of an expression in the page."""
        answer = await self.call(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    async def press(self, *keys: str) -> None:
        """Presses keys by name; a name that is no key's is typed, a letter a key."""
        for key in keys:
            if key in _KEYS:
                name, code, text = _KEYS[key]
                await self._key(name, code, text)
            else:
                for letter in key:
                    await self._key(letter, 0, letter)

    async def _key(self, name: str, code: int, text: str) -> None:
        about = {"key": name, "windowsVirtualKeyCode": code}
        down = {"type": "keyDown" if text else "rawKeyDown", "text": text}
        await self.call("Input.dispatchKeyEvent", **about, **down)
        await self.call("Input.dispatchKeyEvent", **about, type="keyUp")

    @property
    def text(self) -> str:
        """What the window has painted, a line a row."""
        return "\n".join(line.rstrip() for line in self._screen.display)

    async def wait_for(self, wanted: str | Callable[[], object]) -> None:
        """Waits until the window shows a text, or a condition holds."""
        end = time.monotonic() + PATIENCE
        while not (wanted in self.text if isinstance(wanted, str) else wanted()):
            assert time.monotonic() < end, f"it never showed {wanted!r}:\n{self.text}"
            await asyncio.sleep(0.05)

    async def wait_for_script(self, script: str) -> None:
        """Waits until an expression of the page is true."""
        end = time.monotonic() + PATIENCE
        while not await self.evaluate(script):
            assert time.monotonic() < end, f"{script} never was true:\n{self.text}"
            await asyncio.sleep(0.05)

    async def screenshot(self) -> bytes:
        """The page as a PNG."""
        answer = await self.call("Page.captureScreenshot", format="png")
        return base64.b64decode(answer["data"])

    def heard(self, method: str, about: dict[str, Any]) -> None:
        """An event of the page."""
        if method == "Network.requestWillBeSent":
            self.requests.append(about["request"]["url"])
        elif method == "Network.webSocketCreated":
            self.requests.append(about["url"])
        elif method == "Network.webSocketFrameReceived" and about["response"]["opcode"] == 2:
            data = base64.b64decode(about["response"]["payloadData"])
            self.frames.append(data)
            self._stream.feed(data)

    async def close(self) -> None:
        """Closes the page, as a user closes a tab."""
        await self.call("Page.close")


class Browser:
    """A browser with a profile of its own."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._ids = itertools.count(1)
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._pages: dict[str, Page] = {}

    async def call(
        self, method: str, parameters: dict[str, Any], session: str = ""
    ) -> dict[str, Any]:
        """Calls a method, and returns what it answers."""
        number = next(self._ids)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        about = {"sessionId": session} if session else {}
        await self._socket.send_json(
            {"id": number, "method": method, "params": parameters, **about}
        )
        return await asyncio.wait_for(answer, PATIENCE)

    async def page(self, address: str) -> Page:
        """Opens a page in a tab of its own."""
        target = (await self.call("Target.createTarget", {"url": "about:blank"}))["targetId"]
        attached = await self.call("Target.attachToTarget", {"targetId": target, "flatten": True})
        session = attached["sessionId"]
        page = self._pages[session] = Page(self, session)
        for domain in ("Network", "Page", "Runtime"):
            await page.call(f"{domain}.enable")
        await page.go_to(address)
        return page

    async def read(self) -> None:
        """Hands on what the browser says, until it ends."""
        async for message in self._socket:
            said = message.json()
            if "id" in said:
                answer = self._answers.pop(said["id"])
                if answer.done():
                    continue
                if "error" in said:
                    answer.set_exception(AssertionError(said["error"]["message"]))
                else:
                    answer.set_result(said["result"])
            elif (page := self._pages.get(said.get("sessionId", ""))) is not None:
                page.heard(said["method"], said["params"])


@asynccontextmanager
async def browser(folder: Path) -> AsyncGenerator[Browser]:
    """Runs a browser whose profile lies in a folder."""
    process = await asyncio.create_subprocess_exec(
        *(chromium(), *_FLAGS, f"--user-data-dir={folder}", "about:blank"),
        stdout=DEVNULL,
        stderr=PIPE,
        env={**os.environ, "HOME": str(folder)},
    )
    assert process.stderr is not None
    try:
        address = ""
        while not address:
            line = await asyncio.wait_for(process.stderr.readline(), PATIENCE)
            assert line, "Chromium ended at its start"
            found = re.search(rb"listening on (ws://\S+)", line)
            address = found[1].decode() if found else ""
        rest = asyncio.create_task(process.stderr.read())
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(address, max_msg_size=0) as socket,
        ):
            one = Browser(socket)
            reading = asyncio.create_task(one.read())
            try:
                yield one
            finally:
                reading.cancel()
                rest.cancel()
                await asyncio.gather(reading, rest, return_exceptions=True)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()

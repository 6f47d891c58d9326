"""An evening in a browser: a real server, a real Chromium, the small model."""

from __future__ import annotations

import asyncio
import io
import os
import signal
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from PIL import Image

from shoritui.story import Entry, Library
from tests.e2e.browser import Page, browser
from tests.e2e.terminal import PATIENCE, Terminal

pytestmark = pytest.mark.slow


@asynccontextmanager
async def serving(home: Path, *arguments: str, **variables: str) -> AsyncGenerator[str]:
    """Runs the server; its address."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "shoritui", "serve", "--port", "0", *arguments),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "SHORITUI_HOME": str(home), "TEXTUAL_ANIMATIONS": "none", **variables},
    )
    assert process.stdout is not None
    try:
        line = await asyncio.wait_for(process.stdout.readline(), PATIENCE)
        yield line.decode().split()[-1]
    finally:
        process.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(process.wait(), PATIENCE) == 0


def story(home: Path) -> list[Entry]:
    library = Library(home / "data" / "library.db")
    try:
        chat = library.last_chat()
        return library.entries(chat.id) if chat else []
    finally:
        library.close()


def is_whole(home: Path, count: int) -> bool:
    entries = story(home)
    return len(entries) >= count and all(entry.status != "streaming" for entry in entries)


async def colours(page: Page) -> int:
    """How many colours the page shows: a page on which nothing is painted has one."""
    image = Image.open(io.BytesIO(await page.screenshot())).convert("RGB")
    return len(image.getcolors(1 << 24) or [])


async def test_an_evening_in_a_browser(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "config").mkdir(parents=True)
    (home / "config" / "settings.toml").write_text("max_tokens = 24\n", encoding="utf-8")
    async with serving(home) as address, browser(tmp_path / "profile") as chromium:
        page = await chromium.page(address)
        await page.wait_for("Pick a scene")
        await page.press("keeps its letters")
        await page.wait_for(lambda: "Last Tomato" not in page.text)
        await page.press("enter")
        await page.wait_for("as Wren")
        await page.wait_for("ready")
        before = len(story(home))
        await page.press('"Somebody open it," Wren said.', "enter")
        await page.wait_for(lambda: is_whole(home, before + 2))
        said, reply = story(home)[-2:]
        assert (said.speaker, said.text) == ("Wren", '"Somebody open it," Wren said.')
        assert reply.speaker == "Maren" and reply.text
        await page.wait_for(reply.text.split()[0][:12])
        await page.wait_for("Somebody open it")
        assert await page.evaluate("document.fonts.check('16px \"Roboto Mono\"')")
        assert await colours(page) > 50
        assert not await page.evaluate("location.search"), "the key is not left in the history"

        other = await chromium.page(address)
        await other.wait_for("This story is open elsewhere")
        await other.close()

        await page.go_to(address)  # loaded again, it has the same story as before
        await page.wait_for_script("document.body?.classList.contains('-first-byte')")
        await page.wait_for("as Wren")
        await page.wait_for("ready")
        assert "open elsewhere" not in page.text
        await page.press("/quit", "enter")
        await page.wait_for_script("document.body?.classList.contains('-closed')")
        asked = {urlsplit(each).hostname for each in page.requests if not each.startswith("data:")}
        assert asked == {"127.0.0.1"}, "nothing is asked of another machine"
    assert story(home)[-1] == reply


async def test_the_story_of_a_terminal_goes_to_a_browser_and_comes_back(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "config").mkdir(parents=True)
    (home / "config" / "settings.toml").write_text("max_tokens = 24\n", encoding="utf-8")
    env = {"SHORITUI_HOME": str(home), "TEXTUAL_ANIMATIONS": "none"}
    command = (sys.executable, "-m", "shoritui", "chat", "gannet-rock")
    with Terminal(command, env=env) as terminal:

        async def in_terminal(wanted: str | Callable[[str], bool]) -> None:
            await asyncio.to_thread(terminal.wait_for, wanted)

        async def in_page(wanted: Callable[[], object]) -> None:
            """Waits for the page; a terminal that nobody reads holds up whoever draws on it."""

            def holds() -> object:
                terminal.read(0.02)
                return wanted()

            await page.wait_for(holds)

        await in_terminal("ready")
        terminal.press("half a th")
        await in_terminal("half a th")
        terminal.press("\x1bB")  # Alt+Shift+B
        await in_terminal("http://127.0.0.1:")
        link = next(word for word in terminal.text.split() if word.startswith("http:"))
        async with browser(tmp_path / "profile") as chromium:
            terminal.press("enter")  # the address is kept
            opening = asyncio.create_task(chromium.page(link))
            await in_terminal("open in the browser")
            page = await opening
            await in_page(lambda: "half a th" in page.text and "ready" in page.text)
            await in_terminal(lambda text: "half a th" not in text)
            before = len(story(home))
            await page.press("ought.", "enter")
            await in_page(lambda: is_whole(home, before + 2))
            await in_terminal("half a thought.")
            terminal.press("Not now.", "enter")
            await in_terminal("another")  # window writes here
            assert story(home)[-2].text == "half a thought."
            await page.press("And m")
            await in_page(lambda: "And m" in page.text)
            await page.close()
            await in_terminal(lambda text: "ready" in text and "And m" in text)
            terminal.press(" more.", "enter")
            await in_terminal(lambda _: is_whole(home, before + 4))
            assert "And m" in story(home)[-2].text, "what was typed in the page is not lost"
        terminal.press("ctrl+q")
        assert await asyncio.to_thread(terminal.wait_until_ended) == 0


async def test_a_password_is_asked_for_in_the_browser(tmp_path: Path) -> None:
    password = {"SHORITUI_PASSWORD": "correct horse"}
    async with serving(tmp_path, **password) as address, browser(tmp_path / "profile") as chromium:
        assert "key" not in address
        page = await chromium.page(address)
        await page.wait_for_script("document.activeElement?.id === 'password'")
        await page.press("wrong", "enter")
        await page.wait_for_script("document.body?.innerText.includes('not the password')")
        await page.wait_for_script("document.activeElement?.id === 'password'")
        await page.press("correct horse", "enter")
        await page.wait_for("Pick a scene")

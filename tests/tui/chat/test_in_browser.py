"""The story's address for a browser: shown, kept, and taken back."""

from __future__ import annotations

import asyncio
import re

import pytest

from tests.tui.conftest import enter, heard, running, screen_text, until


async def answers(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


@pytest.mark.parametrize("keeps", [False, True])
async def test_escape_opens_nothing_and_an_address_that_is_kept_is_told(keeps: bool) -> None:
    async with running(with_model=False) as (app, pilot):
        await enter(app, pilot, "/web")
        await until(pilot, lambda: "?key=" in screen_text(app))
        found = re.search(r"127\.0\.0\.1:(\d+)|localhost:(\d+)", screen_text(app))
        assert found is not None
        port = int(found[1] or found[2])
        assert await answers(port)
        await pilot.press("enter" if keeps else "escape")
        if keeps:
            await until(pilot, lambda: any("/web shows the address" in each for each in heard(app)))
            assert await answers(port)
        else:
            await until(pilot, lambda: "?key=" not in screen_text(app))
            while await answers(port):
                await pilot.pause(0.02)


async def test_a_page_that_is_loaded_again_while_the_model_loads_is_no_trouble() -> None:
    async with running() as (app, pilot):
        session, away = app.session, "open in the browser, and read here"
        assert session is not None
        await until(pilot, lambda: session.engine.info is not None)
        await enter(app, pilot, "/web")
        await until(pilot, lambda: "?key=" in screen_text(app))
        await app.in_browser._step_back()
        await app.in_browser._come_back()
        await until(pilot, lambda: app.main.status.doing.now != away)
        await app.in_browser._step_back()
        await until(pilot, lambda: app.main.status.doing.now == away)
        await pilot.pause(0.2)
        assert app.main.status.doing.now == away
        assert not any("closed before" in each for each in heard(app))

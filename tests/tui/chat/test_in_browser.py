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

"""A server that sends without end leaves their time to others in the event loop: the keys."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from time import thread_time

import pytest

from shoritui.engine.remote.http import HttpClient
from shoritui.engine.remote.server import Server
from tests.engine.remote.hostile import BEHIND, COMPLETIONS, hostile

TURN_SECONDS = 0.0002
SECONDS = 0.3
LEAST_SHARE = 0.3
"""Of three quarters; the server is a thread of this process, and takes its part of them."""


@pytest.mark.parametrize("is_proxied", [False, True], ids=["direct", "proxied"])
@pytest.mark.parametrize(
    "name", ["endless_informational", "endless_events_of_nothing", "progress_that_always_grows"]
)
async def test_others_have_their_time(
    name: str, is_proxied: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with hostile(name) as url:
        if is_proxied:
            monkeypatch.setenv("HTTP_PROXY", url)
        client = HttpClient(Server(BEHIND if is_proxied else url))

        async def read() -> None:
            async for _ in client.events(COMPLETIONS, {}, most=1 << 40):
                pass

        reading = asyncio.create_task(read())
        await asyncio.sleep(0.2)
        assert not reading.done()
        began, others = thread_time(), 0.0
        while thread_time() - began < SECONDS:
            turn = thread_time()
            while (spent := thread_time() - turn) < TURN_SECONDS:
                pass
            others += spent
            await asyncio.sleep(0)
        share = others / (thread_time() - began)
        assert not reading.done()
        reading.cancel()
        with suppress(asyncio.CancelledError):
            await reading
        await client.close()
    assert share > LEAST_SHARE

"""Servers on this machine are found by their usual ports, whatever answers there."""

from __future__ import annotations

import json
from time import monotonic

import pytest

from shoritui.engine.remote import usual_ports as finder
from tests.engine.remote.scripted_server import Answer, Route, scripted_server, told


async def found(models: Route) -> list[finder.LocalServer]:
    async with scripted_server({"/v1/models": models}) as server:
        return await finder.local_servers({"Ollama": server.port})


async def test_a_server_is_found_with_its_models() -> None:
    [server] = await found(told({"data": [{"id": "mara:7b"}, {"id": "brindle"}]}))
    assert server.name == "Ollama" and server.url.startswith("http://127.0.0.1:")
    assert server.models == ("mara:7b", "brindle") and not server.wants_key


async def test_where_nobody_listens_there_is_none() -> None:
    async with scripted_server({}) as server:
        port = server.port
    assert await finder.local_servers({"llama-server": port}) == []


async def test_one_that_wants_a_key_says_so_and_one_that_forbids_is_another_program() -> None:
    [server] = await found(told({"detail": "no key"}, 401))
    assert server.wants_key and server.models == ()
    assert await found(told({}, 403)) == []


@pytest.mark.parametrize(
    "said",
    [
        told([1, 2]),
        told({"data": "no"}),
        told({}, 500),
        Answer((b"<html>",)),
        Answer((), 302, headers={"Location": "http://example.org/"}),
        Answer((b"{",), dies=True),
    ],
)
async def test_what_is_no_such_server_is_left_out(said: Answer) -> None:
    assert await found(said) == []


async def test_names_that_no_screen_can_show_are_left_out() -> None:
    names = ["good", "\x1b[31mred", "two\nlines", "", "x" * 70_000]
    body = json.dumps({"data": [{"id": name} for name in names]}).encode()
    [server] = await found(Answer((body,)))
    assert server.models[0] == "good" and all(name.isprintable() for name in server.models)


async def test_one_that_hangs_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finder, "SEARCH_SECONDS", 0.3)
    begun = monotonic()
    assert await found(Answer((b"{",), hangs=True)) == []
    assert monotonic() - begun < 5

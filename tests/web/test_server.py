"""Who is let in, and who is not: asked of a running server, as browsers and others ask."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import ClientResponse, ClientSession, CookieJar

from shoritui.errors import UserError
from shoritui.folders import HOME_VARIABLE
from shoritui.web import Server

ECHO = (
    "import sys; o = sys.stdout.buffer; i = sys.stdin.buffer; o.write(b'__GANGLION__\\n')\n"
    "o.write(b'D\\0\\0\\0\\5hello'); o.flush()\n"
    "while kind := i.read(1):\n"
    "    data = i.read(int.from_bytes(i.read(4), 'big'))\n"
    "    o.write(kind.replace(b'M', b'D') + len(data).to_bytes(4, 'big') + data); o.flush()\n"
)
"""A window that says hello, and what it is told."""
WINDOW = (sys.executable, "-c", ECHO)


@asynccontextmanager
async def serving(
    password: str = "", most: int = 4
) -> AsyncGenerator[tuple[Server, ClientSession]]:
    server = Server(WINDOW, password=password, most=most)
    await server.start()
    # Cookies of an address, not of a name, are kept as well.
    async with ClientSession(server.address, cookie_jar=CookieJar(unsafe=True)) as client:
        try:
            yield server, client
        finally:
            await server.close()


def origin(server: Server) -> dict[str, str]:
    return {"Origin": server.address.rstrip("/")}


async def log_in(client: ClientSession, password: str) -> ClientResponse:
    return await client.post("/login", data={"password": password}, allow_redirects=False)


async def test_the_link_opens_a_window_that_hears_what_is_typed() -> None:
    async with serving() as (server, client):
        page = await client.get(server.link)
        assert page.status == 200 and not page.url.query
        assert "http:" not in await page.text() and "https:" not in await page.text()
        async with client.ws_connect("/ws?width=80&height=24", headers=origin(server)) as window:
            assert await window.receive_bytes() == b"hello"
            await window.send_json(["stdin", "ä"])
            assert await window.receive_bytes() == "ä".encode()
            await window.send_json(["resize", {"width": "9" * 400, "height": -1}])
            assert b'"width": 1000, "height": 1' in await window.receive_bytes()
            assert server.windows == 1


@pytest.mark.parametrize("typed", ["[", "{}", '["stdin", 3]', "[" * 100_000, '["resize", 3]'])
async def test_what_no_page_of_ours_says_ends_the_window(typed: str) -> None:
    async with serving() as (server, client):
        await client.get(server.link)
        async with client.ws_connect("/ws", headers=origin(server)) as window:
            assert await window.receive_bytes() == b"hello"
            await window.send_str(typed)
            assert (await window.receive()).type is aiohttp.WSMsgType.CLOSE


async def test_without_the_key_nothing_is_shown() -> None:
    async with serving() as (server, client):
        for path in ("/ws", "/page.js", "/static/js/textual.js", "/?key=guess", "/nowhere"):
            assert (await client.get(path, headers=origin(server))).status == 403, path
        shown = await client.get("/")
        assert shown.url.path == "/login"
        assert "frame-ancestors 'none'" in shown.headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "http://[::1"},
        {"Host": "evil.example", "Origin": "http://evil.example"},
        {},
    ],
)
async def test_a_page_of_another_site_opens_no_window(headers: dict[str, str]) -> None:
    async with serving() as (server, client):
        await client.get(server.link)
        with pytest.raises(aiohttp.WSServerHandshakeError, match="403"):
            await client.ws_connect("/ws", headers=headers)
        assert server.windows == 0


async def test_a_password_lets_in_and_guesses_have_an_end() -> None:
    async with serving("correct horse") as (server, client):
        assert server.link == server.address
        assert (await client.get("/?key=correct horse")).url.path == "/login"
        assert (await log_in(client, "correct horse")).status == 303
        assert (await client.get("/")).url.path == "/"
    async with serving("correct horse") as (server, client):
        answers = [(await log_in(client, f"guess {at}")).status for at in range(7)]
        assert answers == [403] * 5 + [429] * 2
        assert (await log_in(client, "correct horse")).status == 429, "unlooked at for a minute"
        assert "wait a minute" in await (await log_in(client, "")).text()


FAULT = "A fault in ShoriTUI: it is noted in faults.log, in the cache folder."
FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({"Content-Type": f"{FORM}; charset=nonsense"}, b"password=x"),
        ({"Content-Type": FORM}, b"password=\xff\xfe"),
        ({"Content-Type": FORM, "Content-Encoding": "gzip"}, b"password=x"),
        ({"Content-Type": "multipart/form-data; boundary="}, b"x"),
        ({"Content-Type": "multipart/form-data"}, b"x"),
        ({"Content-Type": "application/json"}, b"[" * 4000),
        ({"Content-Type": FORM}, b"&" * 4000),
        ({"Content-Type": FORM}, b"x" * 5000),
        ({}, b""),
    ],
)
async def test_a_password_that_comes_in_no_form_is_refused(
    headers: dict[str, str], body: bytes
) -> None:
    async with serving(password="a long one") as (_, client):
        answer = await client.post("/login", data=body, headers=headers)
        assert answer.status in (400, 403, 413)
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


async def test_a_fault_is_noted_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, faults: list[BaseException]
) -> None:
    def fail(_: str) -> str:
        raise KeyError("what nobody may see")

    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path))
    monkeypatch.setattr("shoritui.web.server._text", fail)
    async with serving(password="a long one") as (_, client):
        answer = await client.get("/login")
        assert (answer.status, await answer.text()) == (500, FAULT)
    noted = (tmp_path / "cache" / "faults.log").read_text(encoding="utf-8")
    assert "KeyError" in noted and "nobody" not in noted
    assert isinstance(faults.pop(), KeyError)


async def test_so_many_windows_and_no_more() -> None:
    async with serving(most=1) as (server, client):
        await client.get(server.link)
        async with client.ws_connect("/ws", headers=origin(server)) as window:
            assert await window.receive_bytes() == b"hello"
            other = await client.ws_connect("/ws", headers=origin(server))
            assert (await other.receive()).type is aiohttp.WSMsgType.CLOSE
        async with client.ws_connect("/ws", headers=origin(server)) as window:
            assert await window.receive_bytes() == b"hello", "once it was closed"


async def test_what_cannot_be_served_is_one_sentence() -> None:
    with pytest.raises(UserError, match="a password is needed"):
        Server(WINDOW, host="0.0.0.0")
    with pytest.raises(UserError, match=r"no address of this machine"):
        await Server(WINDOW, host="203.0.113.1", password="x").start()
    async with serving() as (server, _):
        with pytest.raises(UserError, match=f"Port {server.port} is taken"):
            await Server(WINDOW, port=server.port).start()


async def test_what_is_no_http_is_refused_in_silence(caplog: pytest.LogCaptureFixture) -> None:
    async with serving(password="a long one") as (server, client):
        for sent in (b"GET / HTTP/1.1\r\nX: " + b"a" * 100_000 + b"\r\n\r\n", b"\0\x1b[2J\r\n\r\n"):
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(sent)
            answer = await reader.read(200)
            assert answer.startswith(b"HTTP/1.") and b" 400 " in answer
            writer.close()
        assert (await client.get("/login")).status == 200
    assert not [each for each in caplog.records if each.name.startswith(("aiohttp", "shoritui"))]

"""The server: its pages, the way in, and a window behind each page that was let in."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import parse_qs

import textual_serve
from aiohttp import WSMessage, WSMsgType, web
from textual_serve.download_manager import DownloadManager

from shoritui import fault_log
from shoritui.bounded import read_json
from shoritui.errors import UserError
from shoritui.text import printable
from shoritui.web.guard import Guard, is_loopback
from shoritui.web.window import Window

MOST_WINDOWS: Final = 4
_HEARTBEAT_SECONDS: Final = 15.0
_CLOSING_SECONDS: Final = 8.0
"""How long a new window waits for one that is closing: a page loaded again has the same story."""
_MOST_BYTES: Final = 1 << 20
"""The longest message of a page: what is pasted at once."""
_MOST_CELLS: Final = 1000
_WINDOW: Final = "/ws"
_OPEN_PATHS: Final = frozenset({"/login", "/page.css"})
"""What is shown to whoever asks."""
_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; connect-src 'self'; "
    "font-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_OURS: Final = {"page.css": "text/css", "page.js": "text/javascript"}
_WRONG: Final = "That is not the password."
_NO_FORM: Final = "This is not what the page of the password sends."
_FAULT: Final = "A fault in ShoriTUI: it is noted in faults.log, in the cache folder."
_TOO_MANY: Final = "Too many wrong passwords: wait a minute."


class Server:
    """Serves windows of the app.

    Args:
        command: What a window runs.
        variables: What it finds in its environment: its arguments are seen by every user.
        host: The address to listen at; with a password it may be any.
        port: The port; 0 takes a free one.
        password: What lets a browser in; without one, the key in `link` does.
        most: How many windows may be open at once. Each runs the model in a process of its own.
        on_open: Called before a window begins.
        on_close: Called after one has ended.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        variables: Mapping[str, str] | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        password: str = "",
        most: int = MOST_WINDOWS,
        on_open: Callable[[], Awaitable[None]] | None = None,
        on_close: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        if not password and not is_loopback(host):
            raise UserError(
                f"Others than this machine reach {printable(host)}, and so a password is needed."
            )
        self._command, self._host, self.port = tuple(command), host, port
        self._variables = variables or {}
        self.guard = Guard(password)
        self.windows = 0
        """How many are open."""
        self._most = most
        self._on_open, self._on_close = on_open, on_close
        self._downloads = DownloadManager()
        self._pages: set[web.WebSocketResponse] = set()
        self._ending: set[asyncio.Task[None]] = set()
        """The windows that are closing."""
        self._is_ending = False
        self._runner: web.AppRunner | None = None

    # Its life

    async def start(self) -> None:
        """Listen.

        Raises:
            UserError: The port is taken, or there is no such address here.
        """
        app = web.Application(middlewares=[self._admit], client_max_size=4096)
        static = Path(textual_serve.__file__ or "").parent / "static"
        app.add_routes(
            [
                web.get("/", self._page),
                web.get("/login", self._login_page),
                web.post("/login", self._log_in),
                web.get(_WINDOW, self._window),
                web.get("/{name:page\\.(?:css|js)}", _own_file),
                web.static("/static", static),
            ]
        )
        # What strangers send that is no HTTP would fill the terminal with tracebacks.
        silent = logging.getLogger(f"{__name__}.aiohttp")
        silent.disabled = True
        self._runner = web.AppRunner(app, access_log=None, logger=silent, shutdown_timeout=1)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self.port).start()
        except (OSError, UnicodeError) as error:
            await self._runner.cleanup()
            raise _no_place(self._host, self.port, error) from None
        self.port = self._runner.addresses[0][1]

    async def close(self) -> None:
        """End every window, as a terminal that closes ends the app, and listen no more."""
        self._is_ending = True
        for page in list(self._pages):
            await page.close()
        if self._runner is not None:
            await self._runner.cleanup()
        await self._closed()

    @property
    def address(self) -> str:
        """Where the server is, for people of this machine or of its network."""
        host = self._host
        if host in ("0.0.0.0", "::", ""):
            host = socket.gethostname()
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}/"

    @property
    def link(self) -> str:
        """The address that lets in whoever follows it; with a password, it asks for that."""
        return f"{self.address}?key={self.guard.key}" if self.guard.key else self.address

    # Who is let in

    @web.middleware
    async def _admit(
        self,
        request: web.Request,
        handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
    ) -> web.StreamResponse:
        host, origin = request.headers.get("Host", ""), request.headers.get("Origin")
        if not self.guard.may_be_called(host):
            return _refusal("This server is reached as localhost alone.")
        if origin is not None and not self.guard.is_own_page(origin, host):
            return _refusal("A page of another site asks for this.")
        if request.path not in _OPEN_PATHS and not self._is_known(request):
            if request.path != "/":
                return _refusal("Log in first.")
            if self.guard.key and "key" in request.query:  # a password is in no address
                return self._try(request, request.query["key"])
            return _seen(_see("/login"))
        try:
            return _seen(await handler(request))
        except web.HTTPException as error:  # such as a page that is not there
            return _seen(web.Response(text=error.reason, status=error.status))
        except OSError:  # the page has gone
            raise
        except Exception as error:
            await asyncio.to_thread(fault_log.note, error)
            if request.path == _WINDOW:
                raise  # it is no page any more, and ends
            return _seen(web.Response(text=_FAULT, status=500))

    def _is_known(self, request: web.Request) -> bool:
        return self.guard.knows(request.cookies.get(self._cookie, ""))

    @property
    def _cookie(self) -> str:
        return f"shoritui-{self.port}"  # all ports of a machine share one jar

    def _try(self, request: web.Request, secret: str) -> web.Response:
        """Let a browser in, or show why not."""
        match self.guard.opens(secret, _whose(request)):
            case True:
                response = _see("/")
                response.set_cookie(
                    self._cookie, self.guard.cookie, httponly=True, samesite="Lax", path="/"
                )
                return response
            case False:
                return _login(_WRONG, 403)
            case None:
                return _login(_TOO_MANY, 429)

    async def _login_page(self, _: web.Request) -> web.StreamResponse:
        return _login("")

    async def _log_in(self, request: web.Request) -> web.StreamResponse:
        try:
            form = parse_qs(await request.text())
        except (ValueError, LookupError, web.RequestPayloadError):
            raise web.HTTPBadRequest(reason=_NO_FORM) from None
        return self._try(request, form.get("password", [""])[0])

    # Pages

    async def _page(self, request: web.Request) -> web.StreamResponse:
        if "key" in request.query:  # it is not to stay in the history
            return _see("/")
        return web.Response(text=_text("page.html"), content_type="text/html")

    # Windows

    async def _window(self, request: web.Request) -> web.StreamResponse:
        """Run a window for as long as its page is connected, or until it ends by itself."""
        if "Origin" not in request.headers:  # every browser sends it
            return _refusal("This is for pages of this server.")
        page = web.WebSocketResponse(heartbeat=_HEARTBEAT_SECONDS, max_msg_size=_MOST_BYTES)
        await page.prepare(request)
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._closed(), _CLOSING_SECONDS)
        if self.windows >= self._most or self._is_ending:
            await page.close()
            return page
        self.windows += 1
        self._pages.add(page)
        if self._on_open is not None:
            await self._on_open()
        window = Window(self._command, page, self._downloads, self._variables)
        try:
            size = _size(request.query.get("width"), 80), _size(request.query.get("height"), 24)
            await window.start(*size)
            end = asyncio.create_task(_close_with(window, page))
            try:
                await _hand_on(page, window)
            finally:
                end.cancel()
        finally:
            # The page may be gone, and its task cancelled: what it showed ends in its own time.
            self._pages.discard(page)
            ending = asyncio.create_task(self._end(window))
            self._ending.add(ending)
            ending.add_done_callback(self._ending.discard)
            await asyncio.shield(ending)
        return page

    async def _end(self, window: Window) -> None:
        await window.stop()
        self.windows -= 1
        if self._on_close is not None:
            await self._on_close()

    async def _closed(self) -> None:
        """Wait until the windows that are closing have closed."""
        if self._ending:
            await asyncio.wait(set(self._ending))


async def _close_with(window: Window, page: web.WebSocketResponse) -> None:
    """Close the page once the window has ended."""
    await window.ended()
    await page.close()


async def _hand_on(page: web.WebSocketResponse, window: Window) -> None:
    """Hand what is typed in a page to its window; what is no such message ends it."""
    async for message in page:
        match _read(message):
            case ["stdin", str(typed)]:
                await window.send_bytes(typed.encode("utf-8", "replace"))
            case ["resize", {"width": width, "height": height}]:
                await window.set_terminal_size(_size(width, 80), _size(height, 24))
            case ["ping", str(sent)]:
                await page.send_json(["pong", sent[:_MOST_CELLS]])
            case ["focus", *_]:
                await window.focus()
            case ["blur", *_]:
                await window.blur()
            case _:
                await page.close()


def _read(message: WSMessage) -> object:
    if message.type is not WSMsgType.TEXT:
        return None
    try:
        return read_json(message.data)
    except ValueError:
        return None


def _size(value: object, otherwise: int) -> int:
    """Return a size in cells as a page names it."""
    try:
        return max(1, min(int(str(value)[:9]), _MOST_CELLS))
    except ValueError:
        return otherwise


def _whose(request: web.Request) -> str:
    """Return whose a guess is: of IPv6, where one has many addresses, the network's."""
    address = request.remote or ""
    return ":".join(address.split(":")[:4])


def _login(problem: str, status: int = 200) -> web.Response:
    told = f'<p role="alert">{problem}</p>' if problem else ""
    text = _text("login.html").replace("<!-- problem -->", told)
    return _seen(web.Response(text=text, content_type="text/html", status=status))


def _see(path: str) -> web.Response:
    return _seen(web.Response(status=303, headers={"Location": path}))


def _refusal(sentence: str) -> web.Response:
    return _seen(web.Response(text=sentence, status=403))


S = TypeVar("S", bound=web.StreamResponse)


def _seen(response: S) -> S:
    """Return a response that lets the page do no more than it must."""
    if not response.prepared:
        response.headers.update(_HEADERS)
    return response


async def _own_file(request: web.Request) -> web.Response:
    name = request.match_info["name"]
    return web.Response(text=_text(name), content_type=_OURS[name])


def _text(name: str) -> str:
    return (Path(__file__).parent / "page" / name).read_text(encoding="utf-8")


def _no_place(host: str, port: int, error: Exception) -> UserError:
    number = getattr(error, "errno", None)
    if number == errno.EADDRINUSE:
        return UserError(
            f"Port {port} is taken by another program: choose another with --port; 0 takes a "
            "free one."
        )
    if number == errno.EACCES:
        return UserError(f"Port {port} may not be used by you: expected one from 1024 on.")
    return UserError(
        f"{printable(host)} is no address of this machine: expected one, such as 127.0.0.1, or "
        "0.0.0.0 for all of them."
    )

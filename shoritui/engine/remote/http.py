"""HTTP to one server: requests, streams of events, and every trouble as one sentence."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import msgspec

from shoritui.bounded import Malformed, misfit, read_json
from shoritui.engine.interface import WorkerDied
from shoritui.engine.remote.response import Count, reason
from shoritui.engine.remote.server import Server
from shoritui.engine.remote.sse import EventReader, NotEvents
from shoritui.errors import UserError
from shoritui.text import duration, message, shown_address

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")

CONNECT_SECONDS: Final = 10.0
ANSWER_SECONDS: Final = 30.0
"""How long a short answer may take, from its request to its last byte."""
ERRAND_SECONDS: Final = 2.0
"""How long what is sent beside all else may hold up the end."""
LARGEST: Final = 4 << 20
"""Bytes of an answer that is no stream: the ids of 500,000 tokens."""
_QUICK: Final = 1 << 16
"""Bytes of JSON that are read in a moment; more is read beside the keys."""
_LARGEST_REASON: Final = 1 << 16
"""Bytes that are read of an answer that says why not."""
KEPT_SECONDS: Final = 2.0
"""How long a connection is kept for the next request; servers keep them for 5 s and more."""

_CONTEXT_NUMBERS: Final = (
    re.compile(r"context (?:length|size|window)[^0-9]{0,40}?(\d{3,8})", re.IGNORECASE),
    re.compile(r"max_model_len[^0-9]{0,20}(\d{3,8})", re.IGNORECASE),
)
_CONTEXT_WORDS: Final = re.compile(r"context|max_model_len|too (long|large)", re.IGNORECASE)
_LENGTH_WORDS: Final = re.compile(r"length|size|window|exceed|max|tokens", re.IGNORECASE)


class Unreachable(UserError):
    """No connection could be made."""


class Broken(WorkerDied):
    """The server went away before it had answered in full."""


class Refused(UserError):
    """The server answered that it will not do it."""

    status: int = 0
    """The HTTP status of its answer, where that was the reason."""


class TooLong(Refused):
    """The prompt is longer than the server's context."""

    def __init__(self, sentence: str, n_ctx: int | None) -> None:
        super().__init__(sentence)
        self.n_ctx = n_ctx
        """What the server says that its context holds."""


class _Error(msgspec.Struct):
    n_ctx: Count | None = None


class _Refusal(msgspec.Struct):
    error: _Error


class HttpClient:
    """A connection to a server; `close()` ends it."""

    def __init__(self, server: Server, answer_seconds: float = 0) -> None:
        """Ask this server; a short answer may take `answer_seconds`, or as long as is usual.

        Raises:
            UserError: What the environment says of a proxy cannot be used.
        """
        import httpx

        from shoritui.engine.remote.pace import pace

        self._server = server
        self._answer_seconds = answer_seconds or ANSWER_SECONDS
        key = {"Authorization": f"Bearer {server.key}"} if server.key else {}
        try:
            self._client = httpx.AsyncClient(
                # A few packed bytes may be gigabytes.
                headers={"Accept-Encoding": "identity", **key},
                limits=httpx.Limits(keepalive_expiry=KEPT_SECONDS),
                follow_redirects=False,  # They would carry the key to wherever they lead.
                trust_env=not server.is_here,  # A proxy is no way to this machine.
            )
        except (ValueError, ImportError, httpx.InvalidURL):
            raise UserError(
                "HTTP_PROXY, HTTPS_PROXY or ALL_PROXY names no proxy that can be used: expected "
                "an address like http://proxy:3128."
            ) from None
        pace(self._client)
        self._errands: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        """End the connections."""
        if self._errands:
            await asyncio.wait(self._errands)
        await self._client.aclose()

    async def get(self, path: str) -> dict[str, Any]:
        """The answer's JSON object. Raises `UserError`."""
        return await self._ask("GET", path)

    async def post(self, path: str, body: Mapping[str, object]) -> dict[str, Any]:
        """The answer's JSON object. Raises `UserError`."""
        return await self._ask("POST", path, _encoded(body))

    def read(self, path: str, said: object, kind: type[T], field: str = "") -> T:
        """What an answer, or one field of it, says as a msgspec type.

        A whole number may be written as a text, or with a fraction of nothing.

        Raises:
            UserError: A field holds what it cannot, or one that is needed is missing.
        """
        try:
            return msgspec.convert(said, kind, strict=False)
        except msgspec.ValidationError as error:
            raise self.misfit(path, misfit(error, said, field)) from None

    def send(self, path: str, body: Mapping[str, object]) -> None:
        """Send something beside all else; nobody waits for its answer."""
        errand = asyncio.create_task(self._send(path, body))
        self._errands.add(errand)
        errand.add_done_callback(self._errands.discard)

    async def _send(self, path: str, body: Mapping[str, object]) -> None:
        with suppress(UserError):
            async with self.patient(ERRAND_SECONDS):
                await self.post(path, body)

    async def events(
        self, path: str, body: Mapping[str, object], most: int = LARGEST
    ) -> AsyncGenerator[list[str], None]:
        """The data of the answer's events, as many together as came together.

        An answer that is no event stream counts as one event. Leaving early ends the connection.
        Raises `UserError`, also after `most` bytes; `Broken` if the server goes away on the way.
        """
        async with self._told(), self._answer("POST", path, _encoded(body)) as response:
            if response.status_code != 200:
                raise await self._refused(response)
            if "event-stream" not in response.headers.get("content-type", "event-stream"):
                yield [json.dumps(self._json(path, await _body(response)))]
                return
            reader = EventReader()
            chunks = cast("AsyncGenerator[bytes]", response.aiter_raw())
            async with aclosing(chunks):
                async for chunk in chunks:
                    if (most := most - len(chunk)) < 0:
                        raise NotEvents
                    if events := reader.feed(chunk):
                        yield events
            if events := reader.finish():
                yield events

    async def _ask(self, method: str, path: str, content: bytes | None = None) -> dict[str, Any]:
        async with (
            self.patient(self._answer_seconds),
            self._answer(method, path, content) as response,
        ):
            if response.status_code != 200:
                raise await self._refused(response)
            body = await _body(response)
        if len(body) < _QUICK:
            return self._json(path, body)
        return await asyncio.to_thread(self._json, path, body)

    def _json(self, path: str, body: bytes) -> dict[str, Any]:
        with suppress(Malformed):
            if isinstance(said := read_json(body), dict):
                return said
        raise Refused(
            f"{self._server.shown}{path} answers with something that is no JSON object: it is no "
            "server of language models."
        )

    @asynccontextmanager
    async def patient(self, seconds: float) -> AsyncGenerator[None]:
        """Wait so long for what is asked within, then raise `Unreachable`."""
        async with self._told(seconds), asyncio.timeout(seconds):
            yield

    @asynccontextmanager
    async def _answer(
        self,
        method: str,
        path: str,
        content: bytes | None = None,
    ) -> AsyncGenerator[httpx.Response]:
        """An answer whose text is still to come.

        A connection kept from before may have been closed by the server just now: that is no
        answer, and another one is tried.
        """
        import httpx

        request = self._client.build_request(
            method,
            self._server.base + path,
            content=content,
            headers={} if content is None else {"Content-Type": "application/json"},
            timeout=httpx.Timeout(None, connect=CONNECT_SECONDS),  # whoever asks has a clock
        )
        try:
            response = await self._client.send(request, stream=True)
        except (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError):
            response = await self._client.send(request, stream=True)
        try:
            yield response
        finally:
            await response.aclose()

    @asynccontextmanager
    async def _told(self, seconds: float = CONNECT_SECONDS) -> AsyncGenerator[None]:
        """What goes wrong on the way, as a sentence; `seconds` is how long was waited."""
        import httpx

        try:
            yield
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise Unreachable(_unreachable(error, self._server.shown)) from None
        except (httpx.TimeoutException, TimeoutError):
            raise Unreachable(
                f"The server at {self._server.shown} did not answer within "
                f"{seconds:.0f} s: is it busy with another request?"
            ) from None
        except (httpx.TransportError, httpx.StreamError):
            raise self.broken() from None
        except NotEvents:
            raise Unreachable(
                f"The server at {self._server.shown} sends more than any answer needs: it is no "
                "server of language models, or it is broken."
            ) from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Unreachable(
                f"The server at {self._server.shown} cannot be asked: {message(error)}."
            ) from None

    def broken(self) -> Broken:
        """The server ended the connection before its answer was whole."""
        return Broken(
            f"The server at {self._server.shown} went away before the end: look at its log, start "
            "it again if it has stopped, and try again."
        )

    def silent(self, seconds: float) -> Unreachable:
        """The server has told nothing of its answer for so long."""
        return Unreachable(
            f"Nothing of the reply has come from the server at {self._server.shown} for "
            f"{duration(seconds)}: look at its log, and try again."
        )

    def left(self) -> Broken:
        """The server turned to somebody else's request before its answer was whole."""
        return Broken(
            f"The server at {self._server.shown} dropped this for another request, as it handles "
            "one at a time: try again."
        )

    def failure(self, said: str) -> UserError:
        """The error that the server told in its own words, in one sentence."""
        place, said = f"The server at {self._server.shown}", self._shown(said)
        if _CONTEXT_WORDS.search(said) and _LENGTH_WORDS.search(said):
            return _too_long(said)
        return UserError(f"{place} could not go on ({said}): look at its log, and try again.")

    def misfit(
        self, path: str, what: str, cure: str = "use another version of this server, or another one"
    ) -> UserError:
        """A field of an answer cannot be read: `what` is as `misfit` in `bounded` tells it."""
        return UserError(
            f"{self._server.shown}{path} answers with something that cannot be used "
            f"({self._server.hidden(what)}): {cure}."
        )

    async def _refused(self, response: httpx.Response) -> Refused:
        status, body = response.status_code, await _beginning(response)
        said = self._shown(reason(body.decode("utf-8", "replace")))
        about_context = _CONTEXT_WORDS.search(said) and _LENGTH_WORDS.search(said)
        if about_context and status in _CONTEXT_CODES:
            return _too_long(said, body)
        refused = Refused(_refusal(self._server, status, said, response.headers))
        refused.status = status
        return refused

    def _shown(self, said: str) -> str:
        return message(self._server.hidden(said)).rstrip(".")


_CONTEXT_CODES: Final = (400, 413, 422, 500)


def _too_long(said: str, body: bytes = b"") -> TooLong:
    n_ctx = _context(said, body)
    cure = "shorten the scene or the chat, or start the server with a larger context."
    known = f" of {n_ctx:,} tokens: try again, now that this is known; else" if n_ctx else ""
    sentence = f"The prompt does not fit into the server's context{known or f' ({said}):'} {cure}"
    return TooLong(sentence, n_ctx)


def _context(said: str, body: bytes) -> int | None:
    with suppress(Malformed, msgspec.ValidationError):
        if n_ctx := msgspec.convert(read_json(body), _Refusal, strict=False).error.n_ctx:
            return n_ctx
    found = (pattern.search(said) for pattern in _CONTEXT_NUMBERS)
    return next((int(match[1]) for match in found if match), None)


def _refusal(server: Server, status: int, said: str, headers: Mapping[str, str]) -> str:
    place = f"The server at {server.shown}"
    if status in (401, 403):
        if not server.key:
            return (
                f"{place} wants an API key: put it into an environment variable, and name the "
                "variable in the setting server_key."
            )
        return (
            f"{place} refuses the API key: correct the environment variable that the setting "
            "server_key names."
        )
    if status in (404, 405):
        return (
            f"{place} has nothing where a server of language models has its models and completions "
            f"({said or 'not found'}): check the address, and that it is OpenAI-compatible."
        )
    if 300 <= status < 400:
        to = message(server.hidden(shown_address(headers.get("location") or "another address")))
        return f"{place} redirects to {to}: if you trust that address, use it instead."
    if status in (429, 503):
        return f"{place} is busy or still loading its model ({said}): try again in a moment."
    if status >= 500:
        return f"{place} failed ({said or status}): look at its log."
    return f"{place} refuses the request: {said or status}."


def _unreachable(error: BaseException, shown: str) -> str:
    import socket
    import ssl

    import httpx

    if isinstance(error, httpx.ConnectTimeout):
        return (
            f"The server at {shown} does not answer: is it running, and does a firewall let you "
            "through to it?"
        )
    causes = _causes(error)
    if any(getattr(cause, "reason", "") == "WRONG_VERSION_NUMBER" for cause in causes):
        return f"The server at {shown} does not speak https: begin its address with http://."
    if said := next((cause for cause in causes if isinstance(cause, ssl.SSLError)), None):
        return (
            f"The server at {shown} cannot be trusted ({message(said.reason or said)}): use the "
            "name in its certificate, or name its authority's file in SSL_CERT_FILE."
        )
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        return f"No machine has the name in {shown}: check the address, or the network."
    return f"No server answers at {shown}: start it, or correct the address."


def _causes(error: BaseException | None) -> list[BaseException]:
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__ or error.__context__
    return found


async def _body(response: httpx.Response) -> bytes:
    """The whole answer; `NotEvents` if it is of no sane length."""
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > LARGEST:
            raise NotEvents
    return bytes(body)


async def _beginning(response: httpx.Response) -> bytes:
    """As much of an answer as a reason needs, however long it is."""
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) >= _LARGEST_REASON:
            break
    return bytes(body[:_LARGEST_REASON])


def _encoded(body: Mapping[str, object]) -> bytes:
    return json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")

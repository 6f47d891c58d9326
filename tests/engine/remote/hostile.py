"""A server that behaves badly, in more than a hundred ways, over a real socket.

    python -m tests.engine.remote.hostile BEHAVIOUR     serve it; the port is printed

What a behaviour says nothing about is answered as llama-server would, so that it is reached.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import random
import socket
import struct
import sys
import threading
import zlib
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from queue import Queue
from typing import Final

from tests.engine.remote.scripted_server import EVENTS, KOBOLDCPP, MODELS, event

COMPLETIONS: Final = "/v1/completions"
LIST: Final = "/v1/models"
KEY: Final = "sk-a-secret-of-the-user"
ESCAPES: Final = "\x1b]52;c;cm0gLXJm\x07\x1b[2J\x1b]0;owned\x1b\\\x9b31m\u202e\x00\x7f▄▀[@click=x]"
_DONE: Final = b"data: [DONE]\n\n"
_JSON: Final = "application/json"
_CONTEXT: Final = 4000


BEHIND: Final = "http://elsewhere.invalid"
"""A server that is asked through this one, as a proxy."""


class Wire:
    """One connection, and the request that came on it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.path = ""
        self.body: dict[str, str] = {}

    async def hear(self) -> None:
        """Read the request."""
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        self.path = head.split(" ")[1].removeprefix(BEHIND)
        for line in head.lower().split("\r\n"):
            if line.startswith("content-length:"):
                body = await self._reader.readexactly(int(line.partition(":")[2]))
                self.body = json.loads(body)

    async def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self._writer.write(data)
        await self._writer.drain()

    async def for_ever(self, data: bytes, pause: float = 0.0) -> None:
        """Send the same bytes until nobody listens any more."""
        while not self._writer.is_closing():
            await self.send(data)
            await asyncio.sleep(pause)

    async def answer(
        self, body: bytes, kind: str = _JSON, status: str = "200 OK", *lines: str
    ) -> None:
        """Send a whole answer."""
        head = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", f"Content-Length: {len(body)}"]
        await self.send("\r\n".join([*head, *lines, "", ""]).encode() + body)

    async def json(self, value: object, status: str = "200 OK") -> None:
        """Send a value in JSON."""
        await self.answer(json.dumps(value).encode(), _JSON, status)

    async def begin(self, kind: str = EVENTS, *lines: str) -> None:
        """Begin an answer whose end is the connection's."""
        head = ["HTTP/1.1 200 OK", f"Content-Type: {kind}", "Connection: close", *lines]
        await self.send("\r\n".join([*head, "", ""]).encode())

    async def stream(self, *parts: bytes) -> None:
        """Send an event stream."""
        await self.begin()
        for part in parts:
            await self.send(part)
            await asyncio.sleep(0)

    async def hang(self) -> None:
        """Say nothing more until the other side has gone."""
        while await self._reader.read(65536):
            pass

    def reset(self) -> None:
        """Break the connection with an RST."""
        linger = struct.pack("ii", 1, 0)
        self._writer.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, linger
        )
        self._writer.transport.abort()

    async def honest(self) -> None:
        """Answer as llama-server does."""
        match self.path:
            case "/v1/models":
                await self.json(MODELS)
            case "/props":
                await self.json({"default_generation_settings": {"n_ctx": _CONTEXT}})
            case "/tokenize":
                await self.json({"tokens": [1, *map(ord, self.body["content"][::4])]})
            case "/v1/completions":
                await self.stream(event(" Aye."), event("", "stop"), _DONE)
            case _:
                await self.json({"detail": "Not Found"}, "404 Not Found")

    async def close(self) -> None:
        """End the connection."""
        with suppress(OSError):
            self._writer.close()
            await self._writer.wait_closed()


Act = Callable[[Wire], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What a server does, and when."""

    path: str
    """At which request; "" before one is read, `*` at any."""
    act: Act
    scheme: str = "http"
    """How the server's address begins."""


BEHAVIOURS: Final[dict[str, Behaviour]] = {}


def at(path: str, scheme: str = "http") -> Callable[[Act], Act]:
    """Name a behaviour by its function."""

    def add(act: Act) -> Act:
        name = getattr(act, "__name__", "")
        assert name and name not in BEHAVIOURS
        BEHAVIOURS[name] = Behaviour(path, act, scheme)
        return act

    return add


def add(name: str, path: str, act: Act) -> None:
    """Add one of several that differ in what they send."""
    assert name not in BEHAVIOURS
    BEHAVIOURS[name] = Behaviour(path, act)


@contextmanager
def hostile(name: str) -> Iterator[str]:
    """The address of a server that behaves like this, in a thread of its own."""
    behaviour = BEHAVIOURS[name]
    started: Queue[tuple[int, Callable[[], object]]] = Queue()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        wire = Wire(reader, writer)
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            if behaviour.path:
                await wire.hear()
            is_now = behaviour.path in ("", "*", wire.path)
            await (behaviour.act(wire) if is_now else wire.honest())
        await wire.close()

    async def run() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        loop, end = asyncio.get_running_loop(), asyncio.Event()
        port = server.sockets[0].getsockname()[1]
        started.put((port, lambda: loop.call_soon_threadsafe(end.set)))
        await end.wait()

    thread = threading.Thread(target=lambda: asyncio.run(run()), daemon=True)
    thread.start()
    port, end = started.get()
    try:
        yield f"{behaviour.scheme}://127.0.0.1:{port}"
    finally:
        end()
        thread.join()


@at("/nowhere")
async def behaves(wire: Wire) -> None:
    """Nothing: what the others are measured beside."""


# Connections


@at("")
async def closes_at_once(wire: Wire) -> None:
    pass


@at("")
async def resets_at_once(wire: Wire) -> None:
    wire.reset()


@at("")
async def never_reads(wire: Wire) -> None:
    await asyncio.sleep(3600)


@at("")
async def talks_before_it_is_asked(wire: Wire) -> None:
    await wire.send(b"220 mail.example ESMTP ready\r\n")
    await wire.hang()


@at("", scheme="https")
async def no_tls_behind_https(wire: Wire) -> None:
    await wire.send(b"\x16\x03\x01" + bytes(range(256)) * 40)
    await wire.hang()


@at("", scheme="https")
async def silent_behind_https(wire: Wire) -> None:
    await wire.hang()


@at("*")
async def never_answers(wire: Wire) -> None:
    await wire.hang()


@at(COMPLETIONS)
async def never_begins_a_reply(wire: Wire) -> None:
    await wire.hang()


@at("/tokenize")
async def never_counts(wire: Wire) -> None:
    await wire.hang()


@at(COMPLETIONS)
async def resets_instead_of_a_reply(wire: Wire) -> None:
    wire.reset()


@at(COMPLETIONS)
async def resets_within_a_reply(wire: Wire) -> None:
    await wire.stream(event(" Aye"))
    await asyncio.sleep(0.05)
    wire.reset()


@at(COMPLETIONS)
async def closes_within_an_event(wire: Wire) -> None:
    await wire.stream(event(" Aye"), event(" and")[:20])


@at(COMPLETIONS)
async def dribbles_its_head(wire: Wire) -> None:
    await wire.for_ever(b"H", 0.05)


# The head of an answer


def _said(name: str, path: str, data: bytes) -> None:
    async def act(wire: Wire) -> None:
        await wire.send(data)

    add(name, path, act)


_said("http_0_9", "*", b"<html>hello</html>\n")
_said("status_line_of_garbage", "*", b"\xff\xfe\x00 what\r\n\r\n")
_said("status_without_number", "*", b"HTTP/1.1 OK 200\r\n\r\n{}")
_said("status_999", "*", b"HTTP/1.1 999 Odd\r\nContent-Length: 2\r\n\r\n{}")
_said("status_of_five_digits", "*", b"HTTP/1.1 20000 OK\r\n\r\n{}")
_said("http_9", "*", b"HTTP/9.9 200 OK\r\nContent-Length: 2\r\n\r\n{}")
_said("upgrade", "*", b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n")
_said("no_content", "*", b"HTTP/1.1 204 No Content\r\n\r\n")
_said("header_without_colon", "*", b"HTTP/1.1 200 OK\r\nnonsense\r\n\r\n{}")
_said("nul_in_header", "*", b"HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n{}")
_said("huge_header", "*", b"HTTP/1.1 200 OK\r\nX: " + b"x" * 2**20 + b"\r\n\r\n{}")
_said("length_too_long", "*", b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{}")
_said("length_too_short", "*", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}{}{}" * 2)
_said("length_negative", "*", b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n{}")
_said("length_of_80_bits", "*", b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n{}" % 2**80)
_said("length_of_letters", "*", b"HTTP/1.1 200 OK\r\nContent-Length: ten\r\n\r\n{}")
_said("two_lengths", "*", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 4\r\n\r\n{}")
_CHUNKED: Final = b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nTransfer-Encoding: chunked\r\n\r\n"
_said("chunks_cut_off", COMPLETIONS, _CHUNKED % EVENTS.encode() + b"ff\r\ndata: {")
_said("chunk_of_garbage", COMPLETIONS, _CHUNKED % EVENTS.encode() + b"zz\r\ndata: {\r\n")
_said("chunk_of_64_bits", COMPLETIONS, _CHUNKED % EVENTS.encode() + b"f" * 16 + b"\r\ndata: {")
_said("chunk_negative", COMPLETIONS, _CHUNKED % EVENTS.encode() + b"-5\r\ndata: {")
_said("models_cut_off", LIST, _CHUNKED % _JSON.encode() + b'9\r\n{"data": \r\n')


@at("*")
async def endless_headers(wire: Wire) -> None:
    await wire.send(b"HTTP/1.1 200 OK\r\n")
    await wire.for_ever(b"X-More: of them\r\n" * 100)


@at("*")
async def endless_informational(wire: Wire) -> None:
    await wire.for_ever(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100)


@at(COMPLETIONS)
async def length_that_never_comes(wire: Wire) -> None:
    await wire.send(
        b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\nContent-Type: text/event-stream\r\n\r\n"
    )
    await wire.send(event(" Aye"))
    await wire.hang()


def _redirects(name: str, location: str, status: str = "302 Found") -> None:
    async def act(wire: Wire) -> None:
        await wire.answer(b"", _JSON, status, f"Location: {location}")

    add(name, "*", act)


_redirects("redirects_to_itself", "/v1/models")
_redirects("redirects_to_a_file", "file:///etc/passwd", "301 Moved Permanently")
_redirects("redirects_elsewhere", "http://example.com/v1/models", "307 Temporary Redirect")
_redirects("redirects_to_metadata", "http://169.254.169.254/latest/meta-data/", "308 Odd")
_redirects("redirects_with_the_key", f"http://example.com/?key={KEY}")
_redirects("redirects_to_escapes", "http://x/\x1b[2J\x9b31m" + "a" * 5000)
_redirects("redirects_nowhere", "")


# Refusals


def _refuses(status: str, name: str, body: bytes, kind: str = _JSON) -> None:
    async def act(wire: Wire) -> None:
        await wire.answer(body, kind, status)

    add(f"refuses_with_{name}", COMPLETIONS, act)


_HTML: Final = b"<html><body><h1>Bad \x1b[31mGateway</h1>" + b"<p>nginx" * 5000
_refuses("400 Bad Request", "context", json.dumps({"error": {"n_ctx": -(2**70)}}).encode())
_refuses("400 Bad Request", "a_huge_context", b'{"error": "context size of 99999999 exceeded"}')
_refuses("400 Bad Request", "no_size", b'{"error": "the prompt exceeds the context size"}')
_refuses("401 Unauthorized", "html", _HTML, "text/html")
_refuses("403 Forbidden", "the_key", json.dumps({"error": f"no {KEY}"}).encode())
_refuses("404 Not Found", "nothing", b"")
_refuses("405 Method Not Allowed", "binary", bytes(range(256)) * 100, "application/octet-stream")
_refuses("407 Proxy Authentication Required", "a_proxy", b"who are you?", "text/plain")
_refuses("413 Payload Too Large", "escapes", ESCAPES.encode(), "text/plain")
_refuses("422 Unprocessable", "a_list", json.dumps([[{"loc": 5, "msg": []}] * 9] * 9999).encode())
_refuses("429 Too Many Requests", "depth", b'{"error":' * 5000 + b"}" * 5000)
_refuses("500 Internal Server Error", "numbers", b'{"error": %b}' % (b"9" * 50_000))
_refuses("502 Bad Gateway", "two_megabytes", b'{"error": "' + b"x" * 2**21 + b'"}')
_refuses("503 Service Unavailable", "surrogates", b'{"error": "\\ud83d \\u0000 \\u001b[2J"}')
_refuses("500 Internal Server Error", "json_in_json", json.dumps(json.dumps('{"a')).encode())


@at(COMPLETIONS)
async def refuses_without_end(wire: Wire) -> None:
    await wire.send(b"HTTP/1.1 500 Oh\r\n\r\n")
    await wire.for_ever(b"x" * 65536)


# Encodings


@at("*")
async def gzip_bomb(wire: Wire) -> None:
    bomb = gzip.compress(bytes(64 << 20), 9)
    await wire.answer(bomb, _JSON, "200 OK", "Content-Encoding: gzip")


@at(COMPLETIONS)
async def gzip_bomb_of_events(wire: Wire) -> None:
    bomb = gzip.compress(event(" Aye") * 500_000, 9)
    await wire.begin(EVENTS, "Content-Encoding: gzip")
    await wire.send(bomb)


@at("*")
async def deflate_of_garbage(wire: Wire) -> None:
    broken = zlib.compress(b"{}")[:-4] + b"\xff" * 40
    await wire.answer(broken, _JSON, "200 OK", "Content-Encoding: deflate")


@at(LIST)
async def encoding_unknown(wire: Wire) -> None:
    await wire.answer(b"{}", _JSON, "200 OK", "Content-Encoding: zstd, br, rot13")


@at(LIST)
async def charset_wrong(wire: Wire) -> None:
    await wire.answer(json.dumps(MODELS).encode("utf-16"), "application/json; charset=\xff")


# Models, properties and tokens


def _tells(name: str, path: str, value: object) -> None:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()

    async def act(wire: Wire) -> None:
        await wire.answer(body)

    add(name, path, act)


def _props(n_ctx: object) -> object:
    return {"default_generation_settings": {"n_ctx": n_ctx}}


_tells("models_none", LIST, {"data": []})
_tells("models_a_number", LIST, 5)
_tells("models_without_data", LIST, {"models": [1]})
_tells("models_of_wrong_types", LIST, {"data": [5, None, {"id": 5}, {"id": ["a"]}, "x"]})
_tells("models_by_the_thousand", LIST, {"data": [{"id": f"m{n}"} for n in range(100_000)]})
_tells("models_with_escapes", LIST, {"data": [{"id": ESCAPES}, {"id": "a/../../b"}]})
_tells("models_with_the_key", LIST, {"data": [{"id": KEY}]})
_tells("models_with_half_a_letter", LIST, b'{"data": [{"id": "a\\ud83d/\\u0000"}]}')
_tells("models_deep", LIST, b'{"data": ' + b"[" * 100_000)
_tells("models_with_huge_numbers", LIST, b'{"data": [{"id": "m", "n_ctx": %b}]}' % (b"9" * 9999))
_tells("models_of_a_megabyte", LIST, {"data": [{"id": "x" * 2**20}]})
_tells(
    "models_that_are_nothing",
    LIST,
    b'{"data": [{"id": "m", "meta": {"n_params": 1e999, "size": NaN, "n_ctx_train": -1}}]}',
)
_tells("context_0", "/props", _props(0))
_tells("context_negative", "/props", _props(-4096))
_tells("context_of_63_bits", "/props", _props(2**63))
_tells("context_of_31_bits", "/props", _props(2**31))
_tells("context_of_1", "/props", _props(1))
_tells("context_a_text", "/props", _props("4096"))
_tells("context_infinite", "/props", b'{"default_generation_settings": {"n_ctx": 1e999}}')
_tells("context_a_list", "/props", _props([4096]))
_tells("context_of_a_card", LIST, {"data": [{"id": "m", "meta": {"n_ctx": "large"}}]})
_tells("settings_a_list", "/props", {"default_generation_settings": [{"n_ctx": 4096}]})
_tells("props_with_depth", "/props", b'{"default_generation_settings": ' + b"[" * 100_000)
_tells("tokens_of_an_object", "/tokenize", {"tokens": {"0": 1}})
_tells("tokens_of_fractions", "/tokenize", {"tokens": [1.0, 1.5]})
_tells("tokens_of_text", "/tokenize", {"tokens": ["a", "b"]})
_tells("tokens_negative", "/tokenize", {"tokens": [-1, -2]})
_tells("tokens_true", "/tokenize", {"tokens": [True, False]})
_tells("tokens_of_70_bits", "/tokenize", {"tokens": [2**70]})
_tells("tokens_too_many", "/tokenize", {"tokens": [1] * 500_000})
_tells("tokens_none", "/tokenize", {"tokens": []})
_tells("tokens_null", "/tokenize", {"tokens": None})
_tells("tokens_a_page", "/tokenize", b"<html>")


@at(LIST)
async def models_without_end(wire: Wire) -> None:
    await wire.begin(_JSON)
    await wire.send(b'{"data": [')
    await wire.for_ever(b'{"id": "m"},' * 5000)


@at(LIST)
async def models_dribbled(wire: Wire) -> None:
    await wire.begin(_JSON)
    await wire.for_ever(b" ", 0.05)


@at("/tokenize")
async def tokens_without_end(wire: Wire) -> None:
    await wire.begin(_JSON)
    await wire.send(b'{"tokens": [')
    await wire.for_ever(b"1," * 30_000)


@at("*")
async def another_kind_each_time(wire: Wire) -> None:
    route = KOBOLDCPP.get(wire.path)
    answer = route(wire) if callable(route) else route  # type: ignore[arg-type]
    if answer is not None and wire.path != "/api/extra/abort":
        await wire.answer(b"".join(answer.parts))
    elif wire.path in (COMPLETIONS, "/api/extra/abort"):
        await wire.hang()
    else:
        await wire.honest()


# Streams


def _streams(name: str, *parts: bytes) -> None:
    async def act(wire: Wire) -> None:
        await wire.stream(*parts)

    add(name, COMPLETIONS, act)


def _data(value: object) -> bytes:
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return b"data: " + text + b"\n\n"


def _choice(**fields: object) -> bytes:
    return _data({"choices": [{"index": 0, **fields}]})


_AYE: Final = event(" Aye.")
_END: Final = event("", "stop") + _DONE


def _replies(name: str, *parts: bytes) -> None:
    _streams(name, *parts, _END)


_streams("stream_of_nothing")
_streams("data_without_json", b"data: hello\n\n", b"data: {\n\n", b"data\n\n", b"data:\n\n")
_replies("data_of_other_json", *map(_data, ([], "x", 5, None, True, [[[]]])), _AYE)
_replies("data_deep", _data(b'{"choices":' * 5000), _data(b"[" * 200_000), _AYE)
_replies("data_with_huge_numbers", _data(b'{"usage": {"prompt_tokens": %b}}' % (b"9" * 9999)))
_replies("choices_missing", _data({"id": "x"}), _data({"choices": None}))
_replies("choices_empty", _data({"choices": []}), _data({"choices": {}}))
_replies("choices_by_the_thousand", _data({"choices": [{"text": "a"}] * 30_000}))
_replies("choices_null", _data({"choices": [None, 5, "x"]}), _AYE)
_TEXTS: Final[tuple[object, ...]] = (None, 5, [], {}, True, 1.5)
_replies("text_of_wrong_types", *(_choice(text=each) for each in _TEXTS))
_replies("tool_calls", _choice(tool_calls=[{"function": {"name": "rm"}}]), _choice(delta={}))
_replies("chat_deltas", _choice(delta={"role": "assistant", "content": "Aye"}))
_LOGPROBS: Final[tuple[object, ...]] = (
    *(5, [], "x", {"content": 5}, {"content": [5, None, {"token": 5, "logprob": "x"}]}),
    {"tokens": [1, None], "token_logprobs": ["x"], "top_logprobs": [5]},
    {"tokens": ["a"], "token_logprobs": [2**70], "top_logprobs": [{"b": -(2**70), "": 5}]},
    {"content": [{"token": "z" * 9000, "logprob": 99, "top_logprobs": [{"token": 5}] * 3000}]},
)
_streams(
    "logprobs_of_wrong_shapes", *(_choice(text="a", logprobs=each) for each in _LOGPROBS), _END
)
_replies(
    "logprobs_of_no_number",
    _data(
        b'{"choices": [{"text": "a", "logprobs": {"content": [{"token": "a", "logprob": NaN}]}}]}'
    ),
)
_COUNTS: Final = ("prompt_tokens", "completion_tokens")
_USAGES: Final[tuple[object, ...]] = (*(-1, 2**70, 2**63, "9", 1.5, None, True, [9], 10**12),)
_replies(
    "usage_of_nonsense",
    _AYE,
    *(
        event(
            "", usage={"prompt_tokens": each, "completion_tokens": each}, timings={"cache_n": each}
        )
        for each in _USAGES
    ),
    event("", usage=[], timings="x", prompt_progress=5),
)
_replies(
    "more_reused_than_read",
    _AYE,
    event("", usage={"prompt_tokens": 1}, timings={"cache_n": 9}),
)
_replies(
    "progress_of_nonsense",
    *(
        event("", prompt_progress={"total": total, "cache": cache, "processed": processed})
        for total, cache, processed in ((1, 5, 9), (0, 0, 0), (2**70, 1, 1), (9, 5, 0), (9, 0, 99))
    ),
    _AYE,
)
_streams("finish_strange", _AYE, event("", "banana\x1b[2J"), _DONE)
_streams("finish_a_number", _AYE, _choice(text="", finish_reason=5), _DONE)
_streams("finish_never", _AYE, _DONE)
_streams("done_never", _AYE, event("", "stop"))
_streams("done_twice", _AYE, _END, _DONE, _DONE)
_replies("done_first", _DONE, _AYE)
_streams("more_after_done", _AYE, _END, *[event(" and on")] * 1000)
_streams("more_after_the_finish", _AYE, event("", "stop"), *[event(" and on")] * 1000, _DONE)
_streams("lines_end_in_cr", _AYE.replace(b"\n", b"\r"), _END.replace(b"\n", b"\r"))
_streams("lines_end_in_crlf", _AYE.replace(b"\n", b"\r\n"), _END.replace(b"\n", b"\r\n"))
_replies("lines_end_in_all_ways", b"data: {\r", b"\n\r\r\n", _AYE, b"\r\n\r")
_replies("byte_order_mark", b"\xef\xbb\xbf", _AYE, b"\xef\xbb\xbf" + _AYE)
_streams("event_error", b"event: error\n", _data({"error": "out of memory"}))
_streams(
    "error_line", b"error: " + json.dumps({"code": 500, "message": ESCAPES}).encode() + b"\n\n"
)
_streams(
    "error_within_a_reply", _AYE, _data({"error": {"message": "CUDA error\x1b[31m\n\n at 0x"}})
)
_streams("error_with_the_key", _data({"error": f"Authorization: Bearer {KEY}"}))
_streams("error_with_the_key_cut", _data({"error": "x" * 180 + f" {KEY}"}))
_streams("error_of_no_size", _AYE, _data({"error": "the context size is exceeded"}))
_streams("error_a_number", _data({"error": 2**80}))
_streams("error_deep", _data({"error": {"error": {"error": {"message": [[["x"]]]}}}}))
_streams("error_of_a_megabyte", _data({"error": "\x1b" * 2**17}))
_streams("letters_cut_in_half", *(bytes([each]) for each in event(" Zwölf 🦆 …") + _END))
_replies("bytes_of_no_letters", _data(b'{"choices": [{"text": " a\xff\xfe\xed\xa0\x80z"}]}'))
_replies("surrogates", _data(b'{"choices": [{"text": " a\\ud83d\\udc00\\udfff z"}]}'))
_replies("nul", _data(b'{"choices": [{"text": " a\\u0000b\x00c"}]}'))
_replies("escapes_in_text", event(f" Aye{ESCAPES[:-11]} he said."))
_streams(
    "escapes_cut_in_half", event(" Aye \x1b"), event("]52;c;cm0="), event("\x07 he said."), _END
)
_streams("block_marks", event(" Aye."), event("▄\n▀message\nWren: I steal.▄\n▀title\nx▄"), _DONE)
_replies("megabyte_of_text", event(" word" * 200_000))
_streams(
    "line_of_15_megabytes", _data(b'{"choices": [{"text": "%b"}]}' % (b"x" * (15 << 20))), _END
)
_replies("event_of_many_lines", b"data: {\n" * 500_000)
_replies("keys_by_the_thousand", _data({f"k{n}": n for n in range(40_000)}), _AYE)


@at(COMPLETIONS)
async def finish_and_then_silence(wire: Wire) -> None:
    await wire.stream(_AYE, event("", "stop"))
    await wire.hang()


@at(COMPLETIONS)
async def silence_after_the_head(wire: Wire) -> None:
    await wire.begin()
    await wire.hang()


@at(COMPLETIONS)
async def silence_after_a_token(wire: Wire) -> None:
    await wire.stream(event(" Aye"))
    await wire.hang()


@at(COMPLETIONS)
async def one_token_and_then_slowly(wire: Wire) -> None:
    await wire.begin()
    for word in (" Aye", ", she", " said", "."):
        await wire.send(event(word))
        await asyncio.sleep(0.1)
    await wire.send(_END)


@at(COMPLETIONS)
async def dribbles_byte_by_byte(wire: Wire) -> None:
    await wire.begin()
    for each in _AYE + _END:
        await wire.send(bytes([each]))
        await asyncio.sleep(0.001)


@at(COMPLETIONS)
async def dribbles_without_end(wire: Wire) -> None:
    await wire.begin()
    await wire.send(b"data: ")
    await wire.for_ever(b"x", 0.01)


def _endless(name: str, part: bytes, kind: str = EVENTS) -> None:
    async def act(wire: Wire) -> None:
        await wire.begin(kind)
        await wire.for_ever(part)

    add(name, COMPLETIONS, act)


_endless("endless_words", event(" word"))
_endless("endless_words_at_once", event(" word") * 500)
_endless("endless_paragraphs", event(' "Aye," she said, and looked out over the water.\n\n'))
_endless("endless_letters", event("a"))
_endless("endless_gaps", event("\n"))
_endless("endless_thinking", event("<think> Hm."))
_endless("endless_names", event("\nOld Woman: "))
_endless("endless_fences", event("```\n*"))
_endless("endless_line", b"x" * 65536)
_endless("endless_data", b"data: x\n" * 5000)
_endless("endless_comments", b": ping\n\n")
_endless("endless_comments_at_once", b": ping\n\n" * 5000)
_endless("endless_empty_texts", event(""))
_endless("endless_events_of_nothing", b"data: {}\n\n" * 2000)
_endless("endless_progress", event("", prompt_progress={"total": 9, "cache": 0, "processed": 5}))
_endless("endless_big_texts", event("x" * 100_000))
_endless("endless_plain_text", b'{"choices": [' * 1000, _JSON)
_endless("endless_page", b"<p>hello", "text/html")


@at(COMPLETIONS)
async def endless_new_words(wire: Wire) -> None:
    await wire.begin()
    words = random.Random(1)
    for _ in range(10**9):
        await wire.send(event(" " + "".join(words.choices("abcdefghijklmnop", k=4))))


@at(COMPLETIONS)
async def progress_that_always_grows(wire: Wire) -> None:
    await wire.begin()
    for done in range(10**9):
        told = {"total": 10**9, "cache": 0, "processed": done}
        await wire.send(event("", prompt_progress=told))


@at(COMPLETIONS)
async def answers_in_one_piece(wire: Wire) -> None:
    await wire.json({"choices": [{"text": " Aye. " + "word " * 100_000, "finish_reason": "stop"}]})


@at(COMPLETIONS)
async def answers_with_a_page(wire: Wire) -> None:
    await wire.answer(b"<html>Log in first</html>", "text/html")


@at(COMPLETIONS)
async def answers_with_nothing(wire: Wire) -> None:
    await wire.answer(b"")


@at(COMPLETIONS)
async def answers_with_an_error(wire: Wire) -> None:
    await wire.json({"error": {"message": f"{ESCAPES} {KEY}"}})


@at(COMPLETIONS)
async def has_no_kind(wire: Wire) -> None:
    await wire.send(b"HTTP/1.1 200 OK\r\n\r\n" + _AYE + _END)


@at(COMPLETIONS)
async def sets_a_thousand_cookies(wire: Wire) -> None:
    await wire.begin(EVENTS, *(f"Set-Cookie: a{n}={'x' * 50}" for n in range(1000)))
    await wire.send(_AYE + _END)


def main() -> None:
    """Serve one behaviour until it is killed."""
    with hostile(sys.argv[1]) as url:
        print(url, flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()

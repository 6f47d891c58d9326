"""A server on localhost that says what a test tells it to, byte by byte, and hears all."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

MODELS = {"object": "list", "data": [{"id": "shori-7b", "object": "model"}]}
EVENTS = "text/event-stream"


@dataclass(frozen=True)
class Heard:
    """A request that came."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any


@dataclass(frozen=True)
class Answer:
    """What is sent back: each part by itself, then perhaps nothing more at all."""

    parts: Sequence[bytes] = ()
    status: int = 200
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    dies: bool = False
    """The connection breaks after the last part."""
    hangs: bool = False
    """Nothing comes after the last part, and the connection stays."""
    delay: float = 0.0
    """Seconds before the first part."""


Route = Answer | Callable[[Heard], Answer]


def told(value: object, status: int = 200) -> Answer:
    """An answer in JSON."""
    return Answer((json.dumps(value).encode(),), status)


def event(text: str = "", finish: str | None = None, **more: object) -> bytes:
    """One event of a stream."""
    choice = {"index": 0, "text": text, "finish_reason": finish}
    return f"data: {json.dumps({'choices': [choice], **more}, ensure_ascii=False)}\n\n".encode()


def stream(*parts: bytes, **how: Any) -> Answer:
    """An event stream."""
    return Answer(parts, content_type=EVENTS, **how)


class ScriptedServer:
    """Routes by path, and what was asked of them."""

    def __init__(self, routes: Mapping[str, Route]) -> None:
        self.routes = {"/v1/models": told(MODELS), **routes}
        self.heard: list[Heard] = []
        self.left = asyncio.Event()
        """Set once somebody closed the connection before the answer's end."""
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def asked(self, path: str) -> list[Any]:
        """The bodies of the requests to a path."""
        return [heard.body for heard in self.heard if heard.path == path]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError):  # A connection made in vain.
            heard = await _heard(reader)
            try:
                await self._answer(heard, reader, writer)
            except ConnectionError:
                self.left.set()
        writer.close()

    async def _answer(
        self, heard: Heard, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.heard.append(heard)
        route = self.routes.get(heard.path, told({"detail": "Not Found"}, 404))
        answer = route(heard) if callable(route) else route
        head = {
            "Content-Type": answer.content_type,
            "Transfer-Encoding": "chunked",
            "Connection": "close",
        }
        lines = [f"HTTP/1.1 {answer.status} Said"]
        lines += [f"{name}: {value}" for name, value in {**head, **answer.headers}.items()]
        await asyncio.sleep(answer.delay)
        writer.write("\r\n".join([*lines, "", ""]).encode())
        for part in answer.parts:
            writer.write(b"%x\r\n%b\r\n" % (len(part), part))
            await writer.drain()
            await asyncio.sleep(0)  # Each part is a packet of its own.
        if answer.hangs:
            await reader.read()
            self.left.set()
        elif answer.dies:
            writer.transport.abort()
        else:
            writer.write(b"0\r\n\r\n")
            await writer.drain()


@asynccontextmanager
async def scripted_server(routes: Mapping[str, Route]) -> AsyncIterator[ScriptedServer]:
    """A server of these routes, while it runs."""
    imitated = ScriptedServer(routes)
    server = await asyncio.start_server(imitated.serve, "127.0.0.1", 0)
    imitated.port = server.sockets[0].getsockname()[1]
    try:
        yield imitated
    finally:
        server.close()


async def _heard(reader: asyncio.StreamReader) -> Heard:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    first, *lines = head.strip().split("\r\n")
    method, path, _ = first.split(" ")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Heard(method, path, headers, json.loads(body) if body else None)


# What single profiles of servers have, as they say it. Every character is a token.


def _ids(text: str) -> list[int]:
    return [1, *map(ord, text)]


LLAMA_SERVER: dict[str, Route] = {
    "/props": told({"default_generation_settings": {"n_ctx": 4000}, "total_slots": 1}),
    "/tokenize": lambda heard: told({"tokens": _ids(heard.body["content"])}),
    "/detokenize": lambda heard: told({"content": "".join(map(chr, heard.body["tokens"]))}),
}
KOBOLDCPP: dict[str, Route] = {
    "/api/extra/version": told({"result": "KoboldCpp", "version": "1.99"}),
    "/api/extra/true_max_context_length": told({"value": 6000}),
    "/api/v1/model": told({"result": "koboldcpp/shori"}),
    "/api/extra/tokencount": lambda heard: told(
        {"value": len(heard.body["prompt"]), "ids": _ids(heard.body["prompt"])}
    ),
    "/api/extra/abort": told({"success": True}),
    "/props": told({"chat_template": "", "default_generation_settings": {"n_ctx": 1}}),
}
VLLM: dict[str, Route] = {
    "/v1/models": told({"data": [{"id": "org/shori", "max_model_len": 5000}]}),
    "/version": told({"version": "0.15.0"}),
    "/tokenize": lambda heard: told({"count": 1, "tokens": _ids(heard.body["prompt"])}),
}
TABBY: dict[str, Route] = {
    "/v1/models": told({"data": [{"id": "another"}, {"id": "shori-exl3"}]}),
    "/v1/model": told({"id": "shori-exl3", "parameters": {"max_seq_len": 7000}}),
    "/v1/token/encode": lambda heard: told({"tokens": _ids(heard.body["text"])}),
}

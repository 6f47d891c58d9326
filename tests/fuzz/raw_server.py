"""A server on this machine that sends what it is given, byte by byte, whatever was asked."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

_EVENTS: Final = "text/event-stream"


@dataclass(frozen=True, slots=True)
class Raw:
    """An answer: its head, and a body of which a part comes several times."""

    head: str = "HTTP/1.1 404 Said\r\nContent-Length: 0\r\n\r\n"
    parts: tuple[str, ...] = ()
    times: int = 1
    """How often the parts come."""


@contextmanager
def serving(routes: Mapping[str, Raw]) -> Iterator[str]:
    """The address of a server with these routes, while it runs."""

    class _Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            with suppress(OSError, ValueError):
                path = _read(self.rfile)
                answer = routes.get(path, Raw())
                self.wfile.write(_bytes(answer.head))
                for _ in range(answer.times):
                    for part in answer.parts:
                        self.wfile.write(_bytes(part))

    class _Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        request_queue_size = 50

    with _Server(("127.0.0.1", 0), _Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()


def _read(file: Any) -> str:
    """Read a request; return its path."""
    _, path, _ = file.readline().decode().split(" ")
    length = 0
    while (line := file.readline().strip().lower()) != b"":
        if line.startswith(b"content-length:"):
            length = int(line.partition(b":")[2])
    file.read(length)
    return str(path).partition("?")[0]


def _bytes(text: str) -> bytes:
    is_whole = text.isascii() or max(text) < "\ud800" or min(text) > "\udfff"
    return text.encode("utf-8", "strict" if is_whole else "replace")


def told(value: object, status: int = 200) -> Raw:
    """An answer in JSON."""
    head = f"HTTP/1.1 {status} Said\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n"
    return Raw(head, (json.dumps(value),))


def stream(*words: str, **more: object) -> Raw:
    """A stream of a completion."""
    head = f"HTTP/1.1 200 Said\r\nContent-Type: {_EVENTS}\r\nConnection: close\r\n\r\n"
    events = [{"choices": [{"index": 0, "text": word}], **more} for word in words]
    events.append({"choices": [{"index": 0, "text": "", "finish_reason": "stop"}]})
    lines = [f"data: {json.dumps(each, ensure_ascii=False)}\n\n" for each in events]
    return Raw(head, (*lines, "data: [DONE]\n\n"))


TAME: Final[Mapping[str, Raw]] = {
    "/v1/models": told({"object": "list", "data": [{"id": "shori", "object": "model"}]}),
    "/v1/completions": stream(' "Aye', '," Mara said', ".▄"),
}

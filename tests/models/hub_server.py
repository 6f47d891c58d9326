"""A server that speaks the parts of the Hugging Face hub's API by which a model is pulled."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

COMMIT = "c0ffee" * 6 + "c0ff"


@dataclass
class Hub:
    """One repository, and how the hub misbehaves."""

    name: str
    files: dict[str, bytes]
    url: str = ""
    in_git: bool = False
    """The files are small and have no digest of their own."""
    token: str = ""
    """Without it the repository is not there."""
    refusal: tuple[int, str] | None = None
    """The status and error code of every answer."""
    page: str = ""
    """What answers instead of the API."""
    break_after: int | None = None
    """A connection ends after so many bytes of a file."""
    breaks: int = 1
    """How often it does."""
    held: threading.Event | None = None
    """Instead of breaking, the connection waits for this."""
    damaged: bool = False
    ignores_ranges: bool = False
    told_tokens: list[str] = field(default_factory=list)
    """Requests for a file's content that came with a token."""
    sent: list[tuple[str, str]] = field(default_factory=list)
    """Path and Range of each request for a file's content."""

    def info(self) -> dict[str, Any]:
        siblings = [self._sibling(path, content) for path, content in self.files.items()]
        return {"id": self.name, "sha": COMMIT, "private": bool(self.token), "siblings": siblings}

    def _sibling(self, path: str, content: bytes) -> dict[str, Any]:
        blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        lfs = {"sha256": sha256(content), "size": len(content), "pointerSize": 134}
        facts = {"rfilename": path, "size": len(content), "blobId": blob}
        return facts if self.in_git else {**facts, "lfs": lfs}

    def tree(self) -> list[dict[str, Any]]:
        return [
            {
                "type": "file",
                "path": file["rfilename"],
                "size": file["size"],
                "oid": file["blobId"],
                **({"lfs": {**file["lfs"], "oid": file["lfs"]["sha256"]}} if "lfs" in file else {}),
            }
            for file in self.info()["siblings"]
        ]

    def by_digest(self, digest: str) -> bytes:
        return next(content for content in self.files.values() if sha256(content) == digest)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@contextmanager
def serving(hub: Hub) -> Iterator[Hub]:
    class Door(_Door):
        pass

    Door.hub = hub
    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()


class _Door(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        if self.hub.page:
            self._answer(200, self.hub.page.encode())
        elif self.hub.refusal:
            status, code = self.hub.refusal
            self._answer(status, b"{}", {"X-Error-Code": code, "X-Error-Message": code})
        elif path.startswith("/cdn/"):
            self._content(self.hub.by_digest(path.removeprefix("/cdn/")), path)
        elif self.hub.token and self.headers["Authorization"] != f"Bearer {self.hub.token}":
            self._answer(404, b"{}", {"X-Error-Code": "RepoNotFound"})
        elif path == f"/api/models/{self.hub.name}/tree/{COMMIT}":
            self._answer(200, json.dumps(self.hub.tree()).encode())
        elif path.startswith(f"/api/models/{self.hub.name}/revision/") and path.split("/")[
            -1
        ] not in (*("main", COMMIT),):
            self._answer(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
        elif path.startswith(f"/api/models/{self.hub.name}"):
            warning = {"X-HF-Warning": "login; You should log in."}
            self._answer(200, json.dumps(self.hub.info()).encode(), warning)
        elif path.startswith(f"/{self.hub.name}/resolve/{COMMIT}/"):
            self._resolve(path.removeprefix(f"/{self.hub.name}/resolve/{COMMIT}/"))
        else:
            self._answer(404, b"{}", {"X-Error-Code": "RepoNotFound"})

    def _resolve(self, file: str) -> None:
        content = self.hub.files.get(file)
        if content is None:
            self._answer(404, b"", {"X-Error-Code": "EntryNotFound"})
        elif self.hub.in_git:
            self._content(content, file)
        else:
            elsewhere = self.hub.url.replace("127.0.0.1", "localhost")  # as the hub's content is
            linked = {
                "Location": f"{elsewhere}/cdn/{sha256(content)}",
                "X-Repo-Commit": COMMIT,
                "X-Linked-Size": str(len(content)),
                "X-Linked-ETag": f'"{sha256(content)}"',
                "ETag": f'"{sha256(content)}"',
            }
            self._answer(302, b"", linked)

    def _content(self, content: bytes, path: str) -> None:
        hub = self.hub
        asked = self.headers["Range"] or ""
        if self.command == "HEAD":
            self._answer(200, content, {"ETag": f'"{sha256(content)}"', "X-Repo-Commit": COMMIT})
            return
        hub.sent.append((path, asked))
        if self.headers["Authorization"]:
            hub.told_tokens.append(path)
        begin = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
        if hub.ignores_ranges:
            begin = 0
        self.send_response(206 if begin else 200)
        if begin:
            self.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - begin))
        self.send_header("ETag", f'"{sha256(content)}"')
        self.end_headers()
        rest = content[begin:]
        if hub.damaged:
            rest = bytes(len(rest))
        if hub.break_after is not None and hub.breaks:
            hub.breaks -= 1
            self.wfile.write(rest[: hub.break_after])
            self.wfile.flush()
            if hub.held:
                hub.held.wait()
            self.close_connection = True
            return
        self.wfile.write(rest)

    def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, content in (headers or {}).items():
            self.send_header(name, content)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (its parent's word)
        pass

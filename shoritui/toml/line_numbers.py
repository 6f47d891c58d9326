"""Find the line of a TOML text on which each key and each element of a list stands."""

from __future__ import annotations

import re
from typing import TypeAlias

import tomli

KeyPath: TypeAlias = tuple[str | int, ...]
"""Keys and list positions from the top, as in `("character", 1, "name")`."""

_TALL = (
    r'''"""(?:[^"\\]++|\\[\s\S]|"{1,2}+(?!"))*+"{3,5}'''
    r"""|'''(?:[^']++|'{1,2}+(?!'))*+'{3,5}"""
)
_FLAT = r"""|"(?:[^"\\\n]|\\.)*+"|'[^'\n]*+'|\#[^\n]*+"""
_TOKEN = re.compile(rf"""{_TALL}{_FLAT}|\n|[\[\]{{}},=.]|[^\s\#"'\[\]{{}},=.]++""")
_UNCLOSED = re.compile(rf"""{_TALL}|(?P<open>"{{3}}|'{{3}}){_FLAT}|(?P<quote>["'])""")

# No field of any of our files lies deeper than `character = [{ aliases = ["x"] }]`.
_DEEPEST = 4


def key_lines(text: str) -> dict[KeyPath, int]:
    """Return the line, from 1, of every key, table and list element of a valid TOML text."""
    return _Scan(text).lines


def line_of(lines: dict[KeyPath, int], path: KeyPath) -> int:
    """Return the line of `path`, or of the nearest thing around it that has one."""
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path, 1)


def unclosed_line(text: str, end: int) -> int:
    """Return the line of the first quote before `end` that opens a text and has no end; else 0."""
    for match in _UNCLOSED.finditer(text):
        if match.start() > end:
            break
        if match["open"] or match["quote"]:
            return text.count("\n", 0, match.start()) + 1
    return 0


class _Scan:
    def __init__(self, text: str) -> None:
        self.lines: dict[KeyPath, int] = {}
        self._tokens: list[tuple[str, int]] = []
        self._lengths: dict[KeyPath, int] = {}
        self._at = 0
        self._tokenize(text.replace("\r\n", "\n"))
        self._document()

    def _tokenize(self, text: str) -> None:
        line, end = 1, 0
        for match in _TOKEN.finditer(text):
            line += text.count("\n", end, match.start())
            end = match.start()
            if not match[0].startswith("#"):
                self._tokens.append((match[0], line))

    @property
    def _token(self) -> str:
        return self._tokens[self._at][0] if self._at < len(self._tokens) else ""

    def _take(self) -> str:
        self._at += 1
        return self._tokens[self._at - 1][0]

    @property
    def _line(self) -> int:
        return self._tokens[self._at][1]

    def _document(self) -> None:
        table: KeyPath = ()
        while self._token:
            if self._token == "\n":
                self._take()
            elif self._token == "[":
                table = self._header()
            else:
                self._assignment(table)

    def _header(self) -> KeyPath:
        """Read `[a.b]` or `[[a.b]]`; return the path of the table it opens."""
        line = self._line
        self._take()
        repeated = self._token == "["
        if repeated:
            self._take()
        table: KeyPath = ()
        for key in self._key():
            table = self._last_of((*table, key))
        self._take()
        if repeated:
            self._take()
            table = self._next_of(table)
        for depth in range(1, len(table) + 1):
            self.lines.setdefault(table[:depth], line)
        return table

    def _last_of(self, path: KeyPath) -> KeyPath:
        count = self._lengths.get(path)
        return path if count is None else (*path, count - 1)

    def _next_of(self, path: KeyPath) -> KeyPath:
        """Return the path of the element that a `[[...]]` header begins."""
        array = path[:-1] if path and isinstance(path[-1], int) else path
        position = self._lengths.get(array, 0)
        self._lengths[array] = position + 1
        return (*array, position)

    def _key(self) -> list[str]:
        parts = [_plain_key(self._take())]
        while self._token == ".":
            self._take()
            parts.append(_plain_key(self._take()))
        return parts

    def _assignment(self, table: KeyPath) -> None:
        line = self._line
        path = table
        for key in self._key():
            path = (*path, key)
            self.lines.setdefault(path, line)
        self._take()  # the "="
        self._value(path)

    def _value(self, path: KeyPath) -> None:
        if self._token == "[" and len(path) <= _DEEPEST:
            self._array(path)
        elif self._token == "{" and len(path) <= _DEEPEST:
            self._inline_table(path)
        else:
            self._skip_value()

    def _array(self, path: KeyPath) -> None:
        self._take()
        position = 0
        while self._token != "]":
            if self._token in ("\n", ","):
                self._take()
                continue
            self.lines.setdefault((*path, position), self._line)
            self._value((*path, position))
            position += 1
        self._take()

    def _inline_table(self, path: KeyPath) -> None:
        self._take()
        while self._token != "}":
            if self._token in ("\n", ","):
                self._take()
            else:
                self._assignment(path)
        self._take()

    def _skip_value(self) -> None:
        """Go past a value of any depth, to the comma, bracket or line end behind it."""
        depth = 0
        while self._token and (depth or self._token not in (",", "]", "}", "\n")):
            token = self._take()
            depth += (token in ("[", "{")) - (token in ("]", "}"))


def _plain_key(token: str) -> str:
    if token[0] not in "\"'":
        return token
    return next(iter(tomli.loads(f"{token} = 0")))

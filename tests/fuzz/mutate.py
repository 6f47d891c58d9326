"""Change an input into another one: by what it is made of, or byte by byte.

A file is taken apart as far as its form is known, and one part is changed: the text in the base64
in a chunk of a PNG, a column of a row of a library, a value in the JSON of a line. The container is
put together again with the right lengths and checksums, so that a reader gets as far as the part.
"""

from __future__ import annotations

import base64
import io
import json
import re
import sqlite3
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable, Sequence
from contextlib import closing
from random import Random
from typing import Any, Final

from tests.fuzz.dictionary import NUMBERS, TEXTS, VALUES
from tests.interop.cards.pictures import SIGNATURE, chunk
from tests.story.damage import VALUES as CELLS

LARGEST: Final = 1 << 18
"""Bytes of an input."""
_TOKEN: Final = re.compile(r"\w+|\s+|[^\w\s]")
_BASE64: Final = re.compile(rb"[A-Za-z0-9+/]{16,}={0,2}")
_SQLITE: Final = b"SQLite format 3\0"
_Change = Callable[[Random, bytes, Sequence[bytes]], bytes]


def mutate(random: Random, content: bytes, others: Sequence[bytes]) -> bytes:
    """Return a content with one to four changes; `others` are contents to take parts of."""
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        content = _changed(random, content, others)[:LARGEST]
    return content


def hostile_text(random: Random) -> str:
    """Return one of the texts that nobody writes, or a few of them in a row."""
    return "".join(random.choices(TEXTS, k=random.choice((1, 1, 1, 2, 3))))


def _changed(random: Random, content: bytes, others: Sequence[bytes]) -> bytes:
    change = _bytes if random.random() < 0.2 else _change_of(content)
    try:
        return change(random, content, others)
    except (ValueError, KeyError, IndexError, struct.error, RecursionError, MemoryError):
        return _bytes(random, content, others)  # it is not what it begins as
    except (zipfile.BadZipFile, zlib.error, sqlite3.Error, NotImplementedError, OSError):
        return _bytes(random, content, others)


def _change_of(content: bytes) -> _Change:
    """Return how to change a part of what this is."""
    if content.startswith(SIGNATURE):
        return _chunks
    if content.startswith(b"PK\3\4"):
        return _members
    if content.startswith(b"GGUF"):
        return _fields
    if content.startswith(_SQLITE):
        return _cells
    if content[:1] in (b"{", b"["):
        return _lines_of_json
    if _BASE64.fullmatch(content):
        return _coded
    if b"\0" in content[:64]:
        return _bytes
    return _text


# Bytes and text.


def _bytes(random: Random, content: bytes, others: Sequence[bytes]) -> bytes:
    """Flip, cut, repeat, insert; numbers that are none; a part of another input."""
    start, end = sorted(random.randrange(len(content) + 1) for _ in range(2))
    match random.randrange(8):
        case 0:
            made = bytearray(content)
            for _ in range(random.randint(1, 8) if made else 0):
                made[random.randrange(len(made))] ^= 1 << random.randrange(8)
            return bytes(made)
        case 1:
            return content[:start]
        case 2:
            return content[:start] + content[end:]
        case 3:
            return content[:end] + content[start:end] * random.choice((1, 2, 100)) + content[end:]
        case 4:
            return content[:start] + random.choice(others or [b""])[-end:] + content[end:]
        case 5:
            number = struct.pack(random.choice("<>") + "Q", random.choice(NUMBERS))
            few = number[:4] if random.random() < 0.5 else number
            return content[:start] + few + content[start + len(few) :]
        case 6:
            return content[:start] + _encoded(hostile_text(random)) + content[start:]
        case _:
            return content[:start] + random.randbytes(random.randint(1, 9)) + content[start:]


def _text(random: Random, content: bytes, others: Sequence[bytes]) -> bytes:
    """Change lines or words: move, repeat, drop, or replace them by hostile ones."""
    text = content.decode("utf-8", "surrogateescape")
    other = random.choice(others or [b""]).decode("utf-8", "surrogateescape")
    if random.random() < 0.1:
        ends = text.replace("\n", random.choice(("\r\n", "\r", "\u2028", "\n\n")))
        code = random.choice(("utf-8-sig", "utf-16", "utf-16-be", "utf-32", "latin-1"))
        return ends.encode(code, "replace")
    split = str.splitlines if random.random() < 0.4 else _TOKEN.findall
    parts, those = list(_split(split, text)), list(_split(split, other))
    at, to = random.randrange(len(parts) + 1), random.randrange(len(parts) + 1)
    match random.randrange(6):
        case 0:
            del parts[at : at + random.choice((1, 1, 2, 9))]
        case 1:
            parts[to:to] = parts[at : at + random.randint(1, 9)]
        case 2:
            parts[at:at] = parts[at : at + 3] * random.choice((2, 30, 500))
        case 3:
            few = random.randrange(len(those) + 1)
            parts[at : at + random.choice((0, 1))] = those[few : few + random.randint(1, 9)]
        case 4:
            parts[at : at + 1] = [hostile_text(random)]
        case _:
            parts.insert(at, hostile_text(random))
    return _encoded("".join(parts))


def _split(split: Callable[..., list[str]], text: str) -> list[str]:
    return split(text, True) if split is str.splitlines else split(text)


def _encoded(text: str) -> bytes:
    """UTF-8, in which what was no UTF-8 is as it was, and half a pair of surrogates stays half."""
    return b"".join(
        character.encode("utf-8", "surrogateescape" if character > "\udc7f" else "surrogatepass")
        for character in re.split("([\ud800-\udfff])", text)
    )


# JSON.


def _lines_of_json(random: Random, content: bytes, others: Sequence[bytes]) -> bytes:
    """Change a value in a file of JSON, or in one of its lines."""
    try:
        return _json(random, content, others)
    except ValueError:
        lines = content.split(b"\n")
        at = random.randrange(len(lines))
        lines[at] = _json(random, lines[at], others)
        return b"\n".join(lines)


def _json(random: Random, content: bytes, others: Sequence[bytes]) -> bytes:
    value = _value(random, json.loads(content), _part(random, others))
    return _encoded(json.dumps(value, ensure_ascii=random.random() < 0.5))


def _value(random: Random, value: Any, part: Any) -> Any:
    """Return a JSON value in which something is replaced, gone, there twice or nested."""
    if isinstance(value, str) and random.random() < 0.6:
        return _text(random, value.encode("utf-8", "surrogatepass"), []).decode("utf-8", "replace")
    if not isinstance(value, dict | list) or not value or random.random() < 0.1:
        choices = (random.choice(VALUES), hostile_text(random), part, value, [value], {"a": value})
        return random.choice(choices)
    made: Any = value.copy()
    key = random.choice(list(made) if isinstance(made, dict) else range(len(made)))
    chance = random.random()
    if chance < 0.1:
        del made[key]
    elif chance < 0.2 and isinstance(made, dict):
        made[hostile_text(random)] = made.pop(key)
    elif chance < 0.2:
        made[key:key] = [made[key]] * random.choice((1, 2, 100))
    else:
        made[key] = _value(random, made[key], part)
    return made


def _part(random: Random, others: Sequence[bytes]) -> Any:
    """Return a value out of another input in JSON."""
    try:
        value = json.loads(random.choice(others or [b"0"]))
    except (ValueError, RecursionError):
        return None
    while isinstance(value, dict | list) and value and random.random() < 0.7:
        value = random.choice(list(value.values()) if isinstance(value, dict) else value)
    return value


# Containers.


def _coded(random: Random, content: bytes, others: Sequence[bytes]) -> bytes:
    return base64.b64encode(_changed(random, base64.b64decode(content), others))


def _chunks(random: Random, content: bytes, others: Sequence[bytes]) -> bytes:
    """Change a chunk of a PNG, or their order."""
    chunks, at = [], len(SIGNATURE)
    while at + 12 <= len(content):
        length = int.from_bytes(content[at : at + 4])
        chunks.append((content[at + 4 : at + 8], content[at + 8 : at + 8 + length]))
        at += 12 + length
    place = random.randrange(len(chunks))
    texts = [at for at, (kind, _) in enumerate(chunks) if kind.endswith(b"Xt")]
    if texts and random.random() < 0.7:
        place = random.choice(texts)
    kind, body = chunks[place]
    match random.randrange(8):
        case 0:
            del chunks[place]
        case 1:
            chunks.insert(random.randrange(len(chunks)), (kind, body))
        case 2:
            chunks[place] = (random.choice((b"tEXt", b"zTXt", b"iTXt", b"IEND", b"acTL")), body)
        case _:
            keyword, end, text = body.partition(b"\0")
            if kind == b"zTXt":
                text = b"\0" + zlib.compress(_changed(random, zlib.decompress(text[1:]), others))
            elif kind == b"iTXt" and text[:1] == b"\0":
                text = text[:4] + _changed(random, text[4:], others)
            elif kind == b"tEXt":
                text = _changed(random, text, others)
            else:
                keyword, end, text = b"", b"", _bytes(random, body, others)
            chunks[place] = (kind, keyword + end + text)
    return SIGNATURE + b"".join(chunk(*each) for each in chunks) + content[at:]


def _members(random: Random, content: bytes, others: Sequence[bytes]) -> bytes:
    """Change a file in a zip archive, its name, or their order."""
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        files = [(each.filename, file.read(each)) for each in file.infolist()[:50]]
    place = random.randrange(len(files))
    name, body = files[place]
    match random.randrange(6):
        case 0:
            del files[place]
        case 1:
            files.insert(random.randrange(len(files)), (name, body))
        case 2:
            files[place] = (random.choice((hostile_text(random), name + "/x", name[1:])), body)
        case _:
            files[place] = (name, _changed(random, body, others))
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a name comes twice
        for name, body in files:
            file.writestr(name.encode("utf-8", "replace").decode() or "x", body)
    return made.getvalue()


_WIDTHS: Final = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
"""Bytes of a value of GGUF's metadata, by its type."""
_GGUF_TEXT: Final = 8
_GGUF_LIST: Final = 9


def _fields(random: Random, content: bytes, others: Sequence[bytes]) -> bytes:
    """Change a key, a type, a length or a value of a GGUF's header."""
    spots, at = [(4, 4), (8, 8), (16, 8)], 24

    def number(size: int) -> int:
        nonlocal at
        spots.append((at, size))
        at += size
        return int.from_bytes(content[at - size : at], "little")

    def text() -> None:
        nonlocal at
        length = number(8)
        spots.append((at, length))
        at += length

    for _ in range(min(int.from_bytes(content[16:24], "little"), 100)):
        text()
        kind = number(4)
        count = 1
        if kind == _GGUF_LIST:
            kind, count = number(4), number(8)
        for _ in range(min(count, 10_000)):
            if kind == _GGUF_TEXT:
                text()
            else:
                number(_WIDTHS[kind])
    for _ in range(min(int.from_bytes(content[8:16], "little"), 100)):
        text()
        for _ in range(min(number(4), 4)):
            number(8)
        number(4), number(8)
    start, size = random.choice(spots[:400] if random.random() < 0.5 else spots)
    old = content[start : start + size]
    if random.random() < 0.4:
        new = _bytes(random, old, others)
    elif len(old) > 8:
        new = _encoded(hostile_text(random))[: len(old)].ljust(len(old))
    else:
        new = struct.pack("<Q", random.choice(NUMBERS))[: len(old)]
    return content[:start] + new + content[start + len(old) :]


def _cells(random: Random, content: bytes, others: Sequence[bytes]) -> bytes:
    """Change a column of some row of a database, or drop or repeat a row."""
    with closing(sqlite3.connect(":memory:")) as database:
        database.deserialize(content)
        database.execute("PRAGMA foreign_keys = OFF")
        database.execute("PRAGMA ignore_check_constraints = ON")
        tables = [
            name
            for (name,) in database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
            if database.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0]
        ]
        if random.random() < 0.05:
            version = random.choice(NUMBERS) & 0x7FFFFFFF
            database.execute(
                f"PRAGMA {random.choice(('user_version', 'application_id'))}={version}"
            )
        table = random.choice(tables)
        columns = [row[1] for row in database.execute(f'PRAGMA table_info("{table}")')]
        rows = [row[0] for row in database.execute(f'SELECT rowid FROM "{table}" LIMIT 500')]
        row, column = random.choice(rows), random.choice(columns)
        (old,) = database.execute(
            f'SELECT "{column}" FROM "{table}" WHERE rowid = ?', (row,)
        ).fetchone()
        if random.random() < 0.1:
            database.execute(f'DELETE FROM "{table}" WHERE rowid = ?', (row,))
        else:
            new = _cell(random, old, others)
            database.execute(f'UPDATE "{table}" SET "{column}" = ? WHERE rowid = ?', (new, row))
        database.commit()
        return database.serialize()


def _cell(random: Random, old: object, others: Sequence[bytes]) -> object:
    if isinstance(old, int) and random.random() < 0.5:
        return random.choice((old + 1, old - 1, 0, -1, 1, 2, 3, 2**63 - 1))
    if isinstance(old, str) and random.random() < 0.7:
        new = _changed(random, _encoded(old), others)
        return new if random.random() < 0.1 else new.decode("utf-8", "replace")
    text = hostile_text(random).encode("utf-8", "replace").decode()
    return random.choice((*CELLS, text))

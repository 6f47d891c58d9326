"""Cards in every kind of file, damaged in every way: each becomes a card, or one sentence.

python -m tests.interop.cards.mutations [COUNT [SEED]]     1,000 of them; prints what became of them

It runs under a limit of memory, so that what asks for more fails.
"""

from __future__ import annotations

import base64
import copy
import json
import os
import random
import resource
import sys
import tempfile
import time
import traceback
import zlib
from collections import Counter
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from shoritui.errors import UserError
from shoritui.folders import HOME_VARIABLE
from shoritui.interop.cards import CARD_FORMATS, export_card, import_card, whole_card
from tests.interop.cards.pictures import (
    SIGNATURE,
    animated,
    archive,
    chunk,
    commented,
    drawn,
    international,
    packed,
    plain,
)

MEMORY = 2 << 30
"""Bytes of address space, of which Python and its libraries take a part."""
SLOWEST = 30.0
"""Seconds for one file, on the busiest of machines."""
NASTY: tuple[Any, ...] = (
    *(None, True, 0, -1, 1e308, 10**400, "", "x" * 9_000, "\ud800", "\x1b[2J▀▄:\n", [], {}),
    *([[]], [None], {"": {}}, {"name": None}, "embeded://../../x", "__asset:0"),
)
BOOK = {"entries": [{"keys": ["fog"], "content": "Fog.", "extensions": {"depth": 4}}]}
ASSETS = [{"type": "icon", "name": "main", "uri": "embeded://assets/icon/images/a.png"}]
CARD: dict[str, Any] = {
    "spec": "chara_card_v3",
    "spec_version": "3.0",
    "data": {
        "name": "Orla",
        "nickname": "Or",
        "description": "Keeps the light.",
        "personality": "dry",
        "first_mes": "Hm.",
        "alternate_greetings": ["Well."],
        "group_only_greetings": ["You all."],
        "mes_example": "<START>\n{{char}}: No.",
        "post_history_instructions": "Be brief.",
        "tags": ["sea"],
        "character_book": BOOK,
        "assets": ASSETS,
        "extensions": {"talkativeness": "0.5", "depth_prompt": {"prompt": "Fog.", "depth": 2}},
    },
}
Change = Callable[[random.Random, bytes], bytes]


def text_of(card: object) -> bytes:
    return json.dumps(card).encode()


def png(card: dict[str, Any]) -> bytes:
    content = drawn()
    return content[:-12] + plain("chara", card) + plain("ccv3", card) + content[-12:]


def zipped(card: dict[str, Any], before: bytes = b"", packing: int = ZIP_DEFLATED) -> bytes:
    files = {"card.json": text_of(card), "assets/icon/images/a.png": drawn(), "b.bin": b"\0" * 99}
    return archive(files, before, packing)


FILES: dict[str, Callable[[dict[str, Any]], bytes]] = {
    "json": text_of,
    "png": png,
    "packed png": lambda card: SIGNATURE + drawn()[8:-12] + packed("chara", card) + drawn()[-12:],
    "itxt png": lambda card: (
        drawn()[:-12] + international("ccv3", card, is_packed=True) + drawn()[-12:]
    ),
    "apng": lambda card: animated(plain("ccv3", card)),
    "jpeg": lambda card: commented("JPEG", b"ASCII\0\0\0" + text_of(card)),
    "webp": lambda card: commented("WEBP", b"UNICODE\0" + text_of(card).decode().encode("utf-16")),
    "charx": zipped,
    "stored charx": lambda card: zipped(card, packing=0),
    "jpeg and charx": lambda card: zipped(card, drawn("JPEG")),
    "png and charx": lambda card: zipped(card, drawn()),
    "yaml": lambda card: f"name: Orla\ncontext: |\n  {card['data']}\ngreeting: Hm.\n".encode(),
}


def flipped(rng: random.Random, content: bytes) -> bytes:
    made = bytearray(content)
    for _ in range(rng.randint(1, 8)):
        made[rng.randrange(len(made))] = rng.randrange(256)
    return bytes(made)


def cut(rng: random.Random, content: bytes) -> bytes:
    return content[: rng.randrange(len(content))]


def moved(rng: random.Random, content: bytes) -> bytes:
    start, end = sorted(rng.randrange(len(content)) for _ in range(2))
    at = rng.randrange(len(content))
    return content[:at] + content[start:end] + content[at:]


def without(rng: random.Random, content: bytes) -> bytes:
    start, end = sorted(rng.randrange(len(content)) for _ in range(2))
    return content[:start] + content[end:]


def numbered(rng: random.Random, content: bytes) -> bytes:
    """Some four bytes, such as a length, a size or a checksum, are an extreme number."""
    at = rng.randrange(max(len(content) - 4, 1))
    number = rng.choice([0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x10000000])
    return content[:at] + number.to_bytes(4, rng.choice(["big", "little"])) + content[at + 4 :]


def rechunked(rng: random.Random, content: bytes) -> bytes:
    """The chunks of a PNG in another order, twice, away, changed with a right checksum."""
    if not content.startswith(SIGNATURE):
        return moved(rng, content)
    chunks, at = [], len(SIGNATURE)
    while at + 12 <= len(content):
        length = int.from_bytes(content[at : at + 4])
        chunks.append((content[at + 4 : at + 8], content[at + 8 : at + 8 + length]))
        at += 12 + length
    number = rng.randrange(len(chunks))
    kind, body = chunks[number]
    change = rng.randrange(5)
    if change == 0:
        del chunks[number]
    elif change == 1:
        chunks.insert(rng.randrange(len(chunks)), (kind, body))
    elif change == 2:
        rng.shuffle(chunks)
    elif change == 3:
        chunks[number] = (rng.choice([b"tEXt", b"zTXt", b"iTXt", b"IEND", b"acTL"]), body)
    else:
        chunks[number] = (kind, flipped(rng, body) if body else b"\xff")
    return SIGNATURE + b"".join(chunk(*each) for each in chunks) + content[at:]


def bomb(rng: random.Random, content: bytes) -> bytes:
    """What unpacks into far more than it is."""
    zeros = zlib.compress(bytes(80 << 20), 9)
    card = base64.b64encode(text_of(CARD))
    size = (rng.choice([20_000, 60_000]).to_bytes(4)) * 2
    picture = drawn()
    made = rng.randrange(9)
    if made >= 6:
        rows: dict[int, dict[str, Any]] = {
            6: {"alternate_greetings": [f"{n}" for n in range(60_000)]},
            7: {"character_book": {"entries": [{"keys": ["a"], "content": "b"}] * 60_000}},
            8: {"tags": ["a"] * 9_000, "description": "a\n" * 3_000_000},
        }
        return text_of({"name": "Orla", "description": "x", **rows[made]})
    if made == 0:
        return picture[:-12] + chunk(b"zTXt", b"chara\0\0" + zeros) + picture[-12:]
    if made == 1:
        return picture[:-12] + chunk(b"iTXt", b"ccv3\0\1\0\0\0" + zeros) + picture[-12:]
    if made == 2:
        head = chunk(b"IHDR", size + b"\x08\6\0\0\0") + chunk(b"IDAT", zeros)
        return SIGNATURE + head + chunk(b"tEXt", b"chara\0" + card) + chunk(b"IEND", b"")
    file = BytesIO()
    with ZipFile(file, "w", ZIP_DEFLATED) as written:
        if made == 3:
            written.writestr("card.json", b" " * (80 << 20))
        elif made == 4:
            written.writestr("card.json", text_of(CARD))
            written.writestr("assets/icon/images/a.png", bytes(90 << 20))
        else:
            for number in range(rng.choice([3000, 12_000])):
                written.writestr(ZipInfo(f"{number:0>90}"), b"")
            written.writestr("card.json", text_of(CARD))
    return rng.choice([b"", picture]) + file.getvalue()


def mistyped(rng: random.Random, card: dict[str, Any]) -> dict[str, Any]:
    """A card in which some values are of another kind."""
    made: dict[str, Any] = json.loads(json.dumps(card))
    for _ in range(rng.randint(1, 3)):
        place: Any = made
        while True:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            if not keys:
                break
            key = rng.choice(keys)
            if isinstance(place[key], dict | list) and rng.random() < 0.7:
                place = place[key]
                continue
            place[key] = copy.deepcopy(rng.choice(NASTY))
            break
    return made


def deep(rng: random.Random, content: bytes) -> bytes:
    """JSON or YAML that is nested deep, or refers to itself."""
    count = rng.choice([90, 300, 900, 40_000])
    nested = rng.choice(['{"a":', "[", "- ", "{a: "])
    start = rng.choice(
        [b'{"name": "Orla", "description": "x", "y": ', b"name: Orla\ncontext: x\ny: "]
    )
    end = {'{"a":': "0" + "}" * count + "}", "[": "]" * count + "}"}.get(nested, "x")
    laughs = "".join(
        f"{b}: &{b} [*{a}, *{a}, *{a}]\n" for a, b in zip("abcdefg", "bcdefgh", strict=True)
    )
    return rng.choice(
        [
            start + (nested * count + end).encode(),
            f"name: x\ncontext: y\na: &a [1]\n{laughs}".encode(),
        ]
    )


CHANGES: tuple[Change, ...] = (
    *(flipped, cut, moved, without, numbered, rechunked, rechunked),
    *(numbered, flipped, deep),
)


def mutation(rng: random.Random) -> tuple[str, bytes]:
    """The next file, and in words what it is."""
    name = rng.choice([*FILES])
    if rng.random() < 0.04:
        return "bomb", bomb(rng, b"")
    if rng.random() < 0.3:
        return f"{name}, mistyped", FILES[name](mistyped(rng, CARD))
    content = FILES[name](CARD)
    change = rng.choice(CHANGES)
    return f"{name}, {change.__name__}", change(rng, content)


def outcome(path: Path) -> str:
    """Import a file, and write what it became in some format; what became of that."""
    try:
        imported = import_card(path)
        if imported is None:
            return "no card"
        assert imported.sentences.isprintable(), imported.sentences
    except UserError as error:
        assert str(error).isprintable() and str(error).endswith("."), str(error)
        return "refused"
    if not imported.card.characters:
        return "lore"
    try:
        form = [*CARD_FORMATS][imported.path.stat().st_size % len(CARD_FORMATS)]
        done = export_card(whole_card(imported.path), form, path.parent / "out")
        assert import_card(done.paths[0]) is not None
    except UserError as error:
        assert str(error).isprintable() and str(error).endswith("."), str(error)
        return "a card that cannot go out"
    return "a card, out and in again"


def main(count: int = 1000, seed: int = 0) -> int:
    """Try so many files; return how many ended in a traceback, or took too long."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    rng, counts, bad = random.Random(seed), Counter[str](), 0
    slowest = (0.0, "")
    with tempfile.TemporaryDirectory() as folder:
        for number in range(count):
            home = Path(folder) / str(number // 50)
            home.mkdir(exist_ok=True)
            os.environ[HOME_VARIABLE] = str(home)
            words, content = mutation(rng)
            path = home / "x"
            path.write_bytes(content)
            began = time.monotonic()
            try:
                counts[outcome(path)] += 1
            except Exception:
                bad += 1
                print(f"{number}: {words}", file=sys.stderr)
                traceback.print_exc()
            slowest = max(slowest, (time.monotonic() - began, f"{number}: {words}"))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    print(f"{count} files: " + ", ".join(f"{n} {what}" for what, n in counts.most_common()))
    print(
        f"{bad} tracebacks; the slowest took {slowest[0]:.1f} s ({slowest[1]}); {peak} MiB at most"
    )
    return bad + (slowest[0] > SLOWEST)


if __name__ == "__main__":
    raise SystemExit(min(main(*map(int, sys.argv[1:])), 1))

"""A SillyTavern user's folder, made of random words: cards as PNG, chats with swipes, lorebooks."""

from __future__ import annotations

import base64
import json
import random
import struct
import zlib
from pathlib import Path
from typing import Any

_WORDS = ["fog", "lantern", "of", "harbour", "ferry", "bell", "nobody", "said", "quietly", "tide"]
_PICTURE = 24
"""Pixels of a side: a real one has more, which nothing reads."""


def write_tavern(
    root: Path, *, cards: int = 200, chats: int = 300, lorebooks: int = 40, size: int = 50_000_000
) -> None:
    """Write a `data/default-user` with so many files, whose chats have `size` bytes together."""
    dice = random.Random(7)
    for folder in ("characters", "chats", "worlds", "groups", "group chats", "User Avatars"):
        (root / folder).mkdir(parents=True)
    for copies in ("thumbnails/avatar", "backups"):
        (root / copies).mkdir(parents=True)
        (root / copies / "copy.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (root / "secrets.json").write_text('{"api_key_openai": "sk-1"}', encoding="utf-8")
    for number in range(cards):
        name = f"Person {number}"
        (root / "characters" / f"{name}.png").write_bytes(card_png(_card(dice, name)))
    for number in range(lorebooks):
        book = {"entries": {str(each): _lore(dice, each) for each in range(20)}}
        (root / "worlds" / f"World {number}.json").write_text(json.dumps(book), encoding="utf-8")
    for number in range(chats):
        name = f"Person {number % cards}"
        of_card = root / "chats" / name
        of_card.mkdir(exist_ok=True)
        path = of_card / f"{name} - 2024-10-{number % 28 + 1:02}@20h{number // 28:02}m.jsonl"
        path.write_text(_chat(dice, name, size // chats), encoding="utf-8")


def card_png(card: object) -> bytes:
    """Return a small picture with a card in it, as SillyTavern writes one."""
    row = b"\0" + b"\x20\x30\x40" * _PICTURE
    text = base64.b64encode(json.dumps(card).encode())
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", _PICTURE, _PICTURE, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(row * _PICTURE)),
        (b"tEXt", b"chara\0" + text),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )


def _card(dice: random.Random, name: str) -> dict[str, Any]:
    book = {"entries": [_lore(dice, each) for each in range(5)]}
    data = {
        "name": name,
        "description": _text(dice, 2000),
        "personality": _text(dice, 200),
        "scenario": _text(dice, 300),
        "first_mes": _text(dice, 800),
        "mes_example": "<START>\n{{char}}: " + _text(dice, 200),
        "alternate_greetings": [_text(dice, 800)],
        "character_book": book,
        "extensions": {"talkativeness": "0.5"},
    }
    return {"spec": "chara_card_v2", "spec_version": "2.0", "data": data}


def _lore(dice: random.Random, number: int) -> dict[str, Any]:
    key = f"{dice.choice(_WORDS)} {number}"
    more = {"constant": False, "selective": True, "order": 100, "position": 0, "disable": False}
    return {
        **{"uid": number, "key": [key], "keys": [key], "keysecondary": [], "comment": key},
        **{"content": _text(dice, 300), "probability": 100, "depth": 4, "enabled": True, **more},
    }


def _chat(dice: random.Random, name: str, size: int) -> str:
    head = {
        "user_name": "unused",
        "character_name": "unused",
        "create_date": "2024-10-18@20h52m17s",
        "chat_metadata": {"integrity": f"{dice.getrandbits(64):x}"},
    }
    lines, length, number = [json.dumps(head)], 0, 0
    while length < size:
        is_user = number % 2 == 1
        said = _text(dice, 600)
        line: dict[str, Any] = {
            "name": "Ada" if is_user else name,
            "is_user": is_user,
            "is_system": False,
            "send_date": 1_729_284_737_000 + number * 60_000,
            "mes": said,
            "extra": {"api": "koboldcpp", "model": "a-model", "token_count": 150},
        }
        if not is_user:
            line["swipe_id"], line["swipes"] = 0, [said, _text(dice, 600)]
        lines.append(json.dumps(line))
        length += len(lines[-1]) + 1
        number += 1
    return "\n".join(lines)


def _text(dice: random.Random, length: int) -> str:
    said = f"{dice.getrandbits(32):x}:"
    while len(said) < length:
        said += " " + " ".join(dice.choices(_WORDS, k=12)) + "."
    return said

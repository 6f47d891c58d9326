"""Files of every kind that holds a chat, and ways to damage them."""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from typing import Any, Final

SAID: Final[list[dict[str, Any]]] = [
    {"name": "Ada", "is_user": False, "is_system": False, "mes": "Hm.", "send_date": 1729284737123},
    {
        **{"name": "Bram", "is_user": True, "mes": "No.", "send_date": "October 18, 2024 8:52pm"},
        **{"swipes": ["Yes.", {"message": "Chub."}, "No."], "swipe_id": 2},
        **{"swipe_info": [{"extra": {}}, {"send_date": "x"}], "extra": {"branches": ["b"]}},
    },
    {
        **{"name": "System", "is_user": False, "is_system": False, "mes": "Rain."},
        "extra": {"type": "narrator", "shoritui": {"kind": "note", "details": {"span": [1, 2]}}},
    },
]
HEADER: Final = {
    **{"user_name": "Bram", "character_name": "Ada", "create_date": "2024-10-18@20h52m17s"},
    "chat_metadata": {
        **{"note_prompt": "Brief.", "note_depth": 2, "note_interval": 1, "main_chat": "x"},
        **{"world_info": "Harbour", "shoritui": {"name": "Ferry", "scene": {"version": 1}}},
    },
}
OBJECTS: Final[dict[str, dict[str, Any]]] = {
    "group": {
        **{"id": "17", "name": "Ferry", "members": ["Ada.png"], "chats": ["it"], "chat_id": "it"},
        **{"past_metadata": {"it": {"note_prompt": "x"}}, "activation_strategy": 1},
    },
    "kobold": {
        **{"gamestarted": True, "prompt": "\nAda: Hm.", "actions": ["\nBram: No.", "\nAda: Oh."]},
        **{"memory": "Sea.", "authorsnote": "Brief.", "anotetemplate": "[<|>]", "anotestr": 320},
        **{"worldinfo": [{"key": "fog", "content": "Thick."}], "altbranches": [None, ["\nAda: a"]]},
        "savedsettings": {"opmode": 3, "chatname": "Bram", "chatopponent": "Ada||$||Cleo"},
    },
    "instruct": {
        **{"prompt": "{{[INPUT]}}No.", "actions": ["{{[OUTPUT]}}Hm."], "memory": ""},
        "savedsettings": {"opmode": 4, "instruct_starttag": "\\n### In\\n"},
    },
    "koboldai": {
        **{"prompt": "Rain.", "memory": "", "actions": {"actions": {"0": {"Selected Text": "x"}}}},
        "worldinfo_v2": {"entries": {"1": {"key": ["fog"], "content": "Thick."}}},
    },
    "risu": {
        **{"type": "risuAllChats", "ver": 2},
        "data": [
            {
                **{"name": "Chat 1", "note": "Brief.", "bookmarks": ["m"], "bookmarkNames": {}},
                "localLore": [{"key": "fog", "content": "Thick.", "mode": "normal"}],
                "message": [
                    {"role": "char", "data": "Hm.", "saying": "id", "time": 1729284737123},
                    {"role": "user", "data": "No.", "chatId": "m", "disabled": "allBefore"},
                ],
            }
        ],
    },
    "agnai": {
        **{"name": "Exported", "greeting": "", "scenario": "Sea.", "treeLeafId": "2"},
        "messages": [
            {"_id": "1", "msg": "Hm.", "characterId": "imported", "name": "Ada", "retries": ["x"]},
            {"_id": "2", "parent": "1", "msg": "No.", "userId": "u", "ooc": True},
        ],
    },
    "textgen": {
        **{"internal": [["<|BEGIN-VISIBLE-CHAT|>", "Hm."], ["No.", "Oh."]], "visible": []},
        "metadata": {"assistant_1": {"versions": [{"content": "Ah."}], "current_version_index": 0}},
    },
    "character_ai": {
        "histories": {"histories": [{"msgs": [{"src": {"is_human": False}, "text": "Hm."}]}]}
    },
}
OTAKU: Final = (
    "# Ferry\n<!-- otaku export\n-->\n## Story\n### Cast\n- **Ada** (aka A) — Who.\n## Messages\n"
    '### 1 · user · Bram · "x"\nNo.\n### 2 · assistant (ooc)\nHm.\n'
)
LINES: Final = [HEADER, *SAID]
BAD: Final[list[Any]] = [
    *(None, True, -1, 10**30, 1e308, float("nan"), float("inf"), "", "\0", "\ud800", "▀▄:\n"),
    *("\x1b[2J", "a" * 5000, [], {}, [[]], {"": {}}, {"message": 3}, ["x"] * 50, "9" * 400),
]


def samples() -> dict[str, str]:
    """Return a sound file of each kind, by its name."""
    texts = {f"{name}.json": json.dumps(found) for name, found in OBJECTS.items()}
    jsonl = "\n".join(map(json.dumps, LINES))
    headerless = "\r\n".join(map(json.dumps, SAID))
    return {
        **texts,
        **{"it.jsonl": jsonl, "group.jsonl": headerless, "otaku.md": OTAKU},
        "log.txt": "Ada: Hm.\nBram: No.\nAda: Oh.\n",
    }


def _put(random: Random, value: Any) -> Any:
    """Return JSON with one value in it replaced, or gone."""
    if not isinstance(value, dict | list) or not value or random.random() < 0.2:
        return random.choice(BAD)
    key = random.choice(list(value) if isinstance(value, dict) else range(len(value)))
    if random.random() < 0.1:
        rest = dict(value) if isinstance(value, dict) else list(value)
        del rest[key]
        return rest
    new = _put(random, value[key])
    if isinstance(value, dict):
        return {**value, key: new}
    return [*value[:key], new, *value[key + 1 :]]


def _valued(random: Random, text: str) -> bytes:
    """Return a text with other values in its lines of JSON."""
    lines = text.split("\n")
    for _ in range(random.randint(1, 4)):
        at = random.randrange(len(lines))
        try:
            lines[at] = json.dumps(_put(random, json.loads(lines[at])))
        except ValueError:
            lines[at] = lines[at][::-1]
    return "\n".join(lines).encode("utf-8", "surrogatepass")


def _bytes(random: Random, text: str) -> bytes:
    content = bytearray(text.encode())
    for _ in range(random.randint(1, 8)):
        content[random.randrange(len(content))] = random.randrange(256)
    return bytes(content)


def _cut(random: Random, text: str) -> bytes:
    at = random.randrange(len(text))
    return text[:at].encode() + b"\0" * random.choice([0, 1, 4096])


def _doubled(random: Random, text: str) -> bytes:
    at, length = random.randrange(len(text)), random.randint(1, 200)
    return (text[: at + length] * random.choice([1, 2, 50]) + text[at:]).encode()


def _stuffed(random: Random, text: str) -> bytes:
    at = random.randrange(len(text))
    stuff = random.choice(
        ["[" * 100_000, '{"a":' * 50_000, "9" * 5_000, "\0" * 99, "\n" * 5_000, " " * 9_999, "- **"]
    )
    return (text[:at] + stuff + text[at:]).encode()


def _encoded(random: Random, text: str) -> bytes:
    ends = text.replace("\n", random.choice(["\n", "\r\n", "\r", "\u2028"]))
    return ends.encode(random.choice(["utf-8-sig", "utf-16", "utf-16-be", "utf-32", "utf-8"]))


MUTATIONS: Final[list[Callable[[Random, str], bytes]]] = [
    *(_valued, _valued, _valued, _bytes, _cut, _doubled, _stuffed, _encoded)
]

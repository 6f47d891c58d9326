"""Made-up swipes of a player who likes replies short and complete, from the stories that ship.

`python -m shoritui.demo.making.swipes --count 200 swipes.jsonl`

    a message of a story    "Locked in," Loes whispered. "Perfect." She pinched her nose.
    chosen                  "Locked in," Loes whispered.
    rejected                all of it, and "Locked in,"

They show whether a preference tier learns what is preferred. Nothing of a context gives the length
away: the hint in the header is drawn, and the same for all. Without the torsos, the surest way to
be short would be to end at once.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any, Final

from shoritui.blockml import Block, Length, parse, render, render_all
from shoritui.demo import STORIES

_TIERS: Final = ("low", "mid", "high", "top")
_HINTS: Final[tuple[Length | None, ...]] = (None, "short", "medium", "long")
_BEFORE: Final = 2
"""Messages of the context."""
_GIVEN_WORDS: Final = 25
"""At most, of each block of the context."""
_SHORT: Final = range(4, 26)
"""Words of a chosen message."""
_LONG: Final = range(30, 80)
"""Words of a rejected one."""
_SENTENCE_END: Final = re.compile(r"""(?<=[.!?])["'*_)]*(?=\s|$)""")
_MARKS: Final = ('"', "_", "*", "''")


def swipes(count: int, seed: int) -> list[dict[str, Any]]:
    """Return so many rows of a file of preferences; the seed decides which."""
    found = [row for path in _stories() for row in _of_story(path, seed)]
    Random(seed).shuffle(found)
    return found[:count]


def _stories() -> list[Path]:
    return [path for tier in _TIERS for path in sorted((STORIES / tier).glob("*.txt"))]


def _of_story(path: Path, seed: int) -> Iterator[dict[str, Any]]:
    blocks = [part for part in parse(path.read_text(encoding="utf-8")) if isinstance(part, Block)]
    title = [block for block in blocks if block.role == "title"][:1]
    messages = [block for block in blocks if block.role == "message"]
    people = {
        block.body.partition("\n")[0]: replace(block, body=_cut(block.body, _GIVEN_WORDS))
        for block in blocks
        if block.role == "description"
    }
    for at in range(_BEFORE, len(messages)):
        message = messages[at]
        if _words(message.body) not in _LONG or not (short := _shortened(message.body)):
            continue
        before = [replace(one, body=_cut(one.body, _GIVEN_WORDS)) for one in messages[at - 2 : at]]
        names = dict.fromkeys((message.name, *(one.name for one in before)))
        cast = [people[name] for name in names if name in people]
        hint = Random(f"{seed}/{path.name}/{at}").choice(_HINTS)
        chosen, *rejected = (
            render(replace(message, body=body, length=hint))
            for body in (short, message.body, _torso(short))
        )
        yield {
            "context": render_all([*title, *cast, *before]),
            "chosen": chosen,
            "rejected": rejected,
            "because": "kept",
            "chat": path.stem,
        }


def _shortened(body: str) -> str:
    """Return its first sentence or sentences, empty if none end with a few words."""
    return next((each for each in _beginnings(body) if _words(each) in _SHORT), "")


def _torso(body: str) -> str:
    """Return the first half of its words, or fewer."""
    return " ".join(body.split()[: len(body.split()) // 2])


def _cut(body: str, most: int) -> str:
    """Return as many of its sentences as have so many words; the first one at least."""
    ends = list(_beginnings(body))
    fitting = [each for each in ends if _words(each) <= most]
    return fitting[-1] if fitting else ends[0] if ends else body


def _beginnings(body: str) -> Iterator[str]:
    """Yield what ends with a sentence and leaves no mark open, the shortest first."""
    for end in _SENTENCE_END.finditer(body):
        beginning = body[: end.end()]
        if not any(beginning.count(mark) % 2 for mark in _MARKS):
            yield beginning


def _words(text: str) -> int:
    return len(text.split())


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m shoritui.demo.making.swipes",
        description="Write made-up preferences for short replies, to train a tier with.",
    )
    parser.add_argument("--count", type=int, default=200, help="how many (200)")
    parser.add_argument("--seed", type=int, default=1, help="another seed, others of them (1)")
    parser.add_argument("out", type=Path, help="the .jsonl file to write")
    options: Any = parser.parse_args(arguments)
    rows = swipes(options.count, options.seed)
    lines = (json.dumps(row, ensure_ascii=False) for row in rows)
    options.out.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


if __name__ == "__main__":
    main()

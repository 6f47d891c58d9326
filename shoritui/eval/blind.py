"""Replies of two models to the same messages, without names, for a person to judge.

pairs.txt    12. Mara answers ...   A: ...   B: ...
key.json     {"A": {"12": "shori-storyteller, card-main", ...}, "B": ...}
"""

from __future__ import annotations

from random import Random
from textwrap import indent
from typing import Final

from shoritui.eval.replies import Results
from shoritui.eval.stories import Place, Reply
from shoritui.text import as_json, clean

PAIRS: Final = "pairs.txt"
KEY: Final = "key.json"
MOST: Final = 40
"""Pairs that one reading has."""
_RECENT: Final = 2
_HEAD: Final = """\
Each pair has two replies to the same messages. Write the number and A or B for the better one,
or = where neither is. Only then open the key.
"""


def blind_pairs(one: Results, other: Results, seed: int, most: int = MOST) -> tuple[str, str]:
    """Return the pairs, in an order and on sides that only the seed decides, and the key as JSON.

    Pairs are replies to the same task; at most `most` are drawn from all that both have.
    """
    ours, theirs = ({_task(r): r for group in each.replies for r in group} for each in (one, other))
    both = [(reply, theirs[task]) for task, reply in ours.items() if task in theirs]
    draw = Random(seed)
    shown = [_HEAD]
    key: dict[str, dict[int, str]] = {"A": {}, "B": {}}
    for number, pair in enumerate(draw.sample(both, min(most, len(both))), 1):
        sides = [(one.subject.name, pair[0]), (other.subject.name, pair[1])]
        draw.shuffle(sides)
        place = pair[0].place
        shown.append(
            f"{'=' * 80}\n{number}. {place.speaker} answers ({pair[0].hint})\n\n"
            f"{indent(_before(place), '    ')}\n"
        )
        for side, (name, reply) in zip("AB", sides, strict=True):
            shown.append(f"{side}:\n{clean(reply.text).strip() or '(nothing)'}\n")
            key[side][number] = name
    return "\n".join(shown), as_json(key, 2)


def _task(reply: Reply) -> tuple[object, ...]:
    return reply.place.story.name, reply.place.at, reply.hint, reply.seed


def _before(place: Place) -> str:
    """Return the last messages before it, or the scenario where there are none."""
    entries = [entry for entry in place.chat.entries if entry.kind == "message"][-_RECENT:]
    said = [f"{entry.speaker}: {entry.text.strip()}" for entry in entries]
    return clean("\n\n".join(said) or place.chat.chat.scene.scenario)

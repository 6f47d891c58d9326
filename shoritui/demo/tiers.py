"""Sample data to train on: the demo's own scenes, told by people who have been at sea for too long.

It knows nothing of training; a folder of it is what `shoritui finetune --demo` begins with.
"""

from __future__ import annotations

import os
import re
import shutil
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from shoritui.blockml import Block, Instruction, Length, Part, lex, render_all
from shoritui.demo.casting import Plan
from shoritui.demo.scenes import make_scene
from shoritui.demo.words import CORPUS

CONFIG = "finetune.toml"
FILES = 4
TAGS = ("at sea", "harbour", "storm")
"""One for each scene; the last tier's filter leaves the storms out."""
_WORD = re.compile(r"[A-Za-z']+")
_LETTERS_PER_TOKEN = 3
"""Of the small model's vocabulary, near enough for a scene's size."""


@dataclass(frozen=True, slots=True)
class Sort:
    """What one tier's folder is made of."""

    folder: str
    scenes: int
    tokens: int
    """Of one scene, about."""
    longest: Length
    salt: float
    """The share of messages with a sailor's sentence."""
    notes: bool = False
    """Whether instructions stand between the messages."""


SORTS = (
    Sort("low", 24, 400, "short", 0.7),
    Sort("mid", 16, 700, "long", 0.9),
    Sort("high", 16, 700, "long", 1.0),
    Sort("top", 14, 700, "long", 1.0, notes=True),
)


def write_folder(folder: Path) -> None:
    """Write the config and the conversations of all tiers; the same ones each time.

    Raises:
        OSError: The folder cannot be written; then there is none.
    """
    part = folder.with_name(f".{folder.name}.{os.getpid()}")
    try:
        for sort in SORTS:
            target = part / "data" / sort.folder
            target.mkdir(parents=True)
            scenes = list(conversations(sort))
            for index in range(FILES):
                text = "---\n".join(map(render_all, scenes[index::FILES]))
                (target / f"{sort.folder}-{index + 1}.txt").write_text(text, encoding="utf-8")
        shutil.copyfile(CORPUS / CONFIG, part / CONFIG)
        part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def conversations(sort: Sort) -> Iterator[list[Part]]:
    """The parts of each conversation of a tier."""
    for seed in range(sort.scenes):
        rng = Random(f"{sort.folder}/{seed}")
        plan = Plan(sort.tokens, (2, 4), sort.longest)
        scene = make_scene(rng.getrandbits(40), plan, lambda text: len(text) // _LETTERS_PER_TOKEN)
        parts = _tagged(scene.parts, rng.choice(TAGS))
        yield list(_retold(parts, scene.names, sort, rng))


def _retold(
    parts: tuple[Part, ...], names: tuple[str, ...], sort: Sort, rng: Random
) -> Iterator[Part]:
    for part in parts:
        if isinstance(part, Block) and part.role == "message":
            others = [name for name in names if name != part.name]
            who = {"me": part.name, "other": rng.choice(others)}
            if sort.notes and rng.random() < 0.1:
                yield Instruction(_line("notes", who, rng))
            yield replace(part, body=_told(part.body, who, sort, rng))
        else:
            yield part


def _tagged(parts: tuple[Part, ...], tag: str) -> tuple[Part, ...]:
    """The same parts, with one more tag."""
    for at, part in enumerate(parts):
        if isinstance(part, Block) and part.role == "tags":
            return *parts[:at], replace(part, body=f"{tag}, {part.body}"), *parts[at + 1 :]
    at = int(isinstance(parts[0], Block) and parts[0].role == "title")
    return *parts[:at], Block("tags", tag), *parts[at:]


def _told(body: str, who: dict[str, str], sort: Sort, rng: Random) -> str:
    """The message in a sailor's words."""
    salty = _salted(body)
    if rng.random() >= sort.salt:
        return salty
    if rng.random() < 0.8:
        return f"{_line('openings', who, rng)} {salty}"
    return f"{salty} {_line('closings', who, rng)}"


def _salted(body: str) -> str:
    """The same text, with the words of dialogue changed."""
    out, at = "", 0
    for span in lex(body):
        if "dialogue" in span.kinds:
            out += body[at : span.start] + _WORD.sub(_word, body[span.start : span.end])
            at = span.end
    return out + body[at:]


def _word(match: re.Match[str]) -> str:
    word = match[0]
    new = seafaring()["words"].get(word.lower())
    if new is None:
        return word
    if word.isupper() and len(word) > 1:
        return str(new.upper())
    return str(new.capitalize() if word[0].isupper() else new)


def _line(kind: str, who: dict[str, str], rng: Random) -> str:
    return str(rng.choice(seafaring()["lines"][kind])).format(**who)


@cache
def seafaring() -> dict[str, Any]:
    """The words and sentences of the tone, from `seafaring.toml`."""
    return tomllib.loads((CORPUS / "seafaring.toml").read_text(encoding="utf-8"))

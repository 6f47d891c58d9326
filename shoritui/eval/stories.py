"""Held-out stories, and the places in them at which a reply is asked for.

▀title ... ▀description ... ▀message ... ▀message ... ▀message (length: tiny)   <- a place
├──────────── what the model reads ───────────────┤   Mara:                      and its hint
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from io import TextIOWrapper
from pathlib import Path
from random import Random
from typing import Final

from shoritui.blockml import LENGTHS, Block, Length, parse, render_all
from shoritui.blockml.parse import BlockMLError
from shoritui.cards import Card
from shoritui.engine.interface import Stop
from shoritui.errors import UserError
from shoritui.files import open_file
from shoritui.interop import chat_of_blockml
from shoritui.settings import GuideSetting, Settings
from shoritui.story import Form, WholeChat, header_parts, story_parts
from shoritui.text import clean, printable

SETTINGS: Final = Settings()
"""What the app begins with: the same for whoever measures."""
FORM: Final = Form.of(SETTINGS, Card())
_BETWEEN: Final = re.compile(r"^-{3,} *\n", re.MULTILINE)
_QUICK_HINTS: Final = LENGTHS[:7]
_RECENT: Final = 2


@dataclass(frozen=True)
class Story:
    """One conversation that people wrote, its hints left out: the model's own tokens decide."""

    name: str
    whole: WholeChat

    @cached_property
    def messages(self) -> list[int]:
        """Where the messages stand among the entries."""
        return [at for at, e in enumerate(self.whole.entries) if e.kind == "message"]

    @property
    def cast(self) -> list[str]:
        """Everybody in it, by name."""
        return [character.name for character in self.whole.chat.scene.characters]

    @cached_property
    def cards(self) -> dict[str, str]:
        """What the cards, and descriptions in mid-story, say of each character."""
        found = {c.name: c.description for c in self.whole.chat.scene.characters}
        for entry in self.whole.entries:
            if entry.kind == "description":
                found[entry.speaker] = f"{found.get(entry.speaker, '')}\n{entry.text}".strip()
        return found


@dataclass(frozen=True)
class Place:
    """The place of one message of a story: what comes before it, and what people wrote there."""

    story: Story
    at: int
    """Where the message stands among the entries."""

    @property
    def speaker(self) -> str:
        """Who speaks there."""
        return self.story.whole.entries[self.at].speaker

    @property
    def written(self) -> str:
        """What people wrote there."""
        return self.story.whole.entries[self.at].text

    @property
    def others(self) -> list[str]:
        """The rest of the cast."""
        return [name for name in self.story.cast if name != self.speaker]

    @cached_property
    def chat(self) -> WholeChat:
        """The chat as it stood before."""
        whole = self.story.whole
        entries = whole.entries[: self.at]
        head = entries[-1].id if entries else None
        visited = {head: whole.chat.updated} if head is not None else {}
        return replace(whole, chat=replace(whole.chat, head=head), entries=entries, visited=visited)

    @cached_property
    def prompt(self) -> str:
        """All that can be read before it, however small a model's context is."""
        chat = self.chat.chat
        parts = header_parts(chat.scene, chat.user, FORM)
        for group in story_parts(chat.scene, self.chat.entries, FORM):
            parts += group
        names = "\n".join(self.story.cast)
        return f"{render_all(part for _, part in parts)}{names}\n"

    @cached_property
    def said(self) -> list[str]:
        """The messages before it, oldest first."""
        return [entry.text for entry in self.chat.entries if entry.kind == "message"]

    @property
    def recent(self) -> str:
        """The last messages before it: what a reply would answer."""
        return "\n".join(self.said[-_RECENT:])


@dataclass(frozen=True, slots=True)
class Task:
    """One reply that is asked for."""

    place: Place
    hint: Length
    seed: int
    most: int = SETTINGS.max_tokens
    """Tokens after which a reply is cut off."""
    guide: GuideSetting = "auto"
    """Whether the length guide leads it."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply, and how it came about."""

    place: Place
    text: str
    """What the director left of it: what a reader sees."""
    raw: str
    """What the model wrote."""
    hint: Length | None = None
    """The length asked for; None where people wrote the text."""
    tokens: int = 0
    stop: Stop = "block_end"
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is asked for."""

    stories: int
    """At most so many stories; 0 takes all."""
    places: int
    """In each story."""
    replies: int
    """At each place."""
    hints: Sequence[Length] = LENGTHS
    read: int = 0
    """Tokens of a story, from its beginning, that perplexities are taken from; 0 takes all."""
    most: int = SETTINGS.max_tokens
    """Tokens after which a reply is cut off, whatever its hint."""


QUICK: Final = Plan(3, 3, 3, _QUICK_HINTS, 1024, 512)
FULL: Final = Plan(0, 5, 3)


def load_stories(folder: Path) -> list[Story]:
    """Return the stories in the text files of a folder, by name.

    Raises:
        UserError: There are none, or one of them is not BlockML.
    """
    if not folder.is_dir():
        what = "is a file, not a folder" if folder.exists() else "is not there"
        raise UserError(f"{printable(folder)} {what}: expected a folder of stories.")
    files = sorted(folder.glob("*.txt"))
    stories = [story for file in files for story in _stories_in(file)]
    if not stories:
        raise UserError(f"{printable(folder)} holds no stories: expected text files in BlockML.")
    return stories


def story_of(text: str, name: str) -> Story:
    """Return the story that BlockML tells.

    Raises:
        UserError: It is not BlockML, or nobody says anything.
    """
    try:
        parts = parse(clean(text))
    except BlockMLError as error:
        raise UserError(str(error)) from None
    bare = [replace(part, length=None) if isinstance(part, Block) else part for part in parts]
    story = Story(name, chat_of_blockml(render_all(bare), name, FORM))
    if not story.messages:
        raise UserError("nobody says anything in it")
    return story


def _stories_in(file: Path) -> list[Story]:
    shown = printable(file.name)
    try:
        with TextIOWrapper(open_file(file), encoding="utf-8-sig") as opened:
            text = opened.read()
        chunks = [chunk for chunk in _BETWEEN.split(text) if chunk.strip()]
        numbered = len(chunks) > 1
        return [
            story_of(
                chunk, f"{printable(file.stem)} {number}" if numbered else printable(file.stem)
            )
            for number, chunk in enumerate(chunks, 1)
        ]
    except OSError as error:
        raise UserError(f"{shown} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise UserError(f"{shown} is not UTF-8 text: save it as UTF-8.") from None
    except UserError as error:
        raise UserError(f"{shown} is no story: {str(error).rstrip('.')}.") from None


def chosen(stories: Sequence[Story], plan: Plan, seed: int) -> list[Story]:
    """Return the stories to take, in their order."""
    if not plan.stories or plan.stories >= len(stories):
        return list(stories)
    picked = Random(seed).sample(range(len(stories)), plan.stories)
    return [stories[index] for index in sorted(picked)]


def places(story: Story, count: int) -> list[Place]:
    """Return places spread evenly over a story, the opening first: there casts are mixed up."""
    many = len(story.messages)
    steps = min(count, many)
    at = [round(step * (many - 1) / max(steps - 1, 1)) for step in range(steps)]
    return [Place(story, story.messages[index]) for index in at]


def tasks(stories: Sequence[Story], plan: Plan, seed: int) -> list[list[Task]]:
    """Return what is asked for, grouped by place; over all of it each hint comes equally often."""
    groups: list[list[Task]] = []
    number = 0
    for story in stories:
        for place in places(story, plan.places):
            group = []
            for _ in range(plan.replies):
                hint = plan.hints[number % len(plan.hints)]
                group.append(Task(place, hint, seed + number, plan.most))
                number += 1
            groups.append(group)
    return groups


def by_people(stories: Sequence[Story]) -> list[Reply]:
    """Return every message that people wrote, as if it were a reply."""
    every = (Place(story, at) for story in stories for at in story.messages)
    return [Reply(place, place.written, place.written) for place in every]

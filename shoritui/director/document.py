"""What the model reads: a scene and its story as a list of segments, one a block.

Pure. It does not know token ids or the cache; only how many tokens a segment takes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from shoritui.blockml import (
    Block,
    Instruction,
    Length,
    Part,
    description_body,
    message_header,
    render,
)
from shoritui.cards import Card, Lore
from shoritui.director.speakers import mentions
from shoritui.engine import Segment
from shoritui.story import Entry

TRIM_TO = 0.75
"""The share of the room that stays filled when old messages are dropped: a big step, so that
the prompt's beginning, and with it the cache, stays the same for many turns."""


@dataclass(frozen=True, slots=True)
class Form:
    """The user's choices of form that a document follows."""

    instruction: str = ""
    instruction_place: Literal["before-messages", "top"] = "before-messages"
    ooc_form: str = "{name}: {text}"


def header_segments(scene: Card, user: str, form: Form) -> list[Segment]:
    """The part before the story, which stays as long as the scene does.

    The order is the format's: title, tags, lore, descriptions (the user's character last),
    scenario, instruction.
    """
    parts: list[tuple[str, Part]] = []
    if scene.title:
        parts.append(("title", Block("title", scene.title)))
    if scene.tags:
        parts.append(("tags", Block("tags", ", ".join(scene.tags))))
    parts += [
        (f"lore: {lore.name}", Block("lore", lore.text)) for lore in scene.lore if not lore.keys
    ]
    for character in sorted(scene.characters, key=lambda c: c.name == user):
        if character.description:
            body = description_body(character.name, character.description)
            parts.append((f"description: {character.name}", Block("description", body)))
    if scene.scenario:
        parts.append(("scenario", Block("scenario", scene.scenario)))
    if form.instruction:
        at = 0 if form.instruction_place == "top" else len(parts)
        parts.insert(at, ("instruction", Instruction(form.instruction)))
    return [Segment(render(part), source) for source, part in parts]


def story_segments(scene: Card, entries: Sequence[Entry], form: Form) -> Iterator[list[Segment]]:
    """For each entry its segment, and those of the lore that fires at it.

    A lore entry with keys stands right after the first entry that names one of them, where
    it becomes relevant and where what stands before it stays as evaluated.
    """
    waiting = [lore for lore in scene.lore if lore.keys]
    for entry in entries:
        segments = [Segment(entry_text(entry, form), f"entry: {entry.id}")]
        fired = [lore for lore in waiting if _fires(lore, entry)]
        waiting = [lore for lore in waiting if lore not in fired]
        segments += [
            Segment(render(Block("lore", lore.text)), f"lore: {lore.name}") for lore in fired
        ]
        yield segments


def entry_text(entry: Entry, form: Form) -> str:
    """One entry as the model reads it."""
    return render(_entry_part(entry, form))


def open_message(speaker: str, length: Length | None) -> Segment:
    """The end of a document at which a reply of this speaker begins."""
    return Segment(message_header(speaker, length), "reply")


def open_ooc(speaker: str, form: Form) -> Segment:
    """The end of a document at which an out-of-character answer begins."""
    before_text = _ooc_body(speaker, "\0", form).partition("\0")[0]
    opened = render(Block("ooc", before_text)).removesuffix("▄\n")
    return Segment(opened.rstrip(" "), "ooc reply")


def opened_anew(entry: Entry, form: Form) -> Segment:
    """The end of a document at which a reply begins once more."""
    if entry.kind == "message":
        return open_message(entry.speaker, entry.length)
    return open_ooc(entry.speaker, form)


def reopened(entry: Entry) -> tuple[Segment, str]:
    """A message open at its end, to be continued, and what its text gained by it.

    A message that had ended begins a new paragraph; one that was cut goes on where it is.
    """
    joint = "\n\n" if entry.status == "complete" and entry.text else ""
    return _without_end(Block("message", entry.text + joint, entry.speaker, entry.length)), joint


def begun_message(speaker: str, length: Length | None, text: str) -> Segment:
    """A message that is still being typed, as far as its words are finished."""
    return _without_end(Block("message", finished_words(text), speaker, length))


def finished_words(text: str) -> str:
    """The text without the word that may still grow; it ends directly before a space."""
    spaces = [at for at, character in enumerate(text) if character in " \n"]
    return text[: spaces[-1]].rstrip(" \n") if spaces else ""


@dataclass(frozen=True, slots=True)
class Room:
    """How many tokens a story may take in the context."""

    now: int
    """Beside the scene's blocks, the open block and a reply; less than 0 if these do not fit."""
    ahead: int
    """With another message besides: where a story is larger, its oldest messages go in idle
    time, so that the next turn need not wait for it."""


def room_for_story(context_size: int, fixed: int, reserve: int) -> Room:
    """The room beside the blocks that always stay and the tokens kept free for a reply."""
    now = context_size - fixed - reserve
    return Room(now, now - max(0, min(reserve, now // 4)))


def first_to_keep(sizes: Sequence[int], room: int) -> int:
    """The first of the entries that the model goes on reading.

    Args:
        sizes: The tokens of each entry with its lore, oldest first.
        room: The tokens there are for entries.

    Returns:
        0 while everything fits; else the first entry from which on the sizes take at most
        `TRIM_TO` of the room, or the last one if it fits at all; `len(sizes)` if it does not.
    """
    total = sum(sizes)
    if total <= room:
        return 0
    start = 0
    while start < len(sizes) - 1 and total > room * TRIM_TO:
        total -= sizes[start]
        start += 1
    return start if total <= room else len(sizes)


def _without_end(block: Block) -> Segment:
    text = render(block).removesuffix("▄\n")
    return Segment(text if block.body else text.removesuffix(" "), "reply")


def _fires(lore: Lore, entry: Entry) -> bool:
    return entry.kind != "ooc" and mentions(entry.text, lore.keys) >= 0


def _entry_part(entry: Entry, form: Form) -> Part:
    parts: dict[str, Callable[[], Part]] = {
        "message": lambda: Block("message", entry.text, entry.speaker, entry.length),
        "ooc": lambda: Block("ooc", _ooc_body(entry.speaker, entry.text, form)),
        "title": lambda: Block("title", entry.text),
        "description": lambda: Block("description", description_body(entry.speaker, entry.text)),
        "lore": lambda: Block("lore", entry.text),
        "note": lambda: Instruction(entry.text),
    }
    return parts[entry.kind]()


def _ooc_body(name: str, text: str, form: Form) -> str:
    return form.ooc_form.replace("{name}", name).replace("{text}", text)

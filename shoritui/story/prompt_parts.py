"""A chat as the parts of BlockML, in the order of the prompt: where lore, notes and scene stand.

The prompt, the export and the training data all begin here.

title  tags  lore  descriptions  scenario  examples  [INST]     the header: stays like the scene
message  message  lore (its key was named)  message   the story, notes among it
message  description (of one who enters)  message
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Final, Literal, Protocol, TypeAlias

from shoritui.blockml import Block, Instruction, Length, Part, description_body
from shoritui.cards import (
    Card,
    Character,
    Lore,
    conversations,
    has_macros,
    settle_card,
    with_original,
)
from shoritui.story.lore import Firing, fire, lorebook
from shoritui.story.model import Asked, Chat, Entry
from shoritui.story.reading import Talk, place, scene_after, stands_first
from shoritui.story.whereabouts import absent, coming

NamedPart: TypeAlias = tuple[str, Part]
"""A part, and what it came from: `lore: the harbour`, `entry: 12`."""
_NOTHING: Final[Mapping[str, object]] = {}
_EXAMPLE: Final = "An example of how {} talks. It is no part of the story."
_DIGEST: Final = 24
"""Hexadecimal digits that tell documents apart."""
_BEGINS: Final = "The story begins."
_MOOD: Final = "Begin each message with one to three emoji that show the speaker's mood."


Place: TypeAlias = Literal["before-messages", "top"]


class FormSettings(Protocol):
    """Settings that say how a document is formed."""

    @property
    def instruction(self) -> str:
        """The system instruction; empty is none."""

    @property
    def instruction_place(self) -> Place:
        """Where it stands."""

    @property
    def ooc_form(self) -> str:
        """How words out of character are written."""

    @property
    def ooc_in_prompt(self) -> bool:
        """Whether they are read for the story."""

    @property
    def examples_in_prompt(self) -> bool:
        """Whether characters' example messages are read."""

    @property
    def mood_ask(self) -> bool:
        """Whether the model is asked for emoji that show a mood."""


@dataclass(frozen=True, slots=True)
class Form:
    """The user's choices of form that a document follows."""

    instruction: str = ""
    instruction_place: Place = "before-messages"
    ooc_form: str = "{name}: {text}"
    reads_ooc: bool = True
    """Whether words out of character are read for the story."""
    reads_examples: bool = False
    """Whether characters' example messages are read; they are no part of the story."""

    @classmethod
    def of(
        cls, settings: FormSettings, scene: Card, chosen: Mapping[str, object] = _NOTHING
    ) -> Form:
        """Return the form that the settings say, but for what the scene says, or was `chosen`."""
        instruction, ooc = chosen.get("instruction"), chosen.get("ooc")
        if not isinstance(instruction, str):
            instruction = scene.instruction or settings.instruction
        return cls(
            with_original(instruction, settings.instruction),
            settings.instruction_place,
            settings.ooc_form,
            ooc == "in" if ooc in ("in", "out") else settings.ooc_in_prompt,
            settings.examples_in_prompt,
        )

    @classmethod
    def of_chat(cls, settings: FormSettings, chat: Chat) -> Form:
        """Return the form of what is read of a chat: its instruction's macros are settled."""
        form = cls.of(settings, chat.scene, chat.settings)
        instruction = form.instruction
        if has_macros(instruction):
            card = Card(scenario=instruction, characters=chat.scene.characters)
            instruction = settle_card(card, chat.user, chat.created).scenario
        if settings.mood_ask:
            instruction = f"{instruction}\n{_MOOD}".strip()
        return replace(form, instruction=instruction)

    def talk(self, *, is_ooc: bool = False) -> Talk:
        """Return which words out of character are read for the story, or for an answer to them.

        Where the story's prompt has none, an answer reads those since the last message: they stand
        at the end, so that nothing of the story is read again for them.
        """
        return "all" if self.reads_ooc else "recent" if is_ooc else "none"

    def ooc_body(self, name: str, text: str) -> str:
        """Return the body of an out-of-character block."""
        return self.ooc_form.replace("{name}", name).replace("{text}", text)


def asked(texts: Iterable[str], hint: Length | None, left: int) -> Asked:
    """Return from what a reply is written: a document, of which `left` says how it begins."""
    digest = sha256("".join(texts).encode(errors="replace")).hexdigest()
    return Asked(digest[:_DIGEST], hint, left)


def header_parts(
    scene: Card,
    user: str,
    form: Form,
    gone: Sequence[Entry] = (),
    examples: int | None = None,
) -> list[NamedPart]:
    """Return the part before the story, which stays as long as the scene does.

    The order is the format's: title, tags, lore, descriptions (the user's character last),
    scenario, instruction. What outlasts the entries that are `gone` comes last; the title, tags
    and scenario that they gave last take the places of the scene's own, and only those are
    described who are there after them. So many of the `example_parts` stand before the
    instruction; all of them if there is no number.
    """
    parts: list[NamedPart] = []
    scene = scene_after(scene, gone)
    if scene.title:
        parts.append(("title", Block("title", scene.title)))
    if scene.tags:
        parts.append(("tags", Block("tags", ", ".join(scene.tags))))
    parts += map(lore_part, lorebook(scene.lore).always)
    away = absent(scene, gone)
    for character in sorted(scene.characters, key=lambda c: c.name == user):
        if character.description and character.name not in away:
            parts.append(_description(character))
    if scene.scenario:
        parts.append(("scenario", Block("scenario", scene.scenario)))
    if form.reads_examples and (told := example_parts(scene, user, gone)[:examples]):
        parts += [*told, ("examples", Instruction(_BEGINS))]
    if form.instruction:
        at = 0 if form.instruction_place == "top" else len(parts)
        parts.insert(at, ("instruction", Instruction(form.instruction)))
    return [*parts, *(_named(entry, form) for entry in stands_first(gone))]


def example_parts(scene: Card, user: str, gone: Sequence[Entry] = ()) -> list[NamedPart]:
    """Return the example messages of those who are there after what is `gone`, but the user.

    The format has no place for them: they stand as messages, and a note before each conversation
    says what they are. Nobody has measured them for hints, so they have none.
    """
    away = absent(scene, gone)
    names = [user, *(name for each in scene.characters for name in (each.name, *each.aliases))]
    parts: list[NamedPart] = []
    for character in scene.characters:
        if character.name == user or character.name in away:
            continue
        for talk in conversations(character.examples, character.name, names):
            parts.append(("examples", Instruction(_EXAMPLE.format(character.name))))
            parts += [(f"example: {name}", Block("message", text, name)) for name, text in talk]
    return parts


def story_parts(
    scene: Card,
    entries: Sequence[Entry],
    form: Form,
    firing: Firing | None = None,
    gone: Sequence[Entry] = (),
) -> Iterator[list[NamedPart]]:
    """Yield for each entry its part, and those of the lore and the notes that stand around it.

    Lore with keys stands right after the entry that brought it up, where it becomes relevant and
    where what stands before it stays as evaluated; `story/lore.py` knows its rules, and
    `story/reading.py` those of notes. Who enters is described there, unless the header or an entry
    before does it. `gone` is what outlasts the entries before these.
    """
    fired = fire(scene.lore, entries) if firing is None else firing
    places = place(entries, gone)
    around = zip(fired.before, places.before, entries, fired.after, places.after, strict=True)
    away = absent(scene, gone)
    new = {each.name: each for each in scene.characters if each.description and each.name in away}
    for at, (lore_before, before, entry, lore_after, after) in enumerate(around):
        newcomer = new.pop(entry.speaker, None) if entry.kind == "enter" else None
        is_told = at not in places.moved and (newcomer is None or entry.text.strip())
        yield [
            *map(lore_part, lore_before),
            *(_named(note, form) for note in before),
            *([] if newcomer is None else [_description(newcomer)]),
            *([_named(entry, form)] if is_told else []),
            *map(lore_part, lore_after),
            *(_named(note, form) for note in after),
        ]


def lore_part(lore: Lore) -> NamedPart:
    """Return a piece of lore as a part of the prompt."""
    return f"lore: {lore.name}", Block("lore", lore.text)


def _description(character: Character) -> NamedPart:
    body = description_body(character.name, character.description)
    return f"description: {character.name}", Block("description", body)


def _named(entry: Entry, form: Form) -> NamedPart:
    return f"entry: {entry.id}", entry_part(entry, form)


def entry_part(entry: Entry, form: Form) -> Part:
    """Return one entry as a part of the story."""
    match entry.kind:
        case "message":
            return Block("message", entry.text, entry.speaker, entry.length)
        case "ooc":
            return Block("ooc", form.ooc_body(entry.speaker, entry.text))
        case "description":
            return Block("description", description_body(entry.speaker, entry.text))
        case "note" if entry.speaker:
            return Block("message", entry.text, entry.speaker, entry.length)
        case "note":
            return Instruction(entry.text)
        case "enter" | "leave":
            return Instruction(coming(entry))
        case kind:
            return Block(kind, entry.text)

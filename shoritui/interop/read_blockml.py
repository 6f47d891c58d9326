"""Read a story from BlockML, or from a log of lines such as `Ada: Hm.`."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from shoritui.blockml import (
    Block,
    BlockMLError,
    Instruction,
    Part,
    check_name,
    description_body,
    parse,
)
from shoritui.cards import Card, Character, Lore
from shoritui.errors import UserError
from shoritui.interop.log import MOST_WORDS, is_name, messages_of_log
from shoritui.story import Chat, Draft, Entry, Form, Kind, Origin, WholeChat
from shoritui.text import clean, printable

_NAME_FIELD = re.compile(r"\W*name\W*:\W*(?P<name>[^\n]*?)\W*", re.IGNORECASE)
_BEGINNING = re.compile(r"\W*(?P<name>.+?)(?: (?:is|was)\b|[,;:(.–—]|$)")


def chat_of_blockml(text: str, name: str, form: Form) -> WholeChat:
    """Return the chat that BlockML tells: its scene, and its story as one branch.

    Args:
        text: The blocks; those before the first message make the scene.
        name: What the chat is called if no block says it.
        form: How out-of-character words are written, and the instruction to leave out, since
            the app adds it by itself.

    Raises:
        UserError: It is not BlockML, or nothing is in it.
    """
    try:
        parts = [_clean(part) for part in parse(text.replace("\r\n", "\n").replace("\r", "\n"))]
    except BlockMLError as error:
        raise UserError(f"{error}") from None
    if not parts:
        raise UserError("it is empty")
    said = dict.fromkeys(_speaker(part) for part in parts if _is(part, "message"))
    story = _Import(form, list(said))
    for part in parts:
        story.add(part)
    return story.whole(name)


def chat_of_log(text: str, name: str, form: Form) -> WholeChat | None:
    """Return the chat that lines such as `Ada: Hm.` tell; None if the text is no such log."""
    if (messages := messages_of_log(text)) is None:
        return None
    story = _Import(form, list(dict.fromkeys(each.speaker for each in messages)))
    for each in messages:
        story.add(Block("message", each.text, each.speaker))
    return story.whole(name)


@dataclass(slots=True)
class _Import:
    """What was made of the parts so far."""

    form: Form
    speakers: list[str]
    """Everybody who says something, in the order of their first words."""
    scene: Card = field(default_factory=Card)
    drafts: list[Draft] = field(default_factory=list)
    has_begun: bool = False

    def add(self, part: Part) -> None:
        """Put a part into the scene or the story."""
        scene = self.scene
        if isinstance(part, Instruction):
            if self.has_begun or part.text != self.form.instruction:
                self._draft("note", "", part.text)
        elif part.role == "message":
            self.has_begun = True
            self.drafts.append(
                Draft("message", part.name, part.body, part.length, origin=Origin("import"))
            )
        elif part.role == "ooc":
            self.has_begun = True
            self._draft("ooc", *self._ooc(part.body))
        elif part.role == "tags" and not self.has_begun:
            tags = (" ".join(tag.split()) for tag in part.body.split(","))
            self.scene = replace(scene, tags=_joined(scene.tags, filter(None, tags)))
        elif part.role == "scenario" and not self.has_begun:
            scenario = "\n\n".join(filter(None, (scene.scenario, part.body)))
            self.scene = replace(scene, scenario=scenario)
        elif part.role == "title" and not (self.has_begun or scene.title):
            self.scene = replace(scene, title=part.body)
        elif part.role == "lore" and not self.has_begun:
            lore = Lore(name=_lore_name(part.body, len(scene.lore) + 1), text=part.body)
            self.scene = replace(scene, lore=(*scene.lore, lore))
        elif part.role == "description":
            self._describe(part.body)
        else:
            self._draft(part.role, "", part.body)

    def whole(self, name: str) -> WholeChat:
        """Return the chat; the user is whom the scene describes last, else the second to speak."""
        described = [character.name for character in self.scene.characters]
        rest = [each for each in self.speakers if each not in described]
        user = (described[-1:] or rest[1:2] or rest[:1] or ["You"])[0]
        others = rest or [each for each in [user] if each not in described]
        cast = (*self.scene.characters, *(Character(name=name) for name in others))
        scene = replace(
            self.scene, characters=tuple(replace(each, user=each.name == user) for each in cast)
        )
        now = time.time()
        entries = tuple(
            Entry(
                id=number,
                parent=number - 1 or None,
                kind=draft.kind,
                speaker=draft.speaker or (user if draft.kind == "ooc" else ""),
                length=draft.length,
                text=draft.text,
                status="complete",
                created=now,
                tokens=0,
                slot=number,
                origin=draft.origin,
            )
            for number, draft in enumerate(self.drafts, start=1)
        )
        head = len(entries) or None
        title = " ".join(scene.title.split()) or name
        chat = Chat(0, title, scene, user, head, {}, now, now)
        return WholeChat(chat, entries, {head: now} if head else {})

    def _draft(self, kind: Kind, speaker: str, text: str) -> None:
        self.drafts.append(Draft(kind, speaker, text, origin=Origin("import")))

    def _describe(self, body: str) -> None:
        taken = {character.name for character in self.scene.characters}
        free = [each for each in self.speakers if self.has_begun or each not in taken]
        name, text = _described(body, free)
        if self.has_begun or name in taken:
            self._draft("description", name, text)
        else:
            character = Character(name=name or f"Character {len(taken) + 1}", description=text)
            self.scene = replace(self.scene, characters=(*self.scene.characters, character))

    def _ooc(self, body: str) -> tuple[str, str]:
        """Return who says it, and what, as `form` writes it; nobody if it is in another form."""
        pattern = re.escape(self.form.ooc_form)
        pattern = pattern.replace(r"\{name\}", r"(?P<name>[^:\n]{1,60}?)", 1)
        pattern = pattern.replace(r"\{text\}", r"(?P<text>.*)", 1)
        match = re.fullmatch(pattern, body, re.DOTALL)
        groups = match.groupdict() if match else {}
        name = groups.get("name", "")
        described = [character.name for character in self.scene.characters]
        if "text" in groups and name in (*self.speakers, *described):
            return name, groups["text"]
        return "", body


def _described(body: str, speakers: Sequence[str]) -> tuple[str, str]:
    """Return whom a description is about, and what the card would say of them.

    Nobody (an empty name) if its first line leaves that open.
    """
    first, _, rest = body.partition("\n")
    for name in sorted({*speakers, *_guesses(first)}, key=lambda each: _rank(each, speakers)):
        if first == name and rest and description_body(name, rest) == body:
            return name, rest
        if description_body(name, body) == body:
            return name, body
    return "", body


def _rank(name: str, speakers: Sequence[str]) -> tuple[bool, int]:
    return name not in speakers, -len(name)


def _guesses(first: str) -> Iterator[str]:
    """Yield who the first line of a description may be about: `Bram`, `**Name:** Ada`."""
    for match in (_NAME_FIELD.fullmatch(first), _BEGINNING.match(first)):
        name = match["name"] if match else ""
        if is_name(name) and len(name.split()) <= MOST_WORDS:
            yield name
            return


def _lore_name(text: str, number: int) -> str:
    words = re.findall(r"\w+", text)[:MOST_WORDS]
    name = " ".join(words)
    return name if is_name(name) else f"Lore {number}"


def _speaker(part: Part) -> str:
    """Return who says a message."""
    name = part.name if isinstance(part, Block) else ""
    try:
        return check_name(name)
    except ValueError as error:
        raise UserError(f"no speaker is {printable(name, 60)!r}: {error}") from None


def _is(part: Part, role: str) -> bool:
    return isinstance(part, Block) and part.role == role


def _joined(tags: Sequence[str], more: Iterator[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*tags, *more)))


def _clean(part: Part) -> Part:
    if isinstance(part, Block):
        return replace(part, body=clean(part.body), name=clean(part.name))
    return replace(part, text=clean(part.text))

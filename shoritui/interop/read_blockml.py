"""Read a story from BlockML, or from a log of lines such as `Ada: Hm.`."""

from __future__ import annotations

import re
import time
from collections import Counter, defaultdict
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count

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

_NAME_FIELD = re.compile(r"\W*+name(?=\W*:)\W++(?P<name>(?:.*\w)?)\W*+", re.IGNORECASE)
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
    title: str = ""
    tags: dict[str, None] = field(default_factory=dict)
    scenario: list[str] = field(default_factory=list)
    lore: list[Lore] = field(default_factory=list)
    cast: dict[str, Character] = field(default_factory=dict)
    """Who is described before the first message."""
    drafts: list[Draft] = field(default_factory=list)
    has_begun: bool = False
    _named: _Named = field(init=False)

    def __post_init__(self) -> None:
        self._named = _Named(self.speakers)

    def add(self, part: Part) -> None:
        """Put a part into the scene or the story."""
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
            self.tags.update(dict.fromkeys(filter(None, tags)))
        elif part.role == "scenario" and not self.has_begun:
            self.scenario.append(part.body)
        elif part.role == "title" and not (self.has_begun or self.title):
            self.title = part.body
        elif part.role == "lore" and not self.has_begun:
            name = _lore_name(part.body, len(self.lore) + 1)
            self.lore.append(Lore(name=name, text=part.body))
        elif part.role == "description":
            self._describe(part.body)
        else:
            self._draft(part.role, "", part.body)

    def whole(self, name: str) -> WholeChat:
        """Return the chat; the user is whom the scene describes last, else the second to speak."""
        described = [*self.cast]
        rest = [each for each in self.speakers if each not in self.cast]
        user = (described[-1:] or rest[1:2] or rest[:1] or ["You"])[0]
        others = rest or [each for each in [user] if each not in self.cast]
        cast = (*self.cast.values(), *(Character(name=name) for name in others))
        scene = Card(
            title=self.title,
            tags=tuple(self.tags),
            scenario="\n\n".join(filter(None, self.scenario)),
            characters=tuple(replace(each, user=each.name == user) for each in cast),
            lore=tuple(self.lore),
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
        name, text = _described(body, self._named, () if self.has_begun else self.cast)
        if self.has_begun or name in self.cast:
            self._draft("description", name, text)
        else:
            numbered = (f"Character {number}" for number in count(len(self.cast) + 1))
            name = name or next(each for each in numbered if each not in self.cast)
            self.cast[name] = Character(name=name, description=text)

    def _ooc(self, body: str) -> tuple[str, str]:
        """Return who says it, and what, as `form` writes it; nobody if it is in another form."""
        pattern = re.escape(self.form.ooc_form)
        pattern = pattern.replace(r"\{name\}", r"(?P<name>[^:\n]{1,60}?)", 1)
        pattern = pattern.replace(r"\{text\}", r"(?P<text>.*)", 1)
        match = re.fullmatch(pattern, body, re.DOTALL)
        groups = match.groupdict() if match else {}
        name = groups.get("name", "")
        if "text" in groups and (name in self._named.all or name in self.cast):
            return name, groups["text"]
        return "", body


class _Named:
    """Names, looked up by their rarest words."""

    def __init__(self, names: Sequence[str]) -> None:
        self.all = frozenset(names)
        words = {name: _words(name) for name in names}
        counts = Counter(word for each in words.values() for word in each)
        self._by_word: dict[str, list[str]] = defaultdict(list)
        for name, each in words.items():
            self._by_word[min(each, key=counts.__getitem__, default="")].append(name)

    def in_line(self, line: str) -> Iterator[str]:
        """Yield the names that may stand in a line, in any order."""
        for word in (*_words(line), ""):
            yield from self._by_word.get(word, ())


def _described(body: str, speakers: _Named, taken: Container[str]) -> tuple[str, str]:
    """Return whom a description is about, and what the card would say of them.

    Nobody (an empty name) if its first line leaves that open. Those who are `taken` are not meant
    unless the first line is their name, or says so.
    """
    first, _, rest = body.partition("\n")
    told = body.lstrip().partition("\n")[0]
    free = {each for each in speakers.in_line(f"{first}\n{told}") if each not in taken}
    for name in sorted({*free, *_guesses(first)}, key=lambda each: (each not in free, -len(each))):
        if first == name and rest and description_body(name, rest) == body:
            return name, rest
        if description_body(name, body) == body:
            return name, body
    return "", body


def _words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"\w+", text.casefold()))


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


def _clean(part: Part) -> Part:
    if isinstance(part, Block):
        return replace(part, body=clean(part.body), name=clean(part.name))
    return replace(part, text=clean(part.text))

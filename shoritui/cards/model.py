"""What a card holds: characters, lore, an opening, and the scene they stand in.

The strings below the fields are the reference of card files.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final, Literal

from msgspec import Meta

from shoritui.blockml import Length, check_name
from shoritui.cards.pattern import key_pattern
from shoritui.text import clean
from shoritui.toml import FILLED, Rule, shown


def _wrong_name(name: str) -> str:
    try:
        check_name(name)
    except ValueError as error:
        return f"not {shown(name)} ({error})" if name else "but it is empty"
    return "" if clean(name) == name else f"not {shown(name)} (it holds invisible characters)"


def _wrong_tag(tag: str) -> str:
    if not tag.strip():
        return "but it is empty"
    return f"not {shown(tag)}" if "," in tag or "\n" in tag else ""


def _wrong_key(key: str) -> str:
    if not key.strip():
        return "but it is empty"
    try:
        key_pattern(key)
    except ValueError as error:
        return f"not {shown(key)} ({error})"
    return ""


_KEY: Final = Rule(fault=_wrong_key)
_NAME: Final = Rule("a name (one line of at most 60 characters, no colon)", _wrong_name)
_NAMES: Final = Rule("a list of names")
_TAG: Final = Rule(fault=_wrong_tag)
_TAGS: Final = Rule("a list of texts without commas or line breaks")
_WORDS: Final = Rule("a list of texts that are not empty")


@dataclass(frozen=True, slots=True, kw_only=True)
class Character:
    """One participant; the user's own character is one like any other."""

    name: Annotated[str, _NAME]
    """The label before the colon in messages."""
    aliases: Annotated[tuple[Annotated[str, _NAME], ...], _NAMES] = ()
    """Other names people call the character by."""
    description: str = ""
    """The character card: who this is, in any layout, in novel English."""
    user: bool = False
    """true: you speak as this character unless you choose another. At most one per file."""
    talkativeness: Annotated[float, Meta(ge=0, le=1)] = 0.5
    """How often the character speaks unasked, where turns are natural: 0 only when addressed."""
    speaks: Literal["freely", "when named", "never"] = "freely"
    """Whether the character has turns of their own accord: `when named`, only after a message that
    names them; `never`, only if you ask for it."""
    present: bool = True
    """false: not there when the story begins; `/enter` lets them in."""
    length: Length | None = None
    """The length hint of the character's replies. Without it: the story's."""
    examples: str = ""
    """How the character talks: lines such as `Mara: Hm.`, each a message that may go on over
    several lines; `<START>` in a line of its own begins another conversation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lore:
    """One piece of background."""

    name: Annotated[str, _NAME]
    """What the piece of background is about."""
    text: Annotated[str, FILLED]
    """The background itself. The decorators of V3 cards in its first lines, such as `@@depth 2`,
    stand for the fields below."""
    keys: Annotated[tuple[Annotated[str, _KEY], ...], _WORDS] = ()
    """Words that bring the text into the prompt when they come up: `wolf` is the whole word,
    `wolf*` its plural too, `/w[oa]lf/i` a pattern. Without keys it is always there."""
    secondary_keys: Annotated[tuple[Annotated[str, _KEY], ...], _WORDS] = ()
    """More words, on which it depends as well: see `logic`."""
    logic: Literal["any", "all", "not any", "not all"] = "any"
    """Which of the secondary keys must come up, or must not, beside one of the keys."""
    case: bool = False
    """true: capitals matter in the keys."""
    enabled: bool = True
    """false: it never comes up."""
    scan_depth: Annotated[int, Meta(ge=1, le=1000)] = 2
    """In how many of the last messages keys are looked for together."""
    probability: Annotated[int, Meta(ge=1, le=100)] = 100
    """How often it comes up, in percent; drawn once for each message that brings it up."""
    characters: Annotated[tuple[Annotated[str, _NAME], ...], _NAMES] = ()
    """Only messages of these characters bring it up; empty: anybody's."""
    order: Annotated[int, Meta(ge=-1_000_000, le=1_000_000)] = 100
    """What has a higher number comes first, also where tokens are short."""
    group: str = ""
    """Of lore in the same group only one comes up at a message, by `order`, else by chance."""
    wakes: bool = True
    """Whether keys in its own text bring up other lore."""
    woken: bool = True
    """Whether keys in the text of other lore that came up bring it up."""
    delay: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    """How many messages the story must have before it can come up."""
    every: Annotated[int, Meta(ge=1, le=1_000_000)] = 1
    """Only every so many messages of the story it can come up."""
    cooldown: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    """After how many messages it may come up again; 0: not while it still stands in the story (at
    the top or at a depth: at once)."""
    place: Literal["story", "top", "depth"] = "story"
    """Where it stands: once after the message that brought it up, where it stays; before the first
    message; or before the last `depth` ones. At the last two it comes and goes, and each time
    everything after it is read again."""
    depth: Annotated[int, Meta(ge=1, le=1000)] = 4
    """How many messages stand after it, at place `depth`."""
    sticky: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    """For how many more messages it stays at the top or at a depth."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """One message that stands before the story begins."""

    speaker: Annotated[str, _NAME]
    """The name of a character of the cast."""
    text: Annotated[str, FILLED]
    """The message, in third person and past tense."""
    length: Length | None = None
    """The length hint. Without it: what the text's tokens earn."""
    versions: Annotated[tuple[Annotated[str, FILLED], ...], _WORDS] = ()
    """What the message may be instead: in a new story these are its other versions."""
    group_versions: Annotated[tuple[Annotated[str, FILLED], ...], _WORDS] = ()
    """More of them for a cast of several characters besides you: there the first of these is what
    is said, and the others are its versions. Nowhere else they are used."""

    def texts(self, *, in_group: bool) -> tuple[str, ...]:
        """Return all versions of the message, first the one that a story begins with."""
        of_group = self.group_versions if in_group else ()
        return tuple(dict.fromkeys((*of_group, self.text, *self.versions)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """One instruction to the model that a story begins with, as an author's note."""

    text: Annotated[str, FILLED]
    """What the model is told."""
    depth: Annotated[int, Meta(ge=0, le=1000)] | None = None
    """How many messages stand after it, 0 is the end: it moves with the story, and what stands
    after it is read again. Without it: before the opening, where it stays."""
    character: Annotated[str, _NAME] = ""
    """Whose it is: it stands only in what is read for this character's messages. Without it: in
    everybody's."""
    role: Literal["note", "character", "user"] = "note"
    """As what it is read: an author's note, or a message of the character or of yours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """Everything a chat can be started from; every part may be missing."""

    title: str = ""
    """The story's title. It steers the beginning."""
    tags: Annotated[tuple[Annotated[str, _TAG], ...], _TAGS] = ()
    """Words that hint at what the story is about."""
    scenario: str = ""
    """What the story is about, and what must still happen."""
    instruction: str = ""
    """The system instruction, in place of the one in the settings; `{{original}}` in it is that
    one."""
    creator: str = ""
    """Who made the card. Like the next three, the model never reads it."""
    creator_notes: str = ""
    """What its maker says of it, shown where a scene is picked."""
    card_version: str = ""
    """Which version of the card it is."""
    labels: Annotated[tuple[Annotated[str, _TAG], ...], _TAGS] = ()
    """Words to find the card by where a scene is picked."""
    characters: tuple[Character, ...] = ()
    lore: tuple[Lore, ...] = ()
    notes: tuple[Note, ...] = ()
    messages: tuple[Opening, ...] = ()
    source: str = ""
    """The file it came from, for showing; several are joined by commas."""

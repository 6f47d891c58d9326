"""What a chat is made of: its entries, and the tree they form.

    The cards' opening ── 2 ── 3 ── 4        3 and 3' are versions of one message: they share a
                           ╰── 3' ── 5       slot. Another slot after 2 would be another branch.

The path from the root to the chat's head is the story as it stands.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Final, Literal, NamedTuple, TypeAlias, Union

import msgspec
from msgspec import Meta

from shoritui.blockml import Length
from shoritui.cards import Card

JSON: TypeAlias = Union[  # noqa: UP007  (a quoted name cannot stand in a | union)
    dict[str, "JSON"], list["JSON"], str, int, float, bool, None
]

Kind = Literal[
    "message", "ooc", "note", "description", "lore", "title", "tags", "scenario", "enter", "leave"
]
"""`note` is an author's note, an `[INST]` block; `title`, `tags` and `scenario` begin a scene;
with `enter` and `leave` the speaker comes and goes, their text says how."""
Status = Literal["complete", "streaming", "cut", "looped"]
"""`streaming` is being written now; `cut` ended early: cancelled, out of tokens, a crash."""
By = Literal["", "user", "model", "card", "import"]
"""Who wrote a text; empty where the library is older than this record."""


class Unset(Enum):
    """The type of `UNSET`."""

    UNSET = "unset"


UNSET: Final = Unset.UNSET
"""An argument that was not given, where None has a meaning of its own."""


class Asked(msgspec.Struct, frozen=True, omit_defaults=True):
    """From what a model wrote a text: versions of the same turn have the same."""

    document: str
    """A digest of all that was read, the open block at its end included."""
    hint: Length | None = None
    """The length hint that was asked for; None is the dynamic mode."""
    left: Annotated[int, Meta(ge=0)] = 0
    """How many entries before it had left the context."""


class Origin(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who wrote a text, and with what."""

    by: By = ""
    model: str = ""
    """The model's name, where a model wrote it."""
    preset: str = ""
    seed: int | None = None
    adapters: tuple[str, ...] = ()
    asked: Asked | None = None
    """What the model read, where one wrote it as a reply."""


class NoteRule(msgspec.Struct, frozen=True, omit_defaults=True):
    """When and where an author's note is read; as it is, where it was written.

    It goes with the messages around it once the context is full, unless one of `sticky`, `depth`
    and `every` is given.
    """

    once: bool = False
    """Whether it is over with the reply that comes next."""
    sticky: bool = False
    """Whether it stays in force when older messages leave the context."""
    depth: Annotated[int, Meta(ge=0)] | None = None
    """How many messages stand after it; None leaves it where it was written."""
    every: Annotated[int, Meta(ge=0)] = 0
    """It is read again each time so many messages have followed; 0 is never."""
    reader: str = ""
    """The one in whose prompts it stands; empty is everybody."""


class Made(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a text came of another version."""

    how: Literal["edited", "continued", "merged", "split"]
    """By a person's hand, or by letting the model write on."""
    of: Annotated[int, Meta(ge=0)]
    """The id of that version; 0 where it is no more."""


class Details(msgspec.Struct, frozen=True, omit_defaults=True):
    """What only few entries have."""

    heard: tuple[str, ...] | None = None
    """Who hears a whisper, beside its speaker; None is everybody."""
    note: NoteRule | None = None
    span: tuple[int, int] | None = None
    """The slots of the first and the last entry that a summary stands for."""
    aliases: tuple[str, ...] = ()
    """Other names of whom a description is of."""
    made: Made | None = None
    """Of which version it was made; None is a text of its own."""
    foreign: str = ""
    """What the program that it came from keeps of it, a JSON object; it goes back as it came."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One node of a chat's tree: one version of one message."""

    id: int
    parent: int | None
    """The entry before it; None for the first of a story."""
    kind: Kind
    speaker: str
    length: Length | None
    """The length hint; None is the dynamic mode."""
    text: str
    status: Status
    created: float
    """Seconds since 1970."""
    tokens: int
    """Tokens of the text; 0 if nobody has counted them."""
    slot: int = 0
    """The message it is a version of: the id of the first version."""
    hidden: bool = False
    """Whether the model does not read it."""
    label: str | None = None
    """The name of a bookmark, of a checkpoint or of the branch that begins here."""
    origin: Origin = Origin()  # noqa: RUF009  (frozen)
    details: Details = Details()  # noqa: RUF009  (frozen)
    pinned: bool = False
    """Whether it is read however old it is."""


@dataclass(frozen=True, slots=True)
class Draft:
    """An entry to be."""

    kind: Kind
    speaker: str
    text: str
    length: Length | None = None
    status: Status = "complete"
    tokens: int = 0
    origin: Origin = Origin()  # noqa: RUF009  (frozen)
    details: Details = Details()  # noqa: RUF009  (frozen)


@dataclass(frozen=True, slots=True)
class Chat:
    """One story: its scene, who the user is in it, and the end of its active path."""

    id: int
    name: str
    scene: Card
    user: str
    """The name the user speaks as."""
    head: int | None
    """The last entry of the active path; None before the first one."""
    settings: dict[str, JSON]
    created: float
    """Seconds since 1970, as is `updated`."""
    updated: float


@dataclass(frozen=True, slots=True)
class Summary:
    """A chat as a list of chats shows it."""

    id: int
    name: str
    cast: tuple[str, ...]
    messages: int
    """Messages of all branches, each counted once however many versions it has."""
    last_line: str
    """How the last entry of the active path begins, on one line."""
    created: float
    updated: float
    tags: tuple[str, ...]
    favourite: bool
    archived: bool
    deleted: float | None
    """Since when it lies in the bin."""
    is_damaged: bool = False
    """Whether its row cannot be what a library wrote; `last_line` says so."""


class Node(NamedTuple):
    """An entry as the tree view shows it."""

    id: int
    parent: int | None
    slot: int
    kind: Kind
    speaker: str
    beginning: str
    """The first characters of its text."""
    label: str | None
    active: bool
    """Whether it is on the active path."""


@dataclass(frozen=True, slots=True)
class Hit:
    """Where a search found its words."""

    chat: int
    chat_name: str
    entry: int
    kind: Kind
    speaker: str
    created: float
    before: str
    """What stands before the first word that was found; `found` and `after` go on from there."""
    found: str
    after: str
    version: int
    """Which version of its message this is, counted from 1, the oldest first."""
    versions: int

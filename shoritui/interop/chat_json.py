"""A chat with all its branches as JSON: nothing that the library holds of it is lost.

The guide's page on taking a story along describes the file, field by field.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Annotated, Any, Final, Literal, TypeAlias, TypeVar

import msgspec
from msgspec import Meta

from shoritui.blockml import Length, check_name
from shoritui.bounded import Malformed, misfit, read_json
from shoritui.cards import Card, card_from_json, card_to_json, check_card
from shoritui.errors import UserError
from shoritui.story import Chat, Details, Entry, Kind, Origin, WholeChat
from shoritui.text import clean, escaped, is_visible, printable

FORMAT: Final = "shoritui-chat"
VERSION: Final = 2

# Until the year 9999, where dates end.
_Time: TypeAlias = Annotated[float, Meta(ge=0, lt=250_000_000_000)]
_Kept = TypeVar("_Kept", Origin, Details)


class _Entry(msgspec.Struct, omit_defaults=True):
    id: int
    kind: Kind
    text: str
    parent: int | None = None
    slot: int | None = None
    speaker: str = ""
    length: Length | None = None
    status: Literal["complete", "cut", "looped"] = "complete"
    created: _Time = 0
    visited: _Time = 0
    tokens: Annotated[int, Meta(ge=0, lt=2**31)] = 0
    hidden: bool = False
    label: str | None = None
    origin: Origin = Origin()
    details: Details = Details()
    pinned: bool = False


class _Head(msgspec.Struct):
    format: object = None
    version: object = None


class _File(msgspec.Struct):
    format: str
    version: int
    name: str
    user: str
    scene: dict[str, Any]
    entries: list[_Entry]
    head: int | None = None
    settings: dict[str, Any] = {}
    tags: list[str] = []
    favourite: bool = False
    archived: bool = False
    created: _Time = 0
    updated: _Time = 0


def chat_json(whole: WholeChat) -> str:
    """Return the chat as text; entries are numbered from 1, and no path of this machine is told."""
    whole = whole.renumbered(1)
    chat = whole.chat
    file = _File(
        format=FORMAT,
        version=VERSION,
        name=_line(chat.name),
        user=clean(chat.user),
        scene=written_scene(chat.scene),
        entries=[_written(entry, whole.visited) for entry in whole.entries],
        head=chat.head,
        settings=dict(chat.settings),
        tags=[_line(tag) for tag in whole.tags],
        favourite=whole.favourite,
        archived=whole.archived,
        created=chat.created,
        updated=chat.updated,
    )
    return escaped(msgspec.json.format(msgspec.json.encode(file), indent=1).decode()) + "\n"


def chat_of_json(text: str) -> WholeChat:
    """Return the chat that `chat_json` wrote.

    Raises:
        UserError: It is no such text, or a newer version wrote it.
    """
    try:
        values = read_json(text)
        head = msgspec.convert(values, _Head)
        if head.format != FORMAT:
            raise UserError("it is not a chat that ShoriTUI exported")
        if isinstance(head.version, int) and head.version > VERSION:
            raise UserError(
                f"it has format {head.version}, and this ShoriTUI reads up to {VERSION}; "
                "update ShoriTUI to import it"
            )
        file = msgspec.convert(values, _File)
        settings, scene = _clean(file.settings), read_scene(file.scene)
    except Malformed as error:
        raise UserError(str(error)) from None
    except msgspec.ValidationError as error:
        raise UserError(f"it is not as ShoriTUI exports a chat ({misfit(error)})") from None
    _expect_tree(file)
    chat = Chat(
        0,
        _line(file.name).strip() if is_visible(file.name) else "Untitled",
        scene,
        _name(file.user, "the user"),
        file.head,
        settings,
        file.created,
        file.updated,
    )
    return WholeChat(
        chat,
        tuple(_read(entry) for entry in file.entries),
        {entry.id: entry.visited for entry in file.entries if entry.visited},
        tuple(_line(tag) for tag in file.tags),
        file.favourite,
        file.archived,
    )


def written_scene(scene: Card) -> dict[str, Any]:
    """Return a scene as JSON; where it came from is not told."""
    written: dict[str, Any] = _clean(read_json(card_to_json(replace(scene, source=""))))
    return written


def read_scene(data: Mapping[str, Any]) -> Card:
    """Return the scene that `written_scene` wrote.

    Raises:
        UserError: It is no such thing, or a newer version wrote it.
    """
    scene = card_from_json(json.dumps({**_clean(data), "source": ""}))
    check_card(scene, cast=False)
    names = [character.name for character in scene.characters]
    if twice := next((name for place, name in enumerate(names) if name in names[:place]), None):
        raise UserError(f"its cast has {printable(twice, 60)!r} twice")
    return scene


def _written(entry: Entry, visited: Mapping[int, float]) -> _Entry:
    assert entry.status != "streaming"
    return _Entry(
        id=entry.id,
        kind=entry.kind,
        text=clean(entry.text),
        parent=entry.parent,
        slot=None if entry.slot == entry.id else entry.slot,
        speaker=clean(entry.speaker),
        length=entry.length,
        status=entry.status,
        created=entry.created,
        visited=visited.get(entry.id, 0),
        tokens=entry.tokens,
        hidden=entry.hidden,
        label=None if entry.label is None else _line(entry.label),
        origin=clean_struct(entry.origin),
        details=clean_struct(entry.details),
        pinned=entry.pinned,
    )


def _read(entry: _Entry) -> Entry:
    speaker = _name(entry.speaker, f"the speaker of entry {entry.id}") if entry.speaker else ""
    if not speaker and entry.kind in ("message", "ooc"):
        raise UserError(f"entry {entry.id} has no speaker")
    return Entry(
        entry.id,
        entry.parent,
        entry.kind,
        speaker,
        entry.length,
        clean(entry.text),
        entry.status,
        entry.created,
        entry.tokens,
        entry.id if entry.slot is None else entry.slot,
        entry.hidden,
        None if entry.label is None else _line(entry.label),
        clean_struct(entry.origin),
        clean_struct(entry.details),
        entry.pinned,
    )


def clean_struct(value: _Kept) -> _Kept:
    """Return what is kept of an entry with every text in it clean."""
    return msgspec.convert(_clean(msgspec.to_builtins(value)), type(value))


def _line(text: str) -> str:
    """Return a text on one line, and otherwise as it is."""
    return clean(text).replace("\n", " ")


def _clean(value: Any) -> Any:
    """Return JSON with every text in it clean."""
    match value:
        case str():
            return clean(value)
        case list() | tuple():
            return [_clean(each) for each in value]
        case dict():
            return {key: _clean(each) for key, each in value.items()}
    return value


def _name(name: str, whose: str) -> str:
    try:
        return check_name(clean(name))
    except ValueError as error:
        raise UserError(f"{whose} cannot be called {printable(name, 60)!r}: {error}") from None


def _expect_tree(file: _File) -> None:
    """Raise a UserError unless the entries form a tree that the head is part of."""
    parents = {entry.id: entry.parent for entry in file.entries}
    if len(parents) < len(file.entries):
        raise UserError("two of its entries have the same id")
    for entry_id in _missing(parents, parents.values()):
        raise UserError(f"there is no entry {entry_id}, which another one follows")
    for entry_id in _missing(parents, [file.head]):
        raise UserError(f"there is no entry {entry_id}, with which it is said to end")
    rooted: set[int] = set()
    for entry_id in parents:
        way, step = set[int](), entry_id
        while step not in rooted:
            if step in way:
                raise UserError(f"what comes before entry {entry_id} goes in a circle")
            way.add(step)
            above = parents[step]
            if above is None:
                break
            step = above
        rooted |= way


def _missing(known: Mapping[int, object], named: Iterable[int | None]) -> Iterable[int]:
    return (each for each in named if each is not None and each not in known)

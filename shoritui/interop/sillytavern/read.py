"""Read a chat of SillyTavern: JSON Lines, one message a line below a header.

    {"user_name": "Bram", "character_name": "Ada", "chat_metadata": {"note_prompt": "Be brief."}}
    {"name": "Ada", "is_user": false, "mes": "Hm.", "swipes": ["Oh.", "Hm."], "swipe_id": 1}

Newer versions name nobody in the header ("unused"), and older groups have none.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Final, NamedTuple

import msgspec

from shoritui.blockml import check_name
from shoritui.bounded import Malformed, read_json
from shoritui.cards import Card, Character
from shoritui.errors import UserError
from shoritui.interop.chat_json import clean_struct, read_scene
from shoritui.interop.dates import seconds_of
from shoritui.interop.placeholders import with_names
from shoritui.interop.sillytavern.extra import KEY, NARRATOR, SAID, Extra, extra_of
from shoritui.interop.sillytavern.group import Group
from shoritui.interop.sillytavern.metadata import (
    SETTING,
    is_off,
    kept_extra,
    kept_metadata,
    note_rule,
    number_of,
)
from shoritui.story import COMINGS, JSON, Chat, Details, Entry, Kind, Origin, WholeChat, coming
from shoritui.text import clean, is_visible, one_line

_MOST: Final = 500_000
"""Messages and swipes of a chat; a story of 10,000 messages with fifty swipes each."""
_NAMED: Final = 10
"""How many broken lines are told by number."""
_HEAD: Final = 20
"""In how many lines the first message of a chat is looked for."""
_UNUSED: Final = ("", "unused")
_NO_NAME: Final = re.compile("[:▀▄]")


@dataclass(frozen=True, slots=True)
class ReadChat:
    """A chat out of a file of SillyTavern, and what it says of other files."""

    name: str
    """What the file is called there: its name without `.jsonl`."""
    whole: WholeChat
    main: str = ""
    """The name of the chat it is a branch of."""
    branches: tuple[str, ...] = ()
    """The names of chats that are branches of it."""
    book: str = ""
    """The name of the lorebook that belongs to it."""
    lines: Mapping[int, int] = field(default_factory=dict)
    """The line of each message, by its slot."""


class _Version(NamedTuple):
    text: str
    extra: Mapping[str, Any]
    date: object


def is_sillytavern(text: str) -> bool:
    """Return whether a text is such a chat, as far as its first lines tell."""
    first = (line for line in text.split("\n", _HEAD)[:_HEAD] if line.strip())
    return any(_is_header(found) or _is_message(found) for found in map(_object, first))


def chat_of_sillytavern(text: str, name: str, tell: Callable[[str], object]) -> WholeChat:
    """Return the chat that SillyTavern has written, without what stands in other files.

    Args:
        text: The lines; those that are broken are left out.
        name: What the chat is called, unless it was exported from here.
        tell: Is told in a sentence which lines were left out.

    Raises:
        UserError: No line is a message, or there are far too many.
    """
    return read_sillytavern(text, name, tell).whole


def read_sillytavern(
    text: str, name: str, tell: Callable[[str], object], group: Group | None = None
) -> ReadChat:
    """Return the chat, and what it says of other files.

    Args:
        text: The lines; those that are broken are left out.
        name: What the file is called there.
        tell: Is told in a sentence which lines were left out.
        group: The group whose chat it is; it knows what older versions do not say here.

    Raises:
        UserError: No line is a message, or there are far too many.
    """
    chat = _Import(group=group, name=name)
    broken = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        found = _object(line)
        if _is_message(found):
            chat.add(found)
            chat.lines[chat.entries[-1].slot] = number
        elif _is_header(found) and not (chat.header or chat.entries):
            chat.begin(found)
        else:
            broken.append(number)
    if not (chat.entries or chat.header):
        raise UserError("no line of it is a message")
    read = chat.read()
    if broken:
        more = f" and {len(broken) - _NAMED:,} more" if len(broken) > _NAMED else ""
        which = ", ".join(f"{number:,}" for number in broken[:_NAMED])
        lines = "line was" if len(broken) == 1 else "lines were"
        tell(f"{len(broken):,} broken {lines} left out: {which}{more}.")
    return read


@dataclass(slots=True, kw_only=True)
class _Import:
    """What was made of the lines so far."""

    name: str
    group: Group | None
    header: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    scene: Card | None = None
    """The scene that the header holds; None where another program wrote the chat."""
    entries: list[Entry] = field(default_factory=list)
    head: int | None = None
    created: float = 0.0
    """When the chat began; 0 if the header does not say it."""
    last: float = field(default_factory=time.time)
    """The date of a message that has none: that of the one before it."""
    user: str = ""
    speakers: dict[str, None] = field(default_factory=dict)
    """Who says something that was not written here, in the order of their first words."""
    slots: dict[int, int] = field(default_factory=dict)
    """The slots that summaries name: what they were, and what they are now."""
    branches: dict[str, None] = field(default_factory=dict)
    foreign: set[int] = field(default_factory=set)
    """The entries that were not written here."""
    lines: dict[int, int] = field(default_factory=dict)

    def begin(self, header: Mapping[str, Any]) -> None:
        """Read the header: the scene, if it was written here, and the author's note."""
        self.header = header
        self.created = seconds_of(header.get("create_date"))
        self.last = self.created or self.last
        self._begin(_mapping(header.get("chat_metadata")))
        with suppress(UserError, RecursionError):
            self.scene = read_scene(_mapping(self._ours().get("scene")))

    def _begin(self, metadata: Mapping[str, Any]) -> None:
        of_group = self.group.metadata(self.name) if self.group else {}
        self.metadata = {**of_group, **metadata}
        note = clean(_text(self.metadata.get("note_prompt")))
        if is_visible(note):
            rule = note_rule(self.metadata)
            entry = self._entry("note", "", note, 0)
            hidden = is_off(self.metadata)
            self.entries.append(replace(entry, hidden=hidden, details=Details(note=rule)))
            self.foreign.add(entry.id)
            self.head = entry.id

    def add(self, line: Mapping[str, Any]) -> None:
        """Put a message at the end of the story, its swipes as versions."""
        if not (self.header or self.entries or self.metadata):
            self._begin({})
        if len(self.entries) + len(_list(line.get("swipes"))) >= _MOST:
            raise UserError(f"it has more than {_MOST:,} messages and swipes")
        versions, chosen = _versions(line)
        is_user, is_system = line.get("is_user") is True, line.get("is_system") is True
        name = _name(line.get("name")) or self._unnamed(is_user)
        if is_user:
            self.user = name
        first = len(self.entries) + 1
        for place, version in enumerate(versions):
            date = seconds_of(version.date) or self.last
            extra = extra_of(version.extra)
            foreign = kept_extra(version.extra, extra)
            links = [version.extra.get("bookmark_link"), *_list(version.extra.get("branches"))]
            if extra is None:
                self.branches.update(dict.fromkeys(filter(None, map(_text, links))))
                kind, speaker = _whose(name, version.extra, is_system)
                if kind == "message" and version.extra.get("type") != "narrator":
                    self.speakers[speaker] = None
                entry = self._entry(kind, speaker, clean(version.text), date, first)
                if is_system or version.extra.get("bookmark_link"):
                    label = one_line(_text(version.extra.get("bookmark_link")))
                    entry = replace(entry, hidden=is_system, label=label or None)
                self.foreign.add(entry.id)
            else:
                entry = self._entry("message", name, clean(version.text), date, first)
                entry = _completed(replace(entry, hidden=is_system), extra, place == chosen)
                if extra.slot is not None:
                    self.slots.setdefault(extra.slot, first)
            if foreign:
                details = msgspec.structs.replace(entry.details, foreign=foreign)
                entry = replace(entry, details=details)
            self.entries.append(entry)
        self.last = self.entries[-1].created
        self.head = first + chosen

    def read(self) -> ReadChat:
        """Return what came of it."""
        return ReadChat(
            self.name,
            self._whole(),
            _text(self.metadata.get("main_chat")).removesuffix(".jsonl"),
            tuple(self.branches),
            _text(self.metadata.get("world_info")),
            self.lines,
        )

    def _whole(self) -> WholeChat:
        ours = self._ours()
        user = self.user or _name(ours.get("user")) or self._unnamed(is_user=True)
        scene = self.scene or Card()
        scenario = clean(_text(self.metadata.get("scenario")))
        if is_visible(scenario):
            scene = replace(scene, scenario=scenario)
        characters = self._cast(scene.characters, user)
        cast = [character.name for character in characters]
        char = next((name for name in cast if name != user), NARRATOR)
        entries = tuple(self._named(self._renamed(entry), user, char) for entry in self.entries)
        created = self.created or (entries[0].created if entries else self.last)
        own = one_line(_text(ours.get("name")))
        called = self.group.title(self.name) if self.group else self.name
        chat = Chat(
            0,
            own if is_visible(own) else called,
            replace(scene, characters=tuple(characters)),
            user,
            self.head,
            self._settings(),
            created,
            time.time(),
        )
        return WholeChat(chat, entries, {} if self.head is None else {self.head: chat.updated})

    def _settings(self) -> dict[str, JSON]:
        kept = kept_metadata(self.metadata)
        turns = self.group.turns if self.group else ""
        return {**({SETTING: kept} if kept else {}), **({"turns": turns} if turns else {})}

    def _cast(self, described: Sequence[Character], user: str) -> list[Character]:
        members = self.group.members if self.group and self.scene is None else ()
        cast = {character.name: character for character in (*members, *described)}
        for each in self.speakers:
            cast.setdefault(each, Character(name=each))
        if self.scene is None:
            if not any(each != user for each in cast) and self._other():
                cast[self._other()] = Character(name=self._other())
            cast.pop(user, None)
            cast[user] = Character(name=user, user=True)
        return list(cast.values())

    def _entry(self, kind: Kind, speaker: str, text: str, created: float, slot: int = 0) -> Entry:
        number = len(self.entries) + 1
        return Entry(
            *(number, self.head, kind, speaker, None, text, "complete"),
            *(created or self.last, 0, slot or number),
            origin=Origin("import"),
        )

    def _ours(self) -> Mapping[str, Any]:
        return _mapping(self.metadata.get(KEY))

    def _other(self) -> str:
        """Return the character that the header names; newer versions name nobody there."""
        name = _name(self.header.get("character_name"))
        return "" if name in _UNUSED else name

    def _unnamed(self, is_user: bool) -> str:
        """Return who says a message without a name."""
        if not is_user:
            return self._other() or NARRATOR
        name = _name(self.header.get("user_name"))
        return "You" if name in _UNUSED else name

    def _named(self, entry: Entry, user: str, char: str) -> Entry:
        """Return an entry with names in place of macros, which stand in the texts there."""
        if entry.id not in self.foreign:
            return entry
        speaker = entry.speaker if entry.speaker not in ("", user, NARRATOR) else char
        text = with_names(entry.text, user, speaker)
        return entry if text == entry.text else replace(entry, text=text)

    def _renamed(self, entry: Entry) -> Entry:
        """Return an entry whose summary names slots as they are here."""
        if entry.details.span is None:
            return entry
        first, last = (self.slots.get(slot, entry.slot) for slot in entry.details.span)
        return replace(entry, details=msgspec.structs.replace(entry.details, span=(first, last)))


def _versions(line: Mapping[str, Any]) -> tuple[list[_Version], int]:
    """Return the swipes of a message, and which one is chosen; one that was edited is one more."""
    swipes, infos = _list(line.get("swipes")), _list(line.get("swipe_info"))
    told = _Version(_text(line["mes"]), _mapping(line.get("extra")), line.get("send_date"))
    versions = []
    for place, swipe in enumerate(swipes):
        info = _mapping(infos[place] if place < len(infos) else None)
        date = info.get("send_date", told.date)
        versions.append(_Version(_text(swipe), _mapping(info.get("extra")), date))
    chosen = number_of(line.get("swipe_id"), -1)
    if not 0 <= chosen < len(versions):
        texts = [version.text for version in versions]
        chosen = texts.index(told.text) if told.text in texts else len(texts)
    elif versions[chosen].text != told.text:
        chosen = len(versions)
    versions[chosen : chosen + 1] = [told]
    return versions, chosen


def _whose(name: str, extra: Mapping[str, Any], is_system: bool) -> tuple[Kind, str]:
    """Return what a message of SillyTavern's own is, and who says it."""
    kind = extra.get("type")
    if kind == "narrator":
        return "message", NARRATOR if name == "System" else name
    if is_system and isinstance(kind, str) and kind:  # a comment, or a notice of the program's
        return "note", ""
    return "message", name


def _completed(entry: Entry, extra: Extra, is_chosen: bool) -> Entry:
    """Return an entry with what SillyTavern does not know of it."""
    kind = extra.kind or "message"
    speaker = entry.speaker if extra.speaker is None else _name(extra.speaker)
    entry = replace(
        entry,
        kind=kind,
        speaker=speaker or (entry.speaker if kind in (*SAID, *COMINGS) else ""),
        length=extra.length,
        status="complete" if extra.status == "streaming" else extra.status,
        hidden=entry.hidden if is_chosen or extra.hidden is None else extra.hidden,
        label=None if extra.label is None else one_line(extra.label),
        details=clean_struct(extra.details),
        pinned=extra.pinned,
    )
    if extra.text is not None and kind in COMINGS:
        # The sentence stands there; if somebody has changed it, it is what counts.
        short = replace(entry, text=clean(extra.text))
        entry = short if clean(coming(short)) == entry.text else entry
    return entry


def _object(line: str) -> Mapping[str, Any]:
    """Return the JSON object on a line; an empty one if there is none.

    A file that was not written to its end is often filled up with zeros.
    """
    try:
        return _mapping(read_json(line.strip("\0 \r")))
    except Malformed:
        return {}


def _is_header(found: Mapping[str, Any]) -> bool:
    named = isinstance(found.get("user_name"), str)
    return "mes" not in found and (named or isinstance(found.get("chat_metadata"), dict))


def _is_message(found: Mapping[str, Any]) -> bool:
    mes = found.get("mes")
    if isinstance(mes, dict):
        mes = mes.get("message")
    return isinstance(mes, str) and ("name" in found or "is_user" in found)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: object) -> str:
    """Return a text; Chub wraps it in an object."""
    if isinstance(value, dict):
        value = value.get("message")
    return value if isinstance(value, str) else ""


def _name(value: object) -> str:
    """Return a name as it can stand before a colon; nothing if there is nothing to see."""
    return _checked_name(_text(value))


@lru_cache(maxsize=1024)
def _checked_name(name: str) -> str:
    name = clean(name)
    for each in (name, one_line(_NO_NAME.sub(" ", name))[:60].strip()):
        with suppress(ValueError):
            return check_name(each)
    return ""

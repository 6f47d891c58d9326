"""Chats as SillyTavern keeps them: JSON Lines, one message a line below a header.

What SillyTavern does not know stands in its own free fields under the key `shoritui`: it leaves
them alone, and a chat that comes back has its length hints, notes and scene again.
"""

from __future__ import annotations

import json
import re
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import msgspec

from shoritui.blockml import Length, check_name
from shoritui.cards import Card, Character
from shoritui.errors import UserError
from shoritui.interop.chat_json import clean_struct, read_scene, written_scene
from shoritui.story import (
    COMINGS,
    Chat,
    Details,
    Entry,
    Kind,
    NoteRule,
    Origin,
    Status,
    WholeChat,
    coming,
)
from shoritui.text import clean, is_visible, one_line

_KEY: Final = "shoritui"
_NARRATOR: Final = "Narrator"
_SAID: Final = ("message", "ooc")
"""The kinds of entries that somebody says; the others are told by a narrator."""
_MOST: Final = 500_000
"""Messages and swipes of a chat; a story of 10,000 messages with fifty swipes each."""
_DEEPEST: Final = 1000
"""Messages after an author's note, at most."""
_NAMED: Final = 10
"""How many broken lines are told by number."""
_HEAD: Final = 20
"""In how many lines the first message of a chat is looked for."""
_UNUSED: Final = ("", "unused")
_MONTHS: Final = (
    "jan",
    "feb",
    "mar",
    "apr",
    "may",
    "jun",
    "jul",
    "aug",
    "sep",
    "oct",
    "nov",
    "dec",
)
_AT: Final = re.compile(
    r"(\d{4})-(\d{1,2})-(\d{1,2})\s*@\s*(\d{1,2})h\s*(\d{1,2})m\s*(\d{1,2})s(?:\s*(\d{1,3})ms)?"
)
_IN_WORDS: Final = re.compile(
    r"([a-z]{3})[a-z]*\.? (\d{1,2}), (\d{4}),? (\d{1,2}):(\d{2})\s*([ap])m", re.IGNORECASE
)
_NO_NAME: Final = re.compile("[:▀▄]")
_MILLISECONDS: Final = 100_000_000_000
"""From here on a number is not seconds but milliseconds since 1970."""
_LATEST: Final = 250_000_000_000.0
"""Seconds since 1970 in the year 9892."""


class _Extra(msgspec.Struct, omit_defaults=True):
    """What SillyTavern does not know of an entry; None where its own fields say it."""

    kind: Kind | None = None
    speaker: str | None = None
    text: str | None = None
    length: Length | None = None
    status: Status = "complete"
    hidden: bool | None = None
    label: str | None = None
    details: Details = Details()
    pinned: bool = False
    slot: int | None = None
    """Its number, where a summary names it."""


class _Version(NamedTuple):
    text: str
    extra: Mapping[str, Any]
    date: object


def sillytavern(whole: WholeChat) -> str:
    """Return the active path, each message with its versions as swipes."""
    whole = whole.renumbered(1)
    chat, path = whole.chat, whole.path()
    on_path = {entry.id for entry in path}
    versions: dict[int, list[Entry]] = defaultdict(list)
    for entry in whole.entries:
        versions[entry.slot].append(entry)
    named = {slot for entry in whole.entries for slot in entry.details.span or ()}
    others = [each.name for each in chat.scene.characters if each.name != chat.user]
    header = {
        "user_name": clean(chat.user),
        "character_name": clean(others[0]) if others else _NARRATOR,
        "create_date": _date(chat.created),
        "chat_metadata": {
            _KEY: {
                "name": one_line(chat.name),
                "user": clean(chat.user),
                "scene": written_scene(chat.scene),
            }
        },
    }
    lines = [header]
    for entry in path:
        # Another version can stand elsewhere on the path only in a damaged library.
        siblings = [
            each for each in versions[entry.slot] if each is entry or each.id not in on_path
        ]
        lines.append(_line(entry, siblings, chat.user, named))
    return "\n".join(json.dumps(line, ensure_ascii=False) for line in lines)


def _line(entry: Entry, siblings: list[Entry], user: str, named: Collection[int]) -> dict[str, Any]:
    name = entry.speaker if entry.kind in _SAID else _NARRATOR
    extras = [_extra(each, entry, name, named) for each in siblings]
    chosen = siblings.index(entry)
    line = {
        "name": clean(name),
        "is_user": entry.kind in _SAID and entry.speaker == user,
        "is_system": entry.hidden,
        "send_date": _date(entry.created),
        "mes": _told(entry),
        "extra": extras[chosen],
    }
    if len(siblings) > 1:
        line["swipe_id"] = chosen
        line["swipes"] = [_told(each) for each in siblings]
        line["swipe_info"] = [
            {"send_date": _date(each.created), "extra": extra}
            for each, extra in zip(siblings, extras, strict=True)
        ]
    return line


def _told(entry: Entry) -> str:
    return coming(entry) if entry.kind in COMINGS else clean(entry.text)


def _extra(entry: Entry, chosen: Entry, name: str, named: Collection[int]) -> dict[str, Any]:
    extra = _Extra(
        kind=None if entry.kind == "message" else entry.kind,
        speaker=None if entry.speaker == name else clean(entry.speaker),
        text=clean(entry.text) if entry.kind in COMINGS else None,
        length=entry.length,
        status=entry.status,
        hidden=None if entry.hidden == chosen.hidden else entry.hidden,
        label=None if entry.label is None else one_line(entry.label),
        details=clean_struct(entry.details),
        pinned=entry.pinned,
        slot=entry.slot if entry.slot in named else None,
    )
    # The key stands even if it holds nothing: so a line of ours is known from another's.
    written: dict[str, Any] = {_KEY: msgspec.to_builtins(extra)}
    return written if entry.kind in _SAID else {"type": "narrator", **written}


def is_sillytavern(text: str) -> bool:
    """Return whether a text is such a chat, as far as its first lines tell."""
    first = (line for line in text.split("\n", _HEAD)[:_HEAD] if line.strip())
    return any(_is_header(found) or _is_message(found) for found in map(_object, first))


def chat_of_sillytavern(text: str, name: str, tell: Callable[[str], object]) -> WholeChat:
    """Return the chat that SillyTavern has written.

    Args:
        text: The lines; those that are broken are left out.
        name: What the chat is called, unless it was exported from here.
        tell: Is told in a sentence which lines were left out.

    Raises:
        UserError: No line is a message, or there are far too many.
    """
    chat = _Import()
    broken = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        found = _object(line)
        if _is_message(found):
            chat.add(found)
        elif _is_header(found) and not (chat.header or chat.entries):
            chat.begin(found)
        else:
            broken.append(number)
    if not (chat.entries or chat.header):
        raise UserError("no line of it is a message")
    whole = chat.whole(name)
    if broken:
        more = f" and {len(broken) - _NAMED:,} more" if len(broken) > _NAMED else ""
        which = ", ".join(f"{number:,}" for number in broken[:_NAMED])
        lines = "line was" if len(broken) == 1 else "lines were"
        tell(f"{len(broken):,} broken {lines} left out: {which}{more}.")
    return whole


@dataclass(slots=True)
class _Import:
    """What was made of the lines so far."""

    header: Mapping[str, Any] = field(default_factory=dict)
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

    def begin(self, header: Mapping[str, Any]) -> None:
        """Read the header: the scene, if it was written here, and the author's note."""
        self.header = header
        self.created = _seconds(header.get("create_date"))
        self.last = self.created or self.last
        metadata, ours = _mapping(header.get("chat_metadata")), self._ours()
        with suppress(UserError, RecursionError):
            self.scene = read_scene(_mapping(ours.get("scene")))
        note = clean(_text(metadata.get("note_prompt")))
        if is_visible(note):
            # Beside other depths, SillyTavern knows only places before the first message.
            depth = min(max(_number(metadata.get("note_depth"), 4), 0), _DEEPEST)
            is_off = _number(metadata.get("note_interval"), 1) < 1
            details = Details(note=NoteRule(depth=depth))
            entry = self._entry("note", "", note, 0)
            self.entries.append(replace(entry, hidden=is_off, details=details))
            self.head = entry.id

    def add(self, line: Mapping[str, Any]) -> None:
        """Put a message at the end of the story, its swipes as versions."""
        if len(self.entries) + len(_list(line.get("swipes"))) >= _MOST:
            raise UserError(f"it has more than {_MOST:,} messages and swipes")
        versions, chosen = _versions(line)
        is_user, is_system = line.get("is_user") is True, line.get("is_system") is True
        name = _name(line.get("name")) or self._unnamed(is_user)
        if is_user:
            self.user = name
        first = len(self.entries) + 1
        for place, version in enumerate(versions):
            date = _seconds(version.date) or self.last
            extra = _ours(version.extra)
            if extra is None:
                kind, speaker = _whose(name, version.extra, is_system)
                if kind == "message" and version.extra.get("type") != "narrator":
                    self.speakers[speaker] = None
                entry = self._entry(kind, speaker, clean(version.text), date, first)
                label = one_line(_text(version.extra.get("bookmark_link")))
                entry = replace(entry, hidden=is_system, label=label or None)
            else:
                entry = self._entry("message", name, clean(version.text), date, first)
                entry = _completed(replace(entry, hidden=is_system), extra, place == chosen)
                if extra.slot is not None:
                    self.slots.setdefault(extra.slot, first)
            self.entries.append(entry)
        self.last = self.entries[-1].created
        self.head = first + chosen

    def whole(self, name: str) -> WholeChat:
        """Return the chat."""
        ours = self._ours()
        user = self.user or _name(ours.get("user")) or self._unnamed(is_user=True)
        scene = self.scene or Card()
        scenario = clean(_text(_mapping(self.header.get("chat_metadata")).get("scenario")))
        if is_visible(scenario):
            scene = replace(scene, scenario=scenario)
        cast = {character.name: character for character in scene.characters}
        for each in self.speakers:
            cast.setdefault(each, Character(name=each))
        if self.scene is None:
            if not any(each != user for each in cast) and self._other():
                cast[self._other()] = Character(name=self._other())
            cast[user] = Character(name=user, user=True)
        entries = tuple(map(self._renamed, self.entries))
        created = self.created or (entries[0].created if entries else self.last)
        own = one_line(_text(ours.get("name")))
        chat = Chat(
            0,
            own if is_visible(own) else name,
            replace(scene, characters=tuple(cast.values())),
            user,
            self.head,
            {},
            created,
            time.time(),
        )
        return WholeChat(chat, entries, {} if self.head is None else {self.head: chat.updated})

    def _entry(self, kind: Kind, speaker: str, text: str, created: float, slot: int = 0) -> Entry:
        number = len(self.entries) + 1
        return Entry(
            *(number, self.head, kind, speaker, None, text, "complete"),
            *(created or self.last, 0, slot or number),
            origin=Origin("import"),
        )

    def _ours(self) -> Mapping[str, Any]:
        return _mapping(_mapping(self.header.get("chat_metadata")).get(_KEY))

    def _other(self) -> str:
        """Return the character that the header names; newer versions name nobody there."""
        name = _name(self.header.get("character_name"))
        return "" if name in _UNUSED else name

    def _unnamed(self, is_user: bool) -> str:
        """Return who says a message without a name."""
        if not is_user:
            return self._other() or _NARRATOR
        name = _name(self.header.get("user_name"))
        return "You" if name in _UNUSED else name

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
    chosen = _number(line.get("swipe_id"), -1)
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
        return "message", _NARRATOR if name == "System" else name
    if is_system and isinstance(kind, str) and kind:  # a comment, or a notice of the program's
        return "note", ""
    return "message", name


def _ours(extra: Mapping[str, Any]) -> _Extra | None:
    """Return what was written here; None if it was not, or is not as it was."""
    if _KEY not in extra:
        return None
    try:
        return msgspec.convert(extra[_KEY], _Extra)
    except (ValueError, RecursionError, OverflowError):
        return None


def _completed(entry: Entry, extra: _Extra, is_chosen: bool) -> Entry:
    """Return an entry with what SillyTavern does not know of it."""
    kind = extra.kind or "message"
    speaker = entry.speaker if extra.speaker is None else _name(extra.speaker)
    entry = replace(
        entry,
        kind=kind,
        speaker=speaker or (entry.speaker if kind in (*_SAID, *COMINGS) else ""),
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
    """Return the JSON object on a line; an empty one if there is none."""
    try:
        return _mapping(json.loads(line))
    except (ValueError, RecursionError):
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


def _number(value: object, default: int) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else default


def _name(value: object) -> str:
    """Return a name as it can stand before a colon; nothing if there is nothing to see."""
    name = clean(_text(value))
    for each in (name, one_line(_NO_NAME.sub(" ", name))[:60].strip()):
        with suppress(ValueError):
            return check_name(each)
    return ""


def _date(seconds: float) -> str:
    """Return a date as JavaScript writes it."""
    date = datetime.fromtimestamp(round(min(seconds, _LATEST - 1), 3), UTC)
    return date.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _seconds(date: object) -> float:
    """Return a date of any of SillyTavern's forms in seconds since 1970; 0 if it is of none."""
    if isinstance(date, str) and (date := date.strip()).isdecimal() and len(date) < 20:
        date = int(date)
    seconds = 0.0
    with suppress(ValueError, OverflowError, OSError):
        if isinstance(date, int | float) and not isinstance(date, bool):
            seconds = date / 1000 if date > _MILLISECONDS else float(date)
        elif isinstance(date, str):
            seconds = _read_date(date).timestamp()
    return seconds if 0 < seconds < _LATEST else 0.0  # neither is what is not a number


def _read_date(date: str) -> datetime:
    """Return a date, of this machine's time zone unless it says another one.

    Raises:
        ValueError: It has no form that is known.
    """
    if match := _AT.fullmatch(date):
        year, month, day, hour, minute, second, part = (int(n or 0) for n in match.groups())
        return datetime(year, month, day, hour, minute, second, part * 1000)
    if match := _IN_WORDS.fullmatch(date):
        month = _MONTHS.index(match[1].lower()) + 1
        hour = int(match[4]) % 12 + 12 * (match[6].lower() == "p")
        return datetime(int(match[3]), month, int(match[2]), hour, int(match[5]))
    return datetime.fromisoformat(date)

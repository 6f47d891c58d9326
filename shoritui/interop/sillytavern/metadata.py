"""What SillyTavern keeps of a whole chat: it is kept as it came, and goes back.

    {"note_prompt": "It rains.", "note_depth": 4, "integrity": "1f…", "variables": {...}}

The author's note is an entry here. As long as it can be one there, it goes back as one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from shoritui.bounded import read_json
from shoritui.interop.placeholders import with_names
from shoritui.interop.sillytavern.extra import KEY, SAID, Extra
from shoritui.story import Details, Entry, NoteRule, WholeChat
from shoritui.text import clean, is_visible, one_line

SETTING: Final = "sillytavern"
"""The chat's setting under which it is kept."""
_NOTE: Final = "note_prompt"
_LEFT: Final = frozenset({KEY, "main_chat"})
"""What is not kept: ours, and the name of a chat that has become a branch of this one."""
_LARGEST: Final = 1 << 20
"""Bytes of one value."""
_DEEPEST: Final = 1000
"""Messages after an author's note, or from one time it is read to the next, at most."""
_IN_CHAT: Final = 1
"""The position of an author's note that stands at a depth; the others are before the story."""


def kept_metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a chat's settings keep; without what cannot be kept as it is."""
    found: dict[str, Any] = {}
    for name, value in metadata.items():
        if name in _LEFT or clean(name) != name:
            continue
        try:
            text = msgspec.json.encode(value)
            if len(text) <= _LARGEST:
                found[name] = msgspec.json.decode(text)
        except (ValueError, OverflowError, RecursionError):
            continue
    return found


def kept_extra(fields: Mapping[str, Any], ours: Extra | None) -> str:
    """Return what is kept of a message's free fields, as text; empty if there is nothing.

    `ours` is what was written here, if it was.
    """
    gone = {"branches"} if ours is None else {"branches", "gen_id"}
    if ours is not None and (ours.kind or "message") not in SAID:
        gone.add("type")  # it is told by a narrator there, as we write it
    kept = {name: each for name, each in kept_metadata(fields).items() if name not in gone}
    return json.dumps(kept) if kept else ""


def written_extra(entry: Entry) -> dict[str, Any]:
    """Return the free fields that go back, without a link whose name was taken away here."""
    try:
        found = read_json(entry.details.foreign or "{}")
    except (ValueError, RecursionError):
        return {}
    extra = found if isinstance(found, dict) else {}
    link = extra.get("bookmark_link")
    is_link = isinstance(link, str) and one_line(link) == entry.label
    return {name: each for name, each in extra.items() if name != "bookmark_link" or is_link}


def written_metadata(whole: WholeChat) -> tuple[dict[str, Any], Entry | None]:
    """Return what goes back, and the entry that stands there as the author's note, if one does."""
    kept = whole.chat.settings.get(SETTING)
    metadata: dict[str, Any] = dict(kept) if isinstance(kept, dict) else {}
    scenario = metadata.get("scenario")
    if isinstance(scenario, str) and scenario.strip():
        metadata["scenario"] = clean(whole.chat.scene.scenario)
    if not isinstance(metadata.get(_NOTE), str):
        return metadata, None
    note = next(iter(whole.path()), None)
    if note is None or not _is_note(note, whole, metadata):
        return {name: each for name, each in metadata.items() if name != _NOTE}, None
    others = [each.name for each in whole.chat.scene.characters if each.name != whole.chat.user]
    came = with_names(clean(metadata[_NOTE]), whole.chat.user, others[0] if others else "")
    metadata[_NOTE] = metadata[_NOTE] if came == note.text else note.text
    return metadata, note


def _is_note(entry: Entry, whole: WholeChat, metadata: Mapping[str, Any]) -> bool:
    """Return whether an entry says nothing but what an author's note can say there."""
    is_plain = not (entry.label or entry.pinned) and entry.status == "complete"
    spans = {slot for each in whole.entries for slot in each.details.span or ()}
    versions = sum(each.slot == entry.slot for each in whole.entries)
    is_alone = versions == 1 and entry.slot not in spans
    text = entry.text
    return (
        (entry.kind, entry.speaker, entry.length) == ("note", "", None)
        and entry.details == Details(note=note_rule(metadata))
        and entry.hidden == is_off(metadata)
        and is_plain
        and is_alone
        and clean(text) == text == with_names(text, "", "")
        and is_visible(text)
    )


def is_off(metadata: Mapping[str, Any]) -> bool:
    """Return whether an author's note is never read."""
    return number_of(metadata.get("note_interval"), 1) < 1


def note_rule(metadata: Mapping[str, Any]) -> NoteRule:
    """Return where an author's note stands; its interval counts the user's messages alone."""
    if number_of(metadata.get("note_position"), _IN_CHAT) != _IN_CHAT:
        return NoteRule(sticky=True)
    interval = number_of(metadata.get("note_interval"), 1)
    if interval > 1:
        return NoteRule(every=min(2 * interval, _DEEPEST))
    return NoteRule(depth=min(max(number_of(metadata.get("note_depth"), 4), 0), _DEEPEST))


def number_of(value: object, default: int) -> int:
    """Return a whole number; the default where it is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) else default

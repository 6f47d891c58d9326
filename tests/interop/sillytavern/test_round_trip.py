"""Any story that goes out to SillyTavern comes back: the path, its versions, hints and notes."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any, get_args

from hypothesis import given, settings
from hypothesis import strategies as st

from shoritui.blockml import Length
from shoritui.cards import Card, Character, Lore
from shoritui.interop.sillytavern import (
    group_of_sillytavern,
    read_sillytavern,
    sillytavern,
    sillytavern_group,
)
from shoritui.story import Chat, Details, Entry, Kind, NoteRule, WholeChat
from shoritui.text import clean

NAMES = ("Ada", "Bram", "Cleo", "Old Woman", "Narrator")
WHOLE = st.integers(-(2**63), 2**63)
texts = st.text(st.characters(codec="utf-8"), max_size=12) | st.sampled_from(
    ["{{user}} and {{char}}", "Ada: Hm.", '{"mes": 1}', "a\r\nb\u2028c", "▀▄"]
)
labels = st.none() | st.text(st.characters(codec="utf-8"), min_size=1, max_size=6)
lengths = st.none() | st.sampled_from(get_args(Length))
kinds: st.SearchStrategy[Kind] = st.sampled_from(
    [*("message",) * 6, "ooc", "note", "description", "lore", "title", "tags", "enter", "leave"]
)
rules = st.builds(
    NoteRule,
    sticky=st.booleans(),
    once=st.booleans(),
    depth=st.none() | st.integers(0, 5),
    every=st.integers(0, 9),
    reader=st.sampled_from(["", "Ada"]),
)
heard = st.none() | st.lists(st.sampled_from(NAMES), max_size=2).map(tuple)


@dataclass(frozen=True)
class Version:
    """One version of a message to be."""

    text: str
    length: Length | None
    status: Any
    hidden: bool
    pinned: bool
    label: str | None
    created: float
    speaker: str


versions = st.builds(
    Version,
    text=texts,
    length=lengths,
    status=st.sampled_from(["complete", "cut", "looped"]),
    hidden=st.booleans(),
    pinned=st.booleans(),
    label=labels,
    created=st.integers(1, 4_000_000_000_000).map(lambda each: each / 1000),
    speaker=st.sampled_from(NAMES),
)
slots = st.tuples(
    kinds,
    st.lists(versions, min_size=1, max_size=3),
    st.integers(0, 2),
    st.builds(Details, heard=heard, note=st.none() | rules),
    st.none() | st.tuples(st.integers(0, 9), st.integers(0, 9)),
)


@st.composite
def stories(draw: st.DrawFn) -> WholeChat:
    """A story whose messages have versions, of which one goes on."""
    entries: list[Entry] = []
    head: int | None = None
    path: list[int] = []
    for kind, told, which, details, span in draw(st.lists(slots, max_size=6)):
        first = len(entries) + 1
        if span is not None and path and kind == "note":
            ends = sorted(path[each % len(path)] for each in span)
            details = Details(details.heard, details.note, (ends[0], ends[1]))
        for version in told:
            entries.append(_entry(len(entries) + 1, head, kind, version, first, details))
        head = first + which % len(told)
        path.append(first)
    cast = tuple(Character(name=name, user=name == "Bram", length="tiny") for name in NAMES)
    scene = Card(title="Ferry", characters=cast, lore=(Lore(name="a", text="b", keys=("c",)),))
    chat = Chat(1, "The last ferry", scene, "Bram", head, {}, 1_700_000_000.0, 1_700_000_001.0)
    return WholeChat(chat, tuple(entries), {})


def _entry(
    number: int, parent: int | None, kind: Kind, version: Version, slot: int, details: Details
) -> Entry:
    is_named = kind in ("message", "ooc", "description", "enter", "leave")
    return Entry(
        id=number,
        parent=parent,
        kind=kind,
        speaker=version.speaker if is_named else "",
        length=version.length,
        text=version.text,
        status=version.status,
        created=version.created,
        tokens=0,
        slot=slot,
        hidden=version.hidden,
        label=version.label,
        details=details,
        pinned=version.pinned,
    )


def _told(whole: WholeChat) -> list[object]:
    """Everything on the path, with the versions of each message in their order."""
    path = whole.path()
    places = {entry.slot: place for place, entry in enumerate(path)}

    def kept(entry: Entry) -> object:
        span = entry.details.span
        label = None if entry.label is None else " ".join(clean(entry.label).split())
        return (
            *(entry.kind, entry.speaker, entry.length, clean(entry.text), entry.status),
            *(entry.hidden, entry.pinned, entry.created, label, entry.details.heard),
            *(entry.details.note, span and tuple(places[slot] for slot in span)),
        )

    return [
        (kept(entry), [kept(each) for each in whole.entries if each.slot == entry.slot])
        for entry in path
    ]


@settings(max_examples=150)
@given(stories())
def test_any_story_comes_back(whole: WholeChat) -> None:
    written = sillytavern(whole)
    back = read_sillytavern(written, "it", print).whole
    assert _told(back) == _told(whole)
    assert (back.chat.scene, back.chat.name) == (whole.chat.scene, whole.chat.name)
    assert back.chat.user == "Bram"
    assert sillytavern(back) == written


metadata = st.fixed_dictionaries(
    {"integrity": st.text("0123456789abcdef", max_size=9)},
    optional={
        "note_prompt": texts,
        "note_interval": st.integers(-1, 9) | st.text(max_size=2),
        "note_position": st.integers(0, 2),
        "note_depth": st.integers(-2, 10_000),
        "note_role": st.integers(0, 2),
        "scenario": st.sampled_from(["", "A quay.", "{{user}} waits for {{char}}."]),
        "variables": st.dictionaries(st.text(max_size=3), WHOLE | st.none(), max_size=2),
        "timedWorldInfo": st.recursive(st.booleans(), st.lists, max_leaves=4),
    },
)


@settings(max_examples=100)
@given(metadata)
def test_metadata_that_nobody_changed_goes_back_as_it_came(came: dict[str, Any]) -> None:
    header = {"user_name": "Bram", "character_name": "Ada", "chat_metadata": came}
    line = {"name": "Ada", "is_user": False, "mes": "So.", "send_date": 1_700_000_000_000}
    lines: list[object] = [header, line]
    whole = read_sillytavern("\n".join(map(json.dumps, lines)), "it", print).whole
    written = sillytavern(whole)
    first, *messages = map(json.loads, written.split("\n"))
    back = first["chat_metadata"]
    del back["shoritui"]
    is_note = any(each.kind == "note" for each in whole.entries)
    gone = set() if is_note else {"note_prompt"}
    told = {"scenario": came.get("scenario", "").replace("{{user}}", "Bram")}
    for name in came.keys() - gone - told.keys():
        assert back[name] == came[name], name
    if told["scenario"]:
        assert back["scenario"] == whole.chat.scene.scenario
    assert [each["mes"] for each in messages] == ["So."]
    again = read_sillytavern(written, "it", print).whole
    assert _told(again)[-1] == _told(whole)[-1] and sillytavern(again) == written


extras = st.fixed_dictionaries(
    {"api": st.text(max_size=4)},
    optional={
        "model": st.text("abc-.", max_size=4),
        "type": st.sampled_from(["narrator", "x"]),
        "bookmark_link": st.sampled_from(["Branch 1", " two  blanks"]),
        "reasoning": st.text(st.characters(codec="utf-8"), max_size=9),
        "files": st.recursive(st.none() | WHOLE, st.lists, max_leaves=4),
    },
)


@settings(max_examples=100)
@given(st.lists(extras, min_size=1, max_size=3))
def test_free_fields_of_messages_go_back_as_they_came(came: list[dict[str, Any]]) -> None:
    infos = [{"extra": each, "send_date": 1_700_000_000_000} for each in came]
    swipes = [f"{place}" for place in range(len(came))]
    line = {"name": "Ada", "is_user": False, "mes": "0", "swipe_id": 0, "swipes": swipes}
    lines = [{"chat_metadata": {}}, line | {"extra": came[0], "swipe_info": infos}]
    whole = read_sillytavern("\n".join(map(json.dumps, lines)), "it", print).whole
    written = sillytavern(whole)
    [_, back] = map(json.loads, written.split("\n"))
    found = [back["extra"]] if len(came) == 1 else [each["extra"] for each in back["swipe_info"]]
    for each in (back["extra"], *found):
        each.pop("shoritui", None)
    assert found == came and back["extra"] == came[0]
    assert sillytavern(read_sillytavern(written, "it", print).whole) == written


def test_an_authors_note_goes_back_as_it_is_now() -> None:
    came = {"note_prompt": "{{char}} is wet.", "note_depth": 2, "note_position": 1}
    lines = [{"chat_metadata": came}, {"name": "Ada", "is_user": False, "mes": "So."}]
    whole = read_sillytavern("\n".join(map(json.dumps, lines)), "it", print).whole
    note, said = whole.entries
    assert note.text == "Ada is wet."

    def written(changed: Entry) -> tuple[str, list[str]]:
        first, *rest = sillytavern(replace(whole, entries=(changed, said))).split("\n")
        metadata = json.loads(first)["chat_metadata"]
        return metadata.get("note_prompt", ""), [json.loads(each)["name"] for each in rest]

    assert written(note) == ("{{char}} is wet.", ["Ada"])
    assert written(replace(note, text="It rains.")) == ("It rains.", ["Ada"])
    assert written(replace(note, pinned=True)) == ("", ["Narrator", "Ada"])


@settings(max_examples=60)
@given(stories())
def test_any_story_comes_back_as_a_group(whole: WholeChat) -> None:
    group, lines = sillytavern_group(whole).items()
    found = group_of_sillytavern(json.loads(group[1]))
    assert found is not None and f"group chats/{found.chats[0]}.jsonl" == lines[0]
    back = read_sillytavern(lines[1], found.chats[0], print, found).whole
    assert _told(back) == _told(whole)
    assert (back.chat.scene, back.chat.user) == (whole.chat.scene, "Bram")


@settings(max_examples=60)
@given(stories(), st.sampled_from(["\r\n", "\n\n", "\n \n"]))
def test_line_ends_and_blank_lines_change_nothing(whole: WholeChat, end: str) -> None:
    written = sillytavern(whole)
    assert _told(read_sillytavern(written.replace("\n", end) + end, "it", print).whole) == _told(
        whole
    )

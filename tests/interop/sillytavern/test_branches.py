"""Branches, checkpoints, groups and lorebooks of SillyTavern: what belongs together is one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shoritui.errors import UserError
from shoritui.interop import export_chat, import_file, read_chats
from shoritui.interop.sillytavern import Story, read_sillytavern, stories_of_sillytavern
from shoritui.story import Chat, Details, Library, NoteRule, WholeChat
from tests.interop.sillytavern.test_sillytavern import _shape

Line = dict[str, Any]


def said(name: str, mes: str, **more: object) -> Line:
    return {"name": name, "is_user": name == "Bram", "is_system": False, "mes": mes, **more}


def header(**metadata: object) -> Line:
    return {"user_name": "unused", "character_name": "unused", "chat_metadata": metadata}


def text_of(*lines: Line) -> str:
    return "\n".join(map(json.dumps, lines))


def stories(files: Mapping[str, Sequence[Line]]) -> list[Story]:
    read = [read_sillytavern(text_of(*lines), name, print) for name, lines in files.items()]
    return stories_of_sillytavern(read)


def shape(whole: WholeChat) -> dict[str, str | None]:
    """What every text follows, where all texts differ."""
    texts = {entry.id: entry.text for entry in whole.entries}
    return {entry.text: texts.get(entry.parent or 0) for entry in whole.entries}


ONE, TWO, THREE = said("Ada", "one"), said("Bram", "two"), said("Ada", "three")
X = said("Bram", "x")


def test_a_branch_goes_on_from_where_it_differs() -> None:
    [story] = stories(
        {
            "Branch #1": [
                header(main_chat="Ferry"),
                ONE,
                TWO,
                said("Ada", "else"),
                said("Bram", "x"),
            ],
            "Ferry": [header(), ONE, {**TWO, "extra": {"branches": ["Branch #1"]}}, THREE],
        }
    )
    assert story.names == ("Ferry", "Branch #1")
    assert shape(story.whole) == {
        **{"one": None, "two": "one", "three": "two"},
        **{"else": "two", "x": "else"},
    }
    labels = {entry.text: entry.label for entry in story.whole.entries if entry.label}
    assert labels == {"else": "Branch #1"}
    slots = {entry.text: entry.slot for entry in story.whole.entries}
    assert slots["else"] != slots["three"]
    assert story.whole.chat.name == "Ferry"


def test_the_end_that_was_written_last_is_where_the_story_goes_on() -> None:
    dates = [{"send_date": f"2024-10-18T20:00:0{second}.000Z"} for second in range(6)]
    lines = [{**line, **date} for line, date in zip([ONE, TWO, THREE], dates[:3], strict=True)]
    [story] = stories(
        {
            "Ferry": [header(), *lines],
            "B1": [header(main_chat="Ferry"), *lines[:2], said("Ada", "late", **dates[5])],
            "B2": [header(main_chat="Ferry"), *lines[:2], said("Ada", "early", **dates[4])],
        }
    )
    assert [entry.text for entry in story.whole.path()] == ["one", "two", "late"]
    assert len(story.whole.visited) == 3


def test_swipes_of_a_branch_join_those_of_its_chat() -> None:
    swiped = said("Ada", "b", swipes=["three", "b", "c"], swipe_id=1)
    [story] = stories(
        {
            "Ferry": [header(), ONE, TWO, {**THREE, "swipes": ["three", "d"], "swipe_id": 0}],
            "B": [header(main_chat="Ferry"), ONE, TWO, swiped, said("Bram", "on")],
        }
    )
    thirds = [entry for entry in story.whole.entries if entry.text in ("three", "b", "c", "d")]
    assert sorted(entry.text for entry in thirds) == ["b", "c", "d", "three"]
    assert len({entry.slot for entry in thirds}) == 1
    assert shape(story.whole)["on"] == "b"


def test_a_text_that_was_changed_since_is_a_version_if_its_date_says_so() -> None:
    date = {"send_date": "2024-10-18T20:52:17.123Z"}
    [story] = stories(
        {
            "Ferry": [header(), ONE, {**TWO, **date}, THREE],
            "B": [header(main_chat="Ferry"), ONE, said("Bram", "two!", **date), THREE],
        }
    )
    slots = {entry.text: entry.slot for entry in story.whole.entries if "two" in entry.text}
    assert slots["two"] == slots["two!"]


def test_a_checkpoint_is_a_label_and_a_branch_of_a_branch_is_one_too() -> None:
    [story] = stories(
        {
            "Checkpoint #1": [header(main_chat="Ferry"), ONE, TWO],
            "Ferry": [header(), ONE, {**TWO, "extra": {"bookmark_link": "Checkpoint #1"}}, THREE],
            "C": [header(main_chat="B"), ONE, TWO, said("Ada", "b"), said("Bram", "c")],
            "B": [header(main_chat="Ferry"), ONE, TWO, said("Ada", "b"), said("Bram", "b2")],
        }
    )
    assert story.names[0] == "Ferry" and len(story.names) == 4
    labels = {entry.text: entry.label for entry in story.whole.entries if entry.label}
    assert labels == {"two": "Checkpoint #1", "b": "B", "c": "C"}
    assert shape(story.whole)["c"] == "b"


def test_branches_of_a_chat_that_is_gone_are_one_story() -> None:
    [story] = stories(
        {
            "B1": [header(main_chat="Ferry"), ONE, TWO, said("Ada", "x")],
            "B2": [header(main_chat="Ferry"), ONE, TWO, said("Ada", "y")],
        }
    )
    assert len(story.whole.entries) == 4


def test_what_is_not_linked_or_begins_otherwise_stays_apart() -> None:
    found = stories(
        {
            "A": [header(), ONE, TWO],
            "B": [header(), ONE, TWO],
            "C": [header(main_chat="A"), said("Ada", "other"), TWO],
            "D": [header(main_chat="D"), said("Ada", "own")],
            "E": [header(main_chat="A")],
        }
    )
    assert sorted(story.names for story in found) == [("A",), ("B",), ("C",), ("D",), ("E",)]


def test_an_authors_note_of_its_own_does_not_part_a_branch() -> None:
    [story] = stories(
        {
            "Ferry": [header(), ONE, TWO, THREE],
            "B": [header(main_chat="Ferry", note_prompt="Rain."), ONE, TWO, said("Ada", "x")],
            "C": [header(main_chat="Ferry", note_prompt="Rain."), ONE, TWO],
        }
    )
    assert shape(story.whole) == {
        **{"one": None, "two": "one", "three": "two"},
        **{"Rain.": "two", "x": "Rain."},
    }


def test_a_summary_in_a_branch_names_its_own_messages() -> None:
    span = {"kind": "note", "details": {"span": [4, 5]}}
    lines = [
        {**said("Ada", "new"), "extra": {"shoritui": {"slot": 4}}},
        {**said("Bram", "newer"), "extra": {"shoritui": {"slot": 5}}},
        {**said("Narrator", "They met."), "extra": {"type": "narrator", "shoritui": span}},
    ]
    [story] = stories(
        {"Ferry": [header(), ONE, TWO], "B": [header(main_chat="Ferry"), ONE, *lines]}
    )
    ids = {entry.text: entry.slot for entry in story.whole.entries}
    [note] = [entry for entry in story.whole.entries if entry.kind == "note"]
    assert note.details == Details(span=(ids["new"], ids["newer"]))


paths = st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=6), min_size=1, max_size=5)


@settings(max_examples=60)
@given(paths)
def test_every_file_is_a_path_of_the_tree(texts: list[list[str]]) -> None:
    texts = [["start", *each] for each in texts]
    files = {
        str(number): [header(main_chat="0" if number else None), *(said("Ada", t) for t in each)]
        for number, each in enumerate(texts)
    }
    [story] = stories(files)
    every = {entry.id: entry for entry in story.whole.entries}

    def path(at: int | None) -> list[str]:
        return [] if at is None else [*path(every[at].parent), every[at].text]

    ways = [tuple(path(entry)) for entry in every]
    assert {tuple(each) for each in texts} <= set(ways)
    assert len(ways) == len(
        {each[:end] for each in map(tuple, texts) for end in range(1, len(each) + 1)}
    )


def folder_of(root: Path, **groups: object) -> Path:
    data = root / "data/default-user"
    for name in ("chats/Ada", "groups", "group chats", "worlds"):
        (data / name).mkdir(parents=True)
    return data


def refused(error: UserError) -> None:
    raise error


def test_files_of_one_folder_are_put_together(tmp_path: Path) -> None:
    data = folder_of(tmp_path)
    files = [data / f"chats/Ada/{name}.jsonl" for name in ("Ferry", "Branch #1")]
    files[0].write_text(text_of(header(), ONE, TWO, THREE))
    files[1].write_text(text_of(header(main_chat="Ferry"), ONE, TWO, said("Ada", "x")))
    other = data / "chats/Ferry.jsonl"
    other.write_text(text_of(header(main_chat="Ferry"), ONE, TWO))
    found = read_chats([*files, other, files[0]], print, refused)
    assert [each.paths for each in found] == [tuple(files), (other,)]


GROUP = {
    "id": "1700000000000",
    "name": "The ferry",
    "members": ["Ada.png", "Cleo.png", "Dora.png", 3, "a:b▀.png"],
    "disabled_members": ["Dora.png"],
    "activation_strategy": 1,
    "chat_id": "now",
    "chats": ["then", "now", "../../../etc/passwd", "gone", 7],
    "chat_metadata": {"note_prompt": "Brief.", "note_position": 0},
    "past_metadata": {"then": {"scenario": "A storm."}, "odd": 3},
}


def test_a_group_and_its_chats_without_headers(tmp_path: Path) -> None:
    data = folder_of(tmp_path)
    (data / "groups/17.json").write_text(json.dumps(GROUP))
    (data / "group chats/now.jsonl").write_text(text_of(ONE, TWO))
    (data / "group chats/then.jsonl").write_text(text_of(TWO, said("Cleo", "Oh.")))
    then, now = read_chats([data / "groups/17.json"], print, refused)
    assert (then.whole.chat.name, now.whole.chat.name) == ("The ferry, then", "The ferry, now")
    assert then.whole.chat.scene.scenario == "A storm."
    note = now.whole.path()[0]
    assert (note.text, note.details.note) == ("Brief.", NoteRule(sticky=True))
    kept = {"sillytavern": {"scenario": "A storm."}}
    assert then.whole.chat.settings == {"turns": "in-turn", **kept}
    assert [(each.name, each.speaks) for each in now.whole.chat.scene.characters] == [
        *[("Ada", "freely"), ("Cleo", "freely"), ("Dora", "never"), ("a b", "freely")],
        ("Bram", "freely"),
    ]
    assert now.whole.chat.user == "Bram"
    assert then.paths == (data / "group chats/then.jsonl", data / "groups/17.json")
    every = [data / "group chats/now.jsonl", data / "groups/17.json"]
    assert len(read_chats(every, print, refused)) == 2  # none twice


def test_branches_of_a_group_are_one_story(tmp_path: Path) -> None:
    data = folder_of(tmp_path)
    group = {**GROUP, "chats": ["now", "B"], "past_metadata": {"B": {"main_chat": "now"}}}
    (data / "groups/17.json").write_text(json.dumps(group))
    (data / "group chats/now.jsonl").write_text(text_of(ONE, TWO, THREE))
    (data / "group chats/B.jsonl").write_text(text_of(ONE, TWO, said("Cleo", "x")))
    [chat] = read_chats([data / "groups/17.json"], print, refused)
    assert shape(chat.whole)["x"] == "two"


def test_a_group_without_its_chats_is_one_sentence(library: Library, tmp_path: Path) -> None:
    (tmp_path / "17.json").write_text(json.dumps(GROUP))
    with pytest.raises(UserError, match="it is a group, and no chat of it is in `group chats`"):
        import_file(library, tmp_path / "17.json")


FOG = {"key": ["fog"], "comment": "Fog", "content": "It is thick."}
BOOK = {"entries": {"0": FOG, "1": {**FOG, "content": "It is grey."}, "2": FOG}}


def test_a_chats_lorebook_is_the_storys_lore(tmp_path: Path) -> None:
    data, told = folder_of(tmp_path), list[str]()
    (data / "worlds/Harbour.json").write_text(json.dumps(BOOK))
    (data / "chats/Ada/it.jsonl").write_text(text_of(header(world_info="Harbour"), ONE))
    (data / "group chats/now.jsonl").write_text(text_of(header(world_info="Harbour"), ONE))
    (data / "groups/17.json").write_text(json.dumps(GROUP))
    paths = [data / "chats/Ada/it.jsonl", data / "groups/17.json"]
    for each in read_chats(paths, told.append, refused):
        lore, more = each.whole.chat.scene.lore
        assert more.text == "It is grey."
        assert (lore.name, lore.keys, lore.text) == ("Fog", ("fog*",), "It is thick.")
    assert told == []
    for name in ("gone", "../worlds/Harbour", "a\0b"):
        (data / "chats/Ada/it.jsonl").write_text(text_of(header(world_info=name), ONE))
        [chat] = read_chats(paths[:1], told.append, refused)
        assert chat.whole.chat.scene.lore == ()
    assert len(told) == 3 and "its lorebook gone is not in `worlds` beside it" in told[0]


def test_an_interval_counts_the_users_messages() -> None:
    [story] = stories({"A": [header(note_prompt="Hm.", note_interval=3), ONE]})
    assert story.whole.path()[0].details.note == NoteRule(every=6)


def test_a_group_goes_out_and_comes_back(library: Library, chat: Chat, tmp_path: Path) -> None:
    library.update_settings(chat.id, turns="pooled")
    before = library.whole_chat(chat.id)
    folder = export_chat(before, "sillytavern-group", tmp_path)
    [group], [lines] = folder.glob("groups/*.json"), folder.glob("group chats/*.jsonl")
    found = json.loads(group.read_text())
    assert (found["name"], found["members"]) == (chat.name, ["Ada.png"])
    assert (found["chats"], found["activation_strategy"]) == ([lines.stem], 3)
    assert found["id"] == group.stem and found["chat_id"] == lines.stem
    head, *told = map(json.loads, lines.read_text().split("\n"))
    assert (head["user_name"], head["character_name"]) == ("unused", "unused")
    ada = [line for line in told if line["name"] == "Ada"]
    assert ada and all(line["original_avatar"] == "Ada.png" for line in ada)
    assert not any("original_avatar" in line for line in told if line not in ada)
    [back] = read_chats([group], print, refused)
    assert _shape(back.whole) == _shape(before)
    assert back.whole.chat.settings == {"turns": "pooled"}
    assert [each.name for each in back.whole.chat.scene.characters] == ["Bram", "Ada"]

"""Chats, entries and the composer's memory, as the director and the app use them."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoritui.cards import Card, Character
from shoritui.errors import UserError
from shoritui.story import Library
from tests.story.conftest import SCENE


def test_a_new_library_is_empty(library: Library) -> None:
    assert library.chats() == []
    assert library.last_chat() is None
    assert library.history() == []


def test_a_chat_begins_with_the_opening(library: Library) -> None:
    chat = library.create_chat(SCENE, "Marisa")
    assert (chat.name, chat.scene, chat.user) == (SCENE.title, SCENE, "Marisa")
    first, second = library.entries(chat.id)
    assert (first.parent, first.kind, first.speaker, first.text) == (
        None,
        "message",
        "Reimu",
        "Hm.",
    )
    assert (first.length, first.status) == ("nano", "complete")
    assert (second.parent, second.length) == (first.id, None)
    assert chat.head == second.id


def test_a_chat_without_a_title_is_named_for_its_cast(library: Library) -> None:
    cast = (Character(name="A"), Character(name="B"))
    chat = library.create_chat(Card(characters=cast), "A")
    assert chat.name == "A, B"
    assert chat.head is None
    assert library.entries(chat.id) == []


def test_the_chat_used_last_comes_first_even_if_the_clock_goes_back(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(1_000, 0, -10))
    monkeypatch.setattr(time, "time", lambda: float(next(clock)))
    first, second, third = (library.create_chat(SCENE, "Marisa").id for _ in range(3))
    assert [chat.id for chat in library.chats()] == [third, second, first]
    library.touch(first)
    assert [chat.id for chat in library.chats()] == [first, third, second]
    library.append(second, "message", "Reimu", "Hello.")
    last = library.last_chat()
    assert last is not None
    assert last.id == second


def test_changes_to_a_chat_are_kept(library: Library, path: Path) -> None:
    chat = library.create_chat(SCENE, "Marisa")
    scene = replace(SCENE, scenario="It must rain.")
    library.update_scene(chat.id, scene)
    library.set_user(chat.id, "Reimu")
    library.rename_chat(chat.id, "Rain")
    library.update_settings(chat.id, preset="neutral", seed=None)
    changed = library.update_settings(chat.id, preset="card-main", nested={"a": [1, 2.5, True]})
    library.close()
    library = Library(path)
    assert library.chat(chat.id) == changed
    library.close()
    assert (changed.name, changed.user, changed.scene) == ("Rain", "Reimu", scene)
    assert changed.settings == {
        "preset": "card-main",
        "seed": None,
        "nested": {"a": [1, 2.5, True]},
    }
    assert changed.head == chat.head


def test_a_deleted_chat_takes_only_its_own_entries(library: Library) -> None:
    gone, kept = library.create_chat(SCENE, "Marisa"), library.create_chat(SCENE, "Marisa")
    for number in range(20):
        library.append(gone.id, "message", "Reimu", str(number))
    library.set_head(gone.id, library.entries(gone.id)[3].id)
    library.delete_chat(gone.id)
    assert [chat.id for chat in library.chats()] == [kept.id]
    assert len(library.entries(kept.id)) == 2
    assert library.entries(gone.id) == []


def test_what_is_gone_is_told_in_one_sentence(library: Library) -> None:
    chat = library.create_chat(SCENE, "Marisa")
    other = library.create_chat(SCENE, "Marisa")
    assert other.head is not None
    calls = (
        lambda: library.chat(99),
        lambda: library.draft(99),
        lambda: library.touch(99),
        lambda: library.append(99, "message", "Reimu", "x"),
        lambda: library.append(99, "message", "Reimu", "x", parent=None),
        lambda: library.append(chat.id, "message", "Reimu", "x", parent=99),
        lambda: library.append(chat.id, "message", "Reimu", "x", parent=other.head),
        lambda: library.set_head(chat.id, other.head),
        lambda: library.write(99, "x", status="complete", tokens=0),
    )
    for call in calls:
        with pytest.raises(UserError):
            call()
    assert library.alternatives(99) == []
    assert library.chat(chat.id) == chat


def test_a_stream_is_written_piece_by_piece(library: Library) -> None:
    chat = library.create_chat(SCENE, "Marisa")
    entry = library.append(chat.id, "message", "Reimu", "", length="short", status="streaming")
    assert entry.status == "streaming"
    assert library.entries(chat.id)[-1] == entry
    written = library.write(entry.id, "Once", status="streaming", tokens=1)
    assert written == replace(entry, text="Once", tokens=1)
    done = library.write(entry.id, "Once upon", status="complete", tokens=2)
    assert done == replace(entry, text="Once upon", tokens=2, status="complete")
    dynamic = library.write(entry.id, "Once upon", status="cut", tokens=2, length=None)
    assert (dynamic.length, dynamic.status) == (None, "cut")
    assert library.entries(chat.id)[-1] == dynamic


def test_regenerating_keeps_every_version(library: Library) -> None:
    chat = library.create_chat(SCENE, "Marisa")
    parent = chat.head
    versions = []
    for text in ("one", "two", "three"):
        library.set_head(chat.id, parent)
        versions.append(library.append(chat.id, "message", "Reimu", text))
    assert library.alternatives(versions[0].id) == versions
    library.set_head(chat.id, versions[1].id)
    follower = library.append(chat.id, "message", "Marisa", "after two")
    assert [entry.text for entry in library.entries(chat.id)] == ["Hm.", "Hey!", "two", "after two"]
    assert library.alternatives(follower.id) == [follower]


def test_the_first_entry_has_versions_of_its_own_chat_only(library: Library) -> None:
    library.create_chat(SCENE, "Marisa")
    chat = library.create_chat(SCENE, "Marisa")
    first = library.entries(chat.id)[0]
    other = library.append(chat.id, "message", "Reimu", "Otherwise.", parent=None)
    assert library.alternatives(first.id) == [first, other]
    assert library.entries(chat.id) == [other]


def test_a_draft_belongs_to_its_chat_and_survives(library: Library, path: Path) -> None:
    one, two = (library.create_chat(SCENE, "Marisa").id for _ in range(2))
    library.save_draft(one, "half a thou")
    order = [chat.id for chat in library.chats()]
    library.close()
    library = Library(path)
    assert (library.draft(one), library.draft(two)) == ("half a thou", "")
    assert [chat.id for chat in library.chats()] == order
    library.save_draft(one, "")
    assert library.draft(one) == ""
    library.close()


def test_history_remembers_each_text_once_newest_last(library: Library) -> None:
    for text in ("a", "b", "a", "c"):
        library.add_history(text)
    assert library.history() == ["b", "a", "c"]
    for number in range(1_100):
        library.add_history(str(number))
    assert len(library.history()) == 1_000
    assert library.history()[-1] == "1099"


@given(text=st.text(max_size=200), speaker=st.text(max_size=20))
def test_any_text_comes_back(
    text: str, speaker: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    library = Library(tmp_path_factory.getbasetemp() / "any-text.db")
    chat = library.create_chat(SCENE, "Marisa")
    library.append(chat.id, "message", speaker, text)
    library.save_draft(chat.id, text)
    entry = library.entries(chat.id)[-1]
    assert (entry.speaker, entry.text, library.draft(chat.id)) == (speaker, text, text)
    library.close()


def test_halves_of_characters_do_not_stop_a_chat(library: Library) -> None:
    chat = library.create_chat(replace(SCENE, title="\ud800"), "\udcff")
    assert library.append(chat.id, "message", "A", "x\udcffy").text == "x\ufffdy"
    library.add_history("\ud800")
    assert library.chat(chat.id).scene.title == "\ud800"


def test_calls_may_come_from_another_thread(library: Library) -> None:
    with ThreadPoolExecutor(1) as owner:
        chat = owner.submit(library.create_chat, SCENE, "Marisa").result()
    assert len(library.entries(chat.id)) == 2


def test_closing_twice_is_closing_once(path: Path) -> None:
    library = Library(path)
    library.close()
    library.close()
    assert [file.name for file in path.parent.iterdir()] == [path.name]

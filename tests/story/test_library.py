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
from shoritui.story import Draft, Library
from tests.story.conftest import SCENE


def test_a_new_library_is_empty(library: Library) -> None:
    assert library.summaries() == []
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
    assert [chat.id for chat in library.summaries()] == [third, second, first]
    library.touch(first)
    assert [chat.id for chat in library.summaries()] == [first, third, second]
    library.append(second, Draft("message", "Reimu", "Hello."))
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


def test_a_deleted_chat_lies_in_the_bin_for_thirty_days(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone, kept = library.create_chat(SCENE, "Marisa"), library.create_chat(SCENE, "Marisa")
    for number in range(20):
        library.append(gone.id, Draft("message", "Reimu", str(number)))
    library.delete_chat(gone.id)
    assert [chat.id for chat in library.summaries()] == [kept.id]
    assert [chat.id for chat in library.summaries(deleted=True)] == [gone.id]
    assert library.last_chat() == library.chat(kept.id)
    library.restore_chat(gone.id)
    assert len(library.entries(gone.id)) == 22
    library.delete_chat(gone.id)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 29 * 86400)
    library.tidy()
    assert library.summaries(deleted=True)
    monkeypatch.setattr(time, "time", lambda: now + 30.1 * 86400)
    library.tidy()
    monkeypatch.setattr(time, "time", lambda: now + 31.2 * 86400)
    library.tidy()
    assert library.summaries(deleted=True) == []
    assert len(library.entries(kept.id)) == 2
    assert library.check() == []


def test_only_what_lies_in_the_bin_is_erased_and_that_at_once(library: Library) -> None:
    gone, kept = library.create_chat(SCENE, "Marisa"), library.create_chat(SCENE, "Marisa")
    library.delete_chat(gone.id)
    library.erase_chats([gone.id, kept.id])
    assert library.summaries(deleted=True) == []
    assert [chat.id for chat in library.summaries()] == [kept.id]
    assert library.check() == []


def test_a_chat_that_nobody_touched_is_erased_and_no_other_one(library: Library) -> None:
    untouched = library.create_chat(Card(), "You")
    library.erase_untouched(untouched.id)
    persona = Character(name="Wren", user=True)
    library.erase_untouched(library.create_chat(Card(characters=(persona,)), "Wren").id)
    assert library.summaries() == []
    touches = (
        lambda chat: library.append(chat, Draft("message", "You", "Hello?")),
        lambda chat: library.save_draft(chat, "Half a thought"),
        lambda chat: library.update_settings(chat, length="tiny"),
        lambda chat: library.rename_chat(chat, "Mine"),
        lambda chat: library.set_tags(chat, ["wet"]),
        lambda chat: library.update_scene(chat, SCENE),
        lambda chat: library.set_user(chat, "Marisa"),
    )
    for touch in touches:
        chat = library.create_chat(Card(), "You")
        touch(chat.id)
        library.erase_untouched(chat.id)
    library.erase_untouched(library.create_chat(SCENE, "Marisa").id)
    assert len(library.summaries()) == len(touches) + 1


def test_what_comes_from_elsewhere_is_not_the_chat_used_last(library: Library) -> None:
    used = library.create_chat(SCENE, "Marisa")
    taken = library.create_chat(SCENE, "Marisa")
    whole = library.whole_chat(taken.id)
    assert library.last_chat() == library.chat(taken.id)
    library.touch(used.id)
    came = library.add_chat(whole)
    late = replace(whole, chat=replace(whole.chat, updated=whole.chat.updated + 1e6))
    library.add_chat(late)
    assert library.last_chat() == library.chat(used.id)
    library.touch(came.id)
    assert library.last_chat() == library.chat(came.id)


def test_a_hit_says_which_version_it_is(library: Library) -> None:
    chat = library.create_chat(Card(), "You")
    first = library.append(chat.id, Draft("message", "You", "A brass lantern."))
    library.add_version(first.id, Draft("message", "You", "A lantern."), keep=True, act="Edit")
    library.append(chat.id, Draft("message", "You", "The lantern again."))
    hits = library.search("lantern")
    assert [(hit.version, hit.versions) for hit in hits] == [(1, 1), (2, 2), (1, 2)]


def test_what_is_gone_is_told_in_one_sentence(library: Library) -> None:
    chat = library.create_chat(SCENE, "Marisa")
    other = library.create_chat(SCENE, "Marisa")
    assert other.head is not None
    calls = (
        lambda: library.chat(99),
        lambda: library.draft(99),
        lambda: library.touch(99),
        lambda: library.append(99, Draft("message", "Reimu", "x")),
        lambda: library.append(99, Draft("message", "Reimu", "x"), parent=None),
        lambda: library.append(chat.id, Draft("message", "Reimu", "x"), parent=99),
        lambda: library.append(chat.id, Draft("message", "Reimu", "x"), parent=other.head),
        lambda: library.go_to(other.head, chat.id, exactly=True),
        lambda: library.write(99, "x", status="complete", tokens=0),
    )
    for call in calls:
        with pytest.raises(UserError):
            call()
    assert library.versions(99) == []
    assert library.chat(chat.id) == chat


def test_a_stream_is_written_piece_by_piece(library: Library) -> None:
    chat = library.create_chat(SCENE, "Marisa")
    entry = library.append(
        chat.id, Draft("message", "Reimu", "", length="short", status="streaming")
    )
    assert entry.status == "streaming"
    assert library.entries(chat.id)[-1] == entry
    written = library.write(entry.id, "Once", status="streaming", tokens=1)
    assert written == replace(entry, text="Once", tokens=1)
    done = library.write(entry.id, "Once upon", status="complete", tokens=2)
    assert done == replace(entry, text="Once upon", tokens=2, status="complete")
    [counted] = library.set_lengths({entry.id: (3, None)})
    assert counted == replace(done, length=None, tokens=3)
    assert library.entries(chat.id)[-1] == counted
    with pytest.raises(ValueError, match="never overwritten"):
        library.write(entry.id, "Twice", status="complete", tokens=1)


def test_every_version_is_kept_and_what_follows_comes_along(library: Library) -> None:
    chat = library.create_chat(SCENE, "Marisa")
    first = library.append(chat.id, Draft("message", "Reimu", "one"))
    library.append(chat.id, Draft("message", "Marisa", "after one"))
    second = library.add_version(
        first.id, Draft("message", "Reimu", "two"), keep=True, act="Edit a message"
    )
    assert texts(library, chat.id) == ["Hm.", "Hey!", "two", "after one"]
    third = library.add_version(
        second.id, Draft("message", "Reimu", "three"), keep=False, act="Edit a message"
    )
    assert texts(library, chat.id) == ["Hm.", "Hey!", "three"]
    assert [version.id for version in library.versions(first.id)] == [first.id, second.id, third.id]
    library.choose_version(third.id, second.id, keep=False)
    assert texts(library, chat.id) == ["Hm.", "Hey!", "two", "after one"]
    library.choose_version(second.id, first.id, keep=True)
    assert texts(library, chat.id) == ["Hm.", "Hey!", "one", "after one"]


def test_each_undo_and_redo_names_what_it_took_back(library: Library, path: Path) -> None:
    chat = library.create_chat(SCENE, "Marisa")
    said = library.append(chat.id, Draft("message", "Reimu", "one"))
    library.hide(said.id, True)
    library.set_user(chat.id, "Reimu")
    library.delete([said.id])
    library.close()
    library = Library(path)
    names = ["Delete a message", "Speak as Reimu", "Hide a message from the model"]
    names.append("Write Reimu's message")
    assert library.next_undo_redo(chat.id) == ("Delete a message", None)
    assert [library.undo(chat.id) for _ in range(5)] == [*names, None]
    assert library.next_undo_redo(chat.id) == (None, names[-1])
    assert library.chat(chat.id).user == "Marisa"
    assert [library.redo(chat.id) for _ in range(5)] == [*names[::-1], None]
    assert library.chat(chat.id).user == "Reimu"
    assert texts(library, chat.id) == ["Hm.", "Hey!"]
    library.restore(said.id)
    assert texts(library, chat.id) == ["Hm.", "Hey!", "one"]
    library.close()


def test_messages_are_moved_merged_split_and_inserted(library: Library) -> None:
    chat = library.create_chat(SCENE, "Marisa")
    one = library.append(chat.id, Draft("message", "Reimu", "one and two"))
    library.append(chat.id, Draft("message", "Reimu", "three"))
    first, _ = library.split(one.id, 7)
    assert texts(library, chat.id) == ["Hm.", "Hey!", "one and", "two", "three"]
    library.move(first.id, up=False)
    assert texts(library, chat.id) == ["Hm.", "Hey!", "two", "one and", "three"]
    both = library.merge(first.id, " ")
    assert both.text == "one and three"
    library.insert(chat.id, None, Draft("note", "", "Rain."))
    assert texts(library, chat.id) == ["Rain.", "Hm.", "Hey!", "two", "one and three"]
    with pytest.raises(UserError, match="last message"):
        library.move(both.id, up=False)
    with pytest.raises(UserError, match="same speaker"):
        library.merge(library.entries(chat.id)[1].id)


def test_what_was_written_is_found_in_every_script(library: Library) -> None:
    chat = library.create_chat(SCENE, "Marisa")
    other = library.create_chat(SCENE, "Marisa")
    for text in (
        "The Lantern went out.",
        "今日は天気がいい",
        "Straße und Öl",
        'a 100% "sure" thing',
    ):
        library.append(chat.id, Draft("message", "Reimu", text))
    library.append(other.id, Draft("message", "Reimu", "Another lantern."))
    deleted = library.append(other.id, Draft("message", "Reimu", "A third lantern."))
    library.delete([deleted.id])
    assert [hit.chat for hit in library.search("lantern")] == [other.id, chat.id]
    [hit] = library.search("lantern out", chat_id=chat.id)
    assert (hit.before, hit.found, hit.after) == ("The ", "Lantern", " went out.")
    assert [
        len(library.search(words)) for words in ("天気", "天気が", "öl", "0%", '"went out"')
    ] == [*(1, 1, 1, 1, 1)]
    assert library.search('"out went"') == library.search("  ") == library.search('"') == []


def test_a_chat_that_another_window_holds_is_only_read(library: Library, path: Path) -> None:
    chat = library.create_chat(SCENE, "Marisa")
    second = Library(path)
    assert library.claim(chat.id) and library.claim(chat.id)
    assert not second.claim(chat.id)
    before = second.version()
    said = library.append(chat.id, Draft("message", "Reimu", "Only here."))
    assert second.version() != before
    assert second.entries(chat.id)[-1] == said
    with pytest.raises(UserError, match="another window"):
        second.append(chat.id, Draft("message", "Reimu", "And there."))
    copy = second.copy_chat(chat.id, "A copy")
    assert texts(second, copy.id) == texts(library, chat.id)
    library.let_go(chat.id)
    assert second.claim(chat.id)
    second.close()
    assert library.claim(chat.id)


def texts(library: Library, chat_id: int) -> list[str]:
    return [entry.text for entry in library.entries(chat_id)]


def test_a_draft_belongs_to_its_chat_and_survives(library: Library, path: Path) -> None:
    one, two = (library.create_chat(SCENE, "Marisa").id for _ in range(2))
    library.save_draft(one, "half a thou")
    order = [chat.id for chat in library.summaries()]
    library.close()
    library = Library(path)
    assert (library.draft(one), library.draft(two)) == ("half a thou", "")
    assert [chat.id for chat in library.summaries()] == order
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
    library.append(chat.id, Draft("message", speaker, text))
    library.save_draft(chat.id, text)
    entry = library.entries(chat.id)[-1]
    assert (entry.speaker, entry.text, library.draft(chat.id)) == (speaker, text, text)
    library.close()


def test_halves_of_characters_do_not_stop_a_chat(library: Library) -> None:
    chat = library.create_chat(replace(SCENE, title="\ud800"), "\udcff")
    assert library.append(chat.id, Draft("message", "A", "x\udcffy")).text == "x\ufffdy"
    library.add_history("\ud800")
    assert library.chat(chat.id).scene.title == "\ufffd"


def test_calls_may_come_from_another_thread(library: Library) -> None:
    with ThreadPoolExecutor(1) as owner:
        chat = owner.submit(library.create_chat, SCENE, "Marisa").result()
    assert len(library.entries(chat.id)) == 2


def test_closing_twice_is_closing_once(path: Path) -> None:
    library = Library(path)
    library.close()
    library.close()
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_chat_that_nobody_named_is_called_as_its_scene(library: Library) -> None:
    chat = library.create_chat(Card(), "You")
    assert chat.name == "Untitled"
    assert library.update_scene(chat.id, SCENE).name == SCENE.title
    assert library.undo(chat.id) == "Change the scene"
    assert library.chat(chat.id).name == "Untitled"
    library.rename_chat(chat.id, "Mine")
    assert library.update_scene(chat.id, SCENE).name == "Mine"


def test_a_list_shows_the_cast_and_what_is_about_a_chat_does_not_use_it(library: Library) -> None:
    first, second = (library.create_chat(SCENE, "Marisa").id for _ in range(2))
    library.rename_chat(first, "Shrine")
    library.set_tags(first, ["spring", "spring", "short"])
    library.set_favourite(first, True)
    library.set_archived(first, True)
    newest, oldest = library.summaries()
    assert (newest.id, oldest.id) == (second, first)
    assert (oldest.name, oldest.cast) == ("Shrine", ("Reimu", "Marisa"))
    assert (oldest.tags, oldest.favourite, oldest.archived) == (("spring", "short"), True, True)
    undone = [library.undo(first) for _ in range(3)]
    assert undone == ["Archive the story", "Mark as a favourite", "Change the story's tags"]


def test_the_end_of_a_path_is_read_without_the_rest(library: Library) -> None:
    chat = library.create_chat(SCENE, "Marisa")
    entries = [library.append(chat.id, Draft("message", "Reimu", f"{n}")) for n in range(5)]
    assert library.tail(chat.id, 3) == entries[-3:]
    assert library.tail(chat.id, 2, entries[2].id) == entries[1:3]
    assert [entry.text for entry in library.tail(chat.id, 100)] == [*("Hm.", "Hey!"), *"01234"]
    assert library.tail(library.create_chat(Card(), "You").id, 5) == []


def test_a_whole_chat_is_copied_with_its_branches_and_without_its_bin(library: Library) -> None:
    chat = library.create_chat(SCENE, "Marisa")
    first, second = library.entries(chat.id)
    edited = library.add_version(first.id, Draft("message", "Reimu", "Hm?"), keep=True, act="Edit")
    inserted = library.insert(chat.id, edited.id, Draft("note", "", "Be brief."))
    gone = library.append(chat.id, Draft("message", "Reimu", "Gone."))
    library.delete([gone.id])
    library.append(chat.id, Draft("message", "Reimu", "", status="streaming"))
    library.append(chat.id, Draft("message", "Reimu", "Hal", status="streaming"))
    library.set_label(inserted.id, "here")
    library.set_tags(chat.id, ["night"])
    library.update_settings(chat.id, first_kept=second.id, preset="x")
    copy = library.copy_chat(chat.id, "A copy")
    whole, other = library.whole_chat(chat.id), library.whole_chat(copy.id)
    assert [entry.text for entry in other.path()] == ["Hm?", "Be brief.", "Hey!", "Hal"]
    assert other.renumbered(1).entries == whole.renumbered(1).entries
    assert other.entries[-1].status == "cut" and "Gone." not in [e.text for e in other.entries]
    assert [len(library.versions(entry.id)) for entry in other.path()] == [2, 1, 1, 1]
    assert copy.settings == {"preset": "x", "first_kept": other.path()[2].id}
    assert library.check() == [] and len(library.search('"Hm?"', chat_id=copy.id)) == 1


def test_of_known_entries_only_what_acts_change_is_read(library: Library) -> None:
    chat = library.create_chat(SCENE, "Bo")
    for number in range(70):
        library.append(chat.id, Draft("message", "Mara", f"{number}."))
    known = {entry.id: entry for entry in library.entries(chat.id)}
    third, fourth, *_, last = library.entries(chat.id)[3:]
    library.hide(third.id, True)
    library.set_label(fourth.id, "here")
    version = library.add_version(fourth.id, Draft("message", "Mara", "x"), keep=True, act="Edit")
    library.delete([third.id])
    library.append(chat.id, Draft("message", "Mara", "The end."))
    assert library.entries(chat.id, known) == library.entries(chat.id)
    assert library.version_counts(chat.id) == {fourth.id: [fourth.id, version.id]}
    assert library.entries(chat.id, known)[-2] is known[last.id]
    library.undo(chat.id)
    library.undo(chat.id)
    assert library.entries(chat.id, known) == library.entries(chat.id)
    library.delete([version.id])
    assert library.version_counts(chat.id) == {}


def test_a_chat_that_comes_with_a_name_that_is_taken_gets_a_number(library: Library) -> None:
    whole = library.whole_chat(library.create_chat(Card(title="Ferry"), "Ada").id)
    second, third = library.add_chat(whole), library.add_chat(whole)
    assert [second.name, third.name] == [f"{whole.chat.name} (2)", f"{whole.chat.name} (3)"]
    library.delete_chat(second.id)
    assert library.add_chat(whole).name == second.name

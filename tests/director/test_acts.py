"""Acts on any message: nothing is overwritten, and everything can be taken back."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from shoritui.blockml import length_for
from shoritui.cards import Card, Opening
from shoritui.demo import model_path
from shoritui.director import (
    Appended,
    Changed,
    Director,
    Disk,
    Event,
    Failed,
    Notice,
    PathChanged,
    Removed,
    SceneChanged,
    TurnEnded,
    TurnStarted,
    Wrote,
    new_chat,
)
from shoritui.engine import Engine, EngineOptions, Segment, Text, presets
from shoritui.engine import Event as EngineEvent
from shoritui.errors import UserError
from shoritui.settings import Settings
from shoritui.story import Draft, Entry, Library, Made, Origin, asked
from tests.director.conftest import SCENE, Listening, OpenDirector, listening, read

pytestmark = pytest.mark.asyncio(loop_scope="module")

STORY = ("One fish.", "Two fish.", "Red fish.", "Blue fish.")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def engine() -> AsyncIterator[Engine]:
    """One for all tests; its cache holds what they left."""
    engine = Listening()
    await engine.open(model_path(), EngineOptions(n_ctx=2048))
    yield engine
    await engine.close()


async def told(open_director: OpenDirector, **settings: object) -> Director:
    """A director of a story of four messages by Mara and Tobin in turn."""
    scene = Card(
        title="Fish",
        characters=SCENE.characters,
        messages=tuple(
            Opening(speaker=("Mara", "Tobin")[number % 2], text=text)
            for number, text in enumerate(STORY)
        ),
    )
    return await open_director(scene, **settings)


def texts(director: Director) -> list[str]:
    return [entry.text for entry in director.chat.entries]


async def acted(director: Director, events: AsyncGenerator[Event]) -> PathChanged:
    """The report of an act: the story is as it says, and as it is on the disk."""
    *_, changed = await read(events)
    assert isinstance(changed, PathChanged), changed
    assert list(changed.entries) == director.chat.entries
    assert await on_disk(director) == director.chat.entries
    return changed


async def on_disk(director: Director) -> list[Entry]:
    return await director.chat._disk.run(Library.entries, director.chat.id)


async def prompt_of(director: Director, speaker: str = "Mara") -> str:
    return "".join(segment.text for segment in await director.preview(speaker))


async def test_an_edit_in_the_middle_keeps_what_follows_or_leaves_it(
    open_director: OpenDirector,
) -> None:
    director = await told(open_director)
    before = list(director.chat.entries)
    changed = await acted(director, director.edit(before[1].id, "No fish.", keep=True))
    assert texts(director) == ["One fish.", "No fish.", "Red fish.", "Blue fish."]
    assert changed.cursor == director.chat.entries[1].id
    changed = await acted(director, director.edit(before[0].id, "Old fish.", keep=False))
    assert texts(director) == ["Old fish."] and changed.cursor == director.chat.entries[0].id
    assert [v.text for v in await director.chat.versions(before[1].id)] == ["Two fish.", "No fish."]
    await acted(director, director.undo())
    await acted(director, director.undo())
    assert marks(director.chat.entries) == marks(before)


@pytest.mark.parametrize(("keep_following", "left"), [("ask", 4), ("keep", 4), ("branch", 2)])
async def test_where_nothing_is_said_the_setting_says_what_follows(
    open_director: OpenDirector, keep_following: str, left: int
) -> None:
    director = await told(open_director, keep_following=keep_following)
    await read(director.edit(director.chat.entries[1].id, "No fish."))
    assert len(director.chat.entries) == left


async def test_every_act_is_taken_back_and_done_again_after_a_restart_too(
    open_director: OpenDirector, disk: Disk, engine: Engine
) -> None:
    director = await told(open_director)
    chat = director.chat
    states: list[list[Any]] = [marks(chat.entries)]
    acts: tuple[tuple[str, Callable[[list[int]], AsyncGenerator[Event]]], ...] = (
        ("Edit a message", lambda ids: director.edit(ids[1], "No fish.", keep=True)),
        ("Hide a message from the model", lambda ids: director.hide(ids[2], True)),
        ("Move a message", lambda ids: director.move(ids[3], up=True)),
        ("Insert a note", lambda ids: director.insert(ids[0], "note", "", "Be brief.")),
        ("Split a message", lambda ids: director.split(ids[0], 4)),
        ("Merge two messages", lambda ids: director.merge(ids[0])),
        ("Bookmark set", lambda ids: director.set_label(ids[2], "here")),
        ("Delete 2 messages", lambda ids: director.delete(ids[1], ids[3])),
        ("Go to another place", lambda ids: director.go_to(ids[0], exactly=True)),
        ("Write Wren's message", lambda ids: director.say("So many fish.")),
    )
    written = {"Write Wren's message": ", “So many fish.”"}
    names = []
    for name, act in acts:
        await read(act([entry.id for entry in chat.entries]))
        states.append(marks(chat.entries))
        names.append(name)
    assert all(one != other for one, other in pairwise(states))

    again = await Director.open(
        disk, await disk.run(Library.chat, chat.id), engine, Settings(), presets(None)[0]
    )
    assert await again.chat.next_undo_redo() == (names[-1], None)
    for name, state in zip(reversed(names), reversed(states[:-1]), strict=True):
        changed = await acted(again, again.undo())
        assert (
            changed.note == f"Undone: {name}{written.get(name, '')}"
            and marks(again.chat.entries) == state
        )
    [nothing] = await read(again.undo())
    assert isinstance(nothing, Notice)
    for name, state in zip(names, states[1:], strict=True):
        changed = await acted(again, again.redo())
        assert changed.note == f"Redone: {name}" and marks(again.chat.entries) == state
    [nothing] = await read(again.redo())
    assert isinstance(nothing, Notice)


def marks(entries: Sequence[Entry]) -> list[Any]:
    return [(entry.id, entry.text, entry.hidden, entry.label) for entry in entries]


async def test_an_undo_shows_what_it_changed_and_a_scene_comes_back(
    open_director: OpenDirector,
) -> None:
    director = await told(open_director)
    third = director.chat.entries[2]
    await read(director.hide(third.id, True))
    await read(director.change_scene(SCENE))
    scene, path = await read(director.undo())
    assert isinstance(scene, SceneChanged) and scene.scene.title == "Fish"
    assert isinstance(path, PathChanged) and path.note == "Undone: Change the scene"
    assert (await acted(director, director.undo())).cursor == third.id


async def test_a_hidden_message_is_not_read_nor_is_what_it_becomes(
    open_director: OpenDirector,
) -> None:
    director = await told(open_director)
    await acted(director, director.hide(director.chat.entries[1].id, True))
    assert "Two fish." not in await prompt_of(director)
    await acted(director, director.edit(director.chat.entries[1].id, "No fish."))
    assert "No fish." not in await prompt_of(director) and director.chat.entries[1].hidden
    await read(director.reply("Mara"))
    assert "No fish." not in listening(director).documents[-1]
    await acted(director, director.hide(director.chat.entries[1].id, False))
    assert "No fish." in await prompt_of(director)


async def test_a_bookmark_goes_along_with_its_message(open_director: OpenDirector) -> None:
    director = await told(open_director)
    await acted(director, director.set_label(director.chat.entries[1].id, "  the fish "))
    await acted(director, director.edit(director.chat.entries[1].id, "No fish.", keep=True))
    assert [entry.label for entry in director.chat.entries] == [None, "the fish", None, None]
    await acted(director, director.set_label(director.chat.entries[1].id, None))
    assert not any(entry.label for entry in director.chat.entries)


async def test_what_is_deleted_comes_back_from_the_bin(open_director: OpenDirector) -> None:
    director = await told(open_director)
    first, second, third, fourth = (entry.id for entry in director.chat.entries)
    assert (await acted(director, director.delete(second))).cursor == third
    assert texts(director) == ["One fish.", "Red fish.", "Blue fish."]
    assert (await acted(director, director.delete(first, fourth))).cursor == third
    assert (await acted(director, director.restore(second))).cursor == second
    assert texts(director) == ["Two fish."]


async def test_a_swipe_on_any_message(open_director: OpenDirector) -> None:
    director = await told(open_director)
    old = director.chat.entries[1]
    await read(director.edit(old.id, "No fish.", keep=False))
    new = director.chat.entries[1]
    await acted(director, director.choose_version(new.id, old.id, keep=False))
    assert texts(director) == list(STORY), "the old branch is where it was left"
    changed = await acted(director, director.choose_version(old.id, new.id, keep=True))
    assert texts(director) == ["One fish.", "No fish.", "Red fish.", "Blue fish."]
    assert changed.cursor == new.id
    assert director.chat.version_places == {old.slot: [old.id, new.id]}
    await acted(director, director.go_to(old.id, exactly=True))
    assert texts(director) == ["One fish.", "Two fish."]


# Replies in the middle.


async def test_a_message_in_the_middle_is_written_anew_from_what_comes_before(
    open_director: OpenDirector,
) -> None:
    director = await told(open_director, length="tiny")
    old, third = director.chat.entries[1], director.chat.entries[2]
    events = await read(director.regenerate(old.id))
    changed, started, *_, ended = [each for each in events if not isinstance(each, Changed)]
    new = director.chat.entries[1]
    assert isinstance(changed, PathChanged) and changed.cursor == new.id
    assert isinstance(started, TurnStarted) and isinstance(ended, TurnEnded)
    assert ended.entry == new and new.text and new.slot == old.slot
    assert director.chat.entries[2].id == third.id and len(director.chat.entries) == 4
    document = listening(director).documents[-1]
    assert "One fish." in document and "Two fish." not in document and "Red" not in document
    assert await on_disk(director) == director.chat.entries
    changed = await acted(director, director.undo())
    assert changed.note == "Undone: Retry Tobin's message" and texts(director) == list(STORY)
    await read(director.regenerate(old.id, keep=False))
    assert len(director.chat.entries) == 2


async def test_a_message_in_the_middle_goes_on(open_director: OpenDirector) -> None:
    director = await told(open_director)
    await read(director.continue_(director.chat.entries[2].id))
    assert texts(director)[2].startswith("Red fish.\n\n") and texts(director)[3] == "Blue fish."
    document = listening(director).documents[-1]
    assert document.endswith("Mara: Red fish.\n\n") and "Blue" not in document
    assert [v.text for v in await director.chat.versions(director.chat.entries[2].id)] == [
        "Red fish.",
        texts(director)[2],
    ]


class Mute(Engine):
    """Writes nothing."""

    async def generate(
        self, document: Sequence[Segment], *args: Any, **rest: Any
    ) -> AsyncGenerator[EngineEvent, None]:
        if document:
            raise UserError("Nothing comes.")
        yield Text("", 0)


async def test_where_nothing_comes_the_old_version_stands_again(disk: Disk) -> None:
    engine = Mute()
    await engine.open(model_path(), EngineOptions(n_ctx=2048))
    try:
        chat = await new_chat(disk, SCENE)
        director = await Director.open(disk, chat, engine, Settings(), presets(None)[0])
        before = await on_disk(director)
        first, last = before
        *_, removed, started, gone, failed, back = await read(director.regenerate())
        assert removed == Removed((last.id,)) and isinstance(started, TurnStarted)
        assert gone == Removed((started.entry.id,)) and isinstance(failed, Failed)
        assert isinstance(back, Appended) and back.entry.id == last.id
        for act in (
            director.regenerate(first.id, keep=True),
            director.regenerate(first.id, keep=False),
            director.continue_(first.id, keep=True),
            director.reply("Mara"),
        ):
            events = await read(act)
            assert any(isinstance(event, Failed) for event in events)
            assert [e.id for e in director.chat.entries] == [first.id, last.id]
            assert await on_disk(director) == director.chat.entries
            assert len(await director.chat.versions(first.id)) == 1
        assert director.chat.version_places == {}
        assert await director.chat.next_undo_redo() == (None, None)
    finally:
        await engine.close()


# Who wrote it.


async def test_who_wrote_it_is_recorded(open_director: OpenDirector) -> None:
    director = await told(open_director)
    await read(director.say("Fish?"))
    await read(director.reply("Mara"))
    opening, said, reply = director.chat.entries[-3:]
    assert opening.origin == Origin("card") and said.origin == Origin("user")
    read_then = asked(listening(director).documents[-1:], director.chat.length, 0)
    assert reply.origin == Origin("model", "shori-demo", director.chat.preset, 11, asked=read_then)
    await read(director.edit(reply.id, "No fish."))
    edit = director.chat.entries[-1]
    assert edit.origin == reply.origin and edit.details.made == Made("edited", reply.id)
    await read(director.continue_())
    longer = director.chat.entries[-1]
    assert longer.details.made == Made("continued", edit.id)
    await read(director.regenerate())
    anew = director.chat.entries[-1]
    assert anew.details.made is None and anew.origin.asked == read_then


async def test_a_reply_under_ones_own_name_can_be_written_anew(
    open_director: OpenDirector,
) -> None:
    director = await told(open_director)
    await read(director.reply("Wren"))
    first = director.chat.entries[-1]
    events = await read(director.regenerate())
    assert isinstance(events[-1], TurnEnded) and director.chat.entries[-1].slot == first.slot


async def test_a_typed_message_of_a_character_is_rewritten_only_where_it_is_named(
    open_director: OpenDirector,
) -> None:
    director = await told(open_director)
    await read(director.say("I am typed.", "Mara"))
    typed = director.chat.entries[-1]
    [failed] = await read(director.regenerate())
    assert isinstance(failed, Failed) and director.chat.entries[-1] == typed
    events = await read(director.regenerate(typed.id))
    assert isinstance(events[-1], TurnEnded)


async def test_to_speak_as_another_changes_nothing_of_the_past(
    open_director: OpenDirector,
) -> None:
    director = await told(open_director)
    await read(director.reply("Mara"))
    await director.chat.choose_user("Mara")
    assert isinstance((await read(director.regenerate()))[-1], TurnEnded)
    await read(director.say("Mine."))
    await director.chat.choose_user("Wren")
    [failed] = await read(director.regenerate())
    assert isinstance(failed, Failed)


async def test_where_nobody_recorded_it_the_name_tells(
    open_director: OpenDirector, disk: Disk
) -> None:
    director = await told(open_director)
    for speaker in ("Mara", "Wren"):
        draft = Draft("message", speaker, "From an older library.")
        await disk.run(Library.append, director.chat.id, draft)
    await director.chat.reload()
    mara, wren = director.chat.entries[-2:]
    assert not director.chat.is_users(mara) and director.chat.is_users(wren)


# Hints.


async def test_a_reply_that_misses_its_hint_is_labelled_anew_at_once(
    open_director: OpenDirector,
) -> None:
    director = await told(open_director, max_tokens=400)
    await director.chat.choose_length("enormous")
    async with aclosing(director.reply("Mara")) as events:
        async for event in events:
            if isinstance(event, Wrote) and event.text.strip():
                await director.stop()
    cut = director.chat.entries[-1]
    # Stopped after a word, or ended by itself before that: nothing of 400 tokens is enormous.
    assert cut.tokens and cut.length == length_for(cut.tokens)
    assert (await on_disk(director))[-1] == cut
    assert f"▀message (length: {cut.length})\nMara: {cut.text}" in await prompt_of(director)
    await read(director.continue_())
    assert listening(director).documents[-1].count("(length: enormous)") == 1
    longer = director.chat.entries[-1]
    [count] = await director.engine.count([" " + longer.text])
    assert (longer.tokens, longer.length) == (count, length_for(count))
    labels = [entry.length for entry in director.chat.entries[:-1]]
    await director.chat.choose_length("tiny")
    await read(director.reply("Tobin"))
    assert [entry.length for entry in director.chat.entries[: len(labels)]] == labels


async def test_merged_and_split_messages_earn_their_hints(open_director: OpenDirector) -> None:
    director = await told(open_director)
    long = "The fog came in over the quay and took the posts one by one. " * 12
    await read(director.say(f"Yes. {long}", "Mara"))
    await read(director.reply("Tobin"))
    entry = director.chat.entries[4]
    assert entry.length == "long"
    await acted(director, director.split(entry.id, 4))
    one, two = director.chat.entries[4:6]
    assert (one.text, one.length, two.length) == ("Yes.", "nano", "long")
    assert one.tokens and two.tokens
    await acted(director, director.merge(one.id))
    assert director.chat.entries[4].length == "long" and director.chat.entries[4].tokens


async def test_a_retry_takes_the_length_chosen_now(open_director: OpenDirector) -> None:
    director = await told(open_director)
    await read(director.reply("Mara"))
    await director.chat.choose_length("nano")
    await read(director.regenerate())
    assert listening(director).documents[-1].endswith("▀message (length: nano)\nMara:")
    await director.chat.choose_length(None)
    await read(director.regenerate())
    assert listening(director).documents[-1].endswith("▀message\nMara:")
    assert director.chat.entries[-1].length is None


# Two windows.


@pytest.fixture
async def other_disk(disk: Disk, tmp_path: Path) -> AsyncIterator[Disk]:
    other = await Disk.open(tmp_path / "library.db")
    yield other
    await other.close()


def may_write(director: Director) -> bool:
    return director.chat.is_mine


async def test_a_second_window_reads_and_sees_what_the_first_one_writes(
    open_director: OpenDirector, disk: Disk, other_disk: Disk, engine: Engine
) -> None:
    director = await told(open_director)
    chat = await other_disk.run(Library.chat, director.chat.id)
    second = await Director.open(other_disk, chat, engine, Settings(), presets(None)[0])
    assert may_write(director) and not may_write(second)
    for act in (second.say("Mine!"), second.reply("Mara"), second.undo()):
        [failed] = await read(act)
        assert isinstance(failed, Failed) and "another window" in failed.sentence
    assert await read(second.refresh()) == []
    await read(director.say("Fish!"))
    [seen] = await read(second.refresh())
    assert isinstance(seen, PathChanged) and seen.entries[-1].text == "Fish!"

    copy = await second.chat.copy()
    own = await Director.open(other_disk, copy, engine, Settings(), presets(None)[0])
    assert may_write(own) and texts(own) == texts(director)
    await read(own.say("Only here."))
    assert texts(director)[-1] == "Fish!"

    await read(director.say("The end."))
    await director.close()
    seen, free = await read(second.refresh())
    assert isinstance(seen, PathChanged) and isinstance(free, Notice) and may_write(second)
    await read(second.say("Now I."))
    assert texts(second)[-2:] == ["The end.", "Now I."]
    *_, failed = await read(director.say("And I?"))
    assert isinstance(failed, Failed)
    await second.close()
    changed, appended = await read(director.say("And I?"))
    assert isinstance(changed, PathChanged) and isinstance(appended, Appended)
    assert texts(director)[-2:] == ["Now I.", "And I?"]


# What is read.


def first_read(director: Director) -> int | None:
    return director.chat.first_read


async def test_the_first_message_that_is_read_is_told(open_director: OpenDirector) -> None:
    director = await told(open_director, max_tokens=16)
    assert first_read(director) is None
    long = "The fog came in over the quay and took the posts one by one. " * 6
    for turn in range(30):
        await read(director.say(f"{turn}: {long}"))
    await read(director.reply("Mara"))
    first = first_read(director)
    assert first is not None
    place = director.chat.place(entry) if (entry := director.chat.entry(first)) else 0
    assert director.figures.dropped_messages == place > 1
    document = listening(director).documents[-1]
    assert f"Wren: {place - 4}: " in document and f"Wren: {place - 5}: " not in document
    # Another version of it, or the one after it once it was deleted, takes its place.
    await acted(director, director.edit(first, f"Changed: {long}", keep=True))
    assert first_read(director) == director.chat.entries[place].id != first
    await acted(director, director.delete(director.chat.entries[place].id))
    assert first_read(director) == director.chat.entries[place].id
    # What is above the line is written anew from what came before it, and moves no line.
    await read(director.regenerate(director.chat.entries[2].id))
    assert first_read(director) == director.chat.entries[place].id
    document = listening(director).documents[-1]
    assert "Two fish." in document and "Blue fish." not in document

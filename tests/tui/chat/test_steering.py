"""Scenes, notes, the system instruction and other talk, by keys and commands."""

from __future__ import annotations

import re
from functools import partial

import pytest
from textual.pilot import Pilot
from textual.widgets import TextArea

from shoritui.cards import Card, Character, add_card
from shoritui.director.note_words import read_note, rule_words
from shoritui.folders import config_dir
from shoritui.settings import DEFAULT_INSTRUCTION, load_settings, save_settings
from shoritui.story import NoteRule
from shoritui.tui.chat.app import ShoriTUI
from shoritui.tui.chat.steering.notes_screen import NotesScreen
from shoritui.tui.chat.steering.scene_form import SceneForm
from shoritui.tui.widgets.chooser import Chooser
from shoritui.tui.widgets.field import Editor
from tests.tui.conftest import enter, idle, news, running, screen_text, until

pytestmark = pytest.mark.asyncio(loop_scope="module")
NAMES = ("Mara", "Old Tobiah", "Old")


@pytest.mark.parametrize(
    ("typed", "rule", "words"),
    [
        ("", None, ""),
        ("--sticky ", NoteRule(sticky=True), "sticky"),
        ("--once", NoteRule(once=True), "for the next reply"),
        ("--depth 0", NoteRule(depth=0), "at the end"),
        ("--depth 4 --every 6", NoteRule(depth=4, every=6), "4 messages before the end, again"),
        ("--for old tobiah", NoteRule(reader="Old Tobiah", depth=0), "at the end, for Old Tobiah"),
        ("--for Old --sticky", NoteRule(reader="Old", sticky=True), "sticky, for Old"),
    ],
)
async def test_a_rule_is_read_before_its_note(
    typed: str, rule: NoteRule | None, words: str
) -> None:
    assert read_note(f"{typed} Be slow -- or not.", NAMES) == ("Be slow -- or not.", rule)
    assert words in rule_words(rule or NoteRule())


@pytest.mark.parametrize(
    ("typed", "problem"),
    [
        ("--stiky Hi.", "did you mean --sticky"),
        ("--zzz Hi.", "there are --sticky, --once"),
        ("--depth Hi.", "a number of messages"),
        ("--every 0 Hi.", "a number of messages"),
        ("--for Marabel Hi.", "Mara, Old Tobiah, Old"),
    ],
)
async def test_what_is_no_rule_is_said(typed: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        read_note(typed, NAMES)


def kinds(app: ShoriTUI) -> list[str]:
    assert app.chat is not None
    return [entry.kind for entry in app.chat.entries]


async def test_notes_are_added_by_rule_listed_changed_ended_and_taken_back() -> None:
    async with running(size=(120, 40), with_model=False) as (app, pilot):
        chat = app.chat
        assert chat is not None
        await enter(app, pilot, "/note --dept 4 Keep it tense.")
        assert "did you mean --depth" in news(app)
        assert app.main.composer.text == "/note --dept 4 Keep it tense."
        app.main.composer.take()
        await enter(app, pilot, "/note --depth 4 Keep it tense.")
        await until(pilot, lambda: kinds(app)[-1] == "note")
        assert "4 messages before the end" in news(app)
        assert chat.entries[-1].details.note == NoteRule(depth=4)
        await enter(app, pilot, "/note A plain one.")
        await until(pilot, lambda: kinds(app)[-2:] == ["note", "note"])
        await pilot.press("alt+shift+i")
        await until(pilot, lambda: isinstance(app.screen, NotesScreen))
        await until(pilot, lambda: "Keep it tense." in screen_text(app))
        assert "4 messages before the end" in screen_text(app)

        await pilot.press("ctrl+r")
        await until(pilot, lambda: isinstance(app.screen, Chooser))
        await pilot.press(*"sticky", "enter")
        await until(pilot, lambda: chat.entries[-2].details.note == NoteRule(sticky=True))
        await until(pilot, lambda: isinstance(app.screen, NotesScreen))
        await pilot.press("delete")
        await until(pilot, lambda: chat.entries[-2].hidden)
        await until(pilot, lambda: "ended" in screen_text(app))
        await pilot.press("ctrl+z")
        await until(pilot, lambda: not chat.entries[-2].hidden)
        await pilot.press("ctrl+z")
        await until(pilot, lambda: chat.entries[-2].details.note == NoteRule(depth=4))
        await pilot.press(*"plain")
        await until(pilot, lambda: "Keep it tense." not in screen_text(app))
        await pilot.press("f2")
        await until(pilot, lambda: isinstance(app.screen, Editor))
        await pilot.press(*" Yes.", "ctrl+s")
        await until(pilot, lambda: chat.entries[-1].text == "A plain one. Yes.")
        await pilot.press("enter")
        await until(pilot, lambda: app.main.story.at_cursor is not None)
        assert app.main.story.at_cursor.id == chat.entries[-1].id  # type: ignore[union-attr]


async def test_the_options_of_a_note_are_offered_with_what_they_cost() -> None:
    async with running(size=(120, 40), with_model=False) as (app, pilot):
        await pilot.press(*"/note ")
        rows = {row.label.strip(): row.detail for row in app.main.completions.rows}
        assert "nothing is read again" in rows["--sticky"]
        assert re.search(r"before the end: about \d+ tokens are read again", rows["--depth 1"])
        await pilot.press(*"Stop")
        assert not app.main.completions.display


async def test_a_scene_is_begun_by_a_form_and_is_the_mastheads_until_it_is_taken_back() -> None:
    async with running(size=(120, 40), with_model=False) as (app, pilot):
        before, heading = kinds(app), app.main.masthead.heading
        await pilot.press("alt+3")
        await until(pilot, lambda: isinstance(app.screen, SceneForm))
        await pilot.press(*"Dusk", "enter", *"a, fog", "enter")
        await until(pilot, lambda: isinstance(app.screen.focused, TextArea))
        await pilot.press(*"Go.", "ctrl+s")
        await until(pilot, lambda: kinds(app) == [*before, "title", "tags", "scenario"])
        await until(pilot, lambda: app.main.masthead.heading[0] == "Dusk")
        assert app.main.masthead.heading[1] == "a · fog"
        await idle(app, pilot)
        await enter(app, pilot, "/undo")
        await until(pilot, lambda: kinds(app) == before)
        await until(pilot, lambda: app.main.masthead.heading == heading)
        await enter(app, pilot, "/title Noon")
        await until(pilot, lambda: app.main.masthead.heading[0] == "Noon")
        await pilot.press("alt+3")
        await until(pilot, lambda: isinstance(app.screen, SceneForm))
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, SceneForm))


async def choose_instruction(app: ShoriTUI, pilot: Pilot[int], label: str) -> None:
    await pilot.press("alt+shift+s")
    await until(pilot, lambda: isinstance(app.screen, Chooser))
    chooser = app.screen
    assert isinstance(chooser, Chooser)
    labels = [choice.label for choice in chooser._choices]
    await pilot.press(*["down"] * labels.index(label), "enter")
    await until(pilot, lambda: app.screen is not chooser)


async def test_the_instruction_is_seen_edited_and_removed_for_a_story_or_for_all() -> None:
    async with running(size=(120, 40), with_model=False) as (app, pilot):
        chat = app.chat
        assert chat is not None

        choose = partial(choose_instruction, app, pilot)
        await pilot.press("alt+shift+s")
        await until(pilot, lambda: "Write a safe conversation" in screen_text(app))
        await pilot.press("escape")
        await choose("Edit it for this story")
        await until(pilot, lambda: isinstance(app.screen, Editor))
        await pilot.press(*" Rhyme.", "ctrl+s")
        await until(pilot, lambda: chat.form.instruction == f"{DEFAULT_INSTRUCTION} Rhyme.")
        await choose("Remove it from all stories")
        await until(pilot, lambda: load_settings().instruction == "")
        assert chat.form.instruction.endswith("Rhyme.")
        await choose("Have the one of all stories here")
        await until(pilot, lambda: chat.form.instruction == "")
        await enter(app, pilot, "/undo")
        await until(pilot, lambda: chat.form.instruction.endswith("Rhyme."))
        await enter(app, pilot, "/instruction off")
        await until(pilot, lambda: chat.choices.instruction == "")


async def test_a_cards_instruction_gives_way_to_that_of_all_stories_and_comes_back() -> None:
    save_settings(instruction="Rhyme.")
    scene = Card(instruction="{{original}} Be brief.", characters=(Character(name="Orla"),))
    mine = add_card(config_dir() / "characters", "brief", scene)
    async with running(cards=[mine], size=(120, 40), with_model=False) as (app, pilot):
        chat = app.chat
        assert chat is not None and chat.form.instruction == "Rhyme. Be brief."
        await pilot.press("alt+shift+s")
        await until(pilot, lambda: "The card's: Rhyme. Be brief." in screen_text(app))
        await pilot.press("escape")
        await choose_instruction(app, pilot, "Have the one of all stories here")
        await until(pilot, lambda: chat.form.instruction == "Rhyme.")
        await choose_instruction(app, pilot, "Have the card's here again")
        await until(pilot, lambda: chat.form.instruction == "Rhyme. Be brief.")


async def test_other_talk_is_taken_out_of_the_prompt_and_back() -> None:
    async with running(size=(120, 40), with_model=False) as (app, pilot):
        chat = app.chat
        assert chat is not None
        await pilot.press("alt+0")
        await until(pilot, lambda: not chat.form.reads_ooc)
        await enter(app, pilot, "/undo")
        await until(pilot, lambda: chat.form.reads_ooc)
        await enter(app, pilot, "/ooc-read out")
        await until(pilot, lambda: not chat.form.reads_ooc)
        await enter(app, pilot, "/ooc-read perhaps")
        assert "Say in or out" in news(app)


async def test_commands_work_in_the_box_of_other_talk_and_story_keys_act_on_the_story() -> None:
    async with running(size=(120, 40)) as (app, pilot):
        chat, story = app.chat, app.main.story
        assert chat is not None
        await enter(app, pilot, "/ooc Is it late?")
        await until(pilot, lambda: kinds(app).count("ooc") == 2)
        await idle(app, pilot)
        side, talk = app.main.side, app.main.ooc
        assert side is not None and talk is not None
        said = [entry for entry in chat.entries if entry.kind == "ooc"]

        async def say(text: str) -> None:
            side.ooc.input.focus()
            side.ooc.input.insert(text)
            await pilot.press("enter")

        assert side.ooc.input.has_focus
        await say("/note Be slow.")
        await until(pilot, lambda: kinds(app)[-1] == "note")
        assert side.ooc.input.text == ""
        await say("/nothing")
        await until(pilot, lambda: "There is no command /nothing." in news(app))
        assert side.ooc.input.text == "/nothing"
        side.ooc.input.clear()
        await idle(app, pilot)
        await say("/undo")
        await until(pilot, lambda: kinds(app)[-1] == "ooc")
        await idle(app, pilot)

        # In the box, and after other talk, Ctrl+R writes the story's reply anew.
        last = story.passages[-1]
        side.ooc.input.focus()
        await pilot.press("ctrl+r")
        await until(pilot, lambda: chat.entries[-len(said) - 1].id != last.id)
        await idle(app, pilot)
        new = chat.entries[-len(said) - 1]
        assert [entry.kind for entry in chat.entries[-len(said) :]] == ["ooc"] * len(said)
        assert (new.id != last.id, new.slot) == (True, last.id)

        # With the focus on it, the keys of reading act on the talk itself.
        await pilot.press("alt+up", "g")
        assert talk.has_focus and talk.cursor == 0
        await pilot.press("v")
        await until(pilot, lambda: chat.entry(said[0].id).hidden)  # type: ignore[union-attr]
        await idle(app, pilot)
        await pilot.press("escape")
        await until(pilot, lambda: app.main.composer.has_focus)
        assert talk.cursor is None

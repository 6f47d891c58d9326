"""What a newcomer meets: keys pressed fast, news, help, footers, panels that share the room."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from rich.style import Style
from textual.widgets import Input, Markdown, OptionList, TextArea

from shoritui.cards import Card
from shoritui.demo import SMOLLM2_INSTALL
from shoritui.dice import thrown
from shoritui.settings import load_settings, save_settings
from shoritui.story import Library
from shoritui.tui.chat.app import ShoriTUI
from shoritui.tui.chat.scene_picker import ScenePicker
from shoritui.tui.help_screen import Help
from shoritui.tui.widgets.chooser import Chooser
from shoritui.tui.widgets.field import Editor, Field
from shoritui.tui.widgets.styles import Inks
from tests.tui.conftest import INN, enter, heard, idle, press_at_once, running, screen_text, until


@pytest.fixture(autouse=True)
def short_replies(home: Path) -> None:
    (home / "config").mkdir()
    save_settings(max_tokens=8, length="auto")


@pytest.mark.parametrize("key", ["ctrl+s", "escape"])
async def test_a_letter_right_before_a_key_that_keeps_or_leaves_is_in_the_text(key: str) -> None:
    async with running() as (app, pilot):
        await enter(app, pilot, "/edit")
        await until(pilot, lambda: isinstance(app.screen, Editor))
        await until(pilot, lambda: isinstance(app.focused, TextArea))
        press_at_once(app, *"XYZ", key)
        if key == "ctrl+s":
            await until(pilot, lambda: app.main.story.passages[-1].text.endswith("XYZ"))
        else:
            await until(pilot, lambda: isinstance(app.screen, Chooser))


async def test_letters_right_behind_the_key_that_edits_a_field_are_in_it() -> None:
    async with running(size=(120, 40)) as (app, pilot):
        await until(pilot, lambda: app.main.side is not None and bool(app.main.side.query(Field)))
        next(field for field in app.main.query(Field) if field.key == "title").focus()
        await pilot.pause()
        press_at_once(app, "enter", *"XYZ", "enter")
        await until(pilot, lambda: app.main.masthead.heading[0].endswith("XYZ"))


async def test_letters_right_before_the_key_that_quits_are_in_the_draft() -> None:
    async with running() as (app, pilot):
        session, director = app.session, app.director
        assert session is not None and director is not None
        kept: list[str] = []
        keep_draft = app.keep_draft

        async def listen(text: str) -> bool:
            kept.append(text)
            return await keep_draft(text)

        app.keep_draft = listen  # type: ignore[method-assign]
        press_at_once(app, *"XYZ", "ctrl+q")
        await until(pilot, lambda: bool(kept))
        assert set(kept) == {"XYZ"}


async def test_what_is_typed_behind_words_said_out_of_character_stays() -> None:
    async with running(size=(120, 40)) as (app, pilot):
        await pilot.press("f4")
        await until(pilot, lambda: app.main.side is not None and app.main.side.ooc.input.has_focus)
        side = app.main.side
        assert side is not None
        press_at_once(app, *"Hm?", "enter", *"AB")
        await until(pilot, lambda: bool(side.ooc.transcript.passages))
        await idle(app, pilot)
        assert side.ooc.transcript.passages[0].text == "Hm?"
        assert side.ooc.input.text == "AB"


def test_a_key_soon_after_escape_is_one_of_its_own() -> None:
    code = (
        "import os; os.environ.pop('ESCDELAY', None); import shoritui.tui as tui\n"
        "tui._shorten_escape()\nfrom textual import constants\nprint(constants.ESCAPE_DELAY)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0.025"


async def test_a_begun_command_is_begun_once_and_taken_away_by_escape() -> None:
    async with running() as (app, pilot):
        await pilot.press("alt+i", "alt+i")
        assert app.main.composer.text == "/note "
        await pilot.press("escape")
        assert app.main.composer.text == ""
        await pilot.press(*"Hm", "alt+i")
        assert app.main.composer.text == "/note Hm"
        await pilot.press("alt+t")
        assert app.main.composer.text == "/title Hm"
        await pilot.press("escape")
        assert app.main.composer.text == "Hm"
        await pilot.press("alt+i", "!", "escape")
        assert app.main.composer.text == "/note Hm!"


async def test_without_a_model_a_line_that_is_sent_says_what_to_do() -> None:
    save_settings(model="nix")
    async with running() as (app, pilot):
        await until(pilot, lambda: app.main.status.doing.trouble)
        sentence = app.main.status.doing.now
        assert "`shoritui models`" in sentence
        app.clear_notifications()
        await enter(app, pilot, "Hello?")
        await idle(app, pilot)
        await until(pilot, lambda: bool(heard(app)))
        assert heard(app) == [sentence]


async def test_news_is_short_and_no_more_than_two_at_once_above_the_composer() -> None:
    app = ShoriTUI(load_settings(), cards=[INN])
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await until(pilot, lambda: app.main.masthead.heading[0] != "ShoriTUI")
        long = "which is more than the status line of a narrow screen has room for, all in all"
        for word in ("One", "One", "Two", "Three"):
            app.report(f"{word}, {long}.")
        await until(pilot, lambda: len(heard(app)) == 2)
        assert [each.partition(",")[0] for each in heard(app)] == ["Two", "Three"]
        await until(pilot, lambda: "Three," in screen_text(app))
        rows = screen_text(app).splitlines()
        assert "Three," in rows[-7] and "Two," in rows[-9]
        assert all(4 <= toast.timeout < 6 for toast in app._notifications)
        await app.leave(0)


async def test_trouble_is_not_pushed_away_but_said_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shoritui.tui.base_app._NEWS_SECONDS", 0.3)
    async with running() as (app, pilot):
        app.clear_notifications()
        for sentence in ("1", "2", "3"):
            app.report(sentence, trouble=True)
        await until(pilot, lambda: "3" in heard(app))


async def test_only_what_is_near_is_suggested() -> None:
    async with running() as (app, pilot):
        await pilot.press(*"/foo", "enter")
        await until(pilot, lambda: bool(heard(app)))
        [said] = heard(app)
        assert said == "There is no command /foo. F1 shows them all."


@pytest.mark.parametrize(("rows", "most"), [(40, 3), (30, 2), (24, 1)])
async def test_open_sections_share_the_rows_that_there_are(rows: int, most: int) -> None:
    async with running(size=(120, rows)) as (app, pilot):
        await until(pilot, lambda: app.main.side is not None and bool(app.main.side.query(Field)))
        side = app.main.side
        assert side is not None

        def opened() -> list[str]:
            return [key for key, section in side.sections.items() if section.is_open]

        await pilot.press("f3")
        await until(pilot, lambda: len(opened()) == min(2, most))
        await pilot.press("f4")
        await until(pilot, lambda: len(opened()) == most and opened()[-1] == "ooc")
        await until(pilot, lambda: all(side.sections[key].size.height >= 11 for key in opened()))


async def test_a_text_that_is_edited_has_more_room_as_long_as_it_is() -> None:
    async with running(size=(120, 40)) as (app, pilot):
        await until(pilot, lambda: app.main.side is not None and bool(app.main.side.query(Field)))
        side = app.main.side
        assert side is not None
        await pilot.press("f3")
        await pilot.press("f4")
        scene, ooc = side.sections["scene"], side.sections["ooc"]
        await until(pilot, lambda: ooc.is_open and abs(ooc.size.height - scene.size.height) <= 1)
        next(field for field in side.query(Field) if field.key == "scenario").action_edit()
        await until(pilot, lambda: scene.size.height > 17 and ooc.is_open)
        await pilot.press("escape")
        await until(pilot, lambda: abs(ooc.size.height - scene.size.height) <= 1)


@pytest.mark.parametrize("width", [60, 80, 100, 140])
async def test_help_stands_in_the_footer_at_every_width(width: int) -> None:
    async with running(size=(width, 24)) as (app, pilot):
        footer = screen_text(app).splitlines()[-1]
        assert footer.rstrip().endswith("F1 help")
        assert "F2 scene" in footer and ("⏎ send" in footer) == (width > 130)
        await pilot.press("alt+up")
        await until(pilot, lambda: "esc back" in screen_text(app).splitlines()[-1])
        assert screen_text(app).splitlines()[-1].rstrip().endswith("F1 help")


async def test_help_marks_the_keys_of_reading_and_opens_a_topic() -> None:
    async with running(size=(120, 100)) as (app, pilot):
        await enter(app, pilot, "/help samplers")
        await until(pilot, lambda: isinstance(app.screen, Help))
        await until(pilot, lambda: "F3 shows the sampler" in screen_text(app))
        assert app.screen.query_one(OptionList).highlighted_option is not None
        await pilot.press("escape")
        await pilot.press("f1")
        await until(pilot, lambda: "^z (reading)" in screen_text(app))
        await pilot.press("escape")
        await enter(app, pilot, "/help swipe")
        await until(pilot, lambda: "Playing" in screen_text(app) and "/newer" in screen_text(app))
        await pilot.press("escape")
        await enter(app, pilot, "/help smaplers")
        await until(pilot, lambda: bool(heard(app)))
        [said] = heard(app)
        assert "did you mean samplers?" in said


async def test_only_the_topic_that_is_rested_on_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    pages: list[str] = []
    update = Markdown.update

    def count(self: Markdown, text: str) -> object:
        pages.append(text.partition("\n")[0])
        return update(self, text)

    monkeypatch.setattr(Markdown, "update", count)
    async with running() as (app, pilot):
        await pilot.press("f1")
        await until(pilot, lambda: isinstance(app.screen, Help))
        pages.clear()
        press_at_once(app, *["down"] * 4)
        await until(pilot, lambda: bool(pages))
        await pilot.pause(0.3)
        assert len(pages) == 1


async def test_the_palette_has_two_rows_for_an_action() -> None:
    async with running(size=(80, 24)) as (app, pilot):
        await pilot.press("ctrl+p")
        await until(pilot, lambda: "Message: Write it again" in screen_text(app))
        rows = screen_text(app).splitlines()
        [at] = [n for n, row in enumerate(rows) if "Message: Write it again  " in row]
        assert rows[at].rstrip().endswith("^r")
        assert "Writes the selected reply again" in rows[at + 1]
        assert "Message: Write it again with DRY" in rows[at + 2]


async def test_who_was_chosen_answers_until_another_is() -> None:
    async with running() as (app, pilot):
        await pilot.press("ctrl+n")
        await until(pilot, lambda: isinstance(app.screen, Chooser))
        assert "Until you choose another" in screen_text(app)


async def test_the_draft_is_kept_by_a_quit_that_follows_at_once(home: Path) -> None:
    async with running() as (app, pilot):
        press_at_once(app, *"Half a thought", "ctrl+q")
        await until(pilot, lambda: app._leaving and not app.is_running, 20)
    library = Library(home / "data" / "library.db")
    chat = library.last_chat()
    assert chat is not None and library.draft(chat.id) == "Half a thought"
    library.close()


async def test_short_news_stands_in_the_status_line_for_a_moment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("shoritui.tui.base_app._NEWS_SECONDS", 0.5)
    async with running(size=(80, 24), with_model=False) as (app, pilot):
        before = screen_text(app).splitlines()[-2]
        app.report("It is done.")
        await until(pilot, lambda: "It is done." in screen_text(app).splitlines()[-2])
        assert not app._notifications
        await until(pilot, lambda: screen_text(app).splitlines()[-2] == before)
        app.report("It went wrong.", trouble=True)
        await until(pilot, lambda: len(app._notifications) == 1)


@pytest.mark.parametrize(
    ("word", "title"),
    [
        ("undo", "Story: Undo"),
        ("remove", "Message: Delete it"),
        ("regenerate", "Message: Write it again"),
        ("search", "Library: Search everything ever written"),
        ("persona", "Story: Choose your persona"),
        ("export", "Library: Export the story"),
        ("preferences", "View: Change the settings"),
        ("dice", "Story: Roll dice"),
    ],
)
async def test_the_palette_knows_other_words(word: str, title: str) -> None:
    async with running(with_model=False) as (app, pilot):
        await pilot.press("ctrl+p", *word)
        await until(pilot, lambda: title in screen_text(app))


async def test_dice_are_thrown_into_the_story() -> None:
    async with running(with_model=False) as (app, pilot):
        await enter(app, pilot, "/roll 2d6+3")
        await until(pilot, lambda: " rolls " in app.main.story.passages[-1].text)
        rolled = re.fullmatch(
            r"Sable rolls 2d6\+3: (\d) \+ (\d) \+ 3 = (\d+)\.", app.main.story.passages[-1].text
        )
        assert rolled is not None
        first, second, total = map(int, rolled.groups())
        assert 1 <= first <= 6 and 1 <= second <= 6 and total == first + second + 3
        await enter(app, pilot, "/roll 0d6")
        await until(pilot, lambda: any("is no dice" in each for each in heard(app)))
        assert not thrown("d1") and not thrown("999d999") and not thrown("2d6;rm")
        assert thrown("D20").startswith("d20: ") and " - 1 = " in thrown("d4-1")


def _is_at(app: ShoriTUI, name: str) -> bool:
    return isinstance(app.focused, Field) and app.focused.text.casefold() == name.casefold()


async def test_cast_goes_to_a_character_or_adds_one() -> None:
    async with running(with_model=False, size=(120, 40)) as (app, pilot):
        for name in ("Cadmus", "Wilhelmina"):
            await enter(app, pilot, f"/cast {name.upper() if name == 'Cadmus' else name}")
            await until(pilot, partial(_is_at, app, name))
        assert app.chat is not None and app.chat.cast[-1] == "Wilhelmina"
        assert len(app.chat.cast) == 4


async def test_the_samplers_values_become_a_preset(home: Path) -> None:
    async with running(with_model=False) as (app, pilot):
        await enter(app, pilot, "/sampler temperature=1.35 banned=a shiver, her spine")
        await enter(app, pilot, "/keep-preset Wild Nights")
        await until(pilot, lambda: app.chat is not None and app.chat.preset == "wild-nights")
        assert app.chat is not None and not app.chat.choices.sampling
        assert app.chat.sampling.temperature == 1.35
        assert app.chat.sampling.banned == ("a shiver", "her spine")
        text = (home / "config" / "presets" / "wild-nights.toml").read_text(encoding="utf-8")
        assert "min_p = 0.075" in text and 'title = "Wild Nights"' in text


def test_without_colours_dialogue_and_narration_differ() -> None:
    inks = Inks(Style.null(), {}, no_colour=True)
    assert inks.prose(("dialogue",)).without_color != inks.prose(()).without_color


async def test_help_may_be_closed_while_a_page_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    async def slow(self: Markdown, text: str) -> None:
        while shown.query("#topic"):
            await asyncio.sleep(0.01)

    async with running(with_model=False) as (app, pilot):
        await pilot.press("f1")
        await until(pilot, lambda: isinstance(app.screen, Help))
        shown = app.screen
        monkeypatch.setattr(Markdown, "update", slow)
        await pilot.press("down")
        await pilot.pause(0.3)
        await pilot.press("escape")
        await until(pilot, lambda: not shown.query("#topic"))
        await pilot.pause(0.1)
        assert app.screen is app.main and app.is_running


async def test_help_is_searched_in_keys_and_pages() -> None:
    async with running(size=(120, 40), with_model=False) as (app, pilot):
        await pilot.press("f1")
        await until(pilot, lambda: isinstance(app.screen, Help))
        await pilot.press(*"rope_freq")
        await until(pilot, lambda: "Nothing here holds “rope_freq”." in screen_text(app))
        assert app.screen.query_one(OptionList).option_count == 0
        app.screen.query_one(Input).value = "bookmark"
        await until(pilot, lambda: "Keys of this app" in screen_text(app))
        await until(pilot, lambda: "/bookmark" in screen_text(app))
        assert "/retry" not in screen_text(app)
        app.screen.query_one(Input).value = "logit_bias"
        await until(pilot, lambda: "Samplers" in screen_text(app))
        await pilot.press("down")
        await until(pilot, lambda: "logit_bias" in screen_text(app).replace("│ logit_bias", "", 1))


@pytest.mark.parametrize("start", ["/", "@"])
@pytest.mark.parametrize("key", ["backspace", "ctrl+u"])
async def test_the_popup_closes_with_its_word(start: str, key: str) -> None:
    async with running(with_model=False) as (app, pilot):
        await pilot.press(start)
        await until(pilot, lambda: app.main.completions.display)
        await pilot.press(key)
        await until(pilot, lambda: app.main.composer.text == "")
        await pilot.pause()
        assert not app.main.completions.display and not app.main.composer.popup_open


async def test_an_empty_cast_says_what_to_do_for_as_long_as_it_is_empty() -> None:
    async with running(cards=(), wait_for_story=False, with_model=False) as (app, pilot):
        await until(pilot, lambda: isinstance(app.screen, ScenePicker))
        await pilot.press("escape")
        await app.begin(Card())
        await until(pilot, lambda: "alt+c adds a character" in screen_text(app))
        assert "What do you say or do?" in screen_text(app)
        assert "nobody is here to answer yet" in screen_text(app)
        await enter(app, pilot, "@Mara hi")
        await until(pilot, lambda: isinstance(app.screen, Chooser))
        assert "Add Mara" in screen_text(app)
        await pilot.press("enter")
        await until(pilot, lambda: bool(app.main.story.passages))
        assert app.chat is not None and "Mara" in app.chat.cast
        assert app.main.story.passages[0].text == "hi" and app.main.composer.text == ""
        await until(pilot, lambda: "Mara goes on" in screen_text(app))
        await enter(app, pilot, "@Zed? No, @zed!")
        await until(pilot, lambda: app.main.composer.text == "")
        assert app.screen is app.main


@pytest.mark.parametrize("chosen", ["", "/models/own.gguf"])
async def test_where_scenes_are_picked_it_stands_what_would_write_better(chosen: str) -> None:
    save_settings(model=chosen)
    async with running(cards=(), new=True, wait_for_story=False, with_model=False) as (app, pilot):
        await until(pilot, lambda: "Tags" in screen_text(app))
        assert (SMOLLM2_INSTALL in screen_text(app)) is (not chosen)

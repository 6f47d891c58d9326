"""The library and the search, on a library of their own."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from textual.app import App
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widgets import Input

from shoritui.cards import Card, Character, Opening
from shoritui.director import Disk
from shoritui.folders import bundled_dir
from shoritui.story import Draft, Library, Summary
from shoritui.tui import themes
from shoritui.tui.chat.library_screen import LibraryScreen, in_order
from shoritui.tui.chat.search_screen import Place, SearchScreen
from shoritui.tui.widgets.browser import Browser
from shoritui.tui.widgets.chooser import Chooser, LinePrompt
from tests.tui.conftest import screen_text, until

INN = Card(
    title="The Inn",
    characters=(Character(name="Brindle"), Character(name="Sable", user=True)),
    messages=(Opening(speaker="Brindle", text='"Shut the door, duck."'),),
)


class Desk(App[None]):
    """One screen, and what it gave."""

    def __init__(self, screen: Screen[Place | None]) -> None:
        super().__init__()
        self.register_theme(themes.load_theme(bundled_dir("themes") / f"{themes.DEFAULT}.toml"))
        self.theme = themes.DEFAULT
        self.shown = screen
        self.places: list[Place | None] = []

    def on_mount(self) -> None:
        self.push_screen(self.shown, self.places.append)


@pytest.fixture
async def disk(tmp_path: Path) -> AsyncGenerator[Disk]:
    disk = await Disk.open(tmp_path / "library.db")
    yield disk
    await disk.close()


async def fill(disk: Disk, *names: str) -> list[int]:
    return [
        (await disk.run(Library.create_chat, replace(INN, title=name), "Sable")).id
        for name in names
    ]


@asynccontextmanager
async def shown(
    screen: Browser[Place | None], size: tuple[int, int] = (120, 40)
) -> AsyncGenerator[tuple[Desk, Pilot[None]]]:
    app = Desk(screen)
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: app.screen is screen and screen.is_mounted)
        await pilot.pause()
        yield app, pilot


def titles(screen: Browser[Any]) -> list[str]:
    return [str(option.prompt).splitlines()[0].strip() for option in screen.choices.options]


async def ask(app: App[Any], pilot: Pilot[Any], key: str, answer: str) -> None:
    """Presses a key that asks for a line, and writes that line."""
    await pilot.press(key)
    await until(pilot, lambda: isinstance(app.screen, LinePrompt))
    app.screen.query_one(Input).value = answer
    await pilot.press("enter")
    await until(pilot, lambda: not isinstance(app.screen, LinePrompt))
    await pilot.pause(0.05)


async def test_stories_are_found_while_typing_and_opened(disk: Disk) -> None:
    first, second, _ = await fill(disk, "Moat", "Marsh", "Tower")
    await disk.run(Library.set_tags, second, ["wet", "long ago"])
    screen = LibraryScreen(disk)
    async with shown(screen) as (app, pilot):
        await until(pilot, lambda: titles(screen) == ["Tower", "Marsh", "Moat"])
        await until(pilot, lambda: "Shut the door" in screen_text(app))
        assert "1 message · Brindle, Sable" in screen_text(app)
        await pilot.press(*"ma")
        assert titles(screen) == ["Marsh"]
        await pilot.press("backspace", "backspace", *"#we")
        assert titles(screen) == ["Marsh"]
        await pilot.press(*["backspace"] * 3, *"duck mo", "enter")
        await until(pilot, lambda: app.places)
    assert app.places == [Place(first)]


async def test_favourites_come_first_in_every_order(disk: Disk) -> None:
    first, second, third = await fill(disk, "B", "A", "C")
    await disk.run(Library.append, first, Draft("message", "Sable", "Me first."))
    await disk.run(Library.touch, third)
    screen = LibraryScreen(disk)
    async with shown(screen) as (app, pilot):
        await until(pilot, lambda: titles(screen) == ["C", "B", "A"])
        await pilot.press("ctrl+s")
        assert titles(screen) == ["A", "B", "C"]
        await pilot.press("ctrl+s")
        assert titles(screen)[0] == "B"
        await pilot.press("down", "ctrl+l")
        await until(pilot, lambda: titles(screen)[0].startswith("★"))
        await pilot.press("ctrl+s", "escape")
    assert second in screen.changed or third in screen.changed
    assert app.places == [None]
    summaries = await disk.run(Library.summaries)
    assert in_order(summaries, "title")[0].favourite


async def test_a_story_is_renamed_tagged_copied_and_each_is_taken_back(disk: Disk) -> None:
    (chat_id,) = await fill(disk, "Moat")
    screen = LibraryScreen(disk)

    async def summary() -> Summary:
        return next(each for each in await disk.run(Library.summaries) if each.id == chat_id)

    async with shown(screen) as (app, pilot):
        await until(pilot, lambda: titles(screen))
        await ask(app, pilot, "f2", "Ditch")
        await until(pilot, lambda: titles(screen) == ["Ditch"])
        await ask(app, pilot, "ctrl+t", "wet,  old , wet")
        await until(pilot, lambda: "#wet #old" in screen_text(app))
        await ask(app, pilot, "ctrl+d", "Ditch again")
        await until(pilot, lambda: sorted(titles(screen)) == ["Ditch", "Ditch again"])
        await pilot.press("ctrl+z")
        await until(pilot, lambda: titles(screen) == ["Ditch again"])  # in the bin
        assert screen._shelf == "bin"
        await pilot.press("tab")
        await until(pilot, lambda: titles(screen) == ["Ditch"])
        await pilot.press("ctrl+z")
        await until(pilot, lambda: screen._chats[chat_id].tags == ())
        await pilot.press("ctrl+z")
        await until(pilot, lambda: "Moat" in titles(screen))
        assert "undo" not in dict(screen.hints()).values()
    assert (await summary()).name == "Moat"
    assert chat_id in screen.changed


async def test_each_act_is_taken_back_and_the_story_was_used_when_it_was(disk: Disk) -> None:
    used, _ = await fill(disk, "Moat", "Marsh")
    before = {each.id: each for each in await disk.run(Library.summaries)}
    screen = LibraryScreen(disk)

    def done(count: int) -> Callable[[], bool]:
        return lambda: len(screen._acts) == count

    async with shown(screen) as (_, pilot):
        await until(pilot, lambda: titles(screen) == ["Marsh", "Moat"])
        keys = ("ctrl+l", "ctrl+a", "delete")
        for number, key in enumerate(keys, 1):
            screen._shelf = "archive" if key == "delete" else "stories"
            screen.wanted = str(used)
            screen.fill()
            await pilot.press(key)
            await until(pilot, done(number))
        for left in (2, 1, 0):
            await pilot.press("ctrl+z")
            await until(pilot, done(left))
    assert {each.id: each for each in await disk.run(Library.summaries)} == before
    # Inside the story nothing takes it out of the library.
    await disk.run(Library.delete_chat, used)
    await disk.run(Library.restore_chat, used)
    assert await disk.run(Library.next_undo_redo, used) == (None, "Mark as a favourite")


async def test_what_is_deleted_lies_in_the_bin_and_comes_back(disk: Disk) -> None:
    kept, gone = await fill(disk, "Kept", "Gone")
    closed: list[int] = []

    async def close(chat_id: int) -> None:
        closed.append(chat_id)

    screen = LibraryScreen(disk, deleted=close)
    async with shown(screen) as (app, pilot):
        await until(pilot, lambda: titles(screen) == ["Gone", "Kept"])
        await pilot.press("delete")
        await until(pilot, lambda: titles(screen) == ["Kept"])
        assert closed == [gone]
        await pilot.press("ctrl+z")
        await until(pilot, lambda: titles(screen) == ["Gone", "Kept"])
        await pilot.press("delete")
        await until(pilot, lambda: titles(screen) == ["Kept"])
        await pilot.press("ctrl+a")
        await until(pilot, lambda: titles(screen) == [])
        assert "There is no story yet." in screen_text(app)
        await pilot.press("tab")
        assert titles(screen) == ["Kept"]
        await pilot.press("tab")
        assert titles(screen) == ["Gone"] and "erased in 30 days" in screen_text(app)
        await pilot.press("enter")
        await until(pilot, lambda: titles(screen) == [])
        await pilot.press("tab")
        assert titles(screen) == ["Gone"]
    summaries = await disk.run(Library.summaries)
    assert {chat.id: chat.archived for chat in summaries} == {kept: True, gone: False}


async def test_the_bin_is_emptied_after_a_question(disk: Disk) -> None:
    for chat_id in await fill(disk, "Moat", "Moat", "Moat"):
        await disk.run(Library.delete_chat, chat_id)
    screen = LibraryScreen(disk)
    async with shown(screen) as (app, pilot):
        await until(pilot, lambda: screen._chats)
        await pilot.press("tab", "tab")
        await until(pilot, lambda: titles(screen) == ["Moat (3)", "Moat (2)", "Moat"])
        await pilot.press("down", "delete")
        await until(pilot, lambda: isinstance(app.screen, Chooser))
        assert "“Moat (2)” is gone then" in screen_text(app)
        await pilot.press("enter")  # keep
        await until(pilot, lambda: app.screen is screen)
        assert len(titles(screen)) == 3
        await pilot.press("delete")
        await until(pilot, lambda: isinstance(app.screen, Chooser))
        await pilot.press("down", "enter")
        await until(pilot, lambda: titles(screen) == ["Moat (2)", "Moat"])
        await pilot.press("ctrl+x")
        await until(pilot, lambda: isinstance(app.screen, Chooser))
        assert "All 2 stories" in screen_text(app)
        await pilot.press("down", "enter")
        await until(pilot, lambda: titles(screen) == [])
    assert await disk.run(Library.summaries, deleted=True) == []


@pytest.mark.parametrize("size", [(120, 40), (60, 20)])
async def test_a_list_without_rows_says_so_at_every_width(
    disk: Disk, size: tuple[int, int]
) -> None:
    await fill(disk, "Moat")
    screen = LibraryScreen(disk)
    async with shown(screen, size) as (app, pilot):
        await until(pilot, lambda: titles(screen))
        await pilot.press(*"zzz")
        await until(pilot, lambda: "There is nothing here." in screen_text(app))
        await pilot.press(*["backspace"] * 3)
        await until(pilot, lambda: "Moat" in screen_text(app))


async def test_another_windows_story_is_left_as_it_is(disk: Disk, tmp_path: Path) -> None:
    (chat_id,) = await fill(disk, "Moat")
    screen = LibraryScreen(disk)

    def refuse(*_: object) -> None:
        from shoritui.errors import UserError

        raise UserError("This story is open in another window.")

    async with shown(screen) as (_, pilot):
        await until(pilot, lambda: titles(screen))
        screen._act(chat_id, refuse)
        await pilot.pause(0.1)
        assert titles(screen) == ["Moat"] and not screen.changed


@pytest.mark.parametrize("size", [(120, 40), (80, 24)])
async def test_every_key_is_shown_at_both_sizes(disk: Disk, size: tuple[int, int]) -> None:
    await fill(disk, "Moat")
    screen = LibraryScreen(disk)
    async with shown(screen, size) as (app, pilot):
        await until(pilot, lambda: titles(screen))
        text = screen_text(app).replace("\N{NO-BREAK SPACE}", " ")
        for key, word in screen.hints():
            assert f"{key} {word}" in text


async def test_two_hundred_stories_are_there_at_once(disk: Disk) -> None:
    await fill(disk, *(f"Story {n:03}" for n in range(200)))
    screen = LibraryScreen(disk)
    async with shown(screen) as (_, pilot):
        await until(pilot, lambda: len(titles(screen)) == 200)
        before = time.process_time()
        screen.fill()
        await pilot.pause()
        assert time.process_time() - before < 0.5
        await pilot.press(*"137")
        assert titles(screen) == ["Story 137"]


async def test_a_search_shows_hits_in_context_and_gives_their_place(disk: Disk) -> None:
    moat, marsh = await fill(disk, "Moat", "Marsh")
    say: Callable[[str], Draft] = lambda text: Draft("message", "Sable", text)  # noqa: E731
    left = await disk.run(Library.append, moat, say("The heron stood very still that day."))
    await disk.run(Library.add_version, left.id, say("Nothing stood there."), keep=False, act="x")
    other = await disk.run(Library.append, marsh, say("A HERON again, and \x1b[31mrain."))
    screen = SearchScreen(disk)
    async with shown(screen) as (app, pilot):
        await pilot.press(*"heron")
        await until(pilot, lambda: len(titles(screen)) == 2)
        assert "2 places" in screen_text(app)
        text = screen_text(app)
        assert "The heron stood very still" in text and "A HERON again, and rain." in text
        await until(pilot, lambda: "Shut the door" in screen_text(app))
        await pilot.press("down", "enter")
        await until(pilot, lambda: app.places)
    assert app.places == [Place(moat, left.id)]
    assert other.id


async def test_search_takes_the_words_of_the_library_with_it(disk: Disk) -> None:
    (chat_id,) = await fill(disk, "Moat")
    screen = LibraryScreen(disk)
    async with shown(screen) as (app, pilot):
        await until(pilot, lambda: titles(screen))
        await pilot.press(*"duck", "ctrl+f")
        await until(pilot, lambda: isinstance(app.screen, SearchScreen))
        searched = app.screen
        assert isinstance(searched, SearchScreen)
        await until(pilot, lambda: len(titles(searched)) == 1)
        await pilot.press("enter")
        await until(pilot, lambda: app.places)
    assert app.places[0] is not None and app.places[0].chat == chat_id

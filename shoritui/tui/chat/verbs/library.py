"""Beginning stories, opening them, finding them, taking them along."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from shoritui.errors import UserError
from shoritui.text import one_line, printable
from shoritui.tui.chat.app_protocol import Host
from shoritui.tui.chat.verbs import message
from shoritui.tui.widgets.chooser import Choice, Chooser, LinePrompt

if TYPE_CHECKING:
    from shoritui.tui.chat.search_screen import Place

_TOLD = 80
"""Characters of a message by which it is known again."""


async def new(host: Host, _: str) -> None:
    """Pick a scene and begin a story."""
    from shoritui.cards import card_folders, find_cards
    from shoritui.models import better
    from shoritui.tui.chat.scene_picker import ScenePicker

    session = host.session
    if session is None or _is_writing(host):
        return
    cards, problems = await session.disk.run(lambda _: find_cards(card_folders()))
    settings = host.settings
    advice = await asyncio.to_thread(better, settings.model or settings.server)
    picker = ScenePicker(cards, problems, advice=advice, show_marks=settings.show_marks)
    scene = await host.push_screen_wait(picker)
    if scene is not None:
        await host.begin(scene)


async def open_story(host: Host, _: str) -> None:
    """Show all stories."""
    from shoritui.tui.chat.library_screen import LibraryScreen

    session = host.session
    if session is None or _is_writing(host):
        return
    screen = LibraryScreen(
        session.disk,
        order=session.order,
        show_marks=host.settings.show_marks,
        deleted=host.forget,
    )
    place = await host.push_screen_wait(screen)
    await screen.acted()
    session.order = screen.order
    if host.chat is not None and host.chat.id in screen.changed:
        await host.chat.reload()
        host.main.name_scene(host.chat)
    if place is not None:
        await go(host, place)


async def search(host: Host, words: str) -> None:
    """Search everything ever written."""
    from shoritui.tui.chat.search_screen import SearchScreen

    session = host.session
    if session is None or _is_writing(host):
        return
    screen = SearchScreen(session.disk, words, show_marks=host.settings.show_marks)
    place = await host.push_screen_wait(screen)
    if place is not None:
        await go(host, place)


async def take_out(host: Host, _: str) -> None:
    """Take a message of this story out of the bin."""
    from shoritui.story import Library

    session, director = host.session, host.director
    if session is None or director is None or _is_writing(host):
        return
    entries = await session.disk.run(Library.bin, director.chat.id)
    if not entries:
        host.report("No message of this story is in the bin.")
        return
    choices = [
        Choice(str(entry.id), one_line(entry.speaker) or entry.kind, one_line(entry.text)[:_TOLD])
        for entry in entries
    ]
    chosen = await host.push_screen_wait(Chooser("Take out of the bin", choices))
    if chosen is not None:
        host.performance.play(director.restore(int(chosen)))


async def export(host: Host, argument: str) -> None:
    """Write the story as a file."""
    from shoritui.interop import FORMATS, export_chat
    from shoritui.story import Library

    session, chat = host.session, host.chat
    if session is None or chat is None:
        host.report("No story is open.")
        return
    name, _, folder = argument.partition(" ")
    if not name:
        choices = [Choice(name, name, each.summary) for name, each in FORMATS.items()]
        chosen = await host.push_screen_wait(Chooser("Export as", choices))
        prompt = LinePrompt("Into which folder?", str(Path.cwd()), word="export")
        given = await host.push_screen_wait(prompt) if chosen else None
        if not (chosen and given):
            return
        name, folder = chosen, given
    if name not in FORMATS:
        host.report(f"There is no format {name}: choose {', '.join(FORMATS)}.", trouble=True)
        return
    try:
        whole = await session.disk.run(Library.whole_chat, chat.id)
        # A long story takes seconds; the library is needed meanwhile.
        path = await asyncio.to_thread(export_chat, whole, name, Path(folder.strip()))
    except UserError as error:
        host.report(str(error), trouble=True)
    else:
        host.report(f"The story is in {printable(path.absolute())}.")


async def taste(host: Host, _: str) -> None:
    """Say what the story tells of its reader's taste."""
    from shoritui.interop import taste as taste_of
    from shoritui.story import Library

    session, chat = host.session, host.chat
    if session is None or chat is None:
        host.report("No story is open.")
        return
    whole = await session.disk.run(Library.whole_chat, chat.id)
    host.report(await asyncio.to_thread(taste_of, whole, host.settings))


def formats(host: Host) -> list[str]:
    """Return what `/export` completes."""
    from shoritui.interop import FORMATS

    return list(FORMATS)


async def go(host: Host, place: Place) -> None:
    """Open a story; at an entry of it, on whatever branch that is."""
    from shoritui.story import Library

    session = host.session
    assert session is not None
    try:
        await host.enter(await session.disk.run(Library.chat, place.chat))
    except UserError as error:
        host.report(str(error), trouble=True)
        return
    if place.entry is not None:
        await message.jump(host, place.entry)


def _is_writing(host: Host) -> bool:
    if host.performance.is_on:
        host.report("Somebody is still writing: Escape stops them.")
    return host.performance.is_on

"""The scene and its card: saved as a file, taken from it again where that has changed."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from shoritui.errors import UserError
from shoritui.files import why
from shoritui.text import one_line, printable
from shoritui.tui.chat.app_protocol import Host
from shoritui.tui.widgets.chooser import Choice, Chooser, LinePrompt

if TYPE_CHECKING:
    from shoritui.cards import Card
    from shoritui.director import ChatState
    from shoritui.tui.chat.session import Session

_NO_STORY = "No story is open."


async def save(host: Host, name: str) -> None:
    """Save the scene, or one of its characters, as a card."""
    if host.session is None or host.chat is None:
        host.report(_NO_STORY)
        return
    scene = host.chat.scene
    own = await host.session.disk.run(lambda _: _own_file(scene))
    chosen: str | None = "new"
    if not name:
        back = [Choice("own", f"Back into {printable(own.name)}", "comments stay")] if own else []
        apart = [
            Choice(f"{number}", f"Only {one_line(character.name)}", "a card without the scene")
            for number, character in enumerate(scene.characters)
        ]
        choices = [Choice("new", "The scene as a new card"), *back, *apart]
        chosen = await host.push_screen_wait(Chooser("Save as a card", choices))
    try:
        if chosen == "own" and own is not None:
            await _save_back(host, own)
        elif chosen == "new":
            await _save_new(host, name)
        elif chosen is not None:
            await _save_apart(host, int(chosen))
    except UserError as error:
        host.report(str(error), trouble=True)


async def _save_new(host: Host, name: str) -> None:
    from shoritui.cards import add_card, card_folders

    session, chat = host.session, host.chat
    assert session is not None and chat is not None
    title = one_line(chat.scene.title) or one_line(chat.record.name)
    if not name:
        given = await host.push_screen_wait(LinePrompt("The new card's name", title))
        if not given:
            return
        name = given
    scene, folder = chat.scene, card_folders()[0]
    path = await session.disk.run(lambda _: add_card(folder, name, scene))
    await _take_along(host, Path(scene.source), path)
    scene = replace(scene, source=str(path))
    await session.remember_card(chat.id, scene)
    if host.director is not None:
        host.performance.play(host.director.change_scene(scene))
    host.report(f"The scene is saved in {printable(path)}.")


async def _save_back(host: Host, path: Path) -> None:
    from shoritui.cards import fingerprint, reload_card, save_card

    session, chat = host.session, host.chat
    assert session is not None and chat is not None
    scene = chat.scene
    there = await session.disk.run(lambda _: reload_card(scene))
    if there is None or fingerprint(there) != await session.known_card(chat.id):
        answer = await host.push_screen_wait(
            Chooser(
                "Write over it?",
                [Choice("keep", "Leave the file"), Choice("over", "Write this scene into it")],
                question=f"{printable(path.name)} has changed since this story began.",
                filters=False,
            )
        )
        if answer != "over":
            return
    written = scene if there is None else chat.as_written(there)
    await session.disk.run(lambda _: save_card(path, written))
    await session.remember_card(chat.id, scene)
    host.report(f"The scene is saved in {printable(path)}.")


async def _save_apart(host: Host, number: int) -> None:
    from shoritui.cards import Card, add_card, card_folders, reload_card

    session, chat = host.session, host.chat
    assert session is not None and chat is not None
    scene = chat.scene
    character = replace(scene.characters[number], user=False)
    card, folder = Card(characters=(character,)), card_folders()[0]
    path = await session.disk.run(lambda _: add_card(folder, character.name, card))
    there = await session.disk.run(lambda _: reload_card(scene))
    if there is not None and [each.name for each in there.characters] == [character.name]:
        await _take_along(host, Path(scene.source), path)
    host.report(f"{one_line(character.name)} is saved in {printable(path)}.")


async def _take_along(host: Host, old: Path, new: Path) -> None:
    """Copy what lies beside the file that a scene came from: its picture, its foreign card."""
    from shoritui.cards import copy_beside

    if not old.name:
        return
    try:
        await asyncio.to_thread(copy_beside, old, new)
    except OSError as error:
        host.report(f"What lies beside {printable(old)} was not copied: {why(error)}.")


async def export(host: Host, argument: str) -> None:
    """Write the scene's characters as cards of other programs."""
    from shoritui.interop.cards import CARD_FORMATS

    if host.session is None or host.chat is None:
        host.report(_NO_STORY)
        return
    name, _, folder = argument.partition(" ")
    if not name:
        choices = [Choice(name, name, each.summary) for name, each in CARD_FORMATS.items()]
        chosen = await host.push_screen_wait(Chooser("Export the card as", choices))
        prompt = LinePrompt("Into which folder?", str(Path.cwd()), word="export")
        given = await host.push_screen_wait(prompt) if chosen else None
        if not (chosen and given):
            return
        name, folder = chosen, given
    if name not in CARD_FORMATS:
        host.report(f"There is no format {name}: choose {', '.join(CARD_FORMATS)}.", trouble=True)
        return
    try:
        paths, told = await _export(host.session, host.chat, name, Path(folder.strip()))
    except UserError as error:
        host.report(str(error), trouble=True)
        return
    for sentence in told:
        host.report(sentence)
    names = ", ".join(printable(path.absolute()) for path in paths)
    host.report(f"The card is in {names}." if len(paths) == 1 else f"The cards are in {names}.")


async def _export(
    session: Session, chat: ChatState, name: str, folder: Path
) -> tuple[tuple[Path, ...], tuple[str, ...]]:
    """Write the cards; return their files, and sentences on what was left out."""
    from shoritui.cards import reload_card
    from shoritui.interop.cards import beside, export_card

    scene = chat.scene
    there = await session.disk.run(lambda _: reload_card(scene))
    written = scene if there is None else chat.as_written(there)
    files = [Path(each) for each in scene.source.split(", ") if each]
    # A large archive takes seconds; the library is needed meanwhile.
    done = await asyncio.to_thread(lambda: export_card(beside(written, files), name, folder))
    return done.paths, done.told


def card_formats(host: Host) -> list[str]:
    """Return what `/export-card` completes."""
    from shoritui.interop.cards import CARD_FORMATS

    return list(CARD_FORMATS)


async def reload(host: Host, _: str) -> None:
    """Take the card as it is on disk into the story."""
    from shoritui.cards import differences, reload_card, settle_card

    session, director = host.session, host.director
    if session is None or director is None:
        host.report(_NO_STORY)
        return
    scene, chat_id = director.chat.scene, director.chat.id
    card = await session.disk.run(lambda _: reload_card(scene))
    if card is None:
        host.report("There is no card file of this scene that can be read.")
        return
    card = director.chat.with_persona(card)
    taken = settle_card(card, director.chat.user, director.chat.record.created)
    names = [one_line(name) for name in differences(scene, taken)]
    if not names:
        host.report("The scene is as its card is.")
        return
    answer = await host.push_screen_wait(
        Chooser(
            "Take the card as it is now?",
            [Choice("keep", "Keep the story's scene"), Choice("take", "Take the card")],
            question=f"These differ: {', '.join(names)}. Undo brings the story's scene back.",
            filters=False,
        )
    )
    if answer is not None:
        await session.remember_card(chat_id, card)
    if answer == "take":
        host.performance.play(director.change_scene(card))


async def look(host: Host) -> None:
    """Say once if the card has changed on the disk since the story began."""
    from shoritui.cards import fingerprint, reload_card

    session, chat = host.session, host.chat
    if session is None or chat is None:
        return
    scene = chat.scene
    known = await session.known_card(chat.id)
    card = await session.disk.run(lambda _: reload_card(scene)) if known else None
    if card is None:
        return
    mark = fingerprint(card)
    if mark not in (known, fingerprint(scene)) and session.told_card != mark:
        session.told_card = mark
        names = ", ".join(printable(Path(each).name) for each in scene.source.split(", "))
        host.report(f"{names} has changed since this story began: /reload takes it in.")


def _own_file(scene: Card) -> Path | None:
    """Return the one file that a scene came from, unless it is one that ships."""
    from shoritui.cards import card_folders

    path = Path(scene.source)
    ships = path.parent.resolve() == card_folders()[1].resolve()
    return path if scene.source and path.is_file() and not ships else None

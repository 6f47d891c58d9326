"""What can be done with lore: ask why it fired, take a book in, and write one."""

from __future__ import annotations

import asyncio
from pathlib import Path

from shoritui.errors import UserError
from shoritui.text import closest, counted, one_line, printable
from shoritui.tui.chat.app_protocol import Host
from shoritui.tui.chat.verbs.panels import change_scene
from shoritui.tui.widgets.chooser import Choice, Chooser, LinePrompt


async def why(host: Host, argument: str) -> None:
    """Say why lore fired, or why not, and go to the message that brought it up."""
    from shoritui.tui.chat.lore.why_screen import WhyScreen
    from shoritui.tui.chat.verbs.message import jump

    director = host.director
    if director is None:
        host.report("No story is open.")
        return
    try:
        await director.lore()
    except UserError as error:
        host.report(str(error), trouble=True)
        return
    entry_id = await host.push_screen_wait(WhyScreen(director.lore, argument))
    if entry_id is not None:
        await jump(host, entry_id)


def lore_names(host: Host) -> list[str]:
    """Return the names that `/why` completes."""
    return [piece.name for piece in host.chat.scene.lore] if host.chat is not None else []


async def add_lorebook(host: Host, name: str) -> None:
    """Take the lore of a book into the story."""
    from shoritui.cards import find_lorebooks, lore_folder, macro_problems, unfollowed, with_lore

    if host.session is None or host.director is None:
        host.report("Open a story first: F8 shows them, alt+n begins one.")
        return
    books, problems = await host.session.disk.run(lambda _: find_lorebooks())
    for problem in problems:
        host.report(problem, trouble=True)
    known = {path.stem: book for path, book in books}
    host.session.lorebook_names = list(known)
    if not known:
        folder = printable(lore_folder())
        host.report(
            "There is no lorebook yet: /import takes in those of other programs, and TOML files "
            f"with [[lore]] go into {folder}."
        )
        return
    chosen: str | None = name
    if not name:
        choices = [
            Choice(stem, one_line(book.title) or printable(stem), f"{len(book.lore):,} pieces")
            for stem, book in known.items()
        ]
        chosen = await host.push_screen_wait(Chooser("Which lorebook?", choices))
    if not chosen:
        return
    if chosen not in known:
        near = closest(chosen, known)
        host.report(f"There is no lorebook {chosen}." + (f" Did you mean {near}?" if near else ""))
        return
    scene, book = host.director.chat.scene, known[chosen]
    changed = with_lore(scene, host.director.chat.taken(book))
    more = len(changed.lore) - len(scene.lore)
    await change_scene(host, changed)
    pieces = counted(more, "new piece")
    said = unfollowed(book.lore) or "/why says what they do."
    for problem in (await host.session.disk.run(lambda _: macro_problems(book)))[:1]:
        host.report(problem, trouble=True)
    host.report(f"{printable(chosen)}: {pieces} of lore. {said}")


async def export(host: Host, argument: str) -> None:
    """Write the lore of the story for another program."""
    from shoritui.interop.cards import LORE_FORMATS, export_lore, lore_in_story

    chat = host.chat
    if host.session is None or chat is None:
        host.report("No story is open.")
        return
    name, _, file = argument.partition(" ")
    if not name:
        choices = [Choice(name, name, form.summary) for name, form in LORE_FORMATS.items()]
        chosen = await host.push_screen_wait(Chooser("Export the lore as", choices))
        prompt = LinePrompt("Into which file or folder?", str(Path.cwd()), word="export")
        given = await host.push_screen_wait(prompt) if chosen else None
        if not (chosen and given):
            return
        name, file = chosen, given

    def write() -> Path:
        title = one_line(chat.scene.title) or one_line(chat.record.name)
        return export_lore(lore_in_story(title, chat.scene, chat.taken), name, Path(file.strip()))

    try:
        path = await asyncio.to_thread(write)
    except UserError as error:
        host.report(str(error), trouble=True)
    else:
        host.report(f"The lore is in {printable(path.absolute())}.")


def lore_formats(_: Host) -> list[str]:
    """Return what `/export-lore` completes."""
    from shoritui.interop.cards import LORE_FORMATS

    return list(LORE_FORMATS)


def lorebook_names(host: Host) -> list[str]:
    """Return the names that `/lorebook` completes."""
    return list(host.session.lorebook_names) if host.session is not None else []

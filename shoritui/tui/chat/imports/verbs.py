"""Take files and folders in while the story goes on, and take an import back."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from shoritui.errors import UserError
from shoritui.text import counted, one_line, printable
from shoritui.tui.chat.app_protocol import Host
from shoritui.tui.widgets.chooser import Choice, Chooser, LinePrompt

if TYPE_CHECKING:
    from shoritui.interop.folders import Import, Outcome, Progress
    from shoritui.tui.chat.session import Session

_LAST = "last"


async def take_in(host: Host, argument: str) -> None:
    """Take in a file or a folder; a single story is opened."""
    from shoritui.interop.folders import pasted_paths

    session = host.session
    if session is None:
        return
    if argument == _LAST:
        await _show_last(host, session)
        return
    if not argument:
        prompt = LinePrompt(
            "Which file or folder?",
            question="A story, a card, lore, or a folder of them.",
            word="import",
        )
        given = await host.push_screen_wait(prompt)
        if not given:
            return
        argument = given
    paths = await asyncio.to_thread(pasted_paths, argument)
    await import_paths(host, paths or [Path(argument)])


def last_choice(_: Host) -> list[str]:
    """Return what `/import` completes."""
    return [_LAST]


async def offer(host: Host, text: str) -> None:
    """A text was pasted: if it is the path of a file or a folder, ask whether to import it."""
    from shoritui.interop.folders import pasted_paths

    paths = await asyncio.to_thread(pasted_paths, text)
    composer = host.main.composer
    if host.session is None or not paths or composer.text != text:
        return
    what = printable(paths[0].name, 40) if len(paths) == 1 else counted(len(paths), "path")
    choices = [Choice("import", f"Import {what}"), Choice("text", "Leave it as text")]
    question = "You have pasted a path."
    chooser = Chooser("Import?", choices, question=question, filters=False)
    if await host.push_screen_wait(chooser) == "import":
        if composer.text == text:
            composer.clear()
        await import_paths(host, paths)


async def import_paths(host: Host, paths: Sequence[Path]) -> None:
    """Take files and folders in, one step at a time, and say what became of them."""
    from shoritui.engine.presets.foreign import import_preset
    from shoritui.interop.folders import Import, rows_of, summary
    from shoritui.tui.chat.imports.result_screen import ResultScreen

    session = host.session
    if session is None:
        return
    if session.importing is not None:
        host.report("An import is under way: Escape stops it.")
        return
    work = session.importing = Import(paths, {"preset": import_preset})
    try:
        steps = await session.disk.run(work.run)
        while (progress := await session.disk.run(lambda _: next(steps, None))) is not None:
            host.main.say(_words(progress))
    except UserError as error:
        host.report(str(error), trouble=True)
    finally:
        session.importing = None
        host.main.say("", busy=False)
        host.show_choices()
    session.imported = work
    outcomes = work.outcomes
    if any("preset" in each.kind for each in outcomes):
        await _learn_presets(session)
    if any("lorebook" in each.kind for each in outcomes):
        await session.learn_lorebooks()
    if len(outcomes) == 1 and outcomes[0].found.is_named:
        await _tell(host, outcomes[0])
    elif outcomes or work.skipped:
        told = summary(outcomes, is_stopped=work.is_stopped)
        main = host.main
        if main.is_current and not main.composer.text and not host.performance.is_on:
            host.report(told)
            if rows := rows_of(outcomes, work.skipped):
                await host.push_screen_wait(ResultScreen(rows))
        else:
            host.report(f"{told} /import {_LAST} shows what became of each.")


async def _learn_presets(session: Session) -> None:
    """Let the presets that came in be chosen."""
    from shoritui.engine import presets
    from shoritui.folders import config_dir

    found, _ = await session.disk.run(lambda _: presets(config_dir() / "presets"))
    session.samplers.update(found)


def stop(host: Host) -> bool:
    """Stop an import after the file that is under way; return whether there is one."""
    session = host.session
    if session is None or session.importing is None:
        return False
    session.importing.stop()
    host.main.say("stopping the import")
    return True


async def undo(host: Host, _: str) -> None:
    """Take the last import back, after asking."""
    from shoritui.interop.folders import last_import, take_back

    session = host.session
    if session is None or stop(host):
        return
    try:
        count = await session.disk.run(last_import)
        if not count:
            host.report("There is no import to take back.")
            return
        what = "What came of it goes" if count == 1 else f"What came of {count:,} files goes"
        chooser = Chooser(
            "Take the last import back?",
            [Choice("yes", "Take it back"), Choice("no", "Leave it")],
            question=f"{what} into the bin, but for what you changed since.",
            filters=False,
        )
        if await host.push_screen_wait(chooser) != "yes":
            return
        done, _folder = await session.disk.run(take_back)
    except UserError as error:
        host.report(str(error), trouble=True)
        return
    for each in done:
        if each.chat:
            await host.forget(each.chat)
    kept = [each for each in done if each.kept]
    said = f"Taken back: {counted(len(done) - len(kept), 'thing')}."
    if kept:
        named = ", ".join(f"{one_line(each.name)} ({each.kept})" for each in kept[:3])
        more = f" and {len(kept) - 3:,} more" if len(kept) > 3 else ""
        said += f" Kept: {named}{more}."
    host.report(said)


async def _tell(host: Host, outcome: Outcome) -> None:
    """Say what became of a single file, and open the story that it holds."""
    if not outcome.chats:
        host.report(outcome.sentences, trouble=outcome.status == "left")
        if outcome.kind == "lorebook" and outcome.status != "left":
            await _offer_lorebook(host, outcome.name)
        return
    if host.performance.is_on:
        host.report(outcome.sentences)
    else:
        await host.enter(outcome.chats[0])
    for note in outcome.notes:
        host.report(f"{printable(outcome.found.shown)}: {note}")


async def _offer_lorebook(host: Host, name: str) -> None:
    """A lorebook of this name has come in: ask whether the open story takes it."""
    shown, main = printable(name, 40), host.main
    if host.director is None or not main.is_current or main.composer.text:
        host.report(f"/lorebook {shown} takes it into a story.")
        return
    chooser = Chooser(
        "Use this lore?",
        [Choice("take", "Take it into this story"), Choice("leave", "Not now")],
        question=f"{shown} is a lorebook. /lorebook {shown} takes it in later, too.",
        filters=False,
    )
    if await host.push_screen_wait(chooser) == "take":
        await host.do("lorebook", name)


async def _show_last(host: Host, session: Session) -> None:
    """Show what became of each file of the last import, here or elsewhere."""
    from shoritui.interop.folders import last_rows, rows_of
    from shoritui.tui.chat.imports.result_screen import ResultScreen

    work: Import | None = session.imported
    rows = rows_of(work.outcomes, work.skipped) if work is not None else []
    try:
        rows = rows or await session.disk.run(last_rows)
    except UserError as error:
        host.report(str(error), trouble=True)
        return
    if rows:
        await host.push_screen_wait(ResultScreen(rows))
    else:
        host.report("Nothing was imported yet, or it was taken back.")


def _words(progress: Progress) -> str:
    share = progress.done / progress.total if progress.total else 1
    what = f"importing {progress.place + 1:,} of {progress.count:,} files, {share:.0%}"
    return f"{what} · esc stops" if progress.shown else "importing"

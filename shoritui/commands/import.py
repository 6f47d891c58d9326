"""`shoritui import`: cards, lorebooks and chats out of files and folders, and the way back."""

from __future__ import annotations

import argparse
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

from shoritui.commands.arguments import named_path
from shoritui.commands.chats.library import has_library, open_library
from shoritui.commands.output import print_error
from shoritui.engine.presets.foreign import import_preset
from shoritui.errors import UserError
from shoritui.interop.folders import Import, Outcome, rows_of, summary, take_back
from shoritui.progress import ProgressLine
from shoritui.story import Library
from shoritui.text import clean, counted, table

_LONG: Final = 1 << 20
"""Bytes that take long enough to be waited for."""
DESCRIPTION: Final = """\
Take files in from other programs, each recognised by what it holds: a character card (V1
to V3: JSON, PNG, JPEG, WEBP, CharX, YAML) becomes a card of your own, world info a lorebook, a
sampler preset a preset, a chat a chat. Of a folder, such as SillyTavern's data/default-user, every
file is looked at. Nothing is replaced, and nothing comes in twice. Ctrl+C stops: what is in stays
in.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = """\
examples:
  shoritui import seraphina.png
  shoritui import SillyTavern/data/default-user
  shoritui import --undo                 take the last import back
"""
    parser.add_argument(
        "paths", metavar="PATH", nargs="*", type=named_path, help="a file or a folder"
    )
    parser.add_argument(
        "--undo",
        action="store_true",
        help="take the last import back: stories into the bin, files into a folder beside the "
        "library; what you have changed since stays",
    )


def run(options: argparse.Namespace) -> int:
    """Import the paths; what cannot be is named, and the others are imported all the same.

    Raises:
        UserError: A path is not there, or there is nothing to take back.
    """
    if options.undo:
        if options.paths:
            raise UserError("--undo takes the last import back; it needs no path.")
        return _undo()
    if not options.paths:
        raise UserError("Name a file or a folder: shoritui import PATH.")
    work = Import(options.paths, {"preset": import_preset})
    try:
        with _stopped_by_interrupt(work), open_library(create=True) as library:
            _run(work, library)
    except UserError:
        if work.outcomes:
            _told(work)  # what is in stays in
        raise
    except KeyboardInterrupt:
        work.stop()
    return _told(work)


def _run(work: Import, library: Library) -> None:
    line: ProgressLine | None = None
    try:
        for progress in work.run(library):
            if progress.total >= _LONG:
                line = line or ProgressLine(progress.total)
                line.report(progress.done)
    finally:
        if line is not None:
            line.end()


@contextmanager
def _stopped_by_interrupt(work: Import) -> Iterator[None]:
    """End the import after the file under way at Ctrl+C; at once at the second one."""

    def stop(number: int, frame: FrameType | None) -> None:
        work.stop()
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _told(work: Import) -> int:
    """Print what became of the files; 1 if one that was named was left, 130 if it was stopped."""
    outcomes = work.outcomes
    are_named = all(each.found.is_named for each in outcomes)
    if are_named:
        for each in outcomes:
            _tell(each)
    elif rows := rows_of(outcomes, work.skipped):
        print(*map(clean, table(rows)), sep="\n")
    if len(outcomes) > 1 or work.is_stopped or not are_named:
        print(summary(outcomes, is_stopped=work.is_stopped))
    if work.is_stopped:
        return 130
    return int(any(each.status == "left" and each.found.is_named for each in outcomes))


def _tell(outcome: Outcome) -> None:
    if outcome.status == "left":
        print_error(outcome.sentences)
        return
    print(outcome.sentences)
    if outcome.kind == "story":
        for note in outcome.notes:
            print_error(f"{outcome.found.shown}: {note}")


def _undo() -> int:
    if not has_library():
        raise UserError("There is no import to take back.")
    with open_library() as library:
        done, folder = take_back(library)
    gone = [each for each in done if not each.kept]
    for each in done:
        if each.kept:
            print(f"Kept: {each.name}, because {each.kept}.")
    stories = sum(bool(each.chat) for each in gone)
    print(f"Taken back: {counted(len(gone), 'thing')}.")
    if stories:
        print("The stories are in the bin: shoritui chats list --bin.")
    if len(gone) > stories:
        print(f"The files are in {folder}.")
    return 0

"""`shoritui chats export`: chats as files, to read, to keep, to train on."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from shoritui.commands.arguments import named_path
from shoritui.commands.chats.library import (
    add_chats,
    has_library,
    open_library,
    read_all,
    shown,
    the_chats,
)
from shoritui.commands.chats.preferences import FILE, export_preferences
from shoritui.errors import UserError
from shoritui.files import content_of, replace_text, why
from shoritui.folders import user_path
from shoritui.interop import FORMATS, export_chat, file_name
from shoritui.story import Library, Summary, WholeChat
from shoritui.text import clean, command

DESCRIPTION: Final = """\
Write each chat as a file of its own, which you alone can read. All formats but JSON hold the
messages as they stand now, without the branches that you left; SillyTavern's alone holds the
versions of each message too. No file is ever replaced: a new one gets a number. Training data is
not written twice: where a file of the same name holds the same it stays, and where it holds
something else nothing is written.

With --preferences one file tells what you kept and what you left: each reply that the story went
on from beside those that you swiped away, each edit beside what the model had written. What is in
it is shown, and you are asked, before it is written.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    widest = max(map(len, FORMATS))
    rows = [f"  {name:{widest}}  {each.summary}" for name, each in FORMATS.items()]
    parser.epilog = "\n".join(["formats:", *rows])
    add_chats(parser, nargs="*")
    parser.add_argument("--all", action="store_true", help="every chat")
    parser.add_argument(
        "--to",
        metavar="DIR",
        type=named_path,
        default=Path(),
        help="the folder to write into (default: this one)",
    )
    parser.add_argument("--format", choices=tuple(FORMATS), help="see below (default: blockml)")
    parser.add_argument(
        "--tier",
        metavar="NAME",
        help="as training data of this tier: into data/NAME of DIR, which `shoritui finetune init` "
        "has made",
    )
    parser.add_argument(
        "--preferences",
        action="store_true",
        help="what you kept and what you left in these chats, or in all of them, to train on",
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        type=named_path,
        help=f"with --preferences: the file to write (default: {FILE})",
    )
    parser.add_argument(
        "--yes", action="store_true", help="with --preferences: write it without asking"
    )


def run(options: argparse.Namespace) -> int:
    """Write the chats; 1 if one of them cannot be read, which is said, and the others written.

    Raises:
        UserError: A chat is not found, or several are meant, or a file cannot be written.
    """
    if not options.preferences and (options.output or options.yes):
        raise UserError("-o and --yes go with --preferences.")
    if options.preferences and options.format:
        raise UserError("--preferences has a format of its own: leave out --format.")
    form = options.format or "blockml"
    folder = _folder(options, form)
    if options.all and not has_library():
        print(f"0 written to {folder}")
        return 0
    with open_library() as library:
        every = library.summaries()
        if not (options.all or options.chats or options.preferences):
            raise UserError(
                "Name chats by number or title (shoritui chats lists them), or use --all."
            )
        is_all = options.all or not options.chats
        chosen = every if is_all else the_chats(options.chats, every)
        if options.preferences:
            path = options.output or folder / FILE
            return export_preferences(library, chosen, path, yes=options.yes)
        if FORMATS[form].is_training:
            unread = _write_training(library, chosen, form, folder)
        else:
            unread = []
            for whole in read_all(library, chosen, unread):
                print(export_chat(whole, form, folder))
    return int(bool(unread))


def _folder(options: argparse.Namespace, form: str) -> Path:
    to: Path = user_path(options.to)
    if options.tier is None:
        return to
    if not FORMATS[form].is_training:
        raise UserError(f"--tier is for training data, not for --format {form}.")
    data = to / "data"
    tiers = sorted(each.name for each in data.iterdir() if each.is_dir()) if data.is_dir() else []
    if options.tier not in tiers:
        init = command("finetune", "init", to)
        hint = f"it has {', '.join(tiers)}" if tiers else f"{init} makes them"
        raise UserError(clean(f"{data} has no folder for the tier {options.tier!r}: {hint}."))
    return data / str(options.tier)


def _write_training(
    library: Library, chats: Sequence[Summary], name: str, folder: Path
) -> list[Summary]:
    """Write the chats in which something is said: all of them, or none; return the unreadable."""
    form = FORMATS[name]
    files: dict[Path, str] = {}
    left_out = []
    unread: list[Summary] = []
    for whole in read_all(library, chats, unread):
        if _is_said(whole):
            files[folder / (file_name(whole.chat) + form.suffix)] = form.text(whole)
        else:
            left_out.append(whole.chat)
    new = {path: text for path, text in files.items() if not _is_there(path, text)}
    for path, text in new.items():
        try:
            replace_text(path, text)
        except OSError as error:
            raise UserError(clean(f"{path} cannot be written: {why(error)}.")) from None
        print(path)
    for chat in left_out:
        print(f"Left out, nothing is said in it: {shown(chat)}")
    same = len(files) - len(new)
    if files or left_out or not unread:
        print(f"{len(new)} written to {folder}" + f", {same} unchanged" * bool(same))
    return unread


def _is_said(whole: WholeChat) -> bool:
    return any(
        entry.kind == "message" and entry.text.strip() and not entry.hidden
        for entry in whole.path()
    )


def _is_there(path: Path, text: str) -> bool:
    """Return whether a file holds this already; raise if it holds something else."""
    try:
        if content_of(path) == text.encode():
            return True
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise UserError(clean(f"{path} cannot be read: {error.strerror}.")) from None
    raise UserError(
        clean(f"{path} exists already and holds something else: remove it, or choose another ")
        + "folder with --to."
    )

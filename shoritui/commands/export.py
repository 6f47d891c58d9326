"""`shoritui export`: one thing out, whatever it is, or everything."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Final

from shoritui.cards import card_files, lore_folder
from shoritui.commands.arguments import named_path
from shoritui.commands.chats.library import has_library, open_library, the_chat
from shoritui.commands.output import print_error
from shoritui.engine import Preset, presets
from shoritui.engine.presets.foreign import export_preset
from shoritui.errors import UserError
from shoritui.folders import config_dir, user_path
from shoritui.interop import FORMATS, export_chat
from shoritui.interop.cards import (
    CARD_FORMATS,
    LORE_FORMATS,
    export_card,
    export_lore,
    lore_named,
    whole_card,
)
from shoritui.interop.folders import Exported, export_all
from shoritui.progress import show
from shoritui.text import counted, one_line

DESCRIPTION: Final = """\
Write a story, a card, a lorebook or a preset as a file, named by its title, its name, or a story's
number. With --all everything goes into a new folder: stories as JSON with every branch, your own
files as they are, and all of it once more for SillyTavern, to be copied into its data/default-user;
its persona management restores the personas from personas.json there.
No file is ever replaced.
"""
_FORMS: Final[Mapping[str, tuple[str, ...]]] = {
    "story": tuple(FORMATS),
    "card": tuple(CARD_FORMATS),
    "lorebook": tuple(LORE_FORMATS),
    "preset": ("sillytavern",),
}
"""The formats of each kind; the first is the usual one."""
_PRESETS: Final = "TextGen Settings"
"""SillyTavern's folder of them."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    rows = [f"  {kind:8}  {', '.join(forms)}" for kind, forms in _FORMS.items()]
    parser.epilog = "\n".join(["formats, the first of each is the default:", *rows])
    parser.add_argument("name", metavar="NAME", nargs="?", help="what to take out")
    parser.add_argument("--as", dest="form", metavar="FORMAT", help="see below")
    parser.add_argument(
        "--to",
        metavar="DIR",
        type=named_path,
        default=Path(),
        help="the folder to write into (default: this one)",
    )
    parser.add_argument(
        "--all", metavar="FOLDER", type=named_path, help="everything, into a new folder"
    )


def run(options: argparse.Namespace) -> int:
    """Write one thing, or everything.

    Raises:
        UserError: Nothing is called so, or several things are, or a file cannot be written.
    """
    if options.all is not None:
        if options.name or options.form:
            raise UserError("--all takes everything: it needs no name and no format.")
        return _everything(options.all)
    if not options.name:
        raise UserError("Name what to export, or use --all FOLDER.")
    known = sorted({form for forms in _FORMS.values() for form in forms})
    if options.form not in (None, *known):
        raise UserError(f"There is no format {options.form!r}: choose {', '.join(known)}.")
    found = {kind: write for kind, write in _meant(options.name).items() if write is not None}
    if not found:
        raise UserError(f"No story, card, lorebook or preset is called {one_line(options.name)!r}.")
    fitting = [kind for kind in found if options.form in (None, *_FORMS[kind])]
    if len(fitting) != 1:
        kinds = " and ".join(f"a {kind}" for kind in found)
        advice = {"story": "chats", "card": "cards", "lorebook": "lore", "preset": "presets"}
        commands = " or ".join(f"shoritui {advice[kind]} export" for kind in found)
        raise UserError(f"{one_line(options.name)!r} is {kinds}: use {commands}.")
    [kind] = fitting
    found[kind](options.form or _FORMS[kind][0], user_path(options.to))
    return 0


def _meant(name: str) -> dict[str, Callable[[str, Path], None] | None]:
    """Return what writes the thing of a name in a format into a folder, for each kind."""
    card: Path | None = None
    story: int | None = None
    try:
        [card] = card_files([Path(name)])
    except UserError:
        card = None
    if has_library():
        with open_library() as library:
            try:
                story = the_chat(name, library.summaries()).id
            except UserError as error:
                if "Several" in str(error):
                    raise
    own, _ = presets(config_dir() / "presets")
    is_lore = card is not None and card.parent == lore_folder()
    return {
        "story": partial(_story, story) if story is not None else None,
        "card": partial(_card, card) if card is not None and not is_lore else None,
        "lorebook": partial(_lorebook, card) if card is not None and is_lore else None,
        "preset": partial(_preset, own[name]) if name in own else None,
    }


def _story(chat_id: int, form: str, folder: Path) -> None:
    with open_library() as library:
        print(export_chat(library.whole_chat(chat_id), form, folder))


def _card(path: Path, form: str, folder: Path) -> None:
    done = export_card(whole_card(path), form, folder)
    print(*(each for each in done.paths), sep="\n")
    for sentence in done.told:
        print_error(sentence)


def _lorebook(path: Path, form: str, folder: Path) -> None:
    print(export_lore(lore_named(path), form, folder))


def _preset(preset: Preset, form: str, folder: Path) -> None:
    print(export_preset(preset, config_dir() / "presets", folder))


def _everything(folder: Path) -> int:
    """Write everything, and say how much it is and what could not be written."""
    own = config_dir() / "presets"
    mine = [each for each in presets(own)[0].values() if (own / f"{each.name}.toml").is_file()]
    writers = {
        f"preset/{each.name}": lambda theirs, each=each: export_preset(each, own, theirs / _PRESETS)
        for each in mine
    }
    done: list[Exported] = []
    with ExitStack() as stack:
        library = stack.enter_context(open_library()) if has_library() else None
        for every in export_all(library, folder, writers):
            done = list(every)
            show(f"{len(done):,} written")
    show()
    for each in done:
        if each.why:
            print_error(f"{each.kind} {each.name}: {each.why}")
    kinds = Counter(each.kind for each in done if not each.why)
    words = [
        f"{count:,} stories" if kind == "story" and count != 1 else counted(count, kind)
        for kind, count in kinds.items()
    ]
    print(f"Written to {folder}: {', '.join(words) or 'nothing, there is nothing yet'}.")
    return int(any(each.why for each in done))

"""Everything out again: the library and the user's own files, for here and for SillyTavern.

FOLDER/stories/The-last-ferry-3.json               whole, every branch
FOLDER/ShoriTUI/characters/, lore/, personas/, presets/     the user's own files as they are
FOLDER/SillyTavern/characters/Orla.png             to copy into SillyTavern's data/default-user
FOLDER/SillyTavern/chats/Orla/, groups/, group chats/, worlds/
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, TypeAlias

from shoritui.cards import card_folders, lore_folder
from shoritui.errors import UserError
from shoritui.files import add_text, why
from shoritui.folders import config_dir, user_path
from shoritui.interop.cards import (
    CARD_FORMATS,
    LORE_FORMATS,
    export_card,
    export_lore,
    lore_named,
    whole_card,
)
from shoritui.interop.export import FORMATS, export_chat, file_name
from shoritui.interop.sillytavern import card_file
from shoritui.story import Library
from shoritui.text import one_line, printable
from shoritui.toml import toml_files

_PICTURE: Final = next(iter(CARD_FORMATS))
_WORLD_INFO: Final = next(iter(LORE_FORMATS))
Writer: TypeAlias = Callable[[Path], object]
"""Writes one thing into a folder of SillyTavern's; a `UserError` says why not."""


@dataclass(frozen=True, slots=True)
class Exported:
    """One thing, and whether it is out."""

    kind: str
    name: str
    why: str = ""
    """Why not; empty if it is."""


def export_all(
    library: Library | None, to: Path, writers: Mapping[str, Writer] | None = None
) -> Iterator[Sequence[Exported]]:
    """Write everything into a new folder; yield after each thing what is done.

    Args:
        library: The stories, if there are any.
        to: The folder, which may be empty or not there.
        writers: Write what other rooms know into the folder of SillyTavern, by kind and name:
            `preset/noir`.

    Raises:
        UserError: There is something in the folder, or it cannot be written.
    """
    folder = user_path(to)
    try:
        if folder.exists() and any(folder.iterdir()):
            raise UserError(f"{printable(folder)} is not empty: name a new folder.")
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _copy_own(folder / "ShoriTUI")
    except OSError as error:
        raise UserError(f"{printable(folder)} cannot be written: {why(error)}.") from None
    theirs = folder / "SillyTavern"
    done: list[Exported] = []
    for kind, name, write in _things(library, folder / "stories", theirs, writers or {}):
        try:
            write()
            done.append(Exported(kind, name))
        except UserError as error:
            done.append(Exported(kind, name, str(error)))
        except OSError as error:
            raise UserError(f"{printable(folder)} cannot be written: {why(error)}.") from None
        yield done


def _things(
    library: Library | None, stories: Path, theirs: Path, writers: Mapping[str, Writer]
) -> Iterator[tuple[str, str, Callable[[], object]]]:
    """Yield what there is to write: its kind, its name, and what writes it."""
    for path in _files(card_folders()[0]):
        yield "card", path.stem, partial(_card, path, theirs / "characters")
    for path in _files(lore_folder()):
        yield "lorebook", path.stem, partial(_lorebook, path, theirs / "worlds")
    for place, write in writers.items():
        kind, _, name = place.partition("/")
        yield kind, name, partial(write, theirs)
    for chat in library.summaries() if library is not None else ():
        assert library is not None
        name = f"{chat.id} ({one_line(chat.name)})"
        yield "story", name, partial(_story, library, chat.id, stories, theirs)


def _files(folder: Path) -> list[Path]:
    return toml_files(folder) if folder.is_dir() else []


def _card(path: Path, folder: Path) -> None:
    """Write a card's characters under the names by which SillyTavern's chats know them."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    whole = whole_card(path)
    cast = [each.name for each in whole.card.characters if not each.user]
    written = export_card(whole, _PICTURE, folder).paths
    for name, file in zip(cast, written, strict=False):
        if not (target := folder / card_file(name)).exists():
            file.rename(target)


def _lorebook(path: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    export_lore(lore_named(path), _WORLD_INFO, folder)


def _story(library: Library, chat_id: int, stories: Path, theirs: Path) -> None:
    """Write a story whole, and for SillyTavern below its character, or as a group's."""
    whole = library.whole_chat(chat_id)
    export_chat(whole, "json", stories)
    others = [each for each in whole.chat.scene.characters if each.name != whole.chat.user]
    if len(others) == 1:
        folder = theirs / "chats" / card_file(others[0].name).removesuffix(".png")
        add_text(folder / f"{file_name(whole.chat)}.jsonl", FORMATS["sillytavern"].text(whole))
    elif (files := FORMATS["sillytavern-group"].files) is not None:
        for name, text in files(whole).items():
            add_text(theirs / name, text)


def _copy_own(to: Path) -> None:
    """Copy the user's own files as they are."""
    for name in ("characters", "lore", "personas", "presets"):
        own = config_dir() / name
        if own.is_dir():
            shutil.copytree(own, to / name, symlinks=True)

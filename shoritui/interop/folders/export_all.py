"""Everything out again: the library and the user's own files, for here and for SillyTavern.

FOLDER/stories/The-last-ferry-3.json               whole, every branch
FOLDER/ShoriTUI/characters/, lore/, personas/, presets/, templates/     the user's own files
FOLDER/SillyTavern/characters/Orla.png             to copy into SillyTavern's data/default-user
FOLDER/SillyTavern/chats/Orla/, groups/, group chats/, worlds/, context/, instruct/, sysprompt/
FOLDER/SillyTavern/personas.json                   for its persona management to restore
"""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, TypeAlias

from shoritui.cards import card_folders, find_personas, lore_folder
from shoritui.errors import UserError
from shoritui.files import add_file, add_text, scratch_folder, sync_tree, why
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
from shoritui.interop.folders.own_files import write_personas
from shoritui.interop.sillytavern import CardFiles, card_file, sillytavern_group
from shoritui.interop.templates import Template, kept_templates
from shoritui.story import Library
from shoritui.text import as_json, one_line, printable
from shoritui.toml import toml_files

_PICTURE: Final = next(iter(CARD_FORMATS))
_WORLD_INFO: Final = next(iter(LORE_FORMATS))
_NO_ROOM: Final = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC), errno.EROFS, errno.EIO)
"""What goes wrong with everything, if it does with one thing."""
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
        is_new = not folder.exists()
        if not is_new and any(folder.iterdir()):
            raise UserError(f"{printable(folder)} is not empty: name a new folder.")
    except OSError as error:
        raise UserError(f"{printable(folder)} cannot be written: {why(error)}.") from None
    beside = folder
    try:
        with scratch_folder(folder) as beside:  # half of everything would only be in the way
            stories, theirs = beside / "stories", beside / "SillyTavern"
            _copy_own(beside / "ShoriTUI")
            done: list[Exported] = []
            for kind, name, write in _things(library, stories, theirs, writers or {}):
                try:
                    write()
                    done.append(Exported(kind, name))
                except UserError as error:
                    if isinstance(cause := error.__context__, OSError) and cause.errno in _NO_ROOM:
                        raise cause from None
                    done.append(Exported(kind, name, str(error)))
                yield done
            sync_tree(beside)
            if is_new:
                beside.rename(folder)
            else:
                for part in beside.iterdir():
                    part.rename(folder / part.name)
    except OSError as error:
        raise UserError(_sentence(error, folder, beside)) from None


def _sentence(error: OSError, folder: Path, beside: Path) -> str:
    """Return what is wrong: mostly the folder, maybe a file of the user's that is to go there."""
    file = error.filename
    is_read = isinstance(file, str) and error.filename2 is None and error.errno not in _NO_ROOM
    if is_read and not {folder, beside} & {Path(file), *Path(file).parents}:
        return f"{printable(file)} cannot be read: {why(error)}."
    return f"{printable(folder)} cannot be written: {why(error)}."


def _things(
    library: Library | None, stories: Path, theirs: Path, writers: Mapping[str, Writer]
) -> Iterator[tuple[str, str, Callable[[], object]]]:
    """Yield what there is to write: its kind, its name, and what writes it."""
    names = CardFiles()
    for path in _files(card_folders()[0]):
        yield "card", path.stem, partial(_card, path, theirs / "characters", names)
    for path in _files(lore_folder()):
        yield "lorebook", path.stem, partial(_lorebook, path, theirs / "worlds")
    for name, template in kept_templates():
        yield (
            "template",
            name,
            partial(_template, template, theirs / template.kind / f"{name}.json"),
        )
    if personas := [each.character for each in find_personas()[0]]:
        yield "file of personas", "", partial(write_personas, personas, theirs)
    for place, write in writers.items():
        kind, _, name = place.partition("/")
        yield kind, name, partial(write, theirs)
    for chat in library.summaries() if library is not None else ():
        assert library is not None
        name = f"{chat.id} ({one_line(chat.name)})"
        yield "story", name, partial(_story, library, chat.id, stories, theirs, names)


def _files(folder: Path) -> list[Path]:
    return toml_files(folder) if folder.is_dir() else []


def _card(path: Path, folder: Path, names: CardFiles) -> None:
    """Write a card's characters under the names by which SillyTavern's chats know them."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    whole = whole_card(path)
    cast = [each.name for each in whole.card.characters if not each.user]
    with scratch_folder(folder / "cards") as made:
        for name, file in zip(cast, export_card(whole, _PICTURE, made).paths, strict=False):
            add_file(folder / names[name], partial(shutil.copyfile, file))


def _lorebook(path: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    source = lore_named(path)
    file = card_file(source.name).removesuffix(".png")  # by which cards and chats name it there
    export_lore(source, _WORLD_INFO, folder / f"{file}.json")


def _story(library: Library, chat_id: int, stories: Path, theirs: Path, names: CardFiles) -> None:
    """Write a story whole, and for SillyTavern below its character, or as a group's."""
    whole = library.whole_chat(chat_id)
    export_chat(whole, "json", stories)
    others = [each for each in whole.chat.scene.characters if each.name != whole.chat.user]
    if len(others) == 1:
        folder = theirs / "chats" / names[others[0].name].removesuffix(".png")
        add_text(folder / f"{file_name(whole.chat)}.jsonl", FORMATS["sillytavern"].text(whole))
    else:
        for name, text in sillytavern_group(whole, names).items():
            add_text(theirs / name, text)


def _template(template: Template, path: Path) -> None:
    values = {"name": template.name, **template.values}
    add_text(path, as_json(values, 4) + "\n")


def _copy_own(to: Path) -> None:
    """Copy the user's own files as they are; what is neither a file nor a link stays behind."""
    for name in ("characters", "lore", "personas", "presets", "templates"):
        for path in (config_dir() / name).rglob("*"):
            target = to / path.relative_to(config_dir())
            if path.is_symlink() or path.is_file():
                target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                shutil.copy2(path, target, follow_symlinks=False)
                if not target.is_symlink():
                    target.chmod(0o600)

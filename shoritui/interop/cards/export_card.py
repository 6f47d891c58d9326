"""Write cards for other programs: JSON (V2, V3), a picture with the card in it, or CharX."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from shoritui.cards import Card, archive_of, foreign_card, load_card, picture_of
from shoritui.errors import UserError
from shoritui.files import add_file, add_text, content_of, portable, why
from shoritui.folders import user_path
from shoritui.interop.cards.assets import Assets
from shoritui.interop.cards.character import card_of, is_card
from shoritui.interop.cards.containers import Found, object_in, read, utf8
from shoritui.interop.cards.png import LARGEST, with_texts
from shoritui.interop.cards.portrait import portrait
from shoritui.interop.cards.values import Values
from shoritui.interop.cards.write_back import Version, alone, written_back
from shoritui.names import fold
from shoritui.text import as_json, composed, printable

_LONGEST_NAME: Final = 60
_LARGEST_PICTURE: Final = 64 << 20


@dataclass(frozen=True, slots=True)
class Origin:
    """What a character came from, as far as it still lies there."""

    kept: Values = field(default_factory=dict)
    """The foreign card; empty if it is our own."""
    assets: Assets = field(default_factory=Assets)
    trouble: str = ""
    """A sentence on what of it cannot be used."""


@dataclass(frozen=True, slots=True)
class Whole:
    """A card with all that lies beside it."""

    card: Card
    origins: tuple[Origin, ...] = ()


@dataclass(frozen=True, slots=True)
class ExportedCards:
    """What was written."""

    paths: tuple[Path, ...]
    told: tuple[str, ...]
    """Sentences on what was left out."""


@dataclass(frozen=True, slots=True)
class CardFormat:
    """One way to write a card."""

    suffix: str
    """How the file's name ends."""
    summary: str
    """What it is for."""
    write: Callable[[Card, Origin, Path], tuple[Path, str]]
    """Writes a card as a new file; returns it, and a sentence on what was left out."""


def whole_card(path: Path) -> Whole:
    """Return the card in a file of ours, or in one of another program, with what lies beside it.

    Raises:
        UserError: It is no card, or something is wrong with it.
    """
    path = user_path(path)
    if path.suffix.lower() == ".toml":
        return beside(load_card(path), [path])
    try:
        found = read(path)
        if not is_card(found.values):
            raise UserError("it holds no card")
        card, _ = card_of(found.values)
    except UserError as error:
        raise UserError(f"{printable(path)} was not exported: {error}.") from None
    except OSError as error:
        raise UserError(f"{printable(path)} cannot be read: {error.strerror}.") from None
    picture, trouble = _picture(found)
    assets = Assets(picture, path if found.has_archive else None)
    return Whole(card, (Origin(found.values, assets, trouble),))


def beside(card: Card, paths: Iterable[Path]) -> Whole:
    """Return a card with what lies beside the files that it came from.

    Raises:
        UserError: It cannot be read.
    """
    return Whole(card, tuple(map(_origin, paths)))


def _origin(path: Path) -> Origin:
    kept: Values = {}
    picture, trouble = b"", ""
    try:
        if (foreign := foreign_card(path)) is not None and foreign.stat().st_size <= 2 * LARGEST:
            with suppress(UserError):
                kept = object_in(utf8(content_of(foreign)))
        image = picture_of(path)
        if image is not None and image.stat().st_size <= _LARGEST_PICTURE:
            picture, trouble = _picture(Found("", {}, picture=content_of(image)))
    except OSError as error:
        raise UserError(f"{printable(path)} cannot be read: {error.strerror}.") from None
    return Origin(kept if is_card(kept) else {}, Assets(picture, archive_of(path)), trouble)


def export_card(whole: Whole, name: str, to: Path) -> ExportedCards:
    """Write every character of a card but the user's own as a card of its own.

    No file is replaced: where one of the name is there already, the new one gets a number.

    Args:
        whole: The card.
        name: The format's.
        to: The folder; or the file, for a card with one character.

    Raises:
        UserError: It has nobody but the user, or a file cannot be written.
    """
    form, to = CARD_FORMATS[name], user_path(to)
    cast = [number for number, each in enumerate(whole.card.characters) if not each.user]
    cast = cast or list(range(len(whole.card.characters)))
    if not cast:
        raise UserError("There is nobody in this card, so it cannot be exported.")
    is_file = bool(to.suffix) and not to.is_dir()
    if is_file and len(cast) > 1:
        raise UserError(
            f"The card has {len(cast)} characters, and each becomes a file: name a folder."
        )
    origins = _by_character(whole, cast)
    paths: list[Path] = []
    told = [each.trouble for each in whole.origins if each.trouble]
    for number in cast:
        card = alone(whole.card, number)
        target = to if is_file else to / (file_name(card.characters[0].name) + form.suffix)
        try:
            path, left = form.write(card, origins.get(number, Origin()), target)
        except OSError as error:
            raise UserError(f"{printable(target)} cannot be written: {why(error)}.") from None
        except UserError as error:
            raise UserError(f"{printable(target)} was not written: {error}.") from None
        paths.append(path)
        told += [left] if left else []
    return ExportedCards(tuple(paths), tuple(dict.fromkeys(told)))


def file_name(name: str) -> str:
    """Return a name for any file system."""
    words = "-".join(re.findall(r"\w+", composed(name)))
    return portable(words.encode()[:_LONGEST_NAME].decode(errors="ignore").strip("-_") or "card")


def _by_character(whole: Whole, cast: Sequence[int]) -> dict[int, Origin]:
    """Return which character each origin belongs to: whom it names, else the next in the cast."""
    found: dict[int, Origin] = {}
    for origin in whole.origins:
        known: tuple[str, ...] = ()
        with suppress(UserError):
            known = _names(card_of(origin.kept)[0], 0) if origin.kept else ()
        free = [number for number in cast if number not in found]
        named = [number for number in free if {*known} & {*_names(whole.card, number)}]
        for number in (named or free)[:1]:
            found[number] = origin
    return found


def _names(card: Card, number: int) -> tuple[str, ...]:
    character = card.characters[number]
    return tuple(map(fold, (character.name, *character.aliases)))


def _picture(found: Found) -> tuple[bytes, str]:
    try:
        return found.png(), ""
    except UserError as error:
        return b"", f"Its picture was left out: {error}."


def _json(version: Version) -> Callable[[Card, Origin, Path], tuple[Path, str]]:
    def write(card: Card, origin: Origin, path: Path) -> tuple[Path, str]:
        text = as_json(written_back(card, origin.kept, version), 2)
        left = origin.assets.json()
        return add_text(path, f"{text}\n"), left

    return write


def _png(card: Card, origin: Origin, path: Path) -> tuple[Path, str]:
    texts: dict[str, bytes] = {}
    left = ""
    for keyword, version in _CHUNKS.items():
        out = written_back(card, origin.kept, version)
        files, left = origin.assets.png(out)
        texts |= {**files, keyword: as_json(out).encode()}
    picture = origin.assets.picture or portrait(card.characters[0].name)
    content = with_texts(picture, texts)
    return add_file(path, lambda new: new.write_bytes(content)), left


def _charx(card: Card, origin: Origin, path: Path) -> tuple[Path, str]:
    out = written_back(card, origin.kept, "v3")
    write = origin.assets.write_archive
    return add_file(path, lambda new: write(out, lambda: as_json(out), new)), ""


_CHUNKS: Final[dict[str, Version]] = {"chara": "v2", "ccv3": "v3"}
CARD_FORMATS: Final[Mapping[str, CardFormat]] = {
    "png": CardFormat(".png", "its picture with the card in it, as V2 and V3", _png),
    "v3": CardFormat(".v3.json", "JSON of V3", _json("v3")),
    "v2": CardFormat(".v2.json", "JSON of V2, which every program reads", _json("v2")),
    "charx": CardFormat(".charx", "an archive with all its pictures and sounds, as V3", _charx),
}
"""The formats by name."""

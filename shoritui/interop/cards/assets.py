"""The files that a card names, and where they lie: in a CharX archive, or in chunks of a PNG.

    {"type": "icon", "name": "main", "ext": "png", "uri": "embeded://assets/icon/images/a.png"}
    {"type": "icon", "name": "main", "ext": "png", "uri": "__asset:assets/icon/images/a.png"}

The first is CharX (the missing letter is the format's own), the second a PNG whose chunk has the
keyword `chara-ext-asset_:assets/icon/images/a.png`.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any, Final

from shoritui.errors import UserError
from shoritui.interop.cards.charx import CARD, LARGEST_ARCHIVE, opened, read_entry
from shoritui.interop.cards.png import ASSET, asset_chunks
from shoritui.interop.cards.values import Values, text_of, values_of
from shoritui.text import size

EMBEDDED: Final = ("embeded://", "embedded://")
CHUNK: Final = "__asset:"
ICON: Final = "assets/icon/images/main.png"
_DEFAULT: Final = "ccdefault:"
_LONGEST: Final = 79 - len(ASSET)
"""Letters of a file's name in a chunk."""
_LARGEST_IN_PNG: Final = 40 << 20
"""Bytes of all files in a PNG, which grow by a third there."""
_SAFE: Final = re.compile(r"assets/(?:[\w .()+-]+/)*[\w .()+-]+", re.ASCII)
_WHEN: Final = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Assets:
    """What there is beside a card."""

    picture: bytes = b""
    """A PNG file; its chunks may hold files."""
    archive: Path | None = None

    def png(self, card: dict[str, Any]) -> tuple[dict[str, bytes], str]:
        """Make a card name its files as in a PNG.

        Returns:
            The files to put into chunks, by keyword, and a sentence on what was left out.
        """
        chunks: dict[str, bytes] = {}
        try:
            with self._opened() as (archive, names):
                for row, name in _embedded(card):
                    is_short = len(name) <= _LONGEST and name.isascii() and name.isprintable()
                    if name not in names or not is_short:
                        continue
                    used = sum(map(len, chunks.values()))
                    if used + archive.getinfo(name).file_size <= _LARGEST_IN_PNG:
                        chunks[ASSET + name] = read_entry(archive, name)
                        row["uri"] = CHUNK + name
                return chunks, _left(len(names) - len(chunks), "a PNG")
        except UserError as error:
            return chunks, f"What came with it was left out: {error}."

    def json(self) -> str:
        """Return a sentence on the files that JSON does not hold."""
        count = sum(1 for _ in asset_chunks(self.picture)) if self.picture else 0
        try:
            with self._opened() as (_, names):
                return _left(count + len(names), "JSON")
        except UserError as error:
            return f"What came with it was left out: {error}."

    @contextmanager
    def _opened(self) -> Iterator[tuple[zipfile.ZipFile, list[str]]]:
        """The archive and the files in it but the card; an empty one if there is none."""
        if self.archive is None:
            with zipfile.ZipFile(BytesIO(), "w") as empty:
                yield empty, []
            return
        with opened(self.archive) as archive:
            yield (
                archive,
                [each for each in archive.namelist() if each != CARD and each[-1:] != "/"],
            )

    def write_archive(self, card: dict[str, Any], text: Callable[[], str], new: Path) -> None:
        """Write a CharX archive, and make the card name its files as there.

        Args:
            card: The card as V3.
            text: Its JSON, asked for once the card is as it goes out.
            new: The file.
        """
        with self._opened() as (old, names), zipfile.ZipFile(new, "w") as made:
            _check_size(old)
            files: dict[str, Callable[[], bytes]] = {
                name: partial(read_entry, old, name) for name in names
            }
            for row, name, content in _in_chunks(card, self.picture):
                place = _place(row, name)
                files[place] = partial(bytes, content)
                row["uri"] = EMBEDDED[0] + place
            if self.picture:
                self._name_icon(card, files)
            _add(made, CARD, text().encode())
            for name, content_of in files.items():
                _add(made, name, content_of())

    def _name_icon(self, card: dict[str, Any], files: dict[str, Callable[[], bytes]]) -> None:
        """Have a card name its picture, unless it names one that is there."""
        data = values_of(card.get("data"))
        assets = data.get("assets")
        rows = [row for row in assets if isinstance(row, dict)] if isinstance(assets, list) else []
        icons = [row for row in rows if row.get("type") == "icon"]
        if any(_embedded_name(row) in files for row in icons):
            return
        place = ICON
        while place in files:
            place = place.replace("main", "main_")
        files[place] = lambda: self.picture
        default = next((row for row in icons if row.get("uri") in (_DEFAULT, "", None)), None)
        if default is not None:
            default["uri"] = EMBEDDED[0] + place
        elif not icons:
            row = {"type": "icon", "uri": EMBEDDED[0] + place, "name": "main", "ext": "png"}
            card["data"]["assets"] = [*rows, row] if isinstance(assets, list) else [row]


def _rows(card: Values) -> Iterator[dict[str, Any]]:
    assets = values_of(card.get("data")).get("assets")
    for row in assets if isinstance(assets, list) else []:
        if isinstance(row, dict):
            yield row


def _embedded(card: Values) -> Iterator[tuple[dict[str, Any], str]]:
    for row in _rows(card):
        if name := _embedded_name(row):
            yield row, name


def _embedded_name(row: Mapping[str, Any]) -> str:
    uri = row.get("uri")
    if not isinstance(uri, str):
        return ""
    return next((uri[len(each) :] for each in EMBEDDED if uri.startswith(each)), "")


def _in_chunks(card: Values, picture: bytes) -> Iterator[tuple[dict[str, Any], str, bytes]]:
    """Yield each file that a card names in chunks of its picture."""
    chunks = dict(asset_chunks(picture)) if picture else {}
    for row in _rows(card):
        uri = row.get("uri")
        name = uri.removeprefix(CHUNK) if isinstance(uri, str) and uri.startswith(CHUNK) else ""
        if name in chunks:
            yield row, name, chunks[name]


def _place(row: Values, name: str) -> str:
    """Return where in an archive a file of a chunk goes."""
    if _SAFE.fullmatch(name) and ".." not in name:
        return name
    kind = re.sub(r"\W", "", text_of(row.get("type")), flags=re.ASCII) or "other"
    ext = re.sub(r"\W", "", text_of(row.get("ext")), flags=re.ASCII) or "bin"
    plain = re.sub(r"\W", "_", name, flags=re.ASCII)
    return f"assets/{kind}/images/{plain}.{ext}"


def _check_size(archive: zipfile.ZipFile) -> None:
    if sum(entry.file_size for entry in archive.infolist()) > LARGEST_ARCHIVE:
        raise UserError(f"the files in its archive have more than {size(LARGEST_ARCHIVE)}")


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    archive.writestr(zipfile.ZipInfo(name, _WHEN), content)


def _left(count: int, where: str) -> str:
    if not count:
        return ""
    files = "1 file" if count == 1 else f"{count:,} files"
    return f"{files} that came with it cannot go into {where}; CharX takes them along."

"""What a config's [[source]] tables say of its files: formats, who is who, cards, tags."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from shoritui.cards import Character, card_files, load_cards
from shoritui.errors import UserError
from shoritui.finetune.cache.digests import digest_of
from shoritui.finetune.config.model import Config, Source
from shoritui.folders import user_path
from shoritui.interop.datasets import Reading, Unnamed, Unusable
from shoritui.text import clean, closest, one_line
from shoritui.toml import quoted, toml_files

_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Told:
    """What is wrong with a file, or with one conversation in it."""

    file: str
    line: int
    """0 for the whole file."""
    sentence: str

    @property
    def whole(self) -> str:
        """The sentence with its place."""
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.sentence}."


class Sources:
    """How each of a config's files is read.

    Raises:
        UserError: A source matches no file, or a file is in two of them, or a card is not right.
    """

    def __init__(self, config: Config, find: Callable[[Path, Sequence[str]], list[Path]]) -> None:
        self.folder = config.path.parent
        self._config = config.path.name
        self._sources: dict[Path, Source] = {}
        self._readings: dict[int, Reading] = {}
        read = _read_by_tiers(config, find)
        for number, source in enumerate(config.sources, 1):
            told = f"{self._config}: source {number}"
            try:
                files = find(self.folder, source.files)
            except UserError as error:
                raise UserError(f"{told}: {error}") from None
            if config.tiers and read.isdisjoint(files):
                raise UserError(f"{told}: no tier reads its files; name them in a tier's data too.")
            for file in files:
                if self._sources.setdefault(file, source) is not source:
                    raise UserError(
                        f"{told}: {one_line(file.name)} is in another source too; name other "
                        "files in one of them."
                    )

    def reading(self, path: Path) -> Reading:
        """Return how a file is to be read.

        Raises:
            UserError: A card cannot be used.
        """
        source = self._sources.get(path)
        if source is None:
            return Reading()
        if id(source) not in self._readings:
            self._readings[id(source)] = Reading(
                source.format, source.names, self._cast(source), source.system, source.tags
            )
        return self._readings[id(source)]

    def source(self, path: Path) -> Source | None:
        """Return the source that a file is in."""
        return self._sources.get(path)

    def facts(self, path: Path) -> Any:
        """Return all that decides how a file is read, but what is in it, as JSON has it."""
        source = self._sources.get(path)
        if source is None:
            return None
        cards = [digest_of(file) for file in self._card_files(source)]
        return [source.format, source.names, cards, source.system, source.tags]

    def told(self, path: Path, name: str, error: Unusable) -> Told:
        """Return the sentence about what is wrong in a file."""
        sentence = clean(str(error)).replace("\n", " ").removesuffix(".")
        if isinstance(error, Unnamed):
            sentence = f"{sentence}: {self._advice(path, name, error)}"
        return Told(name, error.line, sentence)

    def _advice(self, path: Path, name: str, error: Unnamed) -> str:
        """Return what to write into the config."""
        rows = ", ".join(f'{_key(role)} = "NAME"' for role in error.roles)
        source = self._sources.get(path)
        if source is None:
            return (
                f"say it in {self._config}, in a [[source]] with files = [{quoted(name)}] and "
                f"names = {{ {rows} }}"
            )
        near = next((word for role in error.roles if (word := closest(role, source.names))), "")
        hint = f"; {quoted(near)} is there and looks like it" if near else ""
        return f"add {rows} to the names of its [[source]] in {self._config}{hint}"

    def _cast(self, source: Source) -> tuple[Character, ...]:
        files = self._card_files(source)
        return load_cards(files).characters if files else ()

    def _card_files(self, source: Source) -> list[Path]:
        files: list[Path] = []
        for name in source.cards:
            path = user_path(name, self.folder)
            found = [path] if path.exists() else card_files([Path(name)])
            files += [file for each in found for file in toml_files(each)]
        return files


def _read_by_tiers(config: Config, find: Callable[[Path, Sequence[str]], list[Path]]) -> set[Path]:
    """Return the files that tiers read, as far as they are there."""
    files: set[Path] = set()
    for tier in config.tiers:
        with suppress(UserError):
            files.update(find(config.path.parent, tier.files))
    return files


def _key(word: str) -> str:
    return word if _BARE.fullmatch(word) else quoted(word)

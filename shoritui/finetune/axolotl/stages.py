"""axolotl's YAML files as training runs, and the values of their keys.

What a value cannot be is told with the YAML's file and key.
"""

from __future__ import annotations

import importlib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from shoritui.bounded import Malformed, read_yaml
from shoritui.errors import UserError
from shoritui.finetune.axolotl.keys import FORMER_NAMES, PAIRED, READ_APART, Pair
from shoritui.finetune.config.fields import own_fields
from shoritui.text import one_line
from shoritui.toml import expected, file_error, problems, read_text, shown

Yaml = Mapping[str, Any]

_ARROW: Final = re.compile(r"(?<!\s)\s*+(?:->|→)\s*+")
_MOST_RUNS: Final = 99
_LONGEST: Final = 200_000
"""Characters of a file: theirs have a few thousand, and reading YAML is slow."""
_FLAGS: Final = {
    **dict.fromkeys(("true", "yes", "on", "1", "t", "y"), True),
    **dict.fromkeys(("false", "no", "off", "0", "f", "n"), False),
}
"""Texts that axolotl's schema takes as true or false."""


@dataclass(slots=True)
class Stage:
    """One training run of axolotl's, and the notes about it."""

    path: Path
    """The YAML file."""
    values: Yaml
    """What is given; a key without a value is not."""
    name: str = ""
    notes: list[str] = field(default_factory=list)
    patterns: tuple[str, ...] = ()
    """Its files, as patterns from the new config's folder."""

    def note(self, key: str, sentence: str) -> None:
        """Note what becomes of a key."""
        self.notes.append(f"{self.path.name}: {one_line(key)}: {one_line(sentence)}.")

    def wrong(self, key: str, sentence: str) -> UserError:
        """Return the error about a key."""
        return file_error(self.path, f"{key}{sentence}")

    def flag(self, key: str, unset: bool = False) -> bool:
        """Return a value that is true or false, also where it is written as a text or number."""
        value = self.values.get(key, unset)
        if isinstance(value, bool):
            return value
        word = value if isinstance(value, str) else told(value)
        if isinstance(value, int | str) and word.casefold() in _FLAGS:
            return _FLAGS[word.casefold()]
        raise self.wrong(key, f" should be true or false, not {told(value)}")

    def text(self, key: str) -> str:
        """Return a text, empty if it is not given."""
        value = self.values.get(key, "")
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise self.wrong(key, f" should be text, not {told(value)}")
        return value if isinstance(value, str) else told(value)

    def number(self, key: str, unset: object = None) -> float:
        """Return a number; YAML 1.1 reads `1e-4` as text, and some are put in quotes."""
        value = self.values.get(key, unset)
        try:
            if isinstance(value, bool) or not isinstance(value, int | float | str):
                raise ValueError
            number = float(value)
            if not math.isfinite(number):
                raise ValueError
        except (ValueError, OverflowError):
            raise self.wrong(key, f" should be a number, not {told(value)}") from None
        return number

    def whole(self, key: str, unset: object = None) -> int:
        """Return a whole number."""
        number = self.number(key, unset)
        if not number.is_integer():
            raise self.wrong(key, f" should be a whole number, not {number:g}")
        return int(number)

    def mapping(self, key: str) -> Mapping[str, Any]:
        """Return a mapping, empty if it is not given."""
        value = self.values.get(key, {})
        if not isinstance(value, dict):
            raise self.wrong(key, f" should be a mapping, not {told(value)}")
        return {each if isinstance(each, str) else told(each): value[each] for each in value}

    def paired(self, pair: Pair) -> Any:
        """Return the value of a key that means the same here, as ours."""
        key = self._key(pair)
        if key not in self.values and pair.unset is None:
            raise self.wrong(key, " is missing")
        hint = own_fields(pair.table)[pair.ours].type
        value = self._read(key, pair)
        if any(problems({pair.ours: value}, {pair.ours: own_fields(pair.table)[pair.ours]})):
            raise self.wrong(key, f" should be {expected(hint)}, not {told(self.values.get(key))}")
        return value

    def _key(self, pair: Pair) -> str:
        """Return the name that a key has in this file."""
        former = (old for old, now in FORMER_NAMES.items() if now == pair.theirs)
        return next((old for old in former if old in self.values), pair.theirs)

    def _read(self, key: str, pair: Pair) -> object:
        match pair.unset:
            case bool():
                is_auto = self.values.get(key) == "auto" and key == "tf32"
                return True if is_auto else self.flag(key, pair.unset)
            case str():
                return self.text(key)
        if key in ("eval_steps", "save_steps") and 0 < self.number(key, pair.unset) < 1:
            share = self.number(key)
            self.note(key, f"{share:g} is a share of the steps; say their number in [watch]")
            return pair.unset
        if key == "val_set_size":
            return self._held_out(key)
        if key == "num_epochs":
            return self._rounded_up(key, pair.unset)
        is_whole = isinstance(pair.unset, int)
        if key == "lora_alpha" or not is_whole:
            return self.number(key, pair.unset)
        return self.whole(key, pair.unset)

    def _held_out(self, key: str) -> float:
        """Return what is held out: a share, or above 1 a number, which axolotl rounds down."""
        number = self.number(key, 0.0)
        if number == 1:
            raise self.wrong(key, " 1 holds everything out; a share is below 1, a number above")
        return float(int(number)) if number > 1 else number

    def _rounded_up(self, key: str, unset: object) -> int:
        number = self.number(key, unset)
        whole = math.ceil(number)
        if whole != number:
            self.note(key, f"{number:g} is no whole number; {whole} is taken")
        return whole


def told(value: object) -> str:
    """Return a value as a sentence names it, short whatever it is."""
    if isinstance(value, int) and abs(value) > 10**40:
        return "a number of so many digits"
    return "a mapping" if isinstance(value, dict) else shown(value)


def stages_of(path: Path) -> list[Stage]:
    """Return the runs of one file: as many as there are values between arrows.

    Raises:
        UserError: It cannot be read, or is no config of axolotl's.
    """
    values = _read(path)
    split = {
        key: _ARROW.split(value.strip())
        for key, value in values.items()
        if (key in PAIRED or key in READ_APART) and isinstance(value, str) and _ARROW.search(value)
    }
    counts = {len(parts) for parts in split.values()}
    keys = ", ".join(split)
    if len(counts) > 1:
        raise file_error(path, f"the arrows of {keys} lead through different numbers of values")
    runs = counts.pop() if counts else 1
    if runs > _MOST_RUNS:
        raise file_error(path, f"the arrows of {keys} lead through more than {_MOST_RUNS} values")
    return [
        Stage(path, {**values, **{key: parts[index] for key, parts in split.items()}})
        for index in range(runs)
    ]


def _read(path: Path) -> Yaml:
    yaml_library()
    text = read_text(path, "config", "YAML")
    if len(text) > _LONGEST:
        raise file_error(path, f"this is too long for a config (at most {_LONGEST} characters)")
    try:
        values = read_yaml(text, references=True)
    except Malformed as error:
        raise file_error(path, str(error)) from None
    if not isinstance(values, dict) or values.get("base_model") is None:
        raise file_error(path, "this is no training config of axolotl's: it names no base_model")
    return {
        key if isinstance(key, str) else told(key): value
        for key, value in values.items()
        if value is not None
    }


def yaml_library() -> ModuleType:
    """Return PyYAML.

    Raises:
        UserError: It is not installed.
    """
    try:
        return importlib.import_module("yaml")
    except ImportError as error:
        raise UserError(
            "For YAML, install the finetune extra: pip install 'shoritui[finetune]'."
        ) from error

"""Sampler presets: those that ship and the user's own, one TOML file each."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final

from shoritui.engine.sampling_params import FIELDS, Sampling, changed, clashes
from shoritui.errors import UserError
from shoritui.files import add_text, why
from shoritui.text import clean, composed, escaped, one_line, printable
from shoritui.toml import Field, file_error, files_named, load_all, problems, read_sheet

SHIPPED: Final = Path(__file__).parent
_LONGEST_NAME: Final = 80


@dataclass(frozen=True, slots=True)
class Preset:
    """Named sampler values; the name is the file's, the title is for people."""

    name: str
    title: str
    sampling: Sampling


def presets(folder: Path | None) -> tuple[dict[str, Preset], list[str]]:
    """Return all presets by name, and one sentence for each file that is wrong.

    The user's files in `folder` come after the shipped ones and replace those of the same name.
    """
    found, wrong = load_all([SHIPPED, *([folder] if folder else [])], load_preset)
    return {preset.name: preset for _, preset in found}, wrong


def check_preset(name: str, known: Collection[str], folder: Path | None = None) -> None:
    """Raise a `UserError` if no preset of this name is known; it says what is wrong with its file.

    The user's files lie in `folder`.
    """
    if name in known:
        return
    for file in files_named(name, [folder] if folder else []):
        load_preset(file)
    raise UserError(f"There is no preset {printable(name)}: choose {', '.join(known)}.")


def save_preset(folder: Path, name: str, sampling: Sampling) -> Preset:
    """Write a sampler as a new preset of this name, and return it.

    A file that is there already stays as it is: the new one gets a number.

    Raises:
        UserError: The name has no letters, or the file cannot be written.
    """
    import tomlkit

    words = preset_name(name)
    if not words:
        raise UserError(f"{printable(name)} is no name for a preset: it has no letters.")
    document = tomlkit.document()
    document["title"] = clean(one_line(name))
    for field in fields(Sampling):
        value = getattr(sampling, field.name)
        if value != field.default:
            is_bias = field.name == "logit_bias"
            document[field.name] = dict(value) if is_bias else _plain(value)
    path = folder / f"{words}.toml"
    try:
        return load_preset(add_text(path, escaped(tomlkit.dumps(document))))
    except OSError as error:
        raise file_error(path, f"the file cannot be written ({why(error)})") from error


def preset_name(title: str) -> str:
    """Return the name that a preset of this title has; an empty one if it has no letters."""
    words = re.findall(r"\w+", composed(title).casefold())
    return "-".join(words)[:_LONGEST_NAME]


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


def load_preset(path: Path) -> Preset:
    """Return the preset in one file; `UserError` names file, line, value and what was expected."""
    sheet = read_sheet(path, "preset")
    sheet.raise_first(problems(sheet.data, {"title": Field(str, ""), **FIELDS}))
    sheet.raise_first(clashes(sheet.data))
    values = dict(sheet.data)
    title: str = values.pop("title", path.stem)
    return Preset(path.stem, title, changed(Sampling(), values))

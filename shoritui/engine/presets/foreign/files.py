"""Take a preset in from a file: JSON, or the flat YAML of text-generation-webui."""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from shoritui.bounded import read_json
from shoritui.engine.presets import SHIPPED, Preset, preset_name, save_preset
from shoritui.engine.presets.foreign.orders import Values
from shoritui.engine.presets.foreign.read import ForeignPreset, inner_preset, is_preset, preset_of
from shoritui.engine.presets.foreign.write import sillytavern_preset
from shoritui.errors import UserError
from shoritui.files import add_text, all_or_none, content_of, why
from shoritui.folders import config_dir, user_path
from shoritui.text import as_json, one_line, printable

_LARGEST: Final = 4 << 20
"""Bytes of a preset; one with many banned phrases has some kilobytes."""
_LARGEST_YAML: Final = 1 << 16
_MOST_NAMED: Final = 12
_YAML_NAME: Final = re.compile(r"[a-z_]+", re.IGNORECASE)
_YAML_WORDS: Final = {
    "true": True,
    "false": False,
    "null": None,
    "~": None,
    "yes": True,
    "no": False,
}


@dataclass(frozen=True, slots=True)
class TakenPreset:
    """A preset of another program that is one of the user's own now."""

    path: Path
    """The new file."""
    files: tuple[Path, ...]
    """The new file, and beside it, as JSON, what the other program's held."""
    preset: Preset
    foreign: ForeignPreset
    kind: str = ""
    """Presets are all of one kind."""

    @property
    def left(self) -> tuple[str, ...]:
        """What has no counterpart, each by name with its value."""
        return self.foreign.left

    @property
    def sentences(self) -> str:
        """What became of it, for people."""
        said = (
            f"The preset {self.preset.name}, from {self.foreign.program}: {printable(self.path)}."
        )
        if not self.left:
            return said
        rest = len(self.left) - _MOST_NAMED
        named = ", ".join(self.left[:_MOST_NAMED]) + (f" and {rest:,} more" if rest > 0 else "")
        return f"{said} Without counterpart, but kept beside it: {named}."


def import_preset(path: Path, folder: Path | None = None) -> TakenPreset | None:
    """Make a preset out of another program's file; None if it is none.

    Args:
        path: The file.
        folder: Where to; None is the folder of the user's own presets.

    Raises:
        UserError: It is one, but nothing can be written.
    """
    found = _values_in(path)
    if found is None or not is_preset(found):
        return None
    return take_preset(found, path.stem, folder or config_dir() / "presets")


def take_preset(found: Values, name: str, folder: Path) -> TakenPreset:
    """Make a preset in `folder` out of the values of another program's; `name` is its file's.

    No file is replaced: where one of the name is there already, the new one gets a number.

    Raises:
        UserError: Nothing can be written.
    """
    foreign = preset_of(found, name)
    title = foreign.title if re.search(r"\w", foreign.title) else "Preset"
    if (SHIPPED / f"{preset_name(title)}.toml").exists():
        title = f"{title} 2"  # a file of the name would stand in for the one that ships
    text = json.dumps(inner_preset(found), indent=4) + "\n"
    try:
        with all_or_none():
            saved = save_preset(folder, title, foreign.sampling)
            path = folder / f"{saved.name}.toml"
            beside = add_text(path.with_suffix(".json"), text)
    except OSError as error:
        raise UserError(f"{printable(folder)} cannot be written: {why(error)}.") from None
    return TakenPreset(path, (path, beside), saved, foreign)


def export_preset(preset: Preset, own: Path, folder: Path) -> Path:
    """Write a preset as one of SillyTavern's, and return the file; none is replaced.

    Args:
        preset: Which.
        own: The folder of the user's own presets, where a file of SillyTavern's may be kept.
        folder: Where to; it is made.

    Raises:
        UserError: The file cannot be written.
    """
    kept = _values_in(own / f"{preset.name}.json")
    name = re.sub(r"[^\w ()&.,'+-]", "", one_line(preset.title)).strip(" .")
    path = folder / f"{name or preset.name}.json"
    is_theirs = kept is not None and preset_of(kept, "").program == "SillyTavern"
    values = sillytavern_preset(preset.sampling, kept if is_theirs else None)
    try:
        return add_text(path, as_json(values, 4) + "\n")
    except OSError as error:
        raise UserError(f"{printable(path)} cannot be written: {why(error)}.") from None


def _values_in(path: Path) -> dict[str, Any] | None:
    """Return the values of a file; None if it holds none, or cannot be read."""
    try:
        real = user_path(path)
        status = real.stat()
        if not stat.S_ISREG(status.st_mode) or status.st_size > _LARGEST:
            return None
        text = content_of(real).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError, UserError):
        return None
    if text.lstrip()[:1] == "{":
        try:
            found = read_json(text)
        except ValueError:
            return None
        return found if isinstance(found, dict) else None
    return flat_yaml(text) if path.suffix.lower() in (".yaml", ".yml") else None


def flat_yaml(text: str) -> dict[str, Any] | None:
    """Return what names of numbers, words, texts and lists of texts say; None if it is more.

    That is all a preset holds, and none of what makes YAML grow: no references, no tags.
    """
    if len(text) > _LARGEST_YAML:
        return None
    found: dict[str, Any] = {}
    lines = iter([*text.splitlines(), ""])
    line = next(lines)
    for _ in range(text.count("\n") + 2):
        name, colon, written = line.partition(":")
        if not line.strip() or line.lstrip().startswith("#") or line.strip() == "---":
            line = next(lines, "\0")
        elif not colon or not _YAML_NAME.fullmatch(name):
            return None if line != "\0" else found
        else:
            rest, line = _indented(lines)
            try:
                found[name] = _yaml_value(written.strip(), rest)
            except ValueError:
                return None
        if line == "\0":
            return found
    return found


def _indented(lines: Iterator[str]) -> tuple[list[str], str]:
    """Return the lines that belong to a name, and the first one that does not."""
    rest: list[str] = []
    for line in lines:
        if line.strip() and line[0] not in " \t-":
            return rest, line
        rest.append(line)
    return rest, "\0"


def _yaml_value(written: str, rest: list[str]) -> object:
    told = [line for line in rest if line.strip()]
    if written[:1] in ("|", ">") and written[1:] in ("", "-", "+"):
        return ("\n" if written[0] == "|" else " ").join(line.strip() for line in told)
    if not written:
        items = [line.strip() for line in told]
        if not all(item.startswith("-") for item in items):
            raise ValueError("a table")
        return [_yaml_scalar(item[1:].strip()) for item in items] or None
    if written[:1] in ("'", '"'):
        return _yaml_quoted(written, rest)
    if told:  # a plain text that goes on
        return " ".join([written, *(line.strip() for line in told)])
    return _yaml_scalar(written)


def _yaml_quoted(written: str, rest: list[str]) -> str:
    """Return a text in quotes: a line break in it is a blank, an empty line a line break."""
    mark, told, breaks = written[0], [written[1:]], 0
    for line in rest:
        if not line.strip():
            breaks += 1
            continue
        told[-1] = told[-1].rstrip()
        told += ["\n" * breaks or " ", line.strip()]
        breaks = 0
    end = "".join(told).rstrip()
    if not end.endswith(mark):
        raise ValueError("not closed")
    if mark == "'":
        return end[:-1].replace("''", "'")
    return str(read_json('"' + end[:-1].replace("\n", "\\n") + '"'))


def _yaml_scalar(written: str) -> object:
    if written[:1] in ("'", '"'):
        return _yaml_quoted(written, [])
    plain = re.split(r"\s#", written)[0].strip()
    if plain.casefold() in _YAML_WORDS:
        return _YAML_WORDS[plain.casefold()]
    if plain[:1] in ("[", "{"):
        return read_json(plain)
    if plain[:1] in ("&", "*", "!"):
        raise ValueError("a reference")
    try:
        return float(plain) if re.search(r"[.eE]", plain) else int(plain)
    except ValueError:
        return plain

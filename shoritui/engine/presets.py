"""Sampler presets: those that ship and the user's own, one TOML file each.

It does not know what the values do; `sampling.py` checks them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import tomli

from shoritui.engine.sampling import Sampling, changed
from shoritui.errors import UserError

SHIPPED: Final = Path(__file__).with_name("presets")


@dataclass(frozen=True, slots=True)
class Preset:
    """Named sampler values; the name is the file's, the title is for people."""

    name: str
    title: str
    sampling: Sampling


def presets(folder: Path | None) -> tuple[dict[str, Preset], list[str]]:
    """All presets by name, and one sentence for each file that is wrong.

    The user's files in `folder` come after the shipped ones and replace those of the same name.
    """
    found: dict[str, Preset] = {}
    problems: list[str] = []
    for path in [*_files(SHIPPED), *(_files(folder) if folder else ())]:
        try:
            found[path.stem] = load_preset(path)
        except UserError as error:
            problems.append(str(error))
    return found, problems


def load_preset(path: Path) -> Preset:
    """One preset; `UserError` with file, line and key where it is wrong."""
    try:
        text = path.read_text(encoding="utf-8")
        values = tomli.loads(text)
    except OSError as error:
        raise UserError(f"{path.name}: cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise UserError(f"{path.name}: is not UTF-8 text.") from None
    except tomli.TOMLDecodeError as error:
        raise UserError(f"{path.name}: {error}.") from None
    title = values.pop("title", path.stem)
    if not isinstance(title, str):
        raise UserError(f"{_place(path, text, 'title')}: title is {title!r}: expected text.")
    return Preset(path.stem, title, _sampling(path, text, values))


def _sampling(path: Path, text: str, values: dict[str, object]) -> Sampling:
    """Checked key by key, so that a problem is told with its line."""
    sampling = Sampling()
    for key, value in values.items():
        try:
            sampling = changed(sampling, {key: value})
        except UserError as error:
            raise UserError(f"{_place(path, text, key)}: {error}") from None
    return sampling


def _place(path: Path, text: str, key: str) -> str:
    wanted = re.compile(rf"""\s*\[?\s*["']?{re.escape(key)}["']?\s*[=\].]""")
    for number, line in enumerate(text.splitlines(), 1):
        if wanted.match(line):
            return f"{path.name}, line {number}"
    return path.name


def _files(folder: Path) -> Iterable[Path]:
    return sorted(folder.glob("*.toml"))

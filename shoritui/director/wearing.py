"""Which adapters are on: what `/adapter` means, and what is said of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from shoritui.folders import user_path
from shoritui.settings import AdapterFile
from shoritui.text import one_line

OFF = "off"


def adapters_after(worn: Sequence[AdapterFile], argument: str) -> list[AdapterFile]:
    """Return the adapters after `PATH [SCALE]` or `off`; a scale of 0 takes that one off.

    Raises:
        UserError: The scale is not finite, or out of range, or the path is none.
    """
    if argument == OFF:
        return []
    file, scale = _parted(argument)
    path = str(user_path(file).absolute())
    others = [each for each in worn if user_path(each.path) != Path(path)]
    return [*others, AdapterFile(path, scale)] if scale else others


def adapters_told(worn: Sequence[AdapterFile]) -> str:
    """Return the sentence on which adapters are on."""
    if not worn:
        return "No adapter is on: /adapter PATH puts one on."
    names = (
        f"{one_line(Path(each.path).name.removesuffix('.gguf'))} at {each.scale:g}" for each in worn
    )
    return f"Adapters that are on: {', '.join(names)}."


def _parted(argument: str) -> tuple[str, float]:
    """A file, whose name may hold spaces, and the number after it, 1 if there is none."""
    file, _, last = argument.rpartition(" ")
    try:
        return (file.strip(), float(last)) if file else (last, 1.0)
    except ValueError:
        return argument, 1.0

"""Theme files: read, checked and made into Textual themes with the app's own colours.

It does not know the widgets; they use `$prose-dialogue`, `$speaker-1` and the like in their CSS.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path

import tomli
from textual.color import Color, ColorParseError
from textual.theme import Theme

from shoritui.errors import UserError
from shoritui.tui.inks import SPEAKER_COLOURS

DEFAULT = "shori-dark"
NO_COLOUR = "terminal"

_COLOURS = (
    *("background", "surface", "panel", "foreground", "primary", "secondary"),
    *("accent", "success", "warning", "error"),
)
_PROSE = (
    *("narration", "dialogue", "thought", "sound", "emphasis", "loud", "quote", "cited"),
    *("fence", "fence-background", "title", "rule", "info"),
)
_TABLES: dict[str, tuple[str, ...]] = {"colours": _COLOURS, "prose": _PROSE}
_TOP = ("title", "dark", "ansi", *_TABLES, "speakers")


_ANSI_CHROME = {
    "ansi-background": "ansi_black",
    "ansi-foreground": "ansi_white",
    "border": "ansi_blue",
    "border-blurred": "ansi_bright_black",
    "block-cursor-background": "ansi_white",
    "block-cursor-foreground": "ansi_black",
    "input-cursor-text-style": "reverse",
    "input-selection-background": "ansi_bright_blue",
    "input-selection-foreground": "ansi_black",
    "screen-selection-background": "ansi_bright_blue",
    "screen-selection-foreground": "ansi_black",
}


def find_themes(folders: Iterable[Path]) -> tuple[dict[str, Theme], list[str]]:
    """The themes of some folders by name, later folders winning, and one sentence per bad file."""
    themes: dict[str, Theme] = {}
    problems: list[str] = []
    for folder in folders:
        for path in sorted(folder.glob("*.toml")):
            try:
                themes[path.stem] = load_theme(path)
            except UserError as error:
                problems.append(str(error))
    return themes, problems


def load_theme(path: Path) -> Theme:
    """The theme of one file, named after it.

    Raises:
        UserError: The file can't be read, or a field is missing, unknown or no colour.
    """
    try:
        with path.open("rb") as file:
            table = tomli.load(file)
    except (OSError, tomli.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: the theme can't be read: {error}") from error
    return _checked(path, table)


def _checked(path: Path, table: Mapping[str, object]) -> Theme:
    _known(path, "the theme", table, _TOP)
    colours = {name: _colours(path, table, name, fields) for name, fields in _TABLES.items()}
    base, prose = colours["colours"], colours["prose"]
    variables = {f"prose-{name}": colour for name, colour in prose.items()}
    for number, colour in enumerate(_speakers(path, table), 1):
        variables[f"speaker-{number}"] = colour
    ansi = _flag(path, table, "ansi", False)
    variables |= _ANSI_CHROME if ansi else _chrome(base, prose)
    return Theme(
        name=path.stem,
        dark=_flag(path, table, "dark", True),
        ansi=ansi,
        variables=variables,
        **base,  # type: ignore[arg-type]
    )


def _chrome(base: Mapping[str, str], prose: Mapping[str, str]) -> dict[str, str]:
    """Colours of scrollbars, cursors and selections that follow from the theme's own."""
    return {
        "border": base["primary"],
        "border-blurred": prose["rule"],
        "scrollbar": prose["rule"],
        "scrollbar-hover": prose["info"],
        "scrollbar-active": base["accent"],
        "scrollbar-background": base["background"],
        "scrollbar-background-hover": base["background"],
        "scrollbar-background-active": base["background"],
        "scrollbar-corner-color": base["background"],
        "block-cursor-background": base["accent"],
        "block-cursor-foreground": base["background"],
        "block-cursor-text-style": "bold",
        "block-cursor-blurred-background": base["panel"],
        "block-cursor-blurred-foreground": base["foreground"],
        "block-hover-background": base["panel"],
        "input-cursor-background": base["accent"],
        "input-cursor-foreground": base["background"],
        "input-selection-background": f"{base['primary']} 40%",
        "screen-selection-background": _blend(base["background"], base["primary"], 0.4),
    }


def _blend(under: str, over: str, share: float) -> str:
    return Color.parse(under).blend(Color.parse(over), share).hex


def _colours(
    path: Path, table: Mapping[str, object], name: str, fields: tuple[str, ...]
) -> dict[str, str]:
    section = table.get(name)
    if not isinstance(section, dict):
        raise UserError(f"{path}: the table [{name}] is missing; it holds {', '.join(fields)}.")
    _known(path, f"[{name}]", section, fields)
    return {field: _colour(path, f"{name}.{field}", section.get(field)) for field in fields}


def _speakers(path: Path, table: Mapping[str, object]) -> list[str]:
    section = table.get("speakers")
    colours = section.get("colours") if isinstance(section, dict) else None
    if not isinstance(colours, list) or len(colours) != SPEAKER_COLOURS:
        raise UserError(
            f"{path}: speakers.colours must be a list of {SPEAKER_COLOURS} colours such as "
            '"#eba3b6".'
        )
    return [
        _colour(path, f"speakers.colours, number {number}", colour)
        for number, colour in enumerate(colours, 1)
    ]


def _colour(path: Path, field: str, value: object) -> str:
    if isinstance(value, str):
        try:
            Color.parse(value)
        except ColorParseError:
            pass
        else:
            return value
    found = "is missing" if value is None else f"is {value!r}"
    raise UserError(f'{path}: {field} {found}; it must be a colour such as "#e6b673".')


def _flag(path: Path, table: Mapping[str, object], name: str, default: bool) -> bool:
    value = table.get(name, default)
    if not isinstance(value, bool):
        raise UserError(f"{path}: {name} is {value!r}; it must be true or false.")
    return value


def _known(path: Path, place: str, table: Mapping[str, object], names: tuple[str, ...]) -> None:
    for name in table:
        if name not in names:
            near = get_close_matches(name, names, 1)
            hint = f"; did you mean {near[0]}?" if near else f"; known are {', '.join(names)}."
            raise UserError(f"{path}: {place} has no field {name}{hint}")

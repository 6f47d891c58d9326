"""Theme files: read, checked and made into Textual themes.

The app's own colours are variables in CSS: `$prose-dialogue`, `$speaker-1` and the like.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated

from textual.color import Color, ColorParseError
from textual.theme import Theme

from shoritui.folders import bundled_dir, config_dir
from shoritui.text import printable
from shoritui.toml import Field, Fields, Rule, load_all, problems, read_sheet, shown
from shoritui.tui.widgets.styles import SPEAKER_COLOURS

DEFAULT = "shori-dark"
NO_COLOUR = "terminal"


def _wrong_colour(text: str) -> str:
    try:
        Color.parse(text)
    except ColorParseError:
        return f"not {shown(text)}" if text.strip() else "but it is empty"
    return ""


def _wrong_count(colours: list[str]) -> str:
    return "" if len(colours) == SPEAKER_COLOURS else f"not {len(colours)}"


_RULE = Rule('a colour such as "#e6b673"', _wrong_colour)
_COLOUR = Annotated[str, _RULE]
_SPEAKERS = Annotated[
    list[_COLOUR], Rule(f'{SPEAKER_COLOURS} colours such as "#e6b673"', _wrong_count)
]
_COLOURS = (
    *("background", "surface", "panel", "foreground", "primary", "secondary"),
    *("accent", "success", "warning", "error"),
)
_PROSE = (
    *("narration", "dialogue", "thought", "sound", "emphasis", "loud", "quote", "cited"),
    *("fence", "fence-background", "title", "rule", "info"),
)
_FIELDS: Fields = {
    "title": Field(str, ""),
    "dark": Field(bool, True),
    "ansi": Field(bool, False),
    "colours": Field(table=dict.fromkeys(_COLOURS, Field(_COLOUR))),
    "prose": Field(table=dict.fromkeys(_PROSE, Field(_COLOUR))),
    "speakers": Field(table={"colours": Field(_SPEAKERS)}),
}

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
    "scrollbar-background": "ansi_default",
    "scrollbar-background-hover": "ansi_default",
    "scrollbar-background-active": "ansi_default",
}


def theme_folders() -> tuple[Path, Path]:
    """Return where themes are found: those that ship, then the user's own."""
    return bundled_dir("themes"), config_dir() / "themes"


def theme_problem(name: str) -> str:
    """Return the sentence about a theme that does not exist, with those that do; else nothing."""
    files = [file for folder in theme_folders() for file in sorted(folder.glob("*.toml"))]
    names = dict.fromkeys(file.stem for file in files)
    listed = ", ".join(names)
    return "" if name in names else f"There is no theme {printable(name)}: choose one of {listed}."


def find_themes(folders: Iterable[Path]) -> tuple[dict[str, Theme], list[str]]:
    """Return the themes of some folders by name, and one sentence per bad file.

    A theme of a later folder replaces its namesake.
    """
    found, wrong = load_all(folders, load_theme)
    return {theme.name: theme for _, theme in found}, wrong


def load_theme(path: Path) -> Theme:
    """Return the theme of one file, named after it.

    Raises:
        UserError: The file can't be read, or a field is missing, unknown or no colour.
    """
    sheet = read_sheet(path, "theme")
    sheet.raise_first(problems(sheet.data, _FIELDS))
    base, prose = sheet.data["colours"], sheet.data["prose"]
    variables = {f"prose-{name}": colour for name, colour in prose.items()}
    for number, colour in enumerate(sheet.data["speakers"]["colours"], 1):
        variables[f"speaker-{number}"] = colour
    ansi = sheet.data.get("ansi", False)
    variables |= _ANSI_CHROME if ansi else _chrome(base, prose)
    return Theme(
        name=path.stem,
        dark=sheet.data.get("dark", True),
        ansi=ansi,
        variables=variables,
        **base,
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

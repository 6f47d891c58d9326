"""The styles things are written in: one per prose kind, one per speaker, a few for the rest.

An ink's colour is the theme's, its attribute is set here, so that no theme (and no terminal without
colours) can take away what tells the kinds of prose apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from zlib import crc32

from rich.color import ColorType
from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.filter import NoColor
from textual.widget import Widget

SPEAKER_COLOURS = 8
_KEEPS_OUTER_COLOUR = ("emphasis",)

# Name: the variables of its colour and its background, and its attributes.
_INKS: dict[str, tuple[str, str, str]] = {
    "dialogue": ("prose-dialogue", "", ""),
    "thought": ("prose-thought", "", "italic"),
    "sound": ("prose-sound", "", "underline"),
    "emphasis": ("prose-emphasis", "", "bold"),
    "loud": ("prose-loud", "", "bold"),
    "quote": ("prose-quote", "", "italic"),
    "cited": ("prose-cited", "", "italic"),
    "fence": ("prose-fence", "prose-fence-background", ""),
    "info": ("prose-info", "", ""),
    "faint": ("prose-info", "", ""),
    "accent": ("accent", "", "bold"),
    "key": ("foreground", "", "bold"),
    "warning": ("error", "", "bold"),
    "version": ("prose-title", "", ""),
    "writing": ("success", "", ""),
    "cut": ("warning", "", ""),
    "caret": ("accent", "", ""),
    "rule": ("prose-rule", "", ""),
    "title": ("prose-title", "", "bold"),
    "note": ("prose-info", "", "italic"),
    "label": ("prose-info", "", "bold"),
    "bar": ("prose-rule", "", ""),
    "best": ("success", "", ""),
    "evaluated": ("secondary", "", ""),
    "cursor": ("accent", "", ""),
    "empty": ("prose-info", "", "italic"),
    "chip": ("background", "primary", "bold"),
    "chosen": ("block-cursor-foreground", "block-cursor-background", "bold"),
    "selection": ("", "screen-selection-background", ""),
    "found": ("background", "warning", ""),
    "hidden": ("prose-info", "", "dim"),
    "likely": ("prose-info", "", ""),
    "possible": ("foreground", "", ""),
    "unlikely": ("secondary", "", "underline"),
    "surprising": ("error", "", "bold underline"),
    "bookmark": ("warning", "", ""),
    **{f"speaker-{n}": (f"speaker-{n}", "", "bold") for n in range(1, SPEAKER_COLOURS + 1)},
}
_WITHOUT_COLOURS = {
    "dialogue": "bold",
    "thought": "italic",
    "sound": "underline",
    "emphasis": "bold italic",
    "loud": "",
    "quote": "dim",
    "cited": "italic dim",
    "fence": "dim",
    "note": "italic dim",
    "empty": "italic dim",
    **dict.fromkeys(("info", "faint", "rule", "bar", "likely"), "dim"),
    **dict.fromkeys(("writing", "cut", "version", "bookmark", "best"), "bold"),
    **dict.fromkeys(("chip", "chosen"), "bold reverse"),
    **dict.fromkeys(("selection", "found"), "reverse"),
}
"""The attributes that replace an ink's where there are no colours, each kind of prose with its own:
what is loud has its capitals."""


class WithoutColours(NoColor):
    """Takes every colour away; what stood on one of the terminal's colours is reversed.

    Textual forgets `text-style: reverse` of the rows of lists.
    """

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """Return the segments without colours."""
        seen = [Segment(text, style and _reversed(style), more) for text, style, more in segments]
        return super().apply(seen, background)


@lru_cache(1024)
def _reversed(style: Style) -> Style:
    stands_out = style.bgcolor is not None and style.bgcolor.type == ColorType.STANDARD
    return style + Style(reverse=True) if stands_out else style


class Inks:
    """Looks up rich styles by name once, and mixes those of nested kinds."""

    def __init__(
        self, base: Style, variables: Mapping[str, str], *, no_colour: bool = False
    ) -> None:
        self.base = base
        self._variables = variables
        self._no_colour = no_colour
        self._named: dict[str, Style] = {"": base}
        self._mixed: dict[tuple[str, ...], Style] = {(): base}

    def __getitem__(self, name: str) -> Style:
        """Return an ink on the base, such as `dialogue`, `speaker-3` or `rule`."""
        style = self._named.get(name)
        if style is None:
            style = self._named[name] = self.base + self._made(name)
        return style

    def all_as(self, name: str) -> Inks:
        """Return inks that all are one, on the same background."""
        return _OneInk(self[name], {})

    def over(self, name: str) -> Style:
        """Return an ink to lay over another one: only what it says itself."""
        return self._made(name)

    def prose(self, kinds: tuple[str, ...]) -> Style:
        """Return the style of a span whose kinds are given outermost first."""
        style = self._mixed.get(kinds)
        if style is None:
            style = self.base
            for depth, kind in enumerate(kinds):
                ink = self._made(kind)
                style += ink.without_color if depth and kind in _KEEPS_OUTER_COLOUR else ink
            self._mixed[kinds] = style
        return style

    def _made(self, name: str) -> Style:
        colour, background, attributes = _INKS[name]
        if self._no_colour:
            attributes = _WITHOUT_COLOURS.get(name, attributes)
        style = Style.parse(attributes) if attributes else Style.null()
        return style + Style(color=self._colour(colour), bgcolor=self._colour(background))

    def _colour(self, variable: str) -> str | None:
        value = self._variables.get(variable)
        if value is None:
            return None
        return Color.parse(value).rich_color.name


class _OneInk(Inks):
    """Writes everything in the ink it is based on."""

    def _made(self, name: str) -> Style:
        return Style.null()


class Inked(Widget):
    """A widget that looks up its styles once in each theme."""

    _inks: Inks | None = None

    def notify_style_update(self) -> None:
        """Forget every style: the theme or the focus changed."""
        super().notify_style_update()
        self._inks = None

    @property
    def inks(self) -> Inks:
        """The styles of the current theme."""
        if self._inks is None:
            self._inks = inks_of(self)
        return self._inks


def inks_of(widget: Widget) -> Inks:
    """Return the inks of the current theme, on a widget's own background."""
    app = widget.app
    return Inks(widget.rich_style, app.theme_variables, no_colour=app.no_color)


class SpeakerColours:
    """Gives every speaker a colour number that stays theirs.

    A name prefers the colour its letters spell, so that it looks the same in every chat; within
    one cast nobody shares a colour while there are enough.
    """

    def __init__(self, cast: Iterable[str] = ()) -> None:
        self._number: dict[str, int] = {}
        for name in cast:
            self.number(name)

    def number(self, name: str) -> int:
        """Return a speaker's colour, from 1 to `SPEAKER_COLOURS`."""
        known = self._number.get(name)
        if known is not None:
            return known
        taken = set(self._number.values())
        preferred = crc32(name.encode("utf-8", "replace")) % SPEAKER_COLOURS
        choices = [(preferred + step) % SPEAKER_COLOURS + 1 for step in range(SPEAKER_COLOURS)]
        number = next((choice for choice in choices if choice not in taken), choices[0])
        self._number[name] = number
        return number

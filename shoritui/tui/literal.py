"""A name is only a name on the screen: no text of others becomes a style, a link, an action or an
escape sequence.

    Bob [/]                            Textual takes a `str` for markup and raises; here it is text
    [@click="app.act('undo')"]Bob      would be an action; what is to have a style is a `Content`
    Bob ESC [2J                        never reaches the terminal, whichever widget paints it
"""

from __future__ import annotations

import re
from typing import Final

from rich.segment import Segment
from textual.color import Color
from textual.content import Content
from textual.filter import LineFilter

_COMMANDS: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff]")
"""What a terminal would obey; none of it takes a cell."""
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def take_strings_literally() -> None:
    """Have Textual read no `str` as markup, in any widget, title, placeholder, tooltip or toast."""

    def literal(markup: str | Content, **variables: object) -> Content:
        if variables:
            raise TypeError("Markup is text here: assemble a Content in place of a template.")
        return markup if isinstance(markup, Content) else Content(markup)

    Content.from_markup = staticmethod(literal)  # type: ignore[method-assign]


class WithoutCommands(LineFilter):
    """Takes out of each painted line what a terminal would obey."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """Return the segments with nothing in them but what can be seen."""
        if all(segment.text.isprintable() for segment in segments):
            return segments
        return [
            each if each.control else Segment(_seen(each.text), each.style) for each in segments
        ]


def _seen(text: str) -> str:
    return _SURROGATE.sub("\ufffd", _COMMANDS.sub("", text))

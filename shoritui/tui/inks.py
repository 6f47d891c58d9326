"""The styles a transcript is written in: one per prose kind, one per speaker.

It does not know colours: those are the theme's. It holds what attribute each kind has, which kind
wins where kinds nest, and which speaker gets which of the theme's colours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from zlib import crc32

from rich.style import Style

SPEAKER_COLOURS = 8
PROSE_KINDS = ("dialogue", "thought", "sound", "emphasis", "quote", "loud", "cited", "fence")
_KEEPS_OUTER_COLOUR = ("emphasis",)
_PARTS = (
    *("info", "version", "writing", "cut", "caret", "rule", "title", "note", "bar", "label"),
    *("chip", "cursor", "selection", "empty"),
)
_SPEAKERS = tuple(f"speaker-{number}" for number in range(1, SPEAKER_COLOURS + 1))

COMPONENTS = {f"transcript--{name}" for name in (*PROSE_KINDS, *_PARTS, *_SPEAKERS)}
"""The component classes of a transcript: every ink has one, so that themes and CSS reach it."""

CSS = """
Transcript {
    width: 1fr; height: 1fr;
    overflow-x: hidden; overflow-y: scroll;
    scrollbar-size-vertical: 1;
    background: $background; color: $prose-narration;
}
Transcript > .transcript--dialogue { color: $prose-dialogue; }
Transcript > .transcript--thought { color: $prose-thought; text-style: italic; }
Transcript > .transcript--sound { color: $prose-sound; text-style: underline; }
Transcript > .transcript--emphasis { color: $prose-emphasis; text-style: bold; }
Transcript > .transcript--loud { color: $prose-loud; text-style: bold; }
Transcript > .transcript--quote { color: $prose-quote; text-style: italic; }
Transcript > .transcript--cited { color: $prose-cited; text-style: italic; }
Transcript > .transcript--fence { color: $prose-fence; background: $prose-fence-background; }
Transcript > .transcript--info { color: $prose-info; }
Transcript > .transcript--version { color: $accent; }
Transcript > .transcript--writing { color: $accent; }
Transcript > .transcript--cut { color: $warning; }
Transcript > .transcript--caret { color: $accent; }
Transcript > .transcript--rule { color: $prose-rule; }
Transcript > .transcript--title { color: $prose-title; text-style: bold; }
Transcript > .transcript--note { color: $prose-info; text-style: italic; }
Transcript > .transcript--label { color: $prose-info; text-style: bold; }
Transcript > .transcript--bar { color: $prose-rule; }
Transcript > .transcript--chip {
    color: $background; background: $accent; text-style: bold;
    &:nocolor { text-style: bold reverse; }
}
Transcript > .transcript--cursor { color: $accent; }
Transcript > .transcript--empty { color: $prose-info; text-style: italic; }
Transcript > .transcript--selection {
    background: $screen-selection-background;
    &:nocolor { text-style: reverse; }
}
""" + "".join(
    f"Transcript > .transcript--{name} {{ color: ${name}; text-style: bold; }}\n"
    for name in _SPEAKERS
)
"""Colours come from the theme; weight, slant and underline stand here, so that no theme (and no
terminal without colours) can take away what tells the kinds of prose apart."""


class Inks:
    """Looks up rich styles by name once, and mixes those of nested kinds."""

    def __init__(self, base: Style, look_up: Callable[[str], Style]) -> None:
        self.base = base
        self._look_up = look_up
        self._named: dict[str, Style] = {}
        self._mixed: dict[tuple[str, ...], Style] = {(): base}

    def __getitem__(self, name: str) -> Style:
        """The style of one component, such as `dialogue`, `speaker-3` or `rule`."""
        style = self._named.get(name)
        if style is None:
            style = self._named[name] = self.base + self._look_up(name)
        return style

    def prose(self, kinds: tuple[str, ...]) -> Style:
        """The style of a span whose kinds are given outermost first."""
        style = self._mixed.get(kinds)
        if style is None:
            style = self.base
            for depth, kind in enumerate(kinds):
                ink = self[kind]
                style += ink.without_color if depth and kind in _KEEPS_OUTER_COLOUR else ink
            self._mixed[kinds] = style
        return style


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
        """From 1 to `SPEAKER_COLOURS`."""
        known = self._number.get(name)
        if known is not None:
            return known
        taken = set(self._number.values())
        preferred = crc32(name.encode("utf-8", "replace")) % SPEAKER_COLOURS
        choices = [(preferred + step) % SPEAKER_COLOURS + 1 for step in range(SPEAKER_COLOURS)]
        number = next((choice for choice in choices if choice not in taken), choices[0])
        self._number[name] = number
        return number

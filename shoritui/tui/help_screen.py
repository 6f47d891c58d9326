"""Help: every key and command, out of the table of actions.

It does not know what the actions do beyond what the table says of them.
"""

from __future__ import annotations

from typing import ClassVar

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from shoritui.tui.actions import ACTIONS, Action, key_name, keys_of
from shoritui.tui.wrapping import wrap

_KEYS, _SLASH = 20, 11
_NARROW = 78

_PROSE = (
    ('"dialogue"', "$prose-dialogue"),
    ("_a thought_", "$prose-thought italic"),
    ("*a sound*", "$prose-sound underline"),
    ("**emphasis**", "$prose-emphasis bold"),
    ("LOUD", "$prose-loud bold"),
    ("''a quote''", "$prose-quote italic"),
)


class Help(ModalScreen[None]):
    """Keys by group; any of Escape, F1, q and Enter leaves."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,f1,q,enter", "dismiss(None)", show=False),
        Binding("pageup", "turn(-1)", show=False, priority=True),
        Binding("pagedown", "turn(1)", show=False, priority=True),
    ]
    DEFAULT_CSS = """
    Help { align: center middle; background: $background 60%; }
    Help > VerticalScroll {
        width: 100; max-width: 96%; height: 90%;
        border: round $border; border-title-color: $prose-title; border-title-style: bold;
        border-subtitle-color: $prose-info;
        background: $surface; padding: 1 2; scrollbar-size-vertical: 1;
    }
    Help Static { width: 100%; height: auto; }
    """

    def __init__(self, keymap: dict[str, str]) -> None:
        super().__init__()
        self._keymap = keymap

    def compose(self) -> ComposeResult:
        """One text, which scrolls."""
        with VerticalScroll() as frame:
            frame.border_title = "Help"
            frame.border_subtitle = "esc leave · PgDn more"
            yield Static()

    def on_mount(self) -> None:
        """The text takes the keys."""
        self.query_one(VerticalScroll).focus()

    def on_resize(self) -> None:
        """Sets the text for the width."""
        width = min(100, int(self.size.width * 0.96)) - 8
        self.query_one(Static).update(self._text(width))

    def action_turn(self, pages: int) -> None:
        """Turns pages."""
        frame = self.query_one(VerticalScroll)
        frame.scroll_relative(y=pages * (frame.size.height - 2), animate=False)

    def _text(self, width: int) -> Content:
        newline = Content("\n")
        lines = [Content.styled("The prose", "bold $prose-title"), Content("")]
        for row in (_PROSE[:3], _PROSE[3:]):
            lines.append(Content("  ") + Content("   ").join(Content.styled(*each) for each in row))
        for group in dict.fromkeys(action.title.split(":")[0] for action in ACTIONS):
            lines += [Content(""), Content.styled(group, "bold $prose-title"), Content("")]
            for action in ACTIONS:
                if action.title.split(":")[0] == group:
                    lines.append(self._line(action, width))
        return newline.join(lines)

    def _line(self, action: Action, width: int) -> Content:
        keys = " ".join(key_name(key) for key in keys_of(action, self._keymap))
        slash = f"/{action.slash}" if action.slash else ""
        is_narrow = width < _NARROW
        column = 4 if is_narrow else _KEYS + _SLASH + 2
        lines = wrapped(action.help, width - column)
        if is_narrow:
            lines.insert(0, "")
        return (
            Content.styled(f"  {_padded(keys, _KEYS)}", "$accent")
            + Content.styled(_padded(slash, _SLASH), "$primary")
            + Content(f"\n{' ' * column}".join(lines))
        )


def wrapped(text: str, width: int) -> list[str]:
    """The rows of a text, in a column of some width."""
    starts = wrap(text, width)
    return [text[a:b].rstrip() for a, b in zip(starts, [*starts[1:], len(text)], strict=True)]


def _padded(text: str, width: int) -> str:
    return text + " " * max(1, width - cell_len(text))

"""A short list to choose from, over the story.

It does not know what the choice is for; while the highlight moves it may show each one's effect.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.cells import cell_len
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from shoritui.tui.completions import Completion, ranked


@dataclass(frozen=True, slots=True)
class Choice:
    """One thing to choose."""

    value: str
    label: str
    detail: str = ""


class Chooser(ModalScreen[str | None]):
    """Gives the value of the row taken with Enter, or nothing after Escape; letters filter."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "cancel", show=False)]
    DEFAULT_CSS = """
    Chooser { align: center middle; background: $background 60%; }
    Chooser > Vertical {
        width: 64; max-width: 90%; height: auto; max-height: 80%;
        border: round $border; border-title-color: $prose-title; border-title-style: bold;
        border-subtitle-color: $prose-info;
        background: $surface; padding: 0 1;
    }
    Chooser Static { width: 100%; margin: 0 1 1 1; color: $foreground; }
    Chooser OptionList {
        height: auto; max-height: 20; border: none; background: $surface; padding: 0;
        scrollbar-size-vertical: 1;
        &:focus { border: none; background-tint: $foreground 0%; }
    }
    Chooser:nocolor OptionList > .option-list--option-highlighted { text-style: bold reverse; }
    """

    def __init__(
        self,
        title: str,
        choices: Sequence[Choice],
        current: str = "",
        *,
        question: str = "",
        preview: Callable[[str], None] | None = None,
    ) -> None:
        super().__init__()
        self._title = title
        self._choices = list(choices)
        self._current = current
        self._question = question
        self._preview = preview
        self._letters = ""

    def compose(self) -> ComposeResult:
        """The list in a frame."""
        with Vertical() as frame:
            frame.border_title = Content(self._title)
            frame.border_subtitle = "⏎ choose · esc leave"
            if self._question:
                yield Static(Content(self._question))
            yield OptionList()

    def on_mount(self) -> None:
        """Highlights what is chosen now."""
        self._fill()
        self._list.focus()

    @property
    def _list(self) -> OptionList:
        return self.query_one(OptionList)

    def _fill(self) -> None:
        words = [(choice.label, Completion(choice.value, choice.label)) for choice in self._choices]
        wanted = [each.text for each in ranked(self._letters, words)]
        if not self._letters:
            wanted = [choice.value for choice in self._choices]
        by_value = {choice.value: choice for choice in self._choices}
        shown = self._list
        shown.clear_options()
        shown.add_options([Option(self._prompt(by_value[value]), value) for value in wanted])
        if wanted:
            start = wanted.index(self._current) if self._current in wanted else 0
            shown.highlighted = start

    def _prompt(self, choice: Choice) -> Content:
        mark = "● " if choice.value == self._current else "  "
        width = max(cell_len(each.label) for each in self._choices) + 5
        label = f"{mark}{choice.label}"
        if not choice.detail:
            return Content(label)
        detail = Content.styled(choice.detail, "dim")
        return Content(label + " " * (width - cell_len(label))) + detail

    def on_key(self, event: events.Key) -> None:
        """Letters filter the list."""
        if event.key == "backspace":
            self._letters = self._letters[:-1]
        elif event.is_printable and event.character and event.character != " ":
            self._letters += event.character
        else:
            return
        event.stop()
        self._fill()

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        """Shows the effect."""
        if self._preview is not None and event.option_id is not None:
            self._preview(event.option_id)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Takes the row."""
        self.dismiss(event.option_id)

    def action_cancel(self) -> None:
        """Leaves without choosing."""
        self.dismiss(None)

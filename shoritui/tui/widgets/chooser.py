"""Short questions over the story: a list to choose from, the highlighted choice perhaps previewed
(`Chooser`), or a line to write (`LinePrompt`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeVar

from rich.cells import cell_len
from textual import events
from textual.app import ComposeResult
from textual.await_complete import AwaitComplete
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from shoritui.tui.widgets.completions import Completion, ranked


@dataclass(frozen=True, slots=True)
class Choice:
    """One thing to choose."""

    value: str
    label: str
    detail: str = ""


Result = TypeVar("Result")


class Framed(ModalScreen[Result]):
    """A frame with a title, over a story that fades; lists in it have no frame of their own."""

    DEFAULT_CSS = """
    Framed { align: center middle; background: $background 60%; }
    Framed > Vertical {
        border: round $border; border-title-color: $prose-title; border-title-style: bold;
        border-subtitle-color: $prose-info; background: $surface;
    }
    Framed OptionList {
        border: none; background: $surface; scrollbar-size-vertical: 1;
        text-wrap: nowrap; text-overflow: ellipsis;
        &:focus { border: none; background-tint: $foreground 0%; }
    }
    Framed:nocolor OptionList > .option-list--option-highlighted { text-style: bold reverse; }
    """

    def dismiss(self, result: Result | None = None) -> AwaitComplete:
        """Give the answer and close, with what was opened over it; a second answer is none.

        Keys come faster than a screen closes, and Textual closes whichever is on top.
        """
        if self not in self.app.screen_stack:
            return AwaitComplete()
        while self.app.screen is not self:
            self.app.pop_screen()
        return super().dismiss(result)


class Chooser(Framed[str | None]):
    """Gives the value of the row taken with Enter, or nothing after Escape; letters filter.

    Where `filters` is off, as for a question with few answers, they do nothing.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", show=False)]
    DEFAULT_CSS = """
    Chooser > Vertical {
        width: 64; max-width: 90%; height: auto; max-height: 80%; padding: 0 1;
    }
    Chooser Static { width: 100%; margin: 0 1 1 1; color: $foreground; }
    Chooser OptionList { height: auto; max-height: 20; padding: 0; }
    """

    def __init__(
        self,
        title: str,
        choices: Sequence[Choice],
        current: str = "",
        *,
        question: str = "",
        preview: Callable[[str], None] | None = None,
        filters: bool = True,
    ) -> None:
        super().__init__()
        self._title = title
        self._choices = list(choices)
        self._current = current
        self._question = question
        self._preview = preview
        self._filters = filters
        self._letters = ""

    def compose(self) -> ComposeResult:
        """The list in a frame."""
        with Vertical() as frame:
            frame.border_subtitle = "⏎ choose · esc close"
            if self._question:
                yield Static(Content(self._question))
            yield OptionList()

    def on_mount(self) -> None:
        """Highlight what is chosen now."""
        self._fill()
        self._list.focus()

    @property
    def _list(self) -> OptionList:
        return self.query_one(OptionList)

    def _fill(self) -> None:
        by_value = {choice.value: choice for choice in self._choices}
        words = [(each.label, Completion(each.value, each.label)) for each in by_value.values()]
        wanted = list(by_value)
        if self._letters:
            wanted = [each.text for each in ranked(self._letters, words)]
        title = f"{self._title} · {self._letters}" if self._letters else self._title
        self.query_one(Vertical).border_title = Content(title)
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
        if not self._filters:
            return
        if event.key == "backspace":
            self._letters = self._letters[:-1]
        elif event.is_printable and event.character and event.character != " ":
            self._letters += event.character
        else:
            return
        event.stop()
        self._fill()

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        """Show the effect."""
        if self._preview is not None and event.option_id is not None:
            self._preview(event.option_id)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Take the row."""
        self.dismiss(event.option_id)


class LinePrompt(Framed[str | None]):
    """Gives the line that stands there at Enter, or nothing after Escape."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", show=False)]
    DEFAULT_CSS = """
    LinePrompt > Vertical { width: 64; max-width: 90%; height: auto; padding: 0 1; }
    LinePrompt Static { width: 100%; margin: 0 1 1 1; color: $foreground; }
    LinePrompt #problem { margin: 1 1 0 1; color: $error; display: none; }
    LinePrompt Input, LinePrompt Input:focus {
        border: none; height: 1; padding: 0 1; background: $boost;
    }
    """

    def __init__(
        self,
        title: str,
        text: str = "",
        *,
        question: str = "",
        word: str = "keep",
        check: Callable[[str], str] = lambda text: "",
    ) -> None:
        super().__init__()
        self._title = title
        self._text = text
        self._question = question
        self._word = word
        self._check = check
        """Says what is wrong with a line, which then can't be taken."""

    def compose(self) -> ComposeResult:
        """The line in a frame."""
        with Vertical() as frame:
            frame.border_title = Content(self._title)
            frame.border_subtitle = f"⏎ {self._word} · esc close"
            if self._question:
                yield Static(Content(self._question))
            yield Input(self._text, select_on_focus=False)
            yield Static(id="problem")

    def on_input_changed(self, event: Input.Changed) -> None:
        """Say at once what is wrong."""
        problem = self._check(event.value.strip())
        shown = self.query_one("#problem", Static)
        shown.display = bool(problem)
        shown.update(Content(problem))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Take the line, if nothing is wrong with it."""
        if not self._check(event.value.strip()):
            self.dismiss(event.value.strip())

"""What the model reads next: every block with its tokens, whether it is evaluated already and why
it is there; then what is left out, and why.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Input, Static

from shoritui.errors import UserError
from shoritui.text import cells, clean, counted, one_line
from shoritui.tui.chat.inspect.token_screen import Branch, Tokens, TokenScreen
from shoritui.tui.widgets.chooser import Framed
from shoritui.tui.widgets.row_list import RowList, Words

if TYPE_CHECKING:
    from shoritui.director import InspectedBlock, Inspection, Inspector, LeftOut

_KEYS = "⏎ tokens · ←→ speaker · / search · y copy · g go to it · r look again · esc close"
_SHORT_KEYS = "⏎ tokens · ←→ speaker · / search · y copy · esc"
_NARROW = 90
_NAME_CELLS = 26
_LETTERS = ("speaker", "step", "search", "copy", "go", "look")
"""What is done by keys that a line to type in wants for itself."""


class InspectScreen(Framed[int | Branch | None]):
    """Gives the message to go to, or another way for one to go on, or nothing after Escape."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", show=False, priority=True),
        Binding("enter", "tokens", show=False, priority=True),
        Binding("up", "move(-1)", show=False, priority=True),
        Binding("down", "move(1)", show=False, priority=True),
        Binding("pageup", "page(-1)", show=False, priority=True),
        Binding("pagedown", "page(1)", show=False, priority=True),
        Binding("ctrl+home,home", "move(-1000000)", show=False, priority=True),
        Binding("ctrl+end,end", "move(1000000)", show=False, priority=True),
        Binding("left", "speaker(-1)", show=False, priority=True),
        Binding("right", "speaker(1)", show=False, priority=True),
        Binding("k", "step(-1)", show=False, priority=True),
        Binding("j", "step(1)", show=False, priority=True),
        Binding("slash,ctrl+f", "search", show=False, priority=True),
        Binding("y", "copy", show=False, priority=True),
        Binding("g", "go", show=False, priority=True),
        Binding("r", "look", show=False, priority=True),
    ]
    DEFAULT_CSS = """
    InspectScreen { background: $background; }
    InspectScreen > Vertical { width: 100%; max-width: 160; height: 100%; }
    InspectScreen #sum { height: auto; padding: 0 1; margin: 0 0 1 0; color: $foreground; }
    InspectScreen Input, InspectScreen Input:focus {
        border: none; height: 1; padding: 0 1; margin: 0; background: $boost; display: none;
    }
    InspectScreen Input.-shown { display: block; }
    InspectScreen VerticalScroll { height: 40%; margin: 1 0 0 0; padding: 0 1; }
    InspectScreen #about { height: auto; color: $foreground; }
    """

    def __init__(
        self,
        inspector: Inspector,
        settled: Callable[[], Awaitable[None]],
        speakers: Sequence[str],
        speaker: str = "",
        entry_id: int | None = None,
    ) -> None:
        """Wait by `settled` until nothing is being written, and begin at an entry, if it is read.

        Without a speaker it is whoever is next.
        """
        super().__init__()
        self._inspector = inspector
        self._settled = settled
        self._speakers = speakers
        self._speaker = speaker
        self._entry_id = entry_id
        self.inspection: Inspection | None = None
        self.rows: list[InspectedBlock | LeftOut] = []
        self.line = Input(placeholder="type to search", select_on_focus=False)
        self.view = RowList(lambda row: words_of(self.rows[row]), "Nothing has these words.")
        self.sum = Static("", id="sum")
        # Held, not asked for: what was read may come when the screen is closed and empty.
        self._about = Static(id="about")
        self._frame = VerticalScroll(can_focus=False)

    def compose(self) -> ComposeResult:
        """The sum, what is looked for, the blocks, and the text of one of them."""
        with Vertical() as frame:
            frame.border_title = "What the model reads next"
            yield self.sum
            yield self.line
            yield self.view
            with self._frame:
                yield self._about

    def on_mount(self) -> None:
        """Ask what is read."""
        self._show_keys()
        self.view.focus()
        self.watch(self.view, "highlighted", self._show_about, init=False)
        self.action_look()

    def on_resize(self) -> None:
        """Show the keys that there is room for."""
        self._show_keys()

    def _show_keys(self) -> None:
        keys = _KEYS if self.size.width >= _NARROW else _SHORT_KEYS
        self.query_one(Vertical).border_subtitle = keys

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Letters and arrows belong to the line that is searched with."""
        return self.focused is not self.line or action not in _LETTERS

    # What is shown

    @work(exclusive=True)
    async def _look(self) -> None:
        self.sum.update(Content("waiting until the reply has ended …"))
        await self._settled()
        self.sum.update(Content("looking …"))
        try:
            self.inspection = await self._inspector.prompt(self._speaker)
        except UserError as error:
            self.inspection = None
            self.sum.update(Content(f"✕ {clean(str(error))}"))
            self._fill()
            return
        self._speaker = self.inspection.speaker
        lines = map(one_line, self.inspection.sums_in_words)
        self.sum.update(Content("\n").join(map(Content, lines)))
        self._fill()

    def _fill(self) -> None:
        told, wanted = self.inspection, self.line.value.strip().casefold()
        rows: list[InspectedBlock | LeftOut] = []
        if told is not None:
            rows += [*told.blocks, *told.left_out]
        if wanted:
            rows = [row for row in rows if wanted in f"{row.name}\n{row.text}".casefold()]
        before, self.rows = self.highlighted, rows
        at = next((at for at, row in enumerate(rows) if self._is_same(row, before)), 0)
        self.view.show(len(rows), at)
        self._show_about()

    def _is_same(
        self, row: InspectedBlock | LeftOut, before: InspectedBlock | LeftOut | None
    ) -> bool:
        if before is None:
            return row.entry is not None and row.entry.id == self._entry_id
        return (row.number, row.name, row.text) == (before.number, before.name, before.text)

    @property
    def highlighted(self) -> InspectedBlock | LeftOut | None:
        """The highlighted row."""
        return self.rows[self.view.highlighted] if self.view.highlighted < len(self.rows) else None

    def _show_about(self) -> None:
        row = self.highlighted
        about = "\n\n".join([one_line(row.heading), clean(row.text)]) if row is not None else ""
        self._about.update(Content(about))
        self._frame.scroll_home(animate=False)

    def on_input_changed(self) -> None:
        """Show what has these words."""
        self._fill()

    def on_input_submitted(self) -> None:
        """Go on among what was found."""
        self.view.focus()

    # Keys

    def action_look(self) -> None:
        """Look again."""
        self._look()

    def action_speaker(self, step: int) -> None:
        """Show what another one would read."""
        if self._speaker in self._speakers:
            at = self._speakers.index(self._speaker) + step
            self._speaker = self._speakers[at % len(self._speakers)]
            self._look()

    def action_move(self, rows: int) -> None:
        """Highlight another row."""
        self.view.move(rows)

    action_step = action_move

    def action_page(self, pages: int) -> None:
        """Highlight a row a page further."""
        self.view.move(pages * max(1, self.view.size.height - 1))

    def action_search(self) -> None:
        """Search the blocks."""
        self.line.add_class("-shown")
        self.line.focus()

    def action_copy(self) -> None:
        """Copy the whole prompt."""
        if self.inspection is not None:
            self.app.copy_to_clipboard(self.inspection.text)
            tokens = counted(self.inspection.tokens, "token")
            self.query_one(Vertical).border_subtitle = f"the prompt is in the clipboard: {tokens}"

    def action_go(self) -> None:
        """Go to the message in the story."""
        if self.highlighted is not None and self.highlighted.entry is not None:
            self.dismiss(self.highlighted.entry.id)

    def action_leave(self) -> None:
        """Leave the search, or the screen."""
        if self.line.has_class("-shown"):
            self.line.clear()
            self.line.remove_class("-shown")
            self.view.focus()
        else:
            self.dismiss(None)

    def action_tokens(self) -> None:
        """Show the tokens of the highlighted block; from the search, go to what was found."""
        if self.focused is self.line:
            self.view.focus()
            return
        row = self.highlighted
        if row is None or self.inspection is None:
            return
        is_message = row.entry is not None and row.entry.kind == "message"
        ids = None if row in self.inspection.left_out else row.ids  # type: ignore[union-attr]
        entry_id = row.entry.id if is_message and row.entry is not None else None
        if ids is None and entry_id is None:
            return
        tokens = Tokens(f"Tokens: {one_line(row.label)}", ids, entry_id)
        self.app.push_screen(TokenScreen(self._inspector, tokens), self._take)

    def _take(self, branch: Branch | None) -> None:
        if branch is not None:
            self.dismiss(branch)


def words_of(row: InspectedBlock | LeftOut) -> Words:
    """Return one row: whether it is evaluated, its tokens, what it is, and how it begins."""
    from shoritui.director import REASONS, LeftOut

    name = one_line(row.label)
    while cells(name) > _NAME_CELLS:
        name = f"{name[:-2]}…"
    name += " " * (_NAME_CELLS - cells(name))
    tokens = f"{row.tokens:>6,}" if row.tokens else " " * 6
    if isinstance(row, LeftOut):
        said = f"{REASONS[row.reason]}: {one_line(row.text[:200])}"
        return [("✕ ", "info"), (f"{tokens}  ", "hidden"), (f"{name}  ", "hidden"), (said, "info")]
    header, _, body = row.text.removesuffix("▄\n").partition("\n")
    said = row.entry.text if row.entry is not None else body or header
    mark = "?" if row.reused is None else "●" if row.reused == row.tokens else "○"
    mark = "◐" if row.reused and row.reused < row.tokens else mark
    return [
        (f"{mark} ", "info" if mark == "●" else "title"),
        (f"{tokens}  ", "label"),
        (f"{name}  ", ""),
        (one_line((row.why and f"[{row.why}] ") + said[:200]), "info"),
    ]

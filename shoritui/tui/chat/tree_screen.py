"""The tree of a story's branches: what was written, where it forks, and a jump to any of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Input

from shoritui.story import Node
from shoritui.tui.chat.tree_rows import TreeRow, tree_rows, words_of
from shoritui.tui.widgets.chooser import Framed, LinePrompt
from shoritui.tui.widgets.row_list import RowList

Name = Callable[[int, str | None], Awaitable[Sequence[Node] | None]]
"""Names an entry, or takes its name away; gives the tree as it is then."""


class TreeScreen(Framed[int | None]):
    """Gives the id of the message to go to, or nothing after Escape."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", show=False, priority=True),
        Binding("f2", "name", show=False, priority=True),
        Binding("up", "move(-1)", show=False, priority=True),
        Binding("down", "move(1)", show=False, priority=True),
        Binding("pageup", "page(-1)", show=False, priority=True),
        Binding("pagedown", "page(1)", show=False, priority=True),
        Binding("ctrl+home", "move(-1000000)", show=False, priority=True),
        Binding("ctrl+end", "move(1000000)", show=False, priority=True),
    ]
    DEFAULT_CSS = """
    TreeScreen { background: $background; }
    TreeScreen > Vertical { width: 100%; max-width: 132; height: 100%; }
    TreeScreen Input, TreeScreen Input:focus {
        border: none; height: 1; padding: 0 1; margin: 0 0 1 0; background: $boost;
    }
    """

    def __init__(self, nodes: Sequence[Node], name: Name) -> None:
        super().__init__()
        self._tree = nodes
        self._give_name = name
        self._unfolded: set[int] = set()
        self.rows: list[TreeRow] = []
        self.line = Input(placeholder="type to filter", select_on_focus=False)
        self.view = RowList(lambda index: words_of(self.rows[index]), "There is nothing here.")

    def compose(self) -> ComposeResult:
        """The line to filter with, and the tree."""
        with Vertical() as frame:
            frame.border_title = "Branches"
            frame.border_subtitle = "⏎ go there · F2 name · esc close"
            yield self.line
            yield self.view

    def on_mount(self) -> None:
        """Begin at the story's end."""
        self.line.focus()
        self._fill()

    def _fill(self, entry_id: int | None = None) -> None:
        """Show the tree with the row of an entry highlighted, or the story's end."""
        self.rows = tree_rows(self._tree, self.line.value.strip(), self._unfolded)
        places = (
            place
            for place, row in enumerate(self.rows)
            if (row.is_head if entry_id is None else row.nodes[0].id == entry_id)
        )
        self.view.show(len(self.rows), next(places, 0))

    @property
    def highlighted(self) -> TreeRow | None:
        """The highlighted row."""
        return self.rows[self.view.highlighted] if self.rows else None

    def on_input_changed(self) -> None:
        """What is typed says which messages are wanted."""
        self._fill()

    def on_input_submitted(self) -> None:
        """Take the row; as Enter comes by way of the line, its letters came before."""
        self.action_take()

    def on_row_list_clicked(self) -> None:
        """A click takes the row."""
        self.action_take()

    def action_take(self) -> None:
        """Go to the highlighted message; unfold a run."""
        row = self.highlighted
        if row is None:
            return
        if len(row.nodes) == 1:
            self.dismiss(row.nodes[0].id)
            return
        self._unfolded.add(row.nodes[0].id)
        self._fill(row.nodes[0].id)

    @work
    async def action_name(self) -> None:
        """Name the branch that begins at the highlighted message."""
        row = self.highlighted
        if row is None or len(row.nodes) > 1:
            return
        node = row.nodes[0]
        name = await self.app.push_screen_wait(
            LinePrompt("A name for this branch", node.label or "")
        )
        if name is None or name == (node.label or ""):
            return
        nodes = await self._give_name(node.id, name or None)
        if nodes is not None:
            self._tree = nodes
            self._fill(node.id)

    def action_leave(self) -> None:
        """Empty the line, or leave."""
        if self.line.value:
            self.line.clear()
        else:
            self.dismiss(None)

    def action_move(self, rows: int) -> None:
        """Highlight another row."""
        self.view.move(rows)

    def action_page(self, pages: int) -> None:
        """Highlight a row a page further."""
        self.view.move(pages * max(1, self.view.size.height - 1))

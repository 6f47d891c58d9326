"""Textual's text area, in terminals of any width."""

from __future__ import annotations

from textual.strip import Strip
from textual.widgets import TextArea


class Area(TextArea):
    """A text area that may have no room: Textual wraps a placeholder to a width of 0, too."""

    def render_line(self, y: int) -> Strip:
        """Return a row; where nothing fits into it, nothing."""
        return super().render_line(y) if self.content_size.width > 0 else Strip.blank(0)

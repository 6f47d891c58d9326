"""A screen that holds a story: it tells Textual which words the mouse is on.

It does not know what else is on the screen.
"""

from __future__ import annotations

from textual.errors import NoWidget
from textual.geometry import Offset
from textual.screen import Screen
from textual.widget import Widget

from shoritui.tui.transcript import Transcript


class StoryScreen(Screen[None]):
    """A screen where text in transcripts is selected by its source, not by its rows."""

    def get_widget_and_offset_at(self, x: int, y: int) -> tuple[Widget | None, Offset | None]:
        """The widget at a cell, and the place in its text."""
        try:
            widget, region = self.get_widget_at(x, y)
        except NoWidget:
            return None, None
        if isinstance(widget, Transcript):
            return widget, widget.source_offset(x - region.x, y - region.y)
        return super().get_widget_and_offset_at(x, y)

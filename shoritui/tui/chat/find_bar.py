"""The line in which words are typed that are looked for in the story."""

from __future__ import annotations

from bisect import bisect_left, bisect_right

from textual.widgets import Input

from shoritui.tui.widgets.transcript import Transcript

_PAUSE = 0.08
"""Seconds without a key after which it is looked."""


class FindBar(Input):
    """Marks the words that are typed in a transcript, and goes from one message to the next."""

    DEFAULT_CSS = """
    FindBar, FindBar:focus {
        display: none; height: 3; border: round $border; background: $background; padding: 0 1;
        border-title-color: $prose-title; border-subtitle-color: $prose-info;
    }
    """

    def __init__(self, story: Transcript) -> None:
        super().__init__(select_on_focus=True)
        self._story = story
        self._typed = 0
        self.border_title = "find in the story"

    def open(self, words: str = "") -> None:
        """Ask for words, or look for these."""
        self.display = True
        self.focus()
        if words:
            self.value = words
        elif self.value:
            self._look()

    def close(self) -> bool:
        """Mark nothing any more; return whether anything was looked for."""
        was_open, self.display = bool(self.display), False
        if was_open:
            self._story.find("")
        return was_open

    def go(self, step: int) -> None:
        """Go to the next message that has the words, or to the one before; around the ends."""
        places = self._story.find(self.value)
        at = self._story.place
        if step > 0:
            found = bisect_right(places, at)
        elif step < 0:
            found = bisect_left(places, at) - 1
        else:
            found = min(bisect_left(places, at), len(places) - 1)
        if places:
            found %= len(places)
            item = self._story.passages[places[found]]
            self._story.go_to(item.id, self._story.first_found(places[found]))
            count = f"{found + 1:,} of {len(places):,} messages · n next · N previous"
        else:
            count = "nowhere" if self.value else "⏎ look"
        self.border_subtitle = f"{count} · esc ends"

    def on_input_changed(self) -> None:
        """Look once no key was pressed for a moment."""
        self._typed += 1
        typed = self._typed
        self.set_timer(_PAUSE, lambda: self._look() if typed == self._typed else None)

    def on_input_submitted(self) -> None:
        """Enter looks at once and gives the keys to the story."""
        self._typed += 1
        self._look()
        self._story.focus()

    def _look(self) -> None:
        if self.display:
            self.go(0)

"""The command palette: every action of the table, by name.

It does not know what they do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, cast

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content

from shoritui.tui.actions import ACTIONS, BY_ID, key_name, keys_of
from shoritui.tui.passage import one_line

if TYPE_CHECKING:
    from shoritui.tui.app import ShoriTUI


class ActionPalette(Provider):
    """Finds actions, and each character of the cast to speak next."""

    @property
    def _app(self) -> ShoriTUI:
        return cast("ShoriTUI", self.app)

    async def discover(self) -> Hits:
        """Everything, before a letter is typed."""
        for title, text, run in self._rows():
            yield DiscoveryHit(Content(title), run, text=title, help=_escaped(text))

    async def search(self, query: str) -> Hits:
        """What the letters find."""
        matcher = self.matcher(query)
        for title, text, run in self._rows():
            score = matcher.match(title)
            if score > 0:
                yield Hit(score, Content(title), run, text=title, help=_escaped(text))

    def _rows(self) -> Iterator[tuple[str, str, Callable[[], None]]]:
        app = self._app
        for action in ACTIONS:
            keys = keys_of(action, app.settings.keymap)
            key = f"  ({', '.join(key_name(key) for key in keys)})" if keys else ""
            yield action.title, f"{action.help}{key}", partial(app.start_action, action)
        director = app.director
        if director is not None:
            for name in director.cast:
                if name != director.user:
                    title = f"Story: Let {one_line(name)} speak next"
                    run = partial(app.start_action, BY_ID["next"], name)
                    yield title, "Chooses who answers next.", run


def _escaped(text: str) -> str:
    """The palette reads its help as markup."""
    return text.replace("[", "\\[")

"""What the composer's words mean: commands, names, completions, drafts.

It does not know how anything is done: commands are rows of the table of actions.
"""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from typing import TYPE_CHECKING

from shoritui.tui.actions import ACTIONS, BY_SLASH, Action
from shoritui.tui.completions import Completion, ranked
from shoritui.tui.passage import one_line
from shoritui.tui.verbs.story import addressed

if TYPE_CHECKING:
    from shoritui.tui.app import ShoriTUI


class Prompt:
    """Reads the composer for the app."""

    def __init__(self, app: ShoriTUI) -> None:
        self._app = app
        self._closed_for = ""

    # Completions

    def follow(self) -> None:
        """Offers what fits the words typed so far, or nothing."""
        composer, popup = self._app.composer, self._app.completions
        text = composer.text
        if text == self._closed_for:
            return
        self._closed_for = ""
        rows = self._fitting(text) if "\n" not in text else []
        if [row.text for row in rows] == [text]:
            rows = []
        composer.popup_open = bool(rows)
        if rows or popup.display:
            popup.offer(rows, composer.size.height + 4)

    def _fitting(self, text: str) -> list[Completion]:
        if text.startswith("@"):
            names = self._app.director.cast if self._app.director is not None else []
            words = ((name, Completion(f"@{name} ", f"@{one_line(name)}")) for name in names)
            known = any(text.startswith(f"@{name}") for name in names)
            return [] if known else ranked(text[1:], words)
        if not text.startswith("/") or text.startswith("//"):
            return []
        word, space, rest = text[1:].partition(" ")
        if not space:
            return ranked(word, _commands())
        action = BY_SLASH.get(word)
        if action is None or action.choices is None:
            return []
        choices = action.choices(self._app)
        words = ((value, Completion(f"/{word} {value}", one_line(value))) for value in choices)
        return ranked(rest, words)

    def close_popup(self) -> bool:
        """Hides the popup until something else is typed; whether there was one."""
        if not self._app.completions.display:
            return False
        self._closed_for = self._app.composer.text
        self._app.composer.popup_open = False
        self._app.completions.offer((), 0)
        return True

    def take_completion(self, completion: Completion | None = None, *, with_enter: bool) -> bool:
        """Puts the highlighted row in; after Enter a whole command is left to be run."""
        chosen = completion or self._app.completions.current
        if chosen is None:
            return False
        composer = self._app.composer
        if with_enter and self._is_whole(composer.text):
            return False
        composer.fill(chosen.text)
        self.close_popup()
        if not chosen.text.startswith("/"):
            return True
        if chosen.text.endswith(" "):
            self._closed_for = ""
            self.follow()
            return True
        return not with_enter

    @staticmethod
    def _is_whole(text: str) -> bool:
        """Whether a command can be run as it stands, without anything after it."""
        action = BY_SLASH.get(text[1:]) if text.startswith("/") else None
        return action is not None and (not action.argument or action.argument.startswith("["))

    # Ahead of Enter

    def look_ahead(self) -> None:
        """Lets what will be read once Enter is pressed be evaluated now; never waits for it."""
        director = self._app.director
        if director is None or self._app.playing.is_on:
            return
        text = self._app.composer.text
        is_command = text.startswith("/") and not text.startswith("//")
        speaker, words = addressed("" if is_command else text.removeprefix("/"), director.cast)
        director.look_ahead(words, speaker)

    # Commands

    async def run_command(self, text: str) -> None:
        """Runs `/word argument`; an unknown word is told and the text stays."""
        word, _, argument = text[1:].strip().partition(" ")
        action = BY_SLASH.get(word)
        if action is None:
            near = get_close_matches(word, BY_SLASH, 1, 0.4)
            hint = f" Did you mean /{near[0]}?" if near else " F1 shows them all."
            self._app.tell(f"There is no command /{word}.{hint}", trouble=True)
            return
        await self.sent()
        await self._app.do(action, argument.strip())

    def ask(self, slash: str, sentence: str) -> None:
        """Begins a command that needs words, for the user to end; what was typed is kept in it."""
        self._app.composer.fill(f"/{slash} {self._app.composer.text}")
        self._app.composer.focus()
        self._app.tell(sentence)

    async def sent(self) -> None:
        """Empties the composer; what stood in it goes into the history."""
        text = self._app.composer.take()
        self.close_popup()
        await self._app.keep_sent(text)


def _commands() -> Iterator[tuple[str, Completion]]:
    for action in ACTIONS:
        if action.slash:
            yield action.slash, _command(action)


def _command(action: Action) -> Completion:
    text = f"/{action.slash} " if action.argument else f"/{action.slash}"
    label = f"/{action.slash} {action.argument}".rstrip()
    return Completion(text, label, action.help.split(";")[0].split(".")[0] + ".")

"""The keys of every action, each given to it by pressing it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from textual import events, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from shoritui.tui.action import AnyAction, key_name, keys_of
from shoritui.tui.widgets.browser import Browser, Keys
from shoritui.tui.widgets.chooser import Framed
from shoritui.tui.widgets.passage import Passage

if TYPE_CHECKING:
    from shoritui.tui.chat.app_protocol import Host


class KeyPrompt(Framed[str | None]):
    """Gives the key that is pressed, if it can be one; nothing after Escape."""

    DEFAULT_CSS = """
    KeyPrompt > Vertical { width: 64; max-width: 90%; height: auto; padding: 0 1; }
    KeyPrompt Static { width: 100%; margin: 0 1; }
    KeyPrompt #problem { color: $error; margin: 1 1 0 1; display: none; }
    """

    def __init__(self, title: str, problem: Callable[[str], str]) -> None:
        super().__init__()
        self._title = title
        self._problem = problem

    def compose(self) -> ComposeResult:
        """A frame that says what to do."""
        with Vertical() as frame:
            frame.border_title = Content(self._title)
            frame.border_subtitle = "esc close"
            yield Static("Press the new key.")
            yield Static(id="problem")

    def on_key(self, event: events.Key) -> None:
        """Take the key, or say why it can't be taken."""
        event.stop()
        event.prevent_default()
        if event.key == "escape":
            self.dismiss(None)
            return
        problem = self._problem(event.key)
        shown = self.query_one("#problem", Static)
        shown.display = bool(problem)
        shown.update(Content(problem))
        if not problem:
            self.dismiss(event.key)


class KeysScreen(Browser[None]):
    """Shows every action with its keys, and gives it others."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+z", "undo", show=False, priority=True),
        Binding("delete", "reset", show=False, priority=True),
    ]
    DEFAULT_CSS = """
    KeysScreen OptionList { width: 66; }
    """

    def __init__(self, host: Host) -> None:
        super().__init__("Keys", asks="type to find an action or a key")
        self._host = host
        self._actions = {action.id: action for action in host.actions}

    def fill(self) -> None:
        """Show the actions that hold the words."""
        words = self.typed.casefold().split()
        rows = [(action.id, [self._line(action)]) for action in self._actions.values()]
        self.show_rows(
            [
                (row_id, lines)
                for row_id, lines in rows
                if all(word in f"{lines[0].plain} {row_id}".casefold() for word in words)
            ],
            empty="No such action.",
        )

    def _line(self, action: AnyAction) -> Content:
        keymap = self._host.settings.keymap
        keys = ", ".join(map(key_name, keys_of(action, keymap))) or "–"
        mark, ink = ("• ", "bold") if action.id in keymap else ("  ", "dim")
        return Content.styled(f"{mark}{keys:18} ", ink) + Content(action.title)

    def hints(self) -> Keys:
        """Return what can be done."""
        undo = [("^z", "undo")] if self._host.can_undo_setting else []
        return [("⏎", "another key"), ("del", "default"), *undo, ("esc", "close")]

    async def look(self, row_id: str) -> tuple[list[str], list[Passage]]:
        """Return what an action does, and where its keys work."""
        action = self._actions[row_id]
        where = {"composer": "while you write", "transcript": "while you read"}
        parts = [("What it does", action.plain_help)]
        parts.append(("Its keys work", where.get(action.where, "everywhere")))
        if action.slash:
            parts.append(("As a command", f"/{action.slash} {action.argument}".rstrip()))
        parts.append(("Its name in settings.toml", action.id))
        title = Passage(-1, "title", "", action.title)
        return [], [title, *(Passage(-1, "description", *part) for part in parts)]

    def take(self, row_id: str) -> None:
        """Ask for another key."""
        self._change(row_id)

    @work(exclusive=True, group="setting")
    async def _change(self, row_id: str) -> None:
        keymap = self._host.settings.keymap

        def problem(key: str) -> str:
            return self._host.keymap_problem({**keymap, row_id: key})

        key = await self.app.push_screen_wait(KeyPrompt(self._actions[row_id].title, problem))
        if key is not None:
            await self._host.save(keymap={**keymap, row_id: key})
            self.fill()

    @work(exclusive=True, group="setting")
    async def action_reset(self) -> None:
        """Give the highlighted action its own keys back."""
        keymap = dict(self._host.settings.keymap)
        if self.highlighted is not None and keymap.pop(self.highlighted, None) is not None:
            await self._host.save(keymap=keymap)
            self.fill()

    @work(exclusive=True, group="setting")
    async def action_undo(self) -> None:
        """Take the last change of settings back."""
        if await self._host.undo_setting():
            self.fill()

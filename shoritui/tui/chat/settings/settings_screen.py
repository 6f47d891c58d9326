"""All settings, with their words: looked up, changed with Enter, and each change taken back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, ClassVar

from textual import work
from textual.binding import Binding, BindingType
from textual.content import Content

from shoritui.errors import UserError
from shoritui.settings import Settings, setting_problem, typed_value
from shoritui.text import counted, one_line
from shoritui.toml import choices_of, expected, fields_of, meanings_of, type_parts
from shoritui.tui.widgets.browser import Browser, Keys
from shoritui.tui.widgets.chooser import Choice, Chooser, LinePrompt
from shoritui.tui.widgets.field import Editor
from shoritui.tui.widgets.passage import Passage

if TYPE_CHECKING:
    from shoritui.tui.chat.app_protocol import Host

_FIELDS = fields_of(Settings)
_MEANINGS = meanings_of(Settings)
_NAMES = [name for name in _FIELDS if name != "version"]
_ELSEWHERE = {"theme": "theme", "model": "model", "keymap": "keys"}
"""The settings that an action of their own changes, by its id."""
_LONG = ("instruction",)
_ADAPTERS = (
    "A GGUF or PEFT folder and how strongly it counts, such as ~/loras/noir.gguf 0.8; off removes "
    "all."
)


class SettingsScreen(Browser[None]):
    """Shows every setting and changes it; what is changed is written into the file at once."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+z", "undo", show=False, priority=True),
        Binding("delete", "reset", show=False, priority=True),
    ]
    DEFAULT_CSS = """
    SettingsScreen.-narrow #halves { layout: vertical; }
    SettingsScreen.-narrow OptionList { width: 100%; height: 60%; }
    SettingsScreen.-narrow Inside { display: block; margin: 0; }
    """

    def __init__(self, host: Host) -> None:
        super().__init__("Settings", asks="type to find a setting")
        self._host = host

    def fill(self) -> None:
        """Show the settings whose name or words hold what is typed."""
        words = self.typed.casefold().split()
        names = [
            name
            for name in _NAMES
            if all(word in f"{name} {_MEANINGS[name]}".casefold() for word in words)
        ]
        self.show_rows([(name, [self._line(name)]) for name in names], empty="No such setting.")

    def _line(self, name: str) -> Content:
        value = getattr(self._host.settings, name)
        mark, ink = ("  ", "dim") if value == _FIELDS[name].default else ("• ", "bold")
        return Content(f"{mark}{name:19}") + Content.styled(_shown(value), ink)

    def hints(self) -> Keys:
        """Return what can be done."""
        undo = [("^z", "undo")] if self._host.can_undo_setting else []
        return [("⏎", "change"), ("del", "default"), *undo, ("esc", "close")]

    async def look(self, row_id: str) -> tuple[list[str], list[Passage]]:
        """Return what a setting means, what it may be, and what it is."""
        field, value = _FIELDS[row_id], getattr(self._host.settings, row_id)
        parts = [("What it does", _MEANINGS[row_id]), ("Now", _shown(value, whole=True))]
        if value != field.default:
            parts.append(("By default", _shown(field.default, whole=True)))
        if field.type is not None and row_id not in _ELSEWHERE:
            parts.append(("It may be", expected(field.type)))
        title = Passage(-1, "title", "", row_id)
        return [], [title, *(Passage(-1, "description", *part) for part in parts)]

    def take(self, row_id: str) -> None:
        """Change a setting, in the way that fits it."""
        self._change(row_id)

    @work(exclusive=True, group="setting")
    async def _change(self, row_id: str) -> None:
        if row_id in _ELSEWHERE:
            await self._host.do(_ELSEWHERE[row_id])
            return
        value = await self._asked(row_id, getattr(self._host.settings, row_id))
        if value is not None:
            await self._host.save(**{row_id: value})
            self._show_again()

    async def _asked(self, name: str, value: object) -> object:
        """Return the new value of a setting; None if it stays, or was set already."""
        title, hint = name.replace("_", " "), type_parts(_FIELDS[name].type)[0]
        if hint is bool:
            return not value
        choices = [str(choice) for choice in choices_of(hint)]
        if name == "preset" and self._host.session is not None:
            choices = list(self._host.session.samplers)
        if choices:
            rows = [Choice(choice, choice) for choice in choices]
            asked = Chooser(title, rows, str(value), question=_MEANINGS[name])
            chosen = await self.app.push_screen_wait(asked)
            return None if chosen is None else typed_value(name, chosen)
        if isinstance(value, list) and hint is not None:
            text = await self.app.push_screen_wait(Editor(f"{title}, one a line", "\n".join(value)))
            return None if text is None else typed_value(name, text)
        if name in _LONG:
            return await self.app.push_screen_wait(Editor(title, str(value)))
        if name == "adapters":
            typed = await self.app.push_screen_wait(LinePrompt(title, question=_ADAPTERS))
            if typed:
                await self._host.do("adapter", typed)
            return None
        prompt = LinePrompt(
            title,
            str(value),
            question=_MEANINGS[name],
            check=lambda text: _problem(name, text),
        )
        typed = await self.app.push_screen_wait(prompt)
        return None if typed is None else typed_value(name, typed)

    def on_screen_resume(self) -> None:
        """Something else was over it, which may have changed a setting."""
        self._show_again()

    def _show_again(self) -> None:
        if self.is_mounted:
            self.fill()
            if self.highlighted is not None:
                self._look_inside(self.highlighted)

    @work(exclusive=True, group="setting")
    async def action_reset(self) -> None:
        """Set the highlighted setting to its default."""
        if (name := self.highlighted) is not None:
            default = _FIELDS[name].default
            if getattr(self._host.settings, name) != default:
                await self._host.save(**{name: default})
                self._show_again()

    @work(exclusive=True, group="setting")
    async def action_undo(self) -> None:
        """Take the last change back."""
        if await self._host.undo_setting():
            self._show_again()


def _problem(name: str, text: str) -> str:
    """Return what is wrong with a setting as it is typed; empty if nothing is."""
    if name == "server" and text:
        from shoritui.engine import Server

        try:
            Server(text)
        except UserError as error:
            return str(error)
    return setting_problem(name, typed_value(name, text))


def _shown(value: object, *, whole: bool = False) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case [str(), *_]:
            return ", ".join(one_line(str(each)) for each in value)
        case list():
            return counted(len(value), "adapter") if value else "none"
        case dict():
            return f"{counted(len(value), 'key')} of your own" if value else "none of your own"
        case str() if whole:
            return value or "empty"
        case str():
            return one_line(value) or "–"
    return json.dumps(value)

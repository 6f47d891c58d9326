"""Lists of the cast: who is here and may speak, and who hears a whisper."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Literal

from rich.cells import cell_len
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from shoritui.errors import UserError
from shoritui.text import one_line
from shoritui.tui.chat.panels.scene import state_of
from shoritui.tui.chat.verbs.panels import change_scene
from shoritui.tui.widgets.chooser import Framed, Result

if TYPE_CHECKING:
    from shoritui.director import Director
    from shoritui.tui.chat.app_protocol import Host

_CSS = """
    {0} > Vertical {{ width: 64; max-width: 90%; height: auto; max-height: 80%; padding: 0 1; }}
    {0} Static {{ width: 100%; margin: 1 1 0 1; color: $foreground; }}
    {0} OptionList {{ height: auto; max-height: 20; padding: 0; }}
"""


class CastList(Framed[Result]):
    """The cast, a row each, with what is said of each one."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", show=False)]

    def __init__(self, title: str, keys: str) -> None:
        super().__init__()
        self._title = title
        self._keys = keys
        self.list = OptionList()

    def compose(self) -> ComposeResult:
        """The list in a frame."""
        with Vertical() as frame:
            frame.border_title = self._title
            frame.border_subtitle = self._keys
            yield self.list
            yield from self.below()

    def below(self) -> Iterable[Static]:
        """Return what stands below the rows."""
        return ()

    def on_mount(self) -> None:
        """The first row is highlighted."""
        self.fill()
        self.list.highlighted = 0
        self.list.focus()

    def rows(self) -> Sequence[tuple[str, str, str]]:
        """Return each one's name, the mark before it, and what is said of them."""
        raise NotImplementedError

    def fill(self) -> None:
        """Show the rows as they are now."""
        rows, at = self.rows(), self.list.highlighted
        width = max(cell_len(one_line(name)) for name, _, _ in rows) + 3
        self.list.clear_options()
        for name, mark, words in rows:
            label = one_line(name)
            gap = " " * (width - cell_len(label))
            text = Content(f"{mark} {label}{gap}") + Content.styled(words, "dim")
            self.list.add_option(Option(text))  # a library may hold two of one name
        self.list.highlighted = at

    @property
    def highlighted(self) -> str:
        """The name in the highlighted row."""
        return self.rows()[self.list.highlighted or 0][0]


class WhoScreen(CastList[None]):
    """Who is here, and who has turns."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("m", "speak('never')", show=False),
        Binding("n", "speak('when named')", show=False),
        Binding("f6", "dismiss(None)", show=False),
    ]
    DEFAULT_CSS = _CSS.format("WhoScreen")

    def __init__(self, host: Host) -> None:
        super().__init__("Who is here", "⏎ in or out · m mute · n only when named · esc close")
        self._host = host

    def rows(self) -> Sequence[tuple[str, str, str]]:
        """Return who is here and who is not."""
        chat = self._host.chat
        assert chat is not None
        absent = chat.absent
        return [
            (each.name, "○" if each.name in absent else "●", state_of(each, chat.user, absent))
            for each in chat.scene.characters
        ]

    @work(exclusive=True)
    async def on_option_list_option_selected(self) -> None:
        """Let the highlighted one leave, or enter."""
        director, name = self._host.director, self.highlighted
        assert director is not None
        act = director.enter if name in director.chat.absent else director.leave
        if self._host.performance.play(act(name)):
            await self._host.performance.free()
            self.fill()

    @work(exclusive=True)
    async def action_speak(self, speaks: Literal["when named", "never"]) -> None:
        """Mute the highlighted one, or let them speak only when named; the same key ends it."""
        chat, name = self._host.chat, self.highlighted
        assert chat is not None
        cast = tuple(
            each
            if each.name != name
            else replace(each, speaks="freely" if each.speaks == speaks else speaks)
            for each in chat.scene.characters
        )
        await change_scene(self._host, replace(chat.scene, characters=cast))
        await self._host.performance.free()
        self.fill()


class HearersScreen(CastList[tuple[str, ...]]):
    """Gives those who shall hear a whisper; nobody after Escape."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "choose", show=False),
        Binding("f9", "dismiss(None)", show=False),
    ]
    DEFAULT_CSS = _CSS.format("HearersScreen")

    def __init__(self, director: Director, names: Sequence[str]) -> None:
        super().__init__("Who hears it?", "space choose · ⏎ whisper · esc close")
        self._director = director
        self._names = names
        self._chosen: list[str] = []
        self._cost = Static(id="cost")  # held: its words may come when the screen is closed

    def below(self) -> Iterable[Static]:
        """What it costs stands below the names."""
        return (self._cost,)

    def on_mount(self) -> None:
        """Say what it costs."""
        super().on_mount()
        self._tell_cost()

    def rows(self) -> Sequence[tuple[str, str, str]]:
        """Return who can hear it."""
        return [(name, "●" if name in self._chosen else "○", "") for name in self._names]

    @property
    def _hearing(self) -> tuple[str, ...]:
        return tuple(self._chosen) or (self.highlighted,)

    def action_choose(self) -> None:
        """Choose the highlighted one, or no longer."""
        self._chosen = sorted({self.highlighted} ^ set(self._chosen), key=self._names.index)
        self.fill()
        self._tell_cost()

    def on_option_list_option_highlighted(self) -> None:
        """Say what it costs to whisper to this one."""
        self._tell_cost()

    def on_option_list_option_selected(self) -> None:
        """Take those who were chosen, or the highlighted one."""
        self.dismiss(self._hearing)

    @work(exclusive=True)
    async def _tell_cost(self) -> None:
        self._cost.update(Content(await cost(self._director, self._hearing)))


async def cost(director: Director, heard: Sequence[str]) -> str:
    """Return what a whisper to these costs, in words; empty where nobody can tell."""
    try:
        tokens = await director.whisper_cost(heard)
    except UserError:
        return ""
    if tokens is None:
        return "everybody here hears it: nothing is read again"
    return f"when the speaker changes, {tokens:,} tokens or more are read again"

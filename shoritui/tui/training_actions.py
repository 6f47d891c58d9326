"""Everything that can be done while a run is watched, once: keys, palette, footer and help.

It does not know how anything is done; the app has a method `do_...` for each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar, cast

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from shoritui.tui.actions import key_name
from shoritui.tui.help_screen import wrapped

if TYPE_CHECKING:
    from shoritui.tui.training import TrainingApp


@dataclass(frozen=True, slots=True)
class Action:
    """One thing to do."""

    id: str
    """What a keymap calls it; with `do_` before it, the app's method."""
    title: str
    """Its name in the palette, `Group: Verb object`."""
    help: str
    keys: str
    footer: str = ""
    """Its word in the footer, if it stands there."""


ACTIONS = (
    Action(
        "stop",
        "Run: Stop and save",
        "Asks the run to save and end; the same command goes on from there. Asked again, it ends "
        "at once, and what was done since it last saved is lost.",
        "escape,ctrl+c",
        "stop and save",
    ),
    Action("leave", "Run: Leave", "Leaves this screen once the run is over.", "q", "leave"),
    Action("quit", "Run: Stop, save and leave", "Stops the run, and leaves when it has.", "ctrl+q"),
    Action(
        "tier_next",
        "Curve: Show the next tier",
        "Shows the next tier's curve and figures.",
        "n",
        "next tier",
    ),
    Action(
        "tier_previous",
        "Curve: Show the previous tier",
        "Shows the previous tier's curve and figures.",
        "p",
    ),
    Action(
        "tier_current",
        "Curve: Follow the run",
        "Shows whichever tier is being trained.",
        "c",
    ),
    Action(
        "replies", "Panel: Sample replies", "Shows or hides the sample replies.", "r", "replies"
    ),
    Action("worst", "Panel: Worst documents", "Shows or hides the worst documents.", "w", "worst"),
    Action("news", "Panel: News", "Shows or hides what the run told.", "m", "news"),
    Action("side", "Panel: Tiers and figures", "Shows or hides tiers and figures.", "s", "side"),
    Action("theme", "View: Choose a theme", "Changes the theme, shown while you choose.", "alt+v"),
    Action("help", "View: Help", "Shows every key.", "f1,question_mark", "help"),
    Action("palette", "View: Find an action", "Finds any action by its name.", "ctrl+p", "palette"),
)
BY_ID = {action.id: action for action in ACTIONS}
_PRIORITY = ("quit", "palette")


def bindings() -> Iterator[Binding]:
    """The key bindings; their ids are the actions', so that a keymap reaches them."""
    for action in ACTIONS:
        yield Binding(
            action.keys,
            f"app.act('{action.id}')",
            action.title,
            id=action.id,
            show=False,
            priority=action.id in _PRIORITY,
        )


def keys_of(action: Action, keymap: Mapping[str, str]) -> list[str]:
    """The names of an action's keys, the user's own in place of the defaults."""
    keys = keymap.get(action.id, action.keys).split(",")
    return [key_name(key.strip()).replace("question_mark", "?") for key in keys if key.strip()]


class TrainingPalette(Provider):
    """Finds actions by name."""

    async def discover(self) -> Hits:
        """Everything, before a letter is typed."""
        for title, text, run in self._rows():
            yield DiscoveryHit(Content(title), run, text=title, help=text)

    async def search(self, query: str) -> Hits:
        """What the letters find."""
        matcher = self.matcher(query)
        for title, text, run in self._rows():
            score = matcher.match(title)
            if score > 0:
                yield Hit(score, Content(title), run, text=title, help=text)

    def _rows(self) -> Iterator[tuple[str, str, Callable[[], None]]]:
        app = cast("TrainingApp", self.app)
        for action in ACTIONS:
            keys = ", ".join(keys_of(action, app.settings.keymap))
            yield action.title, f"{action.help}  ({keys})", partial(app.start, action.id)


class TrainingHelp(ModalScreen[None]):
    """Every key; Escape, F1, q and Enter leave."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,f1,q,enter,ctrl+c", "dismiss(None)", show=False),
    ]
    DEFAULT_CSS = """
    TrainingHelp { align: center middle; background: $background 60%; }
    TrainingHelp > VerticalScroll {
        width: 78; max-width: 96%; height: auto; max-height: 90%;
        border: round $border; border-title-color: $prose-title; border-title-style: bold;
        border-subtitle-color: $prose-info;
        background: $surface; padding: 1 2; scrollbar-size-vertical: 1;
    }
    TrainingHelp Static { width: 100%; height: auto; }
    """

    def __init__(self, keymap: Mapping[str, str]) -> None:
        super().__init__()
        self._keymap = keymap

    def compose(self) -> ComposeResult:
        """One text, which scrolls."""
        with VerticalScroll() as frame:
            frame.border_title = "Help"
            frame.border_subtitle = "esc leave"
            yield Static()

    def on_mount(self) -> None:
        """The text takes the keys."""
        self.query_one(VerticalScroll).focus()

    def on_resize(self) -> None:
        """Sets the text for the width."""
        width = min(78, int(self.size.width * 0.96)) - 8
        self.query_one(Static).update(Content("\n").join(self._lines(width)))

    def _lines(self, width: int) -> Iterator[Content]:
        group = ""
        for action in ACTIONS:
            if (its := action.title.partition(":")[0]) != group:
                if group:
                    yield Content("")
                yield Content.styled(its, "bold $prose-title")
                group = its
            keys = " ".join(keys_of(action, self._keymap))
            first, *rest = wrapped(action.help, width - 12)
            yield Content.styled(f"  {keys:<10}", "$accent") + Content(first)
            yield from (Content(" " * 12 + line) for line in rest)

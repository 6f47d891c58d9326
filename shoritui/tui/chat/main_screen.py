"""The main screen: the story, the composer under it, the panel beside it, and the bars.

masthead    title and tags of the scene
stage       story | side panel (scene, sampler, out of character)
composer    with its popup of completions above it
status      what is happening, the figures of the last turn
key bar     the keys that matter here and now
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.events import DescendantBlur, DescendantFocus, Resize
from textual.reactive import var

from shoritui.settings import Strategy
from shoritui.text import one_line
from shoritui.tui.action import AnyAction, key_name, keys_of
from shoritui.tui.chat.find_bar import FindBar
from shoritui.tui.widgets.bars import KeyBar, KeyHint, Masthead, StatusLine
from shoritui.tui.widgets.completions import Completions
from shoritui.tui.widgets.composer import Composer
from shoritui.tui.widgets.transcript import StoryScreen, Transcript

if TYPE_CHECKING:
    from shoritui.director import ChatState
    from shoritui.tui.chat.panels.side import Section, SidePanel

CSS = """
MainScreen { layers: base popup; }
MainScreen #stage { height: 1fr; width: 100%; layers: base panel; }
MainScreen.-narrow SidePanel { layer: panel; dock: right; width: 46; max-width: 100%; }
"""
"""How the parts lie: a narrow screen has the panel over the story."""

_WIDE = 100
_PANEL_FROM = 110
_WRITING_KEYS = ("send", "newline", "retry", "continue", "next", "length", "message_up")
_READING_KEYS = ("edit", "delete", "undo", "older", "newer", "retry", "bookmark", "tree", "copy")
_ALL_KEYS = ("scene", "sampler", "ooc", "open", "palette", "help")
_OBVIOUS_KEYS = ("send", "newline", "copy", "message_up", "length", "continue")
"""Those that make room for the others, the first one first."""

TURNS: dict[Strategy, tuple[str, str]] = {
    "natural": ("natural", "whoever was addressed, else by silence and talkativeness"),
    "model": ("the model decides", "whoever it finds likeliest; the odds are shown"),
    "in-turn": ("in turn", "one after another, in the cast's order"),
    "pooled": ("pooled", "one who has not spoken since you did"),
    "choose": ("you choose", "nobody speaks until you ask them"),
}
"""What the ways to give turns are called, and what they do."""
_MOST_ODDS = 3
"""So many have their odds in the composer's border."""


def _hint_words(chat: ChatState) -> str:
    """Return the hint of whoever is next as the composer's border says it."""
    name = chat.who_next()
    hint, length = chat.hint(name), chat.length_of(name)
    return f"model: {length}" if hint == "model" and length else hint


def _next_words(chat: ChatState) -> str:
    """Return who is next as the composer's border says it: a name, a strategy, or the odds."""
    if chosen := chat.picked or chat.next_speaker:
        return one_line(chosen)
    if chat.odds is None or chat.strategy != "model":
        return "auto" if chat.strategy == "natural" else TURNS[chat.strategy][0]
    likeliest = [(name, chat.odds.get(name, 0)) for name in chat.turn_order()][:_MOST_ODDS]
    names = [(one_line("you" if name == chat.user else name), odds) for name, odds in likeliest]
    return " · ".join(f"{name} {odds:.0%}" for name, odds in names)


class Stage(Horizontal):
    """The story and the panel side by side, with nothing of its own to draw."""

    BLANK = True


class MainScreen(StoryScreen):
    """Where the story is read and written."""

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (_WIDE, "-wide")]  # noqa: RUF012
    is_writing: var[bool] = var(False)
    """Whether a reply is being written."""

    def __init__(
        self,
        story: Transcript,
        composer: Composer,
        actions: Mapping[str, AnyAction],
        keymap: Mapping[str, str],
        talk: Transcript,
    ) -> None:
        super().__init__(id="_default")
        self._talk = talk
        """What is said out of character, shown in its panel."""
        self.story = story
        self.composer = composer
        self.find_bar = FindBar(story)
        self.completions = Completions()
        self.masthead = Masthead()
        self.status = StatusLine()
        self.key_bar = KeyBar()
        self.whispers_to: tuple[str, ...] = ()
        """Who hears what the composer says; empty is everybody."""
        self.side: SidePanel | None = None
        """The panel beside the story, once it was opened."""
        self._actions = actions
        self._keymap = keymap
        self._was_narrow = True

    def compose(self) -> ComposeResult:
        """From top to bottom."""
        yield self.masthead
        with Stage(id="stage"):
            yield self.story
        yield self.find_bar
        yield self.composer
        yield self.status
        yield self.key_bar
        yield self.completions

    def on_mount(self) -> None:
        """The composer has the keys from the first moment."""
        self.composer.focus()
        self._show_keys()

    # Words on the screen

    def say(self, text: str, *, busy: bool = True, trouble: bool = False) -> None:
        """Say in the status line what the app is doing."""
        self.status.doing = replace(
            self.status.doing, now=one_line(text), busy=busy and not trouble, trouble=trouble
        )

    def name_scene(self, chat: ChatState | None) -> None:
        """Show the scene's title and tags, or that no story is open."""
        if chat is None:
            self.masthead.heading = Masthead.NO_STORY
            return
        scene = chat.scene_now
        title = one_line(scene.title) or one_line(chat.record.name)
        tags = " · ".join(one_line(tag) for tag in ", ".join(scene.tags).split(", "))
        self.masthead.heading = (title, tags, "ShoriTUI" if chat.is_mine else "read only")

    def show_choices(self, chat: ChatState | None) -> None:
        """Show as whom, how long, and who is next, in the composer's border; or nothing."""
        if chat is None:
            self.composer.border_title = self.composer.placeholder = ""
            return
        self.whispers_to = tuple(name for name in self.whispers_to if name in chat.present)
        hearing = one_line(", ".join(self.whispers_to))
        self.composer.border_title = Content.assemble(
            "as ",
            (one_line(chat.user), "bold"),
            (f" · whispers to {hearing}", "bold") if hearing else "",
            f" · {_hint_words(chat)} · next: {_next_words(chat)}",
        )
        answering, user = one_line(chat.who_next()), one_line(chat.user)
        asks = "What do you" if user.casefold() == "you" else f"What does {user}"
        if hearing:
            hint = f"Only {hearing} will know it; {self._key_of('whisper')} speaks aloud again"
        elif answering:
            hint = f"⏎ alone: {answering} goes on"
        elif chat.asks_for_speaker:
            hint = "⏎ alone: choose who speaks"
        elif any(name != chat.user for name in chat.cast):
            hint = f"Nobody here answers: {self._key_of('who')} shows who is absent or muted"
        else:
            hint = f"Nobody answers yet: {self._key_of('cast')} adds a character"
        self.composer.placeholder = Content(f"{asks} say or do?  {hint}")

    def _key_of(self, action_id: str) -> str:
        """Return the key of an action, or else its command."""
        action = self._actions[action_id]
        keys = keys_of(action, self._keymap)
        return key_name(keys[0]) if keys else f"/{action.slash}"

    def use_keymap(self, keymap: Mapping[str, str]) -> None:
        """Show other keys from now on."""
        self._keymap = keymap
        self._show_keys()

    def watch_is_writing(self) -> None:
        """Show how to stop."""
        self._show_keys()

    @on(DescendantFocus)
    @on(DescendantBlur)
    def _focus_moved(self) -> None:
        self.call_after_refresh(self._show_keys)

    def on_transcript_cursor_moved(self) -> None:
        """Clicking a message is reading."""
        self._show_keys()

    def _show_keys(self) -> None:
        """Show the keys that matter to what has the focus."""
        reading = self.focused in (self.story, self._talk)
        wanted = [*(_READING_KEYS if reading else _WRITING_KEYS), *_ALL_KEYS]
        if self.is_writing or reading:
            wanted.insert(0, "stop")
        hints = []
        for action in (self._actions[action_id] for action_id in wanted):
            word = "back" if action.id == "stop" and not self.is_writing else action.footer
            keys = keys_of(action, self._keymap)
            rank = (
                len(_OBVIOUS_KEYS) - _OBVIOUS_KEYS.index(action.id)
                if action.id in _OBVIOUS_KEYS
                else 0
            )
            hints += [KeyHint(key_name(keys[0]), word, action.id, rank)] if keys else []
        self.key_bar.hints = tuple(hints)

    # The panel

    @property
    def reading(self) -> Transcript:
        """What the keys of reading are about: the story, unless other talk has the focus."""
        return self._talk if self.focused is self._talk else self.story

    @property
    def ooc(self) -> Transcript | None:
        """The talk out of character, once its panel was opened."""
        side = self.side
        return side.ooc.transcript if side is not None and side.ooc.is_mounted else None

    async def open_section(self, key: str) -> Section:
        """Show a section of the panel, made when it is first wanted."""
        if self.side is None:
            from shoritui.tui.chat.panels.side import SidePanel

            self.side = SidePanel(self._talk)
            await self.query_one("#stage").mount(self.side)
        self.side.open(key, alone=self.has_class("-narrow"))
        section = self.side.sections[key]
        await section.ready()
        return section

    def close_section(self, key: str) -> bool:
        """Hide a section if the focus is inside it; return whether it was."""
        side = self.side
        if side is None or not side.is_shown or not side.sections[key].is_open:
            return False
        if self.focused is None or side.sections[key] not in self.focused.ancestors:
            return False
        side.close(key)
        self.composer.focus()
        return True

    def close_overlay(self) -> bool:
        """Hide the panel where it lies over the story; return whether it did."""
        return self.has_class("-narrow") and self._close_panel()

    def _close_panel(self) -> bool:
        if self.side is None or not self.side.is_shown:
            return False
        if self.focused is not None and self.side in self.focused.ancestors:
            self.composer.focus()
        self.side.remove_class("-shown")
        return True

    @property
    def has_room_for_panel(self) -> bool:
        """Whether the scene stands beside the story from the start."""
        return self.size.width >= _PANEL_FROM and self.side is None

    def count_ooc(self) -> None:
        """Something came in out of character: the folded section says so."""
        if self.side is not None and not self.side.sections["ooc"].is_open:
            self.side.sections["ooc"].news += 1

    def on_resize(self, event: Resize) -> None:
        """A screen that became narrow belongs to the story."""
        is_narrow = event.size.width < _WIDE
        if is_narrow and not self._was_narrow:
            self._close_panel()
        self._was_narrow = is_narrow

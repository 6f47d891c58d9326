"""The main screen: the story, the composer under it, the panel beside it, and the bars.

It does not know how anything is done: what its widgets tell becomes actions of the app.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.events import DescendantBlur, DescendantFocus, Resize
from textual.widgets import TextArea

from shoritui.tui.actions import BY_ID, bindings, key_name, keys_of
from shoritui.tui.bars import KeyBar, KeyHint, Masthead, StatusLine
from shoritui.tui.completions import Completions
from shoritui.tui.composer import Composer
from shoritui.tui.passage import one_line
from shoritui.tui.story_screen import StoryScreen
from shoritui.tui.transcript import Transcript
from shoritui.tui.verbs import panels

if TYPE_CHECKING:
    from shoritui.tui.app import ShoriTUI
    from shoritui.tui.ooc_panel import OocPanel
    from shoritui.tui.sampler_panel import SamplerPanel
    from shoritui.tui.scene_panel import ScenePanel
    from shoritui.tui.side_panel import SidePanel

CSS = """
MainScreen { layers: base popup; }
MainScreen #stage { height: 1fr; width: 100%; layers: base panel; }
MainScreen ToastRack { dock: top; align: right top; margin-top: 1; }
MainScreen.-narrow SidePanel { layer: panel; dock: right; width: 46; max-width: 100%; }
"""
"""How the parts lie: a narrow screen has the panel over the story; news hides neither the
newest words nor the composer."""

_WIDE = 100
_PANEL_FROM = 110
_TALL = 36
"""From so many rows on, several sections of the panel may be open at once."""


class Table(Horizontal):
    """The story and the panel side by side, with nothing of its own to draw."""

    BLANK = True


class Story(Transcript):
    """The story being written, with the keys of reading."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("transcript")]


class MainScreen(StoryScreen):
    """Where the story is read and written."""

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (_WIDE, "-wide")]  # noqa: RUF012

    def __init__(self, *, show_marks: bool) -> None:
        super().__init__(id="_default")
        self.story = Story(show_marks=show_marks, widget_id="story")
        self.composer = Composer("composer")
        self.completions = Completions()
        self.masthead = Masthead()
        self.status = StatusLine()
        self.key_bar = KeyBar()
        self.side: SidePanel | None = None
        self._was_narrow = True

    @property
    def _app(self) -> ShoriTUI:
        return cast("ShoriTUI", self.app)

    def compose(self) -> ComposeResult:
        """From top to bottom."""
        yield self.masthead
        with Table(id="stage"):
            yield self.story
        yield self.composer
        yield self.status
        yield self.key_bar
        yield self.completions

    def on_mount(self) -> None:
        """The composer has the keys from the first moment."""
        self.composer.focus()
        self.show_keys()

    # Words on the screen

    def show_prompt(self) -> None:
        """As whom, how long, and who is next, in the composer's border."""
        director = self._app.director
        if director is None:
            return
        follower = director.next_speaker
        title = Content.assemble(
            "as ",
            (one_line(director.user), "bold"),
            f" · {director.length or 'auto'} · next: {one_line(follower) if follower else 'auto'}",
        )
        self.composer.border_title = title
        answering = one_line(director.who_next())
        self.composer.placeholder = f"What does {one_line(director.user)} say or do?" + (
            f"  ⏎ alone: {answering} goes on" if answering else ""
        )

    def show_keys(self) -> None:
        """The keys that matter to what has the focus."""
        reading = self.focused is self.story
        wanted = ["undo", "edit", "copy", "older", "newer", "read_up", "read_down", "retry"]
        if not reading:
            wanted = ["send", "newline", "retry", "continue", "next", "length"]
        wanted += ["scene", "sampler", "ooc", "open", "help"]
        if self._app.playing.is_on or reading:
            wanted.insert(0, "stop")
        hints = [self._hint(action_id) for action_id in [*wanted, "palette"]]
        self.key_bar.hints = tuple(hint for hint in hints if hint is not None)

    def _hint(self, action_id: str) -> KeyHint | None:
        action = BY_ID[action_id]
        keys = keys_of(action, self._app.settings.keymap)
        word = action.footer
        if action_id == "stop" and not self._app.playing.is_on:
            word = "back"
        return KeyHint(key_name(keys[0]), word, action.id) if keys else None

    @on(DescendantFocus)
    @on(DescendantBlur)
    def _focus_moved(self) -> None:
        self.call_after_refresh(self.show_keys)

    # The panel

    async def open_section(self, key: str, *, focus: bool = True) -> None:
        """Shows a section of the panel, made when it is first wanted."""
        side = await self._made_side()
        side.open(key, alone=self.has_class("-narrow") or self.size.height < _TALL)
        await side.sections[key].ready()
        self._app.show_panels()
        if focus:
            side.sections[key].focus_body()

    async def _made_side(self) -> SidePanel:
        if self.side is None:
            from shoritui.tui.side_panel import SidePanel

            self.side = SidePanel()
            await self.query_one("#stage").mount(self.side)
        return self.side

    async def toggle_section(self, key: str) -> None:
        """Shows a section and goes there; from inside it, hides it."""
        side = self.side
        if side is not None and side.is_shown and side.sections[key].is_open:
            inside = self.focused is not None and side.sections[key] in self.focused.ancestors
            if inside:
                side.close(key)
                self.composer.focus()
                return
        await self.open_section(key)

    def close_overlay(self) -> bool:
        """Hides the panel where it lies over the story; whether it did."""
        return self.has_class("-narrow") and self.close_panel()

    def count_ooc(self) -> None:
        """Something came in out of character: the folded section says so."""
        if self.side is not None and not self.side.sections["ooc"].is_open:
            self.side.sections["ooc"].news += 1

    def on_resize(self, event: Resize) -> None:
        """A screen that became narrow belongs to the story."""
        is_narrow = event.size.width < _WIDE
        if is_narrow and not self._was_narrow:
            self.close_panel()
        self._was_narrow = is_narrow

    def close_panel(self) -> bool:
        """Hides the panel; whether it was there."""
        if self.side is None or not self.side.is_shown:
            return False
        if self.focused is not None and self.side in self.focused.ancestors:
            self.composer.focus()
        self.side.remove_class("-shown")
        return True

    async def open_at_start(self) -> None:
        """On a wide screen the scene stands beside the story from the start."""
        if self.size.width >= _PANEL_FROM and self.side is None:
            await self.open_section("scene", focus=False)

    # What the widgets tell

    @on(TextArea.Changed, "#composer")
    def _typed(self) -> None:
        self._app.prompt.follow()
        self._app.prompt.look_ahead()

    def on_composer_popup_moved(self, event: Composer.PopupMoved) -> None:
        """The arrows move through the popup."""
        self.completions.move(event.step)

    def on_composer_completion_asked(self) -> None:
        """Tab takes the highlighted row."""
        self._app.prompt.take_completion(with_enter=False)

    def on_completions_taken(self, event: Completions.Taken) -> None:
        """A click takes a row."""
        self._app.prompt.take_completion(event.completion, with_enter=False)
        self.composer.focus()

    async def on_composer_draft_paused(self, event: Composer.DraftPaused) -> None:
        """Keeps the draft."""
        await self._app.keep_draft(event.text)

    def on_transcript_typed_elsewhere(self, event: Transcript.TypedElsewhere) -> None:
        """A letter typed while reading belongs into the composer."""
        self.story.cursor = None
        self.composer.focus()
        self.composer.insert(event.character)

    def on_transcript_version_asked(self, event: Transcript.VersionAsked) -> None:
        """An arrow of `◀ 2/3 ▶` was clicked."""
        self._app.start_action(BY_ID["newer" if event.step > 0 else "older"])

    def on_transcript_cursor_moved(self) -> None:
        """Clicking a message is reading."""
        self.show_keys()

    def on_key_bar_pressed(self, event: KeyBar.Pressed) -> None:
        """A key of the footer was clicked."""
        self._app.start_action(BY_ID[event.action])

    def on_section_unfolded(self) -> None:
        """A section was unfolded with the mouse or Enter."""
        self._app.show_panels()

    def on_scene_panel_changed(self, event: ScenePanel.Changed) -> None:
        """The scene was edited."""
        panels.change_scene(self._app, event.scene)

    def on_scene_panel_refused(self, event: ScenePanel.Refused) -> None:
        """An edit could not be taken."""
        self._app.tell(event.sentence, trouble=True)

    async def on_sampler_panel_changed(self, event: SamplerPanel.Changed) -> None:
        """A knob was turned."""
        await panels.change_sampling(self._app, event.value_name, event.value)

    def on_sampler_panel_refused(self, event: SamplerPanel.Refused) -> None:
        """A list could not be read."""
        self._app.tell(event.sentence, trouble=True)

    def on_ooc_panel_said(self, event: OocPanel.Said) -> None:
        """Something was said out of character."""
        if panels.say_ooc(self._app, event.text):
            event.panel.input.clear()

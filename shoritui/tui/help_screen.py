"""Help: the app's keys and commands out of its table of actions, then the topics of the guide.

What is typed is looked for in all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import ClassVar

from rich.cells import cell_len
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.timer import Timer
from textual.widgets import Input, Markdown, OptionList, Static
from textual.widgets.markdown import MarkdownBlock
from textual.widgets.option_list import Option

from shoritui import guide
from shoritui.text import one_line
from shoritui.tui.action import AnyAction, key_name, keys_of
from shoritui.tui.widgets.chooser import Framed
from shoritui.tui.widgets.wrap import wrapped

_KEYS, _SLASH = 17, 11
_NARROW = 64
_REST_SECONDS = 0.12
"""A page, which takes up to 0.8 s to set, is set once the highlight has rested for so long."""
_KEYS_PAGE = "keys of this app"
_PROSE = (
    ('"dialogue"', "$prose-dialogue"),
    ("_a thought_", "$prose-thought italic"),
    ("*a sound*", "$prose-sound underline"),
    ("**emphasis**", "$prose-emphasis bold"),
    ("LOUD", "$prose-loud bold"),
    ("''a quote''", "$prose-quote italic"),
)


def read_guide() -> dict[guide.Topic, str]:
    """Return every topic of the guide with its page."""
    return {topic: guide.text(topic.name) for topic in guide.topics()}


class Help(Framed[None]):
    """A list of topics beside the highlighted one; what is typed is looked for in all of them."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,f1,ctrl+c,enter", "dismiss(None)", show=False, priority=True),
        Binding("up", "move('up')", show=False, priority=True),
        Binding("down", "move('down')", show=False, priority=True),
        Binding("pageup", "turn(-1)", show=False, priority=True),
        Binding("pagedown", "turn(1)", show=False, priority=True),
    ]
    DEFAULT_CSS = """
    Help > Vertical { width: 132; max-width: 96%; height: 92%; }
    Help OptionList { width: 37; height: 100%; padding: 1 0; }
    Help Input, Help Input:focus {
        border: none; height: 1; padding: 0 1; background: $boost;
    }
    Help VerticalScroll { padding: 1 2; scrollbar-size-vertical: 1; scrollbar-gutter: stable; }
    Help Static, Help Markdown { width: 100%; height: auto; background: $surface; padding: 0; }
    Help.-narrow OptionList {
        width: 100%; height: 6; padding: 0; border-bottom: solid $prose-rule;
    }
    Help.-narrow VerticalScroll { padding: 0 2; }
    Help.-narrow Horizontal { layout: vertical; }
    """
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (90, "-wide")]  # noqa: RUF012

    def __init__(
        self,
        actions: Sequence[AnyAction],
        keymap: Mapping[str, str],
        pages: Mapping[guide.Topic, str],
        topic: str = "",
    ) -> None:
        super().__init__()
        name = topic.lower().removesuffix(".md") or _KEYS_PAGE
        is_topic = name in guide.names()
        self._topic = name if is_topic else _KEYS_PAGE
        self._rest: Timer | None = None
        self._actions = actions
        self._keymap = keymap
        self._titles = {_KEYS_PAGE: "Keys of this app"}
        self._titles |= {topic.name: topic.title for topic in pages}
        self._pages = {topic.name: text for topic, text in pages.items()}
        # Held, not asked for: a page may be set when the screen is closed and empty.
        words = "" if is_topic else one_line(topic)
        self._search = Input(words, placeholder="type to search", select_on_focus=False)
        self._topics = OptionList()
        self._topics.can_focus = False
        self._keys = Static(id="keys")
        self._heading = Static(id="topic")
        self._page = Markdown(open_links=False)
        self._frame = VerticalScroll(can_focus=False)

    def compose(self) -> ComposeResult:
        """The topics at the left, the highlighted one at the right."""
        with Vertical() as frame:
            frame.border_title = "Help"
            frame.border_subtitle = "↑ ↓ topic · PgUp PgDn scroll · esc close"
            yield self._search
            with Horizontal():
                yield self._topics
                with self._frame:
                    yield self._keys
                    yield self._heading
                    yield self._page

    def on_mount(self) -> None:
        """The line takes the keys."""
        self._search.focus()
        self._list_topics(None if self._wanted else self._topic)

    @property
    def _wanted(self) -> str:
        """What is looked for, whatever its case."""
        return self._search.value.strip().casefold()

    def _list_topics(self, name: str | None = None) -> None:
        """List what holds the words, a title that does first; this topic or the first is shown."""
        found = sorted(
            filter(self._holds, self._titles),
            key=lambda each: self._wanted not in self._titles[each].casefold(),
        )
        topics = self._topics
        topics.clear_options()
        topics.add_options([Option(Content(f" {self._titles[each]}"), each) for each in found])
        topics.highlighted = None if not found else found.index(name) if name else 0
        if not found:
            self._show_at_once(None)

    def _holds(self, name: str) -> bool:
        if self._wanted in self._titles[name].casefold():
            return True
        if name == _KEYS_PAGE:
            return any(map(self._is_wanted, self._actions))
        return self._wanted in self._pages[name].casefold()

    def _is_wanted(self, action: AnyAction) -> bool:
        keys = " ".join(key_name(key) for key in keys_of(action, self._keymap))
        slash = f"/{action.slash}" if action.slash else ""
        words = (action.title, action.plain_help, action.synonyms, slash, keys)
        return any(self._wanted in each.casefold() for each in words)

    def on_input_changed(self) -> None:
        """Look for what is typed."""
        self._list_topics()

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        """Show the topic, the keys at once."""
        self._show_at_once(event.option_id)

    def _show_at_once(self, name: str | None) -> None:
        """Show the keys, or a topic's title, whose page follows; or that nothing was found."""
        is_keys = name == _KEYS_PAGE
        if self._rest is not None:
            self._rest.stop()
        self._keys.display = is_keys
        self._page.display = False
        self._heading.display = not is_keys
        if is_keys:
            self._set_keys()
        elif name is None:
            self._heading.update(Content(f"Nothing here holds “{self._search.value.strip()}”."))
        else:
            self._heading.update(Content.styled(self._titles[name], "bold $prose-title"))
            self._rest = self.set_timer(_REST_SECONDS, partial(self._show, name))

    def on_markdown_link_clicked(self, event: Markdown.LinkClicked) -> None:
        """Go to another topic, or open an address."""
        event.stop()
        name = event.href.partition("#")[0].removesuffix(".md")
        if name in self._titles:
            with self.prevent(Input.Changed):
                self._search.clear()
            self._list_topics(name)
        elif event.href.startswith("https://"):
            self.app.open_url(event.href)

    @work(exclusive=True)
    async def _show(self, name: str) -> None:
        await self._page.update(self._pages[name])
        self._heading.display = False
        self._page.display = True
        self._frame.scroll_home(animate=False)
        if self._wanted:
            self.call_after_refresh(self._scroll_to_wanted)

    def _scroll_to_wanted(self) -> None:
        """Scroll to the first block of the page that holds the words."""
        for block in self._page.query(MarkdownBlock):
            if self._wanted in (block.source or "").casefold() and not block.query(MarkdownBlock):
                self._frame.scroll_to_widget(block, animate=False)
                return

    def on_resize(self) -> None:
        """Set the keys for the width."""
        self.call_after_refresh(self._set_keys)

    def _set_keys(self) -> None:
        self._keys.update(Content("\n").join(self._lines(max(20, self._keys.size.width))))

    def action_move(self, where: str) -> None:
        """Highlight the topic above or below."""
        if where == "up":
            self._topics.action_cursor_up()
        else:
            self._topics.action_cursor_down()

    def action_turn(self, pages: int) -> None:
        """Turn pages."""
        rows = pages * (self._frame.size.height - 2)
        self._frame.scroll_relative(y=rows, animate=False)

    def _lines(self, width: int) -> Iterator[Content]:
        is_whole = self._wanted in self._titles[_KEYS_PAGE].casefold()
        actions = [each for each in self._actions if is_whole or self._is_wanted(each)]
        if is_whole and any(action.where == "transcript" for action in self._actions):
            yield Content.styled("The prose", "bold $prose-title")
            yield Content("")
            for row in (_PROSE[:3], _PROSE[3:]):
                yield Content("  ") + Content("   ").join(Content.styled(*each) for each in row)
            yield Content("")
        for group in dict.fromkeys(action.title.partition(":")[0] for action in actions):
            yield Content.styled(group, "bold $prose-title")
            yield Content("")
            for action in actions:
                if action.title.partition(":")[0] == group:
                    yield self._line(action, width)
            yield Content("")

    def _line(self, action: AnyAction, width: int) -> Content:
        keys = " ".join(key_name(key) for key in keys_of(action, self._keymap))
        keys += " (reading)" if keys and action.where == "transcript" else ""
        slash = f"/{action.slash}" if action.slash else ""
        is_narrow = width < _NARROW
        column = 4 if is_narrow else _KEYS + _SLASH + 2
        lines = wrapped(action.plain_help, width - column)
        if is_narrow:
            lines.insert(0, "")
        return (
            Content.styled(f"  {_padded(keys, _KEYS)}", "$foreground bold")
            + Content.styled(_padded(slash, _SLASH), "$primary")
            + Content(f"\n{' ' * column}".join(lines))
        )


def _padded(text: str, width: int) -> str:
    return text + " " * max(1, width - cell_len(text))

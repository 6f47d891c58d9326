"""Everything a user can do, once: the table that keys, palette, slash commands, footer, help and
the README's list are made from.

It does not know how anything is done; each row names the function that does.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from textual.binding import Binding

from shoritui.tui.verbs import library, message, model, panels, story, view

if TYPE_CHECKING:
    from shoritui.tui.app import ShoriTUI

Where = Literal["anywhere", "composer", "transcript"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One thing to do, and every way to ask for it."""

    id: str
    """What a keymap calls it."""
    title: str
    """Its name in the palette, `Group: Verb object`."""
    run: Callable[[ShoriTUI, str], Coroutine[Any, Any, None]]
    """Does it; the text is what followed the slash command."""
    help: str
    keys: str = ""
    """Keys by default, comma-separated, in Textual's names."""
    where: Where = "anywhere"
    """What must have the focus for the keys to work."""
    slash: str = ""
    """The word after `/`."""
    argument: str = ""
    """What may follow it, for people to read."""
    footer: str = ""
    """Its word in the footer, if it stands there."""
    choices: Callable[[ShoriTUI], list[str]] | None = None
    """What its argument may be, to complete it."""
    asks: bool = False
    """Whether it may open a list or an editor and wait for it."""


ACTIONS: tuple[Action, ...] = (
    Action(
        id="send",
        title="Story: Send, or let the next one speak",
        run=story.send,
        help="Says what stands in the composer, and the next character answers. With an empty "
        "composer the next character just goes on. `@Name` at the start asks that one.",
        keys="enter",
        where="composer",
        slash="go",
        footer="send",
    ),
    Action(
        id="newline",
        title="Composer: Begin a new line",
        run=story.newline,
        help="Begins a new line; Ctrl+J works in every terminal.",
        keys="ctrl+j,shift+enter,alt+enter",
        where="composer",
        footer="line",
    ),
    Action(
        id="stop",
        title="Story: Stop writing",
        run=story.stop,
        help="Closes the popup, else stops the reply (what is written stays), else returns to "
        "the composer.",
        keys="escape",
        slash="stop",
        footer="stop",
    ),
    Action(
        id="retry",
        title="Story: Write the last reply anew",
        run=story.retry,
        help="Writes the last reply again; the old one stays as an alternative.",
        keys="ctrl+r",
        slash="retry",
        footer="retry",
    ),
    Action(
        id="continue",
        title="Story: Continue the last message",
        run=story.go_on,
        help="Lets the last message go on where it ended.",
        keys="ctrl+t",
        slash="continue",
        footer="continue",
    ),
    Action(
        id="next",
        asks=True,
        title="Story: Choose who speaks next",
        run=story.choose_next,
        help="Chooses who answers next; `auto` lets the cast take turns.",
        keys="ctrl+n",
        slash="next",
        argument="[NAME|auto]",
        footer="next",
        choices=story.next_choices,
    ),
    Action(
        id="as",
        asks=True,
        title="Story: Choose who you speak as",
        run=story.choose_user,
        help="Chooses which character you speak as.",
        keys="alt+a",
        slash="as",
        argument="[NAME]",
        choices=story.cast_names,
    ),
    Action(
        id="length",
        asks=True,
        title="Story: Choose the length of replies",
        run=story.choose_length,
        help="Chooses the length hint of replies; `auto` gives none.",
        keys="ctrl+l",
        slash="length",
        argument="[nano ... enormous|auto]",
        footer="length",
        choices=story.length_choices,
    ),
    Action(
        id="undo",
        title="Story: Take back the last message",
        run=story.undo,
        help="Takes the last message out of the story.",
        keys="d",
        where="transcript",
        slash="undo",
        footer="take back",
    ),
    Action(
        id="note",
        title="Story: Add an author's note",
        run=story.note,
        help="Puts an [INST] note into the story, which the model reads and nobody says.",
        keys="alt+i",
        slash="note",
        argument="TEXT",
    ),
    Action(
        id="title",
        title="Story: Begin a new scene with a title",
        run=story.title,
        help="Begins a new scene in the middle of the story.",
        keys="alt+t",
        slash="title",
        argument="TEXT",
    ),
    Action(
        id="message_up",
        title="Message: Select the one above",
        run=message.up,
        help="Moves the message cursor up, from the composer too.",
        keys="alt+up",
        slash="up",
    ),
    Action(
        id="message_down",
        title="Message: Select the one below",
        run=message.down,
        help="Moves the message cursor down.",
        keys="alt+down",
        slash="down",
    ),
    Action(
        id="read_up",
        title="Read: Previous message",
        run=message.up,
        help="Moves the message cursor up.",
        keys="k",
        where="transcript",
        footer="up",
    ),
    Action(
        id="read_down",
        title="Read: Next message",
        run=message.down,
        help="Moves the message cursor down.",
        keys="j",
        where="transcript",
        footer="down",
    ),
    Action(
        id="edit",
        asks=True,
        title="Message: Edit the text",
        run=message.edit,
        help="Edits the selected message, or the last one.",
        keys="e",
        where="transcript",
        slash="edit",
        footer="edit",
    ),
    Action(
        id="copy",
        title="Message: Copy the text",
        run=message.copy,
        help="Copies the selected message's source, or the last one's; `all` copies the story.",
        keys="y",
        where="transcript",
        slash="copy",
        argument="[all]",
        footer="copy",
        choices=message.copy_choices,
    ),
    Action(
        id="older",
        title="Message: Show the version before",
        run=message.older,
        help="Takes the previous alternative of the last message.",
        keys="h,left",
        where="transcript",
        slash="older",
        footer="older",
    ),
    Action(
        id="newer",
        title="Message: Show the version after",
        run=message.newer,
        help="Takes the next alternative of the last message.",
        keys="l,right",
        where="transcript",
        slash="newer",
        footer="newer",
    ),
    Action(
        id="top",
        title="Read: Go to the beginning",
        run=message.top,
        help="Goes to the beginning of the story.",
        keys="g",
        where="transcript",
        slash="top",
    ),
    Action(
        id="end",
        title="Read: Go to the end",
        run=message.end,
        help="Goes to the end of the story.",
        keys="G",
        where="transcript",
        slash="end",
    ),
    Action(
        id="half_up",
        title="Read: Half a page up",
        run=message.half_up,
        help="Scrolls half a page up; Page Up scrolls a whole one.",
        keys="ctrl+u",
        where="transcript",
    ),
    Action(
        id="half_down",
        title="Read: Half a page down",
        run=message.half_down,
        help="Scrolls half a page down; Page Down scrolls a whole one.",
        keys="ctrl+d",
        where="transcript",
    ),
    Action(
        id="page_up",
        title="Read: A page up",
        run=message.page_up,
        help="Scrolls the story a page up, from the composer too.",
        keys="pageup,shift+pageup",
    ),
    Action(
        id="page_down",
        title="Read: A page down",
        run=message.page_down,
        help="Scrolls the story a page down, from the composer too.",
        keys="pagedown,shift+pagedown",
    ),
    Action(
        id="scene",
        title="Scene: Show or edit",
        run=panels.scene,
        help="Shows the scene's panel: title, tags, scenario, cast and lore, edited in place.",
        keys="f2",
        slash="scene",
        footer="scene",
    ),
    Action(
        id="cast",
        title="Scene: Add a character",
        run=panels.add_character,
        help="Adds a character to the cast.",
        keys="alt+c",
        slash="cast",
        argument="NAME",
    ),
    Action(
        id="lore",
        title="Scene: Add a piece of lore",
        run=panels.add_lore,
        help="Adds a piece of lore.",
        keys="alt+l",
        slash="lore",
        argument="NAME",
    ),
    Action(
        id="sampler",
        title="Sampler: Show or change",
        run=panels.sampler,
        help="Shows the sampler; with `name=value` changes values at once.",
        keys="f3",
        slash="sampler",
        argument="[temperature=1.0 ...]",
        footer="sampler",
        choices=panels.sampler_choices,
    ),
    Action(
        id="preset",
        asks=True,
        title="Sampler: Choose a preset",
        run=panels.preset,
        help="Takes another sampler preset, from the next reply on.",
        keys="alt+p",
        slash="preset",
        argument="[NAME]",
        choices=panels.preset_choices,
    ),
    Action(
        id="adapter",
        title="Model: Put on an adapter",
        run=model.adapter,
        help="Puts a LoRA adapter on, beside those that are on, without loading the model again; "
        "`off` takes all off, a scale of 0 that one.",
        keys="alt+m",
        slash="adapter",
        argument="[FILE [SCALE]|off]",
        choices=model.adapter_choices,
    ),
    Action(
        id="ooc",
        title="Out of character: Show, or say",
        run=panels.ooc,
        help="Shows the out-of-character channel; with a text says it there.",
        keys="f4",
        slash="ooc",
        argument="[TEXT]",
        footer="ooc",
    ),
    Action(
        id="new",
        asks=True,
        title="Library: Begin a new story",
        run=library.new,
        help="Picks a scene and begins a new story.",
        keys="alt+n",
        slash="new",
    ),
    Action(
        id="open",
        asks=True,
        title="Library: Open a story",
        run=library.open_story,
        help="Shows all stories: open one, or delete it.",
        keys="f8",
        slash="open",
        footer="library",
    ),
    Action(
        id="theme",
        asks=True,
        title="View: Change the theme",
        run=view.theme,
        help="Changes the theme, shown while you choose.",
        keys="alt+v",
        slash="theme",
        argument="[NAME]",
        choices=view.theme_choices,
    ),
    Action(
        id="palette",
        title="View: Find an action",
        run=view.palette,
        help="Finds any action by its name.",
        keys="ctrl+p",
        slash="palette",
        footer="palette",
    ),
    Action(
        id="help",
        asks=True,
        title="View: Help",
        run=view.show_help,
        help="Shows every key and command.",
        keys="f1",
        slash="help",
        footer="help",
    ),
    Action(
        id="interrupt",
        title="View: Copy the selection, or stop",
        run=view.interrupt,
        help="Copies what is selected; else stops the reply; else says how to quit.",
        keys="ctrl+c",
    ),
    Action(
        id="quit",
        title="View: Quit",
        run=view.quit_app,
        help="Keeps everything and quits.",
        keys="ctrl+q",
        slash="quit",
    ),
)
BY_ID = {action.id: action for action in ACTIONS}
BY_SLASH = {action.slash: action for action in ACTIONS if action.slash}
_PRIORITY = ("interrupt", "quit", "palette", "page_up", "page_down")
_KEY_NAMES = {
    "enter": "⏎",
    "escape": "esc",
    "pageup": "PgUp",
    "pagedown": "PgDn",
    "up": "↑",
    "down": "↓",
    "left": "←",
    "right": "→",
}


def bindings(where: Where) -> Iterator[Binding]:
    """The key bindings of one place; their ids are the actions', so that a keymap reaches them."""
    for action in ACTIONS:
        if action.where == where and action.keys:
            yield Binding(
                action.keys,
                f"app.act('{action.id}')",
                action.title,
                id=action.id,
                show=False,
                priority=action.id in _PRIORITY,
            )


def key_name(key: str) -> str:
    """A key as the footer and the help show it: `^r`, `F2`, `esc`, `alt+↑`."""
    *modifiers, last = key.split("+")
    name = _KEY_NAMES.get(last, last.upper() if last[:1] == "f" and last[1:].isdigit() else last)
    if modifiers == ["ctrl"] and len(name) == 1:
        return f"^{name}"
    return "+".join([*modifiers, name])


def keys_of(action: Action, keymap: dict[str, str]) -> list[str]:
    """The keys of an action, the user's own in place of the defaults."""
    return [key.strip() for key in keymap.get(action.id, action.keys).split(",") if key.strip()]


def reference() -> str:
    """The table of keys and commands as Markdown, for the README."""
    lines = ["| Action | Keys | Command | What it does |", "|---|---|---|---|"]
    for action in ACTIONS:
        keys = " ".join(f"`{_plain_key(key)}`" for key in keys_of(action, {}))
        place = {"anywhere": "", "composer": "", "transcript": " (reading)"}[action.where]
        slash = f"`/{action.slash} {action.argument}".rstrip() + "`" if action.slash else ""
        slash = slash.replace("|", "\\|")
        lines.append(
            f"| {action.title} | {keys}{place if keys else ''} | {slash} | {action.help} |"
        )
    return "\n".join(lines) + "\n"


def _plain_key(key: str) -> str:
    *modifiers, last = key.split("+")
    names = {"pageup": "PgUp", "pagedown": "PgDn", "escape": "Esc", "enter": "Enter"}
    last = names.get(last, last if len(last) == 1 else last.capitalize())
    return "+".join([*(modifier.capitalize() for modifier in modifiers), last])

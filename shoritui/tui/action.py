"""What an action is: one thing a user can do, and every way to ask for it.

An app has one table of them, which its keys, palette, footer, slash commands and help are made of:

    Action(id="retry", title="Story: Write the last reply anew", run=story.retry,
           help="Writes the last reply again.", keys="ctrl+r", slash="retry", footer="retry")
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Generic, Literal, Never, TypeAlias, TypeVar

from textual._ansi_sequences import ANSI_SEQUENCES_KEYS
from textual._keyboard_protocol import FUNCTIONAL_KEYS
from textual.binding import Binding
from textual.keys import KEY_ALIASES, Keys, _character_to_key, key_to_character

from shoritui.text import closest, printable

# Of Escape and a digit, which is how terminals send Alt and a digit, Textual makes the character
# that the Option key of a Mac types.
if isinstance(ANSI_SEQUENCES_KEYS, dict):
    for _digit in "0123456789":
        ANSI_SEQUENCES_KEYS.pop(f"\x1b{_digit}", None)

Where = Literal["anywhere", "composer", "transcript"]
Host = TypeVar("Host", contravariant=True)
"""What an app's actions act on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Action(Generic[Host]):
    """One thing to do, and every way to ask for it."""

    id: str
    """What a keymap calls it."""
    title: str
    """Its name in the palette, `Group: Verb object`."""
    run: Callable[[Host, str], Awaitable[None] | None]
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
    synonyms: str = ""
    """Other words by which the palette finds it."""
    choices: Callable[[Host], list[str]] | None = None
    """What its argument may be, to complete it; options before a text begin with `-`."""
    choice_details: Callable[[Host, str], str] | None = None
    """What one of these means."""
    asks: bool = False
    """Whether it waits, for a list or an editor that it opens or for a disk, beside the keys."""
    has_priority: bool = False
    """Whether its keys come before those of the widget that has the focus."""
    is_modal: bool = False
    """Whether its keys also work while another screen lies over the main one."""

    @property
    def plain_help(self) -> str:
        """The help without the marks that it has in Markdown."""
        return self.help.replace("`", "")


Call: TypeAlias = Callable[[str], Awaitable[None] | None]
"""An action's function, bound to the app it acts on."""
AnyAction: TypeAlias = Action[Never]
"""An action of some app, to be shown and not to be run."""

IN_KEYMAP = "[keymap] in settings.toml:"
_MODIFIERS = {"alt", "ctrl", "hyper", "meta", "shift", "super"}
_KEY_NAMES = {
    **{"enter": "⏎", "escape": "esc", "pageup": "PgUp", "pagedown": "PgDn"},
    **{"up": "↑", "down": "↓", "left": "←", "right": "→", "question_mark": "?"},
}


def bindings(actions: Iterable[AnyAction], where: Where = "anywhere") -> Iterator[Binding]:
    """Yield the key bindings of one place; their ids are the actions', for keymaps to name."""
    for action in actions:
        if action.where == where and action.keys:
            yield Binding(
                action.keys,
                f"app.act('{action.id}')",
                action.title,
                id=action.id,
                show=False,
                priority=action.has_priority,
            )


def key_name(key: str) -> str:
    """Return a key as the footer and the help show it: `^r`, `F2`, `esc`, `alt+↑`."""
    *modifiers, last = key.split("+")
    name = _KEY_NAMES.get(last, last.upper() if last[:1] == "f" and last[1:].isdigit() else last)
    if modifiers == ["ctrl"] and len(name) == 1:
        return f"^{name}"
    return "+".join([*modifiers, name])


def keys_of(action: AnyAction, keymap: Mapping[str, str]) -> list[str]:
    """Return the keys of an action, the user's own in place of the defaults."""
    return [key.strip() for key in keymap.get(action.id, action.keys).split(",") if key.strip()]


def keymap_problems(
    actions: Collection[AnyAction], keymap: Mapping[str, str], other_ids: Collection[str] = ()
) -> list[str]:
    """Return a sentence for each unknown action or key, and each key that is given to two actions.

    Args:
        actions: The app's table.
        keymap: Keys by action id.
        other_ids: The actions of the other app, which reads the same settings.
    """
    ids = [action.id for action in actions]
    problems = []
    for unknown in [name for name in keymap if name not in ids and name not in other_ids]:
        near = closest(unknown, [*ids, *other_ids])
        hint = f"Did you mean {near}?" if near else "F1 shows every action."
        problems.append(f"{IN_KEYMAP} there is no action {printable(unknown)}. {hint}")
    for name, keys in keymap.items():
        for key in map(str.strip, keys.split(",")):
            if key and not _is_known(key):
                meant = _canonical(key)
                hint = f" Did you mean {meant}?" if _is_known(meant) else ""
                problems.append(
                    f"{IN_KEYMAP} {printable(key)} (for {printable(name)}) is not the name of "
                    f"a key.{hint}"
                )
    for one, other in combinations(actions, 2):
        if not {one.id, other.id} & keymap.keys():
            continue
        if one.where != other.where and "anywhere" not in (one.where, other.where):
            continue
        theirs = {_pressed(key) for key in keys_of(other, keymap)}
        for key in keys_of(one, keymap):
            if _pressed(key) in theirs:
                problems.append(
                    f"{IN_KEYMAP} {printable(key)} is the key of both {one.id} "
                    f"({one.title}) and {other.id} ({other.title}); only one of them gets it."
                )
    return problems


def _canonical(key: str) -> str:
    """Return a key in Textual's spelling: modifiers in order, capitals only where they count."""
    *modifiers, last = key.split("+") if len(key) > 1 else [key]
    last = _character_to_key(last) if len(last) == 1 else last.lower()
    if "ctrl" in map(str.lower, modifiers):
        last = last.lower()
    return "+".join([*sorted(map(str.lower, modifiers)), last])


def _is_known(key: str) -> bool:
    if len(key) == 1:
        return True
    *modifiers, last = key.split("+")
    names = {each.value.rpartition("+")[2] for each in Keys} | set(FUNCTIONAL_KEYS.values())
    has_name = last in names or key_to_character(last) is not None
    return has_name and set(modifiers) <= _MODIFIERS and key == _canonical(key)


def _pressed(key: str) -> str:
    """Return what a terminal sends for a key: Tab for ctrl+i."""
    key = _canonical(key)
    return next((name for name, others in KEY_ALIASES.items() if key in others), key)

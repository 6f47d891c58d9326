"""The rule of a note as it is typed before it, and in words.

--sticky  --once  --depth 4  --every 6  --for Mara     Keep it tense.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from shoritui.names import fold
from shoritui.story import NoteRule
from shoritui.text import closest, counted, one_line

if TYPE_CHECKING:
    from shoritui.director import ChatState

_OPTION: Final = re.compile(r"--(?P<name>\S+)\s*")
_NUMBER: Final = re.compile(r"(?P<number>\d{1,4})(?:\s+|$)")
_GAP: Final = re.compile(r"\s+|\Z")
_OPTIONS: Final = ("sticky", "once", "depth", "every", "for")


def read_note(typed: str, names: Iterable[str]) -> tuple[str, NoteRule | None]:
    """Return a note's text and its rule, of the options typed before it.

    A note for one character stands at the end, where it costs least, unless another place is named.

    Raises:
        ValueError: An option is unknown, or what must follow it is missing.
    """
    rule: dict[str, object] = {}
    typed, at = typed.strip(), 0
    while match := _OPTION.match(typed, at):
        name, at = match["name"], match.end()
        if name in ("sticky", "once"):
            rule[name] = True
        elif name in ("depth", "every"):
            number = _NUMBER.match(typed, at)
            if number is None or (name == "every" and not int(number["number"])):
                raise ValueError(
                    f"after --{name} comes a number of messages (at most 9999), such as --{name} 4"
                )
            rule[name], at = int(number["number"]), number.end()
        elif name == "for":
            rule["reader"], at = _reader(typed, at, names)
        else:
            near = closest(name, _OPTIONS)
            known = f"did you mean --{near}?" if near else "there are --" + ", --".join(_OPTIONS)
            raise ValueError(f"there is no --{one_line(name)}: {known}")
    if rule.keys() in ({"reader"}, {"reader", "once"}):
        rule["depth"] = 0
    return typed[at:], NoteRule(**rule) if rule else None  # type: ignore[arg-type]


def _reader(typed: str, at: int, names: Iterable[str]) -> tuple[str, int]:
    known = list(names)
    for name in sorted(known, key=len, reverse=True):
        end = at + len(name)
        after = _GAP.match(typed, end)
        if fold(typed[at:end]) == fold(name) and after is not None:
            return name, after.end()
    raise ValueError(
        f"after --for comes a name: {', '.join(map(one_line, known)) or 'nobody is here'}"
    )


def readers(chat: ChatState) -> list[str]:
    """Return those for whom a note can be."""
    return list(dict.fromkeys([*chat.cast, chat.user]))


def rule_words(rule: NoteRule) -> str:
    """Return when and where a note is read, in words."""
    words = []
    if rule.once:
        words.append("for the next reply")
    if rule.sticky:
        words.append("sticky")
    if rule.depth is not None:
        before = counted(rule.depth, "message")
        words.append(f"{before} before the end" if rule.depth else "at the end")
    if rule.every:
        words.append(f"again every {counted(rule.every, 'message')}")
    if rule.reader:
        words.append(f"for {one_line(rule.reader)}")
    return ", ".join(words) or "where it was written"


def cost_words(rule: NoteRule, tokens: int) -> str:
    """Return what a rule costs that has so many tokens read again at each message."""
    if tokens:
        return f"about {counted(tokens, 'token')} are read again at each message"
    return "what stands below is read again, once" if rule.once else "nothing is read again"

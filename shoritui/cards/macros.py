r"""Macros: `{{...}}` in texts that people write, settled once, when a text enters a story.

    {{char}} greets {{user}}. {{random::Rain::Snow}} fell.{{// a hint}}
    Mara greets Wren. Snow fell.

Macros may stand in one another; the innermost are settled first. A text that stands for a macro,
such as a description, may hold others, but none for such a text again; depth and size are bounded.
An unknown macro is left out and reported. A text without macros stays as it is, byte for byte.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from random import Random, SystemRandom
from typing import Final, NamedTuple, TypeAlias

from shoritui.dice import dice_of
from shoritui.text import counted, one_line

_MACRO: Final = re.compile(r"\{\{((?:[^{}]|\{(?!\{)|\}(?!\}))*+)\}\}")
"""A macro that holds no other one."""
_LEGACY: Final = re.compile(r"<(user|bot|char|group|charifnotgroup)>", re.IGNORECASE)
_NAMED: Final = re.compile(r"\s*(//|[a-z_]+)\s*(::?)?(.*)", re.IGNORECASE | re.DOTALL)
_BRACES: Final = re.compile(r"(\{)\{+|(\})\}+")
_DEEPEST: Final = 16
_MOST_GROWN: Final = 100_000
"""Characters that the macros of one text may bring into it."""
_SHOWN: Final = 40
_TRIM: Final = "\0"
_FORMAT: Final = re.compile(
    r"\[([^\[\]]*)\]|YYYY|YY|MMMM|MMM|MM|M|DD|D|dddd|ddd|HH|H|hh|h|mm|ss|A|a"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What macros stand for where a text enters a story."""

    user: str
    """The name the user speaks as."""
    char: str = ""
    """Whose text it is, or who answers it."""
    others: Sequence[str] = ()
    """The cast without the user."""
    texts: Mapping[str, str] = field(default_factory=dict)
    """What the macros of `TEXTS` stand for; what is missing is empty."""
    random: Random = field(default_factory=SystemRandom)
    """What `random` and `roll` draw from."""
    seed: str = ""
    """The chat's: in the same text, `pick` always draws the same for it."""
    now: datetime = field(default_factory=datetime.now)
    idle: float = 0
    """Seconds since the user's last message."""


TEXTS: Final = (
    *("description", "personality", "scenario", "persona", "mesexamples", "original", "input"),
    *("lastmessage", "lastcharmessage", "lastusermessage"),
)
"""Macros that stand for a text of the story or its cards."""
_CHAR: Final = re.compile(r"\{\{\s*(?:char|bot)\s*\}\}|<(?:char|bot)>", re.IGNORECASE)
ORIGINAL: Final = re.compile(r"\{\{\s*original\s*\}\}", re.IGNORECASE)
"""The one that stands for what a card's text takes the place of."""
_Value: TypeAlias = Callable[[Scope, str], str | None]
"""What a macro stands for with what follows its name; None where that makes no sense."""


class Settled(NamedTuple):
    """A text whose macros were settled."""

    text: str
    unknown: tuple[str, ...]
    """The macros that were left out, as they were written."""


def of_character(text: str, name: str) -> str:
    """Return a text that says a character's name where it said `{{char}}`."""
    return _CHAR.sub(lambda _: name, text)


def has_macros(text: str) -> bool:
    """Return whether anything in a text would be settled."""
    return bool(_MACRO.search(text) or _LEGACY.search(text))


def begins_macro(text: str) -> bool:
    """Return whether anything in a text that is still being written may be settled in the end."""
    return "{{" in text or _LEGACY.search(text) is not None


def settle(text: str, scope: Scope) -> Settled:
    """Return a text with what its macros stand for in their places."""
    unknown: dict[str, None] = {}
    left = _MOST_GROWN

    def value(found: re.Match[str]) -> str:
        nonlocal left
        word = _value(found[1], scope, picks, texts)
        if word is None or len(word) > left:
            unknown[_shown(found[0])] = None
            return ""
        left -= len(word)
        return word

    if not has_macros(text):
        return Settled(text, ())
    picks, texts = Random(f"{scope.seed} {text}"), dict[str, str]()
    for _ in range(_DEEPEST):
        text, legacy = _LEGACY.subn(lambda found: f"{{{{{found[1]}}}}}", text)
        text, macros = _MACRO.subn(value, text)
        if not legacy + macros:
            break
    else:
        if (found := _MACRO.search(text)) is not None:
            unknown[_shown(found[0])] = None
            text = _BRACES.sub(r"\1\2", text)
    if _TRIM in text:
        text = _trimmed(text)
    return Settled(text, tuple(unknown))


def _trimmed(text: str) -> str:
    """Return the text without the marks of `{{trim}}`, and the line ends around them."""
    first, *inner, last = text.split(_TRIM)
    ends = "\r\n"
    return "".join((first.rstrip(ends), *(each.strip(ends) for each in inner), last.lstrip(ends)))


def with_original(text: str, original: str) -> str:
    """Return a text with what it takes the place of where `{{original}}` stands in it first."""
    return ORIGINAL.sub("", ORIGINAL.sub(lambda _: original, text, count=1)).strip()


def left_out(macros: Sequence[str], where: str = "") -> str:
    """Return in a sentence which unknown macros were left out, and where; empty if none were."""
    if not macros:
        return ""
    place, names = f"{where}: " if where else "", ", ".join(macros)
    if len(macros) == 1:
        return f"{place}{names} is no macro known here; it is left out."
    return f"{place}{names} are no macros known here; they are left out."


def _shown(macro: str) -> str:
    line = one_line(macro)
    return line if len(line) <= _SHOWN else f"{line[:_SHOWN]}…}}}}"


def _value(written: str, scope: Scope, picks: Random, texts: dict[str, str]) -> str | None:
    """Return what a macro stands for; `texts` are those that were settled for it before."""
    named = _NAMED.fullmatch(written)
    if named is None:
        return None
    name, rest = named[1].lower(), named[3]
    if name == "pick":
        return picks.choice(_choices(rest))
    if name in _WITH_WORDS:
        return _WITH_WORDS[name](scope, rest)
    if rest.strip():
        return None
    if name in TEXTS:
        if name not in texts:
            texts[name] = settle(scope.texts.get(name, ""), replace(scope, texts={})).text
        return texts[name]
    return _PLAIN[name](scope) if name in _PLAIN else None


# What they stand for.


def _choices(written: str) -> list[str]:
    if "::" in written:
        return written.split("::")
    return [each.strip().replace("\\,", ",") for each in re.split(r"(?<!\\),", written)]


def _roll(scope: Scope, written: str) -> str | None:
    written = written.strip()
    dice = dice_of(f"d{written}" if written.isdecimal() else written)
    return None if dice is None else str(sum(dice.throw(scope.random)) + dice.plus)


def _repeated(mark: str) -> _Value:
    def value(_: Scope, count: str) -> str | None:
        count = count.strip() or "1"
        return mark * int(count) if count.isdecimal() and len(count) < 3 else None

    return value


def _time_zone(scope: Scope, hours: str) -> str | None:
    if not re.fullmatch(r"[+-]\d{1,2}", hours.strip(), re.ASCII):
        return None
    return _time(scope.now.astimezone(UTC) + timedelta(hours=int(hours)))


def _time(at: datetime) -> str:
    return f"{at.hour % 12 or 12}:{at:%M %p}"


def _date(at: datetime) -> str:
    return f"{at:%B} {at.day}, {at.year}"


def _formatted(scope: Scope, form: str) -> str:
    at = scope.now
    parts = {
        **{"YYYY": f"{at.year}", "YY": f"{at:%y}", "MMMM": f"{at:%B}", "MMM": f"{at:%b}"},
        **{"MM": f"{at:%m}", "M": f"{at.month}", "DD": f"{at:%d}", "D": f"{at.day}"},
        **{"dddd": f"{at:%A}", "ddd": f"{at:%a}", "HH": f"{at:%H}", "H": f"{at.hour}"},
        **{"hh": f"{at:%I}", "h": f"{at.hour % 12 or 12}", "mm": f"{at:%M}", "ss": f"{at:%S}"},
        **{"A": f"{at:%p}", "a": f"{at:%p}".lower()},
    }
    return _FORMAT.sub(lambda found: parts.get(found[0], found[1] or ""), form.strip())


def _idle(scope: Scope) -> str:
    for seconds, word in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if scope.idle >= seconds:
            return counted(int(scope.idle // seconds), word)
    return "just now"


def _group(scope: Scope) -> str:
    return ", ".join(scope.others) or scope.char


_PLAIN: Final[dict[str, Callable[[Scope], str]]] = {
    "char": lambda scope: scope.char,
    "bot": lambda scope: scope.char,
    "user": lambda scope: scope.user,
    "group": _group,
    "groupnotmuted": _group,
    "charifnotgroup": lambda scope: _group(scope) if len(scope.others) > 1 else scope.char,
    "notchar": lambda scope: ", ".join(
        name for name in (*scope.others, scope.user) if name != scope.char
    ),
    "time": lambda scope: _time(scope.now),
    "date": lambda scope: _date(scope.now),
    "weekday": lambda scope: f"{scope.now:%A}",
    "isotime": lambda scope: f"{scope.now:%H:%M}",
    "isodate": lambda scope: f"{scope.now:%Y-%m-%d}",
    "idle_duration": _idle,
    "idleduration": _idle,
    "noop": lambda scope: "",
    "trim": lambda scope: _TRIM,
}
_WITH_WORDS: Final[dict[str, _Value]] = {
    "random": lambda scope, written: scope.random.choice(_choices(written)),
    "roll": _roll,
    "newline": _repeated("\n"),
    "space": _repeated(" "),
    "reverse": lambda _, written: written[::-1],
    "datetimeformat": _formatted,
    "time_utc": _time_zone,
    **dict.fromkeys(("//", "comment", "hidden_key", "bias", "banned"), lambda _, written: ""),
}


def known() -> Iterator[str]:
    """Yield the names of all macros."""
    yield from ("pick", *_PLAIN, *TEXTS, *_WITH_WORDS)

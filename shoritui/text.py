"""Text for people: foreign text made harmless, figures with units, and aligned tables.

What the functions make of their arguments:

    printable("a\\x1b[2Jb")       a�[2Jb
    message("two\\n lines")       two lines
    size(5_900_000_000)          5.5 GiB
    number(7_241_732_096)        7.2 B
    counted(2, "step")           2 steps
    duration(7390)               2:03:10
    closest("min_q", names)      min_p
    command("chat", "a b.toml")  shoritui chat 'a b.toml'
"""

from __future__ import annotations

import re
import shlex
import sys
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Sequence
from math import isfinite
from typing import Final, Literal

_MOST: Final = 200
_LONGEST_WORD: Final = 4096
_IS_WINDOWS: Final = sys.platform == "win32"

# ECMA-48 sequences: CSI, OSC and the other string commands, and two-byte escapes.
_ESCAPE = re.compile(
    "(?:\x1b\\[|\x9b)[0-?]*[ -/]*[@-~]"
    "|(?:\x1b[]PX^_]|[\x90\x98\x9d\x9e\x9f])[^\x1b\x07\x9c]*(?:\x1b\\\\|\x07|\x9c)?"
    "|\x1b[ -/]*[0-~]?"
)
_CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]")
_UNCLEAN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)
_BLANK = frozenset("\u115f\u1160\u2800\u3164\uffa0")
"""Letters without a shape."""
_SURROGATE = re.compile("[\ud800-\udfff]")
_MOST_MARKS: Final = 30
"""Combining marks on one letter that are put in order: as in Unicode's Stream-Safe Text Format."""
_MARK: Final = r"[^\x00-\u02ff\w\s]"
"""What any combining mark is."""
_MANY_MARKS: Final = re.compile(f"({_MARK}{{{_MOST_MARKS}}})(?={_MARK})")
_LONGEST_SLIP: Final = 200
"""Characters of a word that somebody may have mistyped."""


def clean(text: str) -> str:
    r"""Return text that is safe to store, send and show: no escape sequence, no control but `\n`.

    A tab becomes four spaces, every line end becomes `\n`; marks that reorder a line
    (bidirectional overrides) and lone surrogates are dropped.
    """
    if text.replace("\n", "").isprintable():
        return text
    text = _ESCAPE.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    text = _CONTROL.sub("", text.replace("\t", "    ").replace("\u2028", "\n"))
    return _SURROGATE.sub("\ufffd", text)


def harmless(text: str) -> str:
    """Return text that a terminal shows and never obeys: as `clean` makes it, its tabs kept."""
    return text if text.isprintable() else "\t".join(map(clean, text.split("\t")))


def as_json(value: object, indent: int | None = None) -> str:
    """Return JSON in which letters are letters and whatever is not harmless is escaped."""
    import json  # few who import this need it

    return escaped(json.dumps(value, ensure_ascii=False, indent=indent))


def escaped(json: str) -> str:
    """Return JSON or TOML that means the same and is harmless; TOML knows the same escapes."""
    return _UNCLEAN.sub(lambda found: f"\\u{ord(found[0]):04x}", json)


def composed(text: str, form: Literal["NFC", "NFD"] = "NFC") -> str:
    """Return a text in which letters with marks that look alike are alike.

    Any number of marks may stand on a letter; to put them all in order would take the square.
    """
    if text.isascii():
        return text
    return "".join(unicodedata.normalize(form, each) for each in _MANY_MARKS.split(text))


def encodable(text: str) -> str:
    """Return text that can be written in UTF-8: half a character pair becomes a question mark."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def printable(text: object, most: int = _MOST) -> str:
    """Return a name as it can be shown on one line, of at most `most` characters.

    What is not printable shows as `�`: escapes, control characters, line breaks, marks that turn
    the direction of writing, the undecodable bytes of a file's name.
    """
    line = "".join(c if c.isprintable() else "�" for c in str(text)[: most + 1])
    return _cut(line, most)


def shown_address(url: str) -> str:
    """Return of an address what may be shown: no user's name, no password, no query.

    It need not be a good address: a password in it may hold whatever a keyboard has.
    """
    login, _, rest = url.strip().rpartition("@")
    if "?" in login or "#" in login:
        return "…"  # nobody knows where the one ends and the other begins
    return printable(re.split("[?#]", rest)[0])


def is_visible(text: str) -> bool:
    """Return whether a text has anything that can be seen: not only blanks, marks and joiners."""
    return any(unicodedata.category(c)[0] in "LNPS" and c not in _BLANK for c in text)


def one_line(text: str) -> str:
    """Return a text on one line: clean, and every gap a single space."""
    return " ".join(clean(text).split())


def message(text: object, most: int = _MOST) -> str:
    """Return another program's message on one line of printable characters, at most `most`."""
    plain = "".join(c if c.isprintable() else " " for c in clean(str(text)))
    return _cut(" ".join(plain.split()), most)


def command(*words: object) -> str:
    """Return a command of this program to be copied into a shell, whatever is in its words."""
    return " ".join(("shoritui", *map(shell_word, words)))


def shell_word(word: object) -> str:
    """Return a word as a shell takes it for one; what is not printable in it shows as `�`."""
    shown = printable(word, _LONGEST_WORD)  # before it is quoted: a quote may end an escape
    if not _IS_WINDOWS:
        return shlex.quote(shown)
    return shown if re.fullmatch(r"[\w.:\\/~-]+", shown) else '"' + shown.replace('"', "") + '"'


def closest(word: str, known: Iterable[str], least: float = 0.6) -> str:
    """Return the known word that an unknown one resembles, whatever its capitals; else nothing.

    `least` is how alike they must be, from 0 to 1.
    """
    if len(word) > _LONGEST_SLIP:
        return ""
    from difflib import get_close_matches  # only a mistake pays for it

    folded = {name.casefold(): name for name in reversed(list(known))}
    close = get_close_matches(word.casefold(), folded, n=1, cutoff=least)
    return folded[close[0]] if close else ""


def size(count: float) -> str:
    """Return a number of bytes with its unit, such as `5.5 GiB`."""
    for unit, name in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if count >= unit:
            few = unit == 2**30 or count < 10 * unit
            return f"{count / unit:,.1f} {name}" if few else f"{count / unit:,.0f} {name}"
    return f"{count:.0f} B"


def number(count: int) -> str:
    """Return a count as people say it of a model's parameters, such as `7.2 B`."""
    for unit, name in ((10**9, "B"), (10**6, "M")):
        if count >= unit:
            return f"{count / unit:.1f} {name}"
    return f"{count:,}"


def counted(count: int, word: str) -> str:
    """Return a count with its noun: `1 step`, `1,000 steps`."""
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def duration(seconds: float) -> str:
    """Return a length of time: `8 s`, `1:27`, `2:03:10`, `2 d 5 h`; `?` if there is no telling."""
    if not isfinite(seconds) or seconds < 0:
        return "?"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours >= 48:
        return f"{hours // 24} d {hours % 24} h"
    if hours:
        return f"{hours}:{minutes:02}:{rest:02}"
    return f"{minutes}:{rest:02}" if minutes else f"{rest} s"


def table(rows: Sequence[Sequence[str]], right: Collection[int] = ()) -> Iterator[str]:
    """Yield the rows as lines of aligned columns; those at the places `right` end flush."""
    widths = [max(map(cells, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        padded = (
            f"{' ' * (width - cells(cell))}{cell}"
            if place in right
            else f"{cell}{' ' * (width - cells(cell))}"
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield "  ".join(padded).rstrip()


def cells(text: str) -> int:
    """Return how many columns of a terminal a text takes: two for a wide letter, none for marks."""
    return len(text) if text.isascii() else sum(map(_width, text))


def _width(letter: str) -> int:
    if unicodedata.category(letter) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1


def _cut(line: str, most: int) -> str:
    return line if len(line) <= most else f"{line[: most - 1]}…"

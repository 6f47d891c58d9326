"""Mend what is mechanical in a text: quotes, marks, addresses, white space; never what is told.

    “Late,” she said. https://example.org   ->   "Late," she said.

Whatever might be meant stays for a person. What is mended needs no second time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final, Literal, TypeAlias

from shoritui.blockml import BLOCK_CLOSE, BLOCK_OPEN, LENGTHS, ROLES, lex
from shoritui.blockml.narration import open_marks
from shoritui.text import clean, closest, is_visible

Mended = Literal[
    "hidden character",
    "white space",
    "curly quote",
    "block character",
    "address",
    "open mark",
    "length hint",
    "open block",
    "empty block",
]


@dataclass(frozen=True, slots=True)
class Edit:
    """One thing that was mended."""

    line: int
    """The line of the text in which it stood, counted from 0."""
    kind: Mended
    before: str
    after: str


_Pass: TypeAlias = tuple[Mended, re.Pattern[str], "str | Callable[[re.Match[str]], str]"]
_URL: Final = r"(?:https?://|www\.)"
_IN_PARENTHESES: Final = rf"\({_URL}(?:[^()\s]|\([^()\s]*\))*+\)"
"""An address between parentheses; it may hold a pair of its own."""
_ALONE: Final = rf"(?:(?:!\[[^\[\]\n]*\])?{_IN_PARENTHESES}|<{_URL}[^<>\s]*>|{_URL}\S++)[ \t]*+"
"""An address with which its line ends."""
_HIDDEN: Final = "[\u00ad\u061c\u180e\u200b\u200e\u200f\u2060]+"
_QUOTES: Final = {**dict.fromkeys("“”„‟«»", '"'), **dict.fromkeys("‘’‚‛", "'")}
_PASSES: Final[tuple[_Pass, ...]] = (
    # Joiners belong between emoji, and between letters of some scripts.
    ("hidden character", re.compile(f"[ \t]{_HIDDEN}(?=[ \t\n]|\\Z)|{_HIDDEN}"), ""),
    ("hidden character", re.compile("(?<![^\0-\x7f])[\u200c\u200d]+(?![^\0-\x7f])"), ""),
    ("white space", re.compile("[\u00a0\u2000-\u200a\u202f\u205f]"), " "),
    ("curly quote", re.compile("«[ \t]?|[ \t]?»|[“”„‟‘’‚‛]"), lambda m: _QUOTES[m[0].strip()]),
    ("block character", re.compile(f"[ \t]?[{BLOCK_OPEN}{BLOCK_CLOSE}]+"), ""),
    (
        "address",  # alone in its line, which goes with it
        re.compile(
            rf"\A[ \t]*+{_ALONE}\n++|^[ \t]*+(?:[-*+>] )?{_ALONE}(?:\n|\Z)",
            re.IGNORECASE | re.MULTILINE,
        ),
        "",
    ),
    (
        "address",  # between marks
        re.compile(rf"[ \t]?(?<!\w)(\*\*|''|[\"'*_]){_URL}[^\s\"'*_]++\1(?!\w)", re.IGNORECASE),
        "",
    ),
    ("address", re.compile(rf"!\[[^\[\]\n]*\]{_IN_PARENTHESES}", re.IGNORECASE), ""),
    ("address", re.compile(rf"\[([^\[\]\n]*)\]{_IN_PARENTHESES}", re.IGNORECASE), r"\1"),
    ("address", re.compile(rf"[ \t]?(?:{_IN_PARENTHESES}|<{_URL}[^<>\s]*>)", re.IGNORECASE), ""),
    ("address", re.compile(rf"^{_URL}\S+[ \t]+", re.IGNORECASE | re.MULTILINE), ""),
    (
        "address",
        # Up to the last character that is no mark of the sentence around it.
        re.compile(rf"(?<![ \t])[ \t]*+\b{_URL}(?:\S*[^\s.,;:!?)\]>\"'*_]|\S)", re.IGNORECASE),
        "",
    ),
)
_GAPS: Final[tuple[_Pass, ...]] = (
    ("white space", re.compile(r"(?<!\s)\s++\Z"), ""),
    ("white space", re.compile(r"(?<![ \t])[ \t]++(?=\n)"), ""),
    ("white space", re.compile(r"\A[ \t]+"), ""),
    ("white space", re.compile(r"\n{3,}"), "\n\n"),
)
_TWICE: Final = re.compile(r'(?<!\S)""(?=\w)|(?<=[\w.,;:!?…-])""(?=[\s.,;:!?]|\Z)')
"""A quote mark that stands twice where one begins or ends what is said."""
_MOST_ROUNDS: Final = 8
_MOST_OPEN: Final = 32
"""Where a paragraph has more open marks, they are no slips, and stay for a person."""
_BLOCK: Final = re.compile(rf"^{BLOCK_OPEN}(?:{'|'.join(ROLES)})\b", re.MULTILINE)
_HEADER: Final = re.compile(rf"^{BLOCK_OPEN}message\b(?P<rest>[^\n{BLOCK_CLOSE}]*)$", re.MULTILINE)
_HINT: Final = re.compile(
    r"[ \t]*+\(?[ \t]*+length[ \t]*+[:=]?[ \t]*+(\w*+)[ \t]*+\)?[ \t]*+", re.IGNORECASE
)
_NEXT: Final = re.compile(r"^(?:-{3,} *$|\[INST\] )", re.MULTILINE)


def repaired_text(text: str, *, is_message: bool) -> tuple[str, list[Edit]]:
    """Return a text with what is mechanical mended, and what that was.

    In a message it is marks that stand alone, too.
    """
    edits: list[Edit] = []
    for _ in range(_MOST_ROUNDS):
        before = text
        for each in _PASSES:
            text = _mended(text, each, edits)
        if is_message:
            text = _mended(text, ("open mark", _TWICE, '"'), edits)
            text = _without_open_marks(text, edits)
        for each in _GAPS:
            text = _mended(text, each, edits)
        if text == before:
            break
    return text, edits


def repaired_source(text: str) -> tuple[str, list[Edit]]:
    """Return a file's BlockML with hints and blocks' ends mended, so that it can be read.

    A block ends where the next one begins. What else cannot be read stays as it is.
    """
    edits: list[Edit] = []
    rows = text.split("\n")
    for number, row in enumerate(rows):
        if (better := clean(row)) != row and "\t" not in row:
            edits.append(Edit(number, "hidden character", row, better))
            rows[number] = better
    text = "\n".join(rows)
    text = _mended(text, ("length hint", _HEADER, _header), edits)
    begins = [match.start() for match in _BLOCK.finditer(text)]
    told = [text[: begins[0]] if begins else text]
    line = seen = 0
    for begin, end in pairwise([*begins, len(text)]):
        block = text[begin:end]
        if BLOCK_CLOSE in block or "\n" not in block:
            told.append(block)
            continue
        after = _NEXT.search(block)
        body = (block if after is None else block[: after.start()]).rstrip()
        line += text.count("\n", seen, seen := begin + len(body))
        edits.append(Edit(line, "open block", body[-20:], body[-20:] + BLOCK_CLOSE))
        told += [body, BLOCK_CLOSE, block[len(body) :] or "\n"]
    return "".join(told), edits


def _header(match: re.Match[str]) -> str:
    """Return a message's first line with the hint that is meant; as it was if none is told."""
    rest = match["rest"]
    told = _HINT.fullmatch(rest)
    if told is None:
        return match[0]
    word = told[1].casefold()
    hint = word if word in LENGTHS else closest(word, LENGTHS)
    return f"{BLOCK_OPEN}message (length: {hint})" if hint else f"{BLOCK_OPEN}message"


def _mended(text: str, each: _Pass, edits: list[Edit]) -> str:
    """Return the text after one pass; one that would leave nothing to see is not made."""
    kind, pattern, after = each
    found: list[Edit] = []
    line = seen = 0

    def replaced(match: re.Match[str]) -> str:
        nonlocal line, seen
        new = match.expand(after) if isinstance(after, str) else after(match)
        if new != match[0]:
            line += text.count("\n", seen, match.start())
            seen = match.start()
            found.append(Edit(line, kind, match[0], new))
        return new

    new = pattern.sub(replaced, text)
    if not found or (is_visible(text) and not is_visible(new)):
        return text
    edits += found
    return new


def _without_open_marks(text: str, edits: list[Edit]) -> str:
    """Return the text without marks that open nothing, as far as that is certain."""
    paragraphs = list(_paragraphs(text))
    seen = sum(map(is_visible, paragraphs))
    told, line = [], 0
    for each in paragraphs:
        was_seen = is_visible(each)
        new, found = _without(each, is_all=seen == was_seen)
        edits += [replace(edit, line=line + edit.line) for edit in found]
        told.append(new)
        seen += is_visible(new) - was_seen
        line += each.count("\n")
    return "".join(told)


def _paragraphs(text: str) -> Iterator[str]:
    """Yield the pieces of a text beyond which no mark reaches; each has the blank line behind it.

    Between fences a blank line parts nothing.
    """
    begin = 0
    for span in lex(text):
        at = span.start
        while "fence" not in span.kinds and (at := text.find("\n\n", at, span.end + 1)) >= 0:
            at += 2
            yield text[begin:at]
            begin = at
    yield text[begin:]


def _without(text: str, *, is_all: bool) -> tuple[str, list[Edit]]:
    """Return a paragraph without such marks; where it is all there is, something stays to see."""
    edits: list[Edit] = []
    marks, tried = open_marks(text), 0
    if len(marks) > _MOST_OPEN:
        return text, edits
    while untried := next((each for each in _certain(text, marks) if each[0] >= tried), None):
        begin, end, new = untried
        better = text[:begin] + new + text[end:]
        left = open_marks(better)
        tried = begin + 1
        if len(left) < len(marks) and (not is_all or is_visible(better)):
            line = text.count("\n", 0, begin)
            edits.append(Edit(line, "open mark", _around(text, begin, end), new))
            text, marks, tried = better, left, begin
    return text, edits


def _certain(text: str, marks: tuple[tuple[int, str], ...]) -> Iterator[tuple[int, int, str]]:
    """Yield what may stand in place of an open mark: its begin and end, and the new text.

    A mark between blanks opens nothing, and `''` that `"` closes is one such.
    """
    for place, mark in marks:
        end = place + len(mark)
        before, after = text[place - 1 : place], text[end : end + 1]
        if not before.strip() and not after.strip():
            yield place - (before in (" ", "\t")), end, ""
        elif mark == "''" and _paragraph(text, place).count('"') % 2:
            yield place, end, '"'


def _paragraph(text: str, place: int) -> str:
    end = text.find("\n", place)
    return text[text.rfind("\n", 0, place) + 1 : end if end >= 0 else len(text)]


def _around(text: str, begin: int, end: int) -> str:
    return text[max(text.rfind("\n", 0, begin) + 1, begin - 12) : end + 12].partition("\n")[0]

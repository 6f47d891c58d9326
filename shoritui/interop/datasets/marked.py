"""Texts with marks between their turns: ChatML, and Alpaca's headings as LimaRP uses them.

<|im_start|>user                     ### Input:
Hm.<|im_end|>                        Mara: Hm.
<|im_start|>Ilse (Length: short)     ### Response: (length = short)
Oh.<|im_end|>                        Ilse: Oh.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from shoritui.interop.datasets.model import Talk, Turn, Unusable
from shoritui.interop.datasets.turns import length_of

OPEN: Final = "<|im_start|>"
_CLOSE: Final = "<|im_end|>"
_HEADING: Final = re.compile(
    r"^###[ \t]*+(?P<role>System|Instruction|Input|Response)\b:?[ \t]*+"
    r"(?:\([ \t]*+length[ \t]*+[=:][ \t]*+(?P<length>\w++)[ \t]*+\):?[ \t]*+)?$",
    re.IGNORECASE | re.MULTILINE,
)
_LENGTH: Final = re.compile(r"\(length[ \t]*+[=:][ \t]*+(\w++)\)", re.IGNORECASE)
_PREAMBLE: Final = "Below is an instruction"


def is_marked(text: str) -> bool:
    """Return whether a text has such marks."""
    return OPEN in text or _headings(text) > 1


def _headings(text: str) -> int:
    found = 0
    for _ in _HEADING.finditer(text):
        found += 1
        if found > 1:
            break
    return found


def talk_of_marked(text: str, line: int, *, counts: bool) -> Talk:
    """Return the conversation in a text.

    Args:
        text: The text, its line ends as `\\n`.
        line: The line it begins in.
        counts: Whether the lines of the text are lines of the file.

    Raises:
        Unusable: It has no turn, or text stands outside of any.
    """
    pieces = list(_chatml(text) if OPEN in text else _headed(text))
    turns: list[Turn] = []
    seen, number = 0, line
    for start, role, said, hint in pieces:
        if counts:
            number += text.count("\n", seen, start)
            seen = start
        if not role:
            raise Unusable(number, "this text stands outside of any turn")
        name, length = _split(role, hint)
        turns.append(Turn(name, said, number, length=length_of(length)))
    if turns and not turns[-1].text.strip():
        del turns[-1]  # where the model was to go on
    if not turns:
        raise Unusable(line, "its text holds no turn")
    return Talk(line, tuple(turns))


def _split(role: str, hint: str) -> tuple[str, str]:
    """Return a role without its length hint, and the hint."""
    found = _LENGTH.search(role)
    return (role[: found.start()].strip(), found[1]) if found else (role, hint)


def _chatml(text: str) -> Iterator[tuple[int, str, str, str]]:
    """Yield where each turn begins, its role, its text, no hint; no role for text outside."""
    before, *turns = text.split(OPEN)
    if before.strip() and not before.strip().startswith("<"):  # the beginning's token
        yield 0, "", before, ""
    at = len(before)
    for each in turns:
        inner, closed, after = each.partition(_CLOSE)
        head, newline, said = inner.partition("\n")
        role = head.strip().removeprefix("name=")
        yield at, role or "?", said if newline else "", ""
        if closed and after.strip() and not after.strip().startswith("</"):
            yield at + len(OPEN) + len(inner) + len(_CLOSE), "", after, ""
        at += len(OPEN) + len(each)


def _headed(text: str) -> Iterator[tuple[int, str, str, str]]:
    """Yield where each turn begins, its role, its text and its hint."""
    found = list(_HEADING.finditer(text))
    roles = [each["role"].casefold() for each in found]
    before = text[: found[0].start()].strip()
    if before and not before.startswith(_PREAMBLE):
        yield 0, "system", before, ""
    for place, each in enumerate(found):
        end = found[place + 1].start() if place + 1 < len(found) else len(text)
        # With inputs, the instruction stands above the conversation.
        is_above = roles[place] == "instruction" and "input" in roles
        role = "system" if is_above else roles[place]
        yield each.start(), role, text[each.end() : end].strip("\n"), each["length"] or ""

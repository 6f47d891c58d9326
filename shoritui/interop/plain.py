"""The story as text to read: Markdown with the speakers' names, or prose alone.

Both hold what is told on the active path, also what is hidden from the model; neither notes nor
words out of character. Markdown tells who enters and leaves, and to whom something is whispered.
"""

from __future__ import annotations

import re
from typing import Final

from shoritui.story import COMINGS, Entry, WholeChat, coming
from shoritui.text import clean, one_line

_FENCE: Final = re.compile(r" {0,3}```")
_SPECIAL: Final = re.compile(r"[\\`<\[\]~|]|&(?=#?\w+;)")
"""What Markdown would take for more than text; the marks of prose mean the same in it."""
_EMPHASIS: Final = re.compile(r"[*_]")
_PUNCTUATION: Final = re.compile(r"[!-/:-@\[-`{-~]")
_BLOCK: Final = re.compile(r"#|[-+=]|\d+(?=[.)])|\*(?= )|[*_](?=[*_ ]*$)")
"""What would make a heading, a list or a rule at the start of a line."""


def told(whole: WholeChat) -> list[Entry]:
    """Return the messages and titles of the active path that hold text, and who comes and goes."""
    return [
        entry
        for entry in whole.path()
        if entry.kind in COMINGS or (entry.kind in ("message", "title") and entry.text.strip())
    ]


def hearers(entry: Entry) -> str:
    """Return to whom an entry is whispered, in words on one line; empty where it is said aloud."""
    heard = entry.details.heard
    if heard is None:
        return ""
    others = one_line(", ".join(name for name in heard if name != entry.speaker))
    return f"to {others or 'nobody'}"


def markdown(whole: WholeChat) -> str:
    """Return the story as Markdown in which no text of it is markup, but for the prose's marks."""
    blocks = [f"# {_escaped(one_line(whole.chat.name))}"]
    for entry in told(whole):
        if entry.kind == "title":
            blocks.append(f"## {_escaped(one_line(entry.text))}")
        elif entry.kind in COMINGS:
            blocks.append(f"_{_inline(coming(entry))}_")
        else:
            heard = hearers(entry)
            name = _PUNCTUATION.sub(_backslash, one_line(entry.speaker))
            mark = f" _{_inline(heard)}_" if heard else ""
            blocks += [f"**{name}**{mark}", _markdown(clean(entry.text))]
    return "\n\n".join(blocks) + "\n"


def prose(whole: WholeChat) -> str:
    """Return the story as a book has it, without the names of who wrote what."""
    blocks = [one_line(whole.chat.name)]
    for entry in told(whole):
        if entry.kind in COMINGS:
            continue
        is_title = entry.kind == "title"
        blocks.append(f"\n{one_line(entry.text)}" if is_title else clean(entry.text).strip())
    return "\n\n".join(blocks) + "\n"


def _inline(text: str) -> str:
    """Return a text as it stands between two marks of emphasis."""
    return _EMPHASIS.sub(_backslash, _SPECIAL.sub(_backslash, one_line(text)))


def _markdown(text: str) -> str:
    lines: list[str] = []
    in_fence = False
    for line in text.strip().split("\n"):
        if _FENCE.match(line):
            rest = line.strip().lstrip("`").strip()
            lines += [rest, "```"] if in_fence and rest else ["```", *filter(None, [rest])]
            in_fence = not in_fence
        elif in_fence:
            lines.append(line)
        else:
            if lines and lines[-1].startswith(">") and not line.lstrip().startswith(">"):
                lines.append("")  # else it would belong to what is cited
            # A line that ends within a paragraph is kept by two spaces.
            if lines and lines[-1] and line.strip() and not lines[-1].startswith("```"):
                lines[-1] += "  "
            lines.append(_escaped(line))
    return "\n".join([*lines, "```"] if in_fence else lines)


def _escaped(line: str) -> str:
    line = _SPECIAL.sub(_backslash, line.strip())
    block = _BLOCK.match(line)
    if not block:
        return line
    at = block.end() if block[0].isdigit() else 0
    return f"{line[:at]}\\{line[at:]}"


def _backslash(match: re.Match[str]) -> str:
    return f"\\{match[0]}"

"""Foreign text (names of files, metadata, what a server says), made fit for a line of a terminal.

It does not know where the text is shown.
"""

from __future__ import annotations

from typing import Final

_MOST: Final = 200


def printable(text: object, most: int = _MOST) -> str:
    """The text on one line, of at most `most` characters; `�` for what is not printable.

    Escapes, control characters, line breaks, marks that turn the direction of writing, and the
    undecodable bytes of a file's name are not.
    """
    line = "".join(c if c.isprintable() else "�" for c in str(text)[: most + 1])
    return line if len(line) <= most else f"{line[: most - 1]}…"


def size(count: float) -> str:
    """A number of bytes as people read it, such as `5.5 GiB`."""
    if count >= 2**30:
        return f"{count / 2**30:.1f} GiB"
    return f"{count / 2**20:.1f} MiB" if count < 10 * 2**20 else f"{count / 2**20:.0f} MiB"


def number(count: int) -> str:
    """A count as people say it of models, such as `7.2 B`."""
    for unit, word in ((10**9, "B"), (10**6, "M")):
        if count >= unit:
            return f"{count / unit:.1f} {word}"
    return f"{count:,}"

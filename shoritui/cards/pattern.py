"""Keys that are patterns, `/w[oa]lf/i`, and can be told to give up."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, Protocol

_KEY: Final = re.compile(r"/(.+)/([a-z]*)", re.DOTALL)
_MOST: Final = 300


class Match(Protocol):
    """Where a pattern was found."""

    def start(self) -> int:
        """Return where it begins."""
        ...


class Pattern(Protocol):
    """A pattern of the package `regex`."""

    def search(self, text: str, *, timeout: float) -> Match | None:
        """Search; `TimeoutError` after so many seconds."""
        ...


@lru_cache(1024)
def key_pattern(key: str) -> Pattern | None:
    """Return the pattern that a key is; None if it is a plain word.

    Raises:
        ValueError: It is no regular expression, too long, or has a flag that is not known.
    """
    found = _KEY.fullmatch(key.strip())
    if found is None:
        return None
    import regex  # only those who use patterns pay for it

    written, flags = found.groups()
    if len(written) > _MOST:
        raise ValueError(f"a pattern has at most {_MOST} characters")
    if unknown := set(flags) - set("imsu"):
        raise ValueError(f"{sorted(unknown)[0]} is no flag: there are i, m, s and u")
    bits = regex.V0
    for flag in flags:
        bits |= {"i": regex.IGNORECASE, "m": regex.MULTILINE, "s": regex.DOTALL}.get(flag, 0)
    try:
        pattern: Pattern = regex.compile(written, bits)
    except (regex.error, RecursionError, OverflowError, MemoryError) as error:
        raise ValueError(f"it is no regular expression: {error}") from None
    return pattern

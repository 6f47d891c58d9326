"""Replies that have begun to repeat themselves without end.

Pure; it knows text alone.
"""

from __future__ import annotations

LONGEST_PERIOD = 100
"""The longest piece, in characters, whose repetition is looked for."""
_LEAST_TIMES = 6
_LEAST_LENGTH = 120


def loop_start(text: str) -> int | None:
    """Where the text's end becomes the same piece again and again, after its first time.

    A loop is a piece of at most `LONGEST_PERIOD` characters that stands at the end at least six
    times in a row and fills at least 120 characters: no refrain, no row of dots or dashes that
    a person writes is that long. None if the text does not end in one.
    """
    for period in range(1, LONGEST_PERIOD + 1):
        length = period * max(_LEAST_TIMES, -(-_LEAST_LENGTH // period))
        if len(text) >= length and text[-length:-period] == text[period - length :]:
            return _end_of_first(text, period)
    return None


def _end_of_first(text: str, period: int) -> int:
    start = len(text) - period
    while start > 0 and text[start - 1] == text[start - 1 + period]:
        start -= 1
    return start + period

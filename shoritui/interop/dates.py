"""Dates in other programs' files: whatever form they have, they are seconds since 1970 here."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

_MONTHS: Final = (
    *("jan", "feb", "mar", "apr", "may", "jun"),
    *("jul", "aug", "sep", "oct", "nov", "dec"),
)
_AT: Final = re.compile(
    r"(\d{4})-(\d{1,2})-(\d{1,2})\s*@\s*(\d{1,2})h\s*(\d{1,2})m\s*(\d{1,2})s(?:\s*(\d{1,3})ms)?"
)
_IN_WORDS: Final = re.compile(
    r"([a-z]{3})[a-z]*\.? (\d{1,2}), (\d{4}),? (\d{1,2}):(\d{2})(?:\s*([ap])m)?", re.IGNORECASE
)
_MILLISECONDS: Final = 100_000_000_000
"""From here on a number is not seconds but milliseconds since 1970."""
LATEST: Final = 250_000_000_000.0
"""Seconds since 1970 in the year 9892."""


def date_text(seconds: float) -> str:
    """Return a date as JavaScript writes it."""
    date = datetime.fromtimestamp(round(min(seconds, LATEST - 1), 3), UTC)
    return date.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def seconds_of(date: object) -> float:
    """Return a date in seconds since 1970; 0 if it has no form that is known.

    2024-10-18T20:52:17.123Z   October 18, 2024 8:52pm   2024-10-18 @20h 52m 17s 123ms
    Oct 18, 2024 20:52   1729284737123 (milliseconds)   1729284737 (seconds)
    """
    if isinstance(date, str) and (date := date.strip()).isdecimal() and len(date) < 20:
        date = int(date)
    seconds = 0.0
    with suppress(ValueError, OverflowError, OSError):
        if isinstance(date, int | float) and not isinstance(date, bool):
            seconds = date / 1000 if date > _MILLISECONDS else float(date)
        elif isinstance(date, str):
            seconds = _read(date).timestamp()
    return seconds if 0 < seconds < LATEST else 0.0  # neither is what is not a number


def _read(date: str) -> datetime:
    """Return a date, of this machine's time zone unless it says another one.

    Raises:
        ValueError: It has no form that is known.
    """
    if match := _AT.fullmatch(date):
        year, month, day, hour, minute, second, part = (int(n or 0) for n in match.groups())
        return datetime(year, month, day, hour, minute, second, part * 1000)
    if match := _IN_WORDS.fullmatch(date):
        month = _MONTHS.index(match[1].lower()) + 1
        half = (match[6] or "").lower()
        hour = int(match[4]) % 12 + 12 * (half == "p") if half else int(match[4])
        return datetime(int(match[3]), month, int(match[2]), hour, int(match[5]))
    return datetime.fromisoformat(date)

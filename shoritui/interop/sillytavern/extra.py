"""What SillyTavern does not know of an entry: it stands in a message's free fields, as ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from shoritui.blockml import Length
from shoritui.story import Details, Kind, Status

KEY: Final = "shoritui"
"""Under which it stands in `extra` of a message, and in `chat_metadata`."""
NARRATOR: Final = "Narrator"
SAID: Final = ("message", "ooc")
"""The kinds of entries that somebody says; the others are told by a narrator."""


class Extra(msgspec.Struct, omit_defaults=True):
    """The fields; None where SillyTavern's own say it."""

    kind: Kind | None = None
    speaker: str | None = None
    text: str | None = None
    length: Length | None = None
    status: Status = "complete"
    hidden: bool | None = None
    label: str | None = None
    details: Details = Details()
    pinned: bool = False
    slot: int | None = None
    """Its number, where a summary names it."""


def extra_of(fields: Mapping[str, Any]) -> Extra | None:
    """Return what was written here; None if it was not, or is not as it was."""
    if KEY not in fields:
        return None
    try:
        return msgspec.convert(fields[KEY], Extra)
    except (ValueError, RecursionError, OverflowError):
        return None

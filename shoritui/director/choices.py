"""What the user chose for one chat, as it is kept with the chat.

It does not know what a choice does, nor the defaults of the settings.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import msgspec

from shoritui.settings import HintSetting
from shoritui.story import JSON

SamplingValue: TypeAlias = float | int | list[str] | dict[str, float] | None


class Choices(msgspec.Struct, frozen=True, kw_only=True):
    """The choices of a chat; each default means that none was made."""

    preset: str = ""
    """The sampler preset."""
    sampling: dict[str, SamplingValue] = {}
    """The sampler's values that differ from the preset's."""
    length: HintSetting | None = None
    """The length hint of replies; `auto` is none."""
    next_speaker: str | None = None
    """The character asked to speak; None lets the cast take turns."""
    first_kept: int | None = None
    """The first entry that the model still reads, once the context has been full."""


def read_choices(kept: Mapping[str, JSON]) -> Choices:
    """The choices out of a chat's settings; those that make no sense count as not made."""
    try:
        return msgspec.convert(kept, Choices)
    except msgspec.ValidationError:
        return Choices()

"""What the user chose for one chat, as its settings in the library hold it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

import msgspec

from shoritui.settings import GuideSetting, HintSetting, Strategy
from shoritui.story import JSON

SamplingValue: TypeAlias = float | int | list[str] | dict[str, float] | None


class SummaryDraft(msgspec.Struct, frozen=True, omit_defaults=True):
    """A summary that is being written, or that nobody has used yet."""

    span: tuple[int, int]
    """The slots of the first and the last entry that it is to stand for."""
    after: int
    """The slot of the entry after which it is to stand."""
    count: int
    """How many entries it is made of."""
    heard: tuple[str, ...] | None = None
    """Who knows of them; None is everybody."""
    text: str = ""
    whole: bool = False
    """Whether its writing has ended."""


class Choices(msgspec.Struct, frozen=True, kw_only=True):
    """What the user chose for one chat; each default means that nothing was chosen."""

    preset: str = ""
    """The sampler preset."""
    sampling: dict[str, SamplingValue] = {}
    """The sampler's values that differ from the preset's."""
    length: HintSetting | None = None
    """The length hint of replies; `auto` is none, `model` the one that the model chooses."""
    lengths: dict[str, HintSetting] = {}
    """That of single characters' replies."""
    length_guide: GuideSetting | None = None
    """Whether replies are led to the length of their hint."""
    next_speaker: str | None = None
    """The character asked to speak; None lets the cast take turns."""
    turns: Strategy | None = None
    """How they take turns."""
    instruction: str | None = None
    """The system instruction; empty is none, None is the card's or the settings'."""
    ooc: Literal["in", "out"] | None = None
    """Whether out-of-character talk is read for the story."""
    first_kept: int | None = None
    """The slot of the first entry that the model still reads, once the context has been full."""
    summary: SummaryDraft | None = None


def read_choices(kept: Mapping[str, JSON]) -> Choices:
    """Read the choices out of a chat's settings; those that make no sense count as not made."""
    try:
        return msgspec.convert(kept, Choices)
    except msgspec.ValidationError:
        return Choices()

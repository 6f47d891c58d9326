"""What is known of one model's lengths: how long its replies are under each hint.

`shoritui lengths` measures it. One file a model, and one that ships for the storyteller.
"""

from __future__ import annotations

from pathlib import Path
from statistics import median
from typing import Final, Self

import msgspec

from shoritui.blockml import LENGTHS, Length, length_for, token_range
from shoritui.demo import lengths_path
from shoritui.engine import ModelInfo
from shoritui.files import content_of, replace_text
from shoritui.folders import cache_dir
from shoritui.models import STORYTELLER

OBEDIENT: Final = 0.8
"""A model keeps to hints where this share of its replies is within one hint of what was asked."""
_FEW: Final = 3
"""From so many replies on, their median moves the aim."""


class LengthTable(msgspec.Struct, kw_only=True):
    """The tokens of the replies that a model wrote under each hint, oldest first."""

    model: str = ""
    """What it is called."""
    free: dict[Length, list[int]] = {}
    """Of replies that it ended by itself."""
    led: dict[Length, list[int]] = {}
    """Of replies that the length guide led."""
    aims: dict[Length, int] = {}
    """From how many tokens on the guide lets a reply end, where that is not the range's least."""

    @classmethod
    def read(cls, info: ModelInfo) -> Self | None:
        """Return what is known of a model; None if nobody has measured it, or nobody can tell."""
        if not info.key:
            return None
        own = table_path(info)
        shipped = info.path.stem == STORYTELLER and not info.adapters
        for path in (own, lengths_path()) if shipped else (own,):
            try:
                return msgspec.json.decode(content_of(path), type=cls)
            except (OSError, msgspec.MsgspecError):  # A damaged one is measured anew.
                continue
        return None

    def write(self, info: ModelInfo) -> None:
        """Keep it for this model.

        Raises:
            OSError: It cannot be written.
        """
        text = msgspec.json.format(msgspec.json.encode(self), indent=1).decode()
        replace_text(table_path(info), text + "\n")

    @property
    def obeys(self) -> bool:
        """Whether the model keeps to hints by itself, as far as is known."""
        share = near_share(self.free)
        return share is None or share >= OBEDIENT

    def aim(self, length: Length) -> int:
        """Return from how many tokens on the guide lets a reply of this hint end."""
        return self.aims.get(length, token_range(length)[0])

    def add_led(self, length: Length, tokens: int) -> None:
        """Take one more reply that was led, and move the aim towards the middle of the range.

        What a reply still writes until a good place to end comes is the model's own matter.
        """
        own = self.led.setdefault(length, [])
        own.append(tokens)
        least, most = token_range(length)
        if len(own) >= _FEW and length_for(max(1, round(median(own)))) != length:
            middle = (least * most) ** 0.5
            moved = self.aim(length) * (middle / max(median(own), 1)) ** 0.5
            self.aims[length] = min(max(round(moved), 1, least // 2), most)


def table_path(info: ModelInfo) -> Path:
    """Return the file of a model's own table, which need not be there."""
    return cache_dir() / "lengths" / f"{info.key}.json"


def near_share(tokens: dict[Length, list[int]]) -> float | None:
    """Return the share of replies within one hint of what was asked; None without any."""
    away = [abs(_index(each) - LENGTHS.index(hint)) for hint in tokens for each in tokens[hint]]
    return sum(each <= 1 for each in away) / len(away) if away else None


def _index(tokens: int) -> int:
    return LENGTHS.index(length_for(tokens))

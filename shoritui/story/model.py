"""What a chat is made of: its entries and itself.

It does not know where they are kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final, Literal, TypeAlias, Union

from shoritui.blockml import Length
from shoritui.cards import Card

JSON: TypeAlias = Union[  # noqa: UP007  (a quoted name cannot stand in a | union)
    dict[str, "JSON"], list["JSON"], str, int, float, bool, None
]

Kind = Literal["message", "ooc", "title", "note", "description", "lore"]
"""`note` is an author's note, an `[INST]` block."""
Status = Literal["complete", "streaming", "cut"]
"""`streaming` is being written now; `cut` ended early: cancelled, out of tokens, a crash."""


class Unset(Enum):
    """The type of `UNSET`."""

    UNSET = "unset"


UNSET: Final = Unset.UNSET
"""An argument that was not given, where None has a meaning of its own."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One node of a chat's tree; the path from a root to the head is the story."""

    id: int
    parent: int | None
    """The entry before it; None for the first of a story."""
    kind: Kind
    speaker: str
    length: Length | None
    """The length hint; None is the dynamic mode."""
    text: str
    status: Status
    created: float
    """Seconds since 1970."""
    tokens: int
    """Tokens of the text; 0 if nobody has counted them."""


@dataclass(frozen=True, slots=True)
class Chat:
    """One story: its scene, who the user is in it, and the end of its active path."""

    id: int
    name: str
    scene: Card
    user: str
    """The name the user speaks as."""
    head: int | None
    """The last entry of the active path; None before the first one."""
    settings: dict[str, JSON]
    created: float
    """Seconds since 1970, as is `updated`."""
    updated: float

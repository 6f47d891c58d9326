"""What happens in a chat, as values: the one stream that the app, scripts and tests read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from shoritui.blockml import Length
from shoritui.cards import Card
from shoritui.engine import Outcome
from shoritui.story import Entry


@dataclass(frozen=True, slots=True)
class Appended:
    """An entry is on disk, at the end of the story."""

    entry: Entry


@dataclass(frozen=True, slots=True)
class TurnStarted:
    """A reply begins: its entry is on disk, empty or (when continued) with the text so far."""

    entry: Entry
    speaker: str
    length: Length | None


@dataclass(frozen=True, slots=True)
class Evaluating:
    """The prompt is being read: `done` of `total` new tokens."""

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Wrote:
    """The next piece of a reply; pieces in order are its text."""

    entry_id: int
    text: str


@dataclass(frozen=True, slots=True)
class TurnEnded:
    """A reply is whole on disk, with the figures of its making."""

    entry: Entry
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Changed:
    """An entry's text was edited, or its hint and token count became known."""

    entry: Entry


@dataclass(frozen=True, slots=True)
class Removed:
    """Entries left the story's active path; they stay in the library."""

    entry_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class PathChanged:
    """The story stands otherwise now: entries were replaced, moved, hidden, taken out or back."""

    entries: tuple[Entry, ...]
    """The whole active path."""
    cursor: int | None
    """The entry that was acted on, by its id, where it or what stands for it is still there."""
    note: str = ""
    """What was taken back or done again, in one sentence."""
    way_back: Literal["undo", "redo"] = "undo"
    """What turns that round."""


@dataclass(frozen=True, slots=True)
class SceneChanged:
    """The scene (title, tags, scenario, lore, cast) is now this one."""

    scene: Card


@dataclass(frozen=True, slots=True)
class Leaving:
    """So many of the oldest entries soon leave what the model reads: they can be summarised."""

    count: int


@dataclass(frozen=True, slots=True)
class Trimmed:
    """So many more of the oldest entries are no longer read, and no summary stands for them."""

    count: int


@dataclass(frozen=True, slots=True)
class Summarising:
    """A summary of so many entries is being written, and has so many tokens."""

    count: int
    tokens: int


@dataclass(frozen=True, slots=True)
class Notice:
    """News that is no failure, in one sentence."""

    sentence: str


@dataclass(frozen=True, slots=True)
class Failed:
    """The action did not happen, or ended early; what was written before it is kept."""

    sentence: str


Event: TypeAlias = (
    Appended
    | TurnStarted
    | Evaluating
    | Wrote
    | TurnEnded
    | Changed
    | Removed
    | PathChanged
    | SceneChanged
    | Leaving
    | Trimmed
    | Summarising
    | Notice
    | Failed
)

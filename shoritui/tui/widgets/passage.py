"""A passage: one entry of a story as the reader sees it, its text safe to show."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias, Union, overload

from shoritui.text import clean, one_line

if TYPE_CHECKING:
    from shoritui.story import Entry, Kind, Status


@dataclass(slots=True)
class Passage:
    """What the transcript knows of one entry."""

    id: int
    kind: Kind
    speaker: str
    text: str
    length: str = ""
    """The length hint's word, or nothing."""
    tokens: int = 0
    status: Status = "complete"
    version: tuple[int, int] = (1, 1)
    """Which of how many alternatives this is, counted from 1."""
    hidden: bool = False
    """Whether the model does not read it."""
    label: str = ""
    """The name of its bookmark."""
    pinned: bool = False
    """Whether the model reads it however old it is."""
    lore: str = ""
    """The names of the lore that fired at it."""
    heard: str | None = None
    """The names of those who hear it, if it is whispered."""


Item: TypeAlias = Union[Passage, "Entry"]
"""A passage, or the entry that it is made from once it is looked at."""


class Passages(Sequence[Passage]):
    """The passages of a story, each made from its entry when it is first looked at.

    Cleaning 10,000 texts takes longer than opening a story may.
    """

    def __init__(self, items: Iterable[Item], make: Callable[[Item], Passage]) -> None:
        self.items = list(items)
        self._make = make

    def __len__(self) -> int:
        return len(self.items)

    @overload
    def __getitem__(self, index: int) -> Passage: ...
    @overload
    def __getitem__(self, index: slice) -> list[Passage]: ...
    def __getitem__(self, index: int | slice) -> Passage | list[Passage]:
        if isinstance(index, slice):
            return [self[each] for each in range(*index.indices(len(self.items)))]
        item = self.items[index]
        if not isinstance(item, Passage):
            item = self.items[index] = self._make(item)
        return item


def is_same(shown: Item, entry: Item) -> bool:
    """Return whether an entry looks as what is shown of it, its version aside.

    The text of an entry that has ended never changes.
    """
    return (
        shown.id == entry.id
        and shown.status == entry.status
        and shown.tokens == entry.tokens
        and shown.hidden == entry.hidden
        and shown.pinned == entry.pinned
        and (shown.length or "") == (entry.length or "")
        and (shown.label or "") == (entry.label or "")
    )


def passage(entry: Entry, version: tuple[int, int] = (1, 1)) -> Passage:
    """Return the passage that shows an entry."""
    heard, text = entry.details.heard if entry.kind == "message" else None, entry.text
    if entry.kind in ("enter", "leave"):
        from shoritui.story import coming  # as late as it is needed: it brings the library along

        text = coming(entry)
    return Passage(
        id=entry.id,
        kind=entry.kind,
        speaker=_summary(entry) or one_line(entry.speaker),
        text=clean(text),
        length=entry.length or "",
        tokens=entry.tokens,
        status=entry.status,
        version=version,
        hidden=entry.hidden,
        pinned=entry.pinned,
        label=one_line(entry.label or ""),
        heard=_whispered_to(heard, entry.speaker) if heard is not None else None,
    )


def _whispered_to(heard: Sequence[str], speaker: str) -> str:
    """Return who hears a whisper, without its speaker, who is one of them in an answer."""
    return one_line(", ".join(name for name in heard if name != speaker))


def _summary(entry: Entry) -> str:
    """Return what stands above a summary; nothing above what is none."""
    if entry.details.span is None:
        return ""
    heard = entry.details.heard
    return "Summary" if heard is None else f"Summary for {one_line(', '.join(heard))}"

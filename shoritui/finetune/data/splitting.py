"""Where a long conversation is cut, and which of its blocks each part begins with once more.

It does not know token ids, only how many each block has.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from shoritui.blockml import Instruction, Part, Role

_SPOKEN: Final[tuple[Role, ...]] = ("message", "ooc")
_LATEST: Final[tuple[Role, ...]] = ("title", "tags", "scenario")
"""Of these only the last one is in force."""
_ORDER: Final[tuple[Role, ...]] = ("title", "tags", "lore", "description", "scenario")


class TooLong(ValueError):
    """A block that has no room: `part` is the one, and the message says how much it takes."""

    def __init__(self, part: int, message: str) -> None:
        super().__init__(message)
        self.part = part


@dataclass(frozen=True, slots=True)
class Cut:
    """One part of a conversation, as places in its list of parts."""

    repeated: tuple[int, ...]
    """Blocks that are still in force; they stand first."""
    new: range


def cuts_of(
    parts: Sequence[Part], sizes: Sequence[int], begun: Callable[[int], int], limit: int
) -> list[Cut]:
    """Cuts a conversation at its messages' ends, so that each part is as long as fits.

    Args:
        parts: The conversation.
        sizes: The tokens of each of its parts.
        begun: Asked for the tokens of one that begins a document.
        limit: The most tokens of a part.

    Raises:
        TooLong: A message does not fit, with the blocks in force before it.
    """

    def length(cut: Cut) -> int:
        first, *rest = (*cut.repeated, *cut.new)
        return begun(first) + sum(sizes[each] for each in rest)

    cuts: list[Cut] = []
    size = limit + 1
    for unit in _units(parts):
        added = sum(sizes[each] for each in unit)
        if size + added <= limit:
            cuts[-1] = Cut(cuts[-1].repeated, range(cuts[-1].new.start, unit.stop))
            size += added
            continue
        cut = Cut(in_force(parts, unit), unit)
        size = length(cut)
        if size > limit:
            raise TooLong(unit.stop - 1, _sentence(size, size - sizes[unit.stop - 1]))
        cuts.append(cut)
    return cuts


def in_force(parts: Sequence[Part], unit: range) -> tuple[int, ...]:
    """What a part that begins with this unit must repeat, in the order of a conversation's top.

    That is the last title, tags and scenario, all lore and descriptions, and what was instructed
    before the first message. Where nobody speaks there is nothing to be in force for.
    """
    first_spoken = next((at for at, part in enumerate(parts) if _is_spoken(part)), None)
    if first_spoken is None:
        return ()
    kept: dict[object, int] = {}
    for at, part in enumerate(parts[: unit.start]):
        if isinstance(part, Instruction):
            if at < first_spoken:
                kept.setdefault(part, at)
        elif part.role in _LATEST:
            kept[part.role] = at
        elif part.role in _ORDER:
            kept.setdefault(part, at)
    for at in unit:
        kept.pop(_role(parts[at]), None)
    return tuple(sorted(kept.values(), key=lambda at: (_rank(parts, at), at)))


def _units(parts: Sequence[Part]) -> list[range]:
    """What is never cut: a message with what leads up to it; or a block, if there is none."""
    if not any(map(_is_spoken, parts)):
        return [range(at, at + 1) for at in range(len(parts))]
    units, start = [], 0
    for at, part in enumerate(parts):
        if _is_spoken(part) or at == len(parts) - 1:
            units.append(range(start, at + 1))
            start = at + 1
    return units


def _rank(parts: Sequence[Part], at: int) -> int:
    role = _role(parts[at])
    if role is not None:
        return _ORDER.index(role)
    leads = all(isinstance(part, Instruction) for part in parts[:at])
    return -1 if leads else len(_ORDER)


def _role(part: Part) -> Role | None:
    return None if isinstance(part, Instruction) else part.role


def _is_spoken(part: Part) -> bool:
    return _role(part) in _SPOKEN


def _sentence(size: int, before: int) -> str:
    beside = f", {before:,} of them what must stand before it" if before else ""
    return f"this block takes {size:,} tokens{beside}"

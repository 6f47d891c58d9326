"""The decorators of V3 character cards: rules in the first lines of a lore's text.

@@depth 2              becomes     place = "depth", depth = 2
@@keys_of_my_app       not known: the line below stands in for it
@@@scan_depth 5        becomes     scan_depth = 5
The wolves of ...      what is left is the text
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Final, Literal, TypeAlias

from shoritui.cards.model import Lore
from shoritui.text import one_line

_LINE: Final = re.compile(r"(@{2,3})\s*(\S*)\s*(.*)")
_EVER: Final = 1_000_000
_DEEPEST: Final = 1000
_POSITIONS: Final = ("after_desc", "before_desc", "personality", "scenario")
_SILENT: Final = {
    "role", "is_greeting", "is_user_icon", "disable_ui_prompt", "reverse_depth", "instruct_depth",
    "reverse_instruct_depth", "instruct_scan_depth",
}  # fmt: skip
"""What is known and has no meaning in a chat of several characters whose lore has no role."""

Rule: TypeAlias = Callable[[Lore, str], Lore]
"""Returns a piece of lore with what a decorator's value says; `ValueError` if it says nothing."""


def decorated(lore: Lore) -> tuple[Lore, tuple[str, ...]]:
    """Return a piece of lore as its decorators have it, without them in its text.

    Also what must be said of them: one clause for each that is not known, or not followed.
    """
    if not lore.text.startswith("@@"):
        return lore, ()
    lines = lore.text.split("\n")
    count = next((at for at, line in enumerate(lines) if not _is_head(line)), len(lines))
    found = replace(lore, text="\n".join(lines[count:]).strip())
    said: list[str] = []
    seen: set[str] = set()
    for chain in _chains(lines[:count]):
        if chain[0][0] in seen:  # of several with one name the first counts
            continue
        seen.add(chain[0][0])
        found, faults = _follow(found, chain)
        said += faults
    if {"activate", "dont_activate"} <= seen:
        found = replace(found, enabled=lore.enabled)
    if "position" in seen and found.place == "depth":
        found = replace(found, place="top")
    if not found.text:
        found = replace(found, enabled=False)
        said.append("it has no text beside its decorators")
    return found, tuple(said)


def unfollowed(lore: Iterable[Lore]) -> str:
    """Return a sentence about the decorators that mean nothing here; empty if there are none."""
    if not (said := [(piece.name, clause) for piece in lore for clause in decorated(piece)[1]]):
        return ""
    name, clause = said[0]
    more = f", and {len(said) - 1:,} more" if len(said) > 1 else ""
    return f"Lore {one_line(name)}: {clause}{more}. /why says what each piece does."


def _follow(lore: Lore, chain: list[tuple[str, str]]) -> tuple[Lore, list[str]]:
    """Return the lore with the first of these that can be followed, or why none can."""
    faults: list[str] = []
    for name, value in chain:
        if name in _RULES:
            try:
                return _RULES[name](lore, value), []
            except ValueError as error:
                faults.append(f"{_shown(name)} {error}")
        elif name not in _SILENT:
            faults.append(f"{_shown(name)} is not known here")
    return lore, faults if len(faults) == len(chain) else []


def _is_head(line: str) -> bool:
    return not line.strip() or line.lstrip().startswith("@@")


def _chains(lines: list[str]) -> Iterator[list[tuple[str, str]]]:
    """Yield each decorator with those that stand in for it, as name and value."""
    chain: list[tuple[str, str]] = []
    for line in lines:
        match = _LINE.match(line.strip())
        if match is None:
            continue
        marks, name, value = match.groups()
        if marks == "@@" and chain:
            yield chain
            chain = []
        chain.append((name.lower(), value))
    if chain:
        yield chain


def _shown(name: str) -> str:
    return f"@@{one_line(name)[:40]}"


def _number(value: str, least: int = 0, most: int = _EVER) -> int:
    if not re.fullmatch(r"-?[0-9]{1,9}", value):
        raise ValueError(f"has no number, but {one_line(value)[:40] or 'nothing'}")
    return min(max(int(value), least), most)


def _depth(lore: Lore, value: str) -> Lore:
    return replace(lore, place="depth", depth=_number(value, 1, _DEEPEST))


def _position(lore: Lore, value: str) -> Lore:
    if value not in _POSITIONS:
        raise ValueError(f"has no place of the prompt, but {one_line(value)[:40] or 'nothing'}")
    return replace(lore, place="top")


def _second(logic: Literal["any", "not any"]) -> Rule:
    def rule(lore: Lore, value: str) -> Lore:
        keys = tuple(key for each in value.split(",") if (key := each.strip()))
        if not keys:
            raise ValueError("names no keys")
        if lore.secondary_keys and lore.logic != logic:
            raise ValueError("does not go together with the other secondary keys")
        return replace(lore, secondary_keys=(*lore.secondary_keys, *keys), logic=logic)

    return rule


_RULES: Final[dict[str, Rule]] = {
    # Ours waits while as many messages were told, theirs until.
    "activate_only_after": lambda lore, value: replace(lore, delay=max(0, _number(value) - 1)),
    "activate_only_every": lambda lore, value: replace(lore, every=_number(value, 1)),
    "keep_activate_after_match": lambda lore, _: replace(lore, sticky=_EVER),
    "dont_activate_after_match": lambda lore, _: replace(lore, cooldown=_EVER),
    "depth": _depth,
    "position": _position,
    "scan_depth": lambda lore, value: replace(lore, scan_depth=_number(value, 1, _DEEPEST)),
    "ignore_on_max_context": lambda lore, _: replace(lore, order=-_EVER),
    "additional_keys": _second("any"),
    "exclude_keys": _second("not any"),
    "activate": lambda lore, _: replace(lore, keys=(), secondary_keys=()),
    "dont_activate": lambda lore, _: replace(lore, enabled=False),
}

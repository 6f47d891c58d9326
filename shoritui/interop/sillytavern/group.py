"""A group of SillyTavern: who is in it, and what older versions keep of its chats.

groups/1700000000000.json              {"name": "The ferry", "members": ["Ada.png", "Bram.png"],
                                        "chats": ["2024-10-18 @20h 52m 17s 123ms", ...], ...}
group chats/2024-10-18 @20h 52m 17s 123ms.jsonl
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, Final

from shoritui.cards import Character
from shoritui.interop.cards.values import Values, name_of, texts_of, values_of
from shoritui.text import clean, is_visible, one_line

_MOST: Final = 1000
"""Members, or chats, of a group."""
TURNS: Final = {0: "natural", 1: "in-turn", 2: "choose", 3: "pooled"}
"""How turns are given, by SillyTavern's number for it."""


@dataclass(frozen=True, slots=True)
class Group:
    """What a group's file says."""

    name: str
    members: tuple[Character, ...]
    """The members, by the names of their cards' files; those who are muted never speak unasked."""
    chats: tuple[str, ...]
    """The names of its chats' files, without `.jsonl`."""
    turns: str
    """Who speaks next, as the setting `turns` has it; empty if it is not said."""
    _metadata: Mapping[str, Values]

    def metadata(self, chat: str) -> Values:
        """Return what an older version keeps here of one chat."""
        return self._metadata.get(chat, {})

    def title(self, chat: str) -> str:
        """Return what one of its chats is called here."""
        return self.name if len(self.chats) < 2 else f"{self.name}, {chat}"


def group_of_sillytavern(found: Mapping[str, Any]) -> Group | None:
    """Return the group that a JSON object describes; None if it describes none."""
    members, chats = found.get("members"), found.get("chats")
    if not (isinstance(members, list) and isinstance(chats, list) and "chat_id" in found):
        return None
    muted = set(texts_of(found.get("disabled_members")))
    cast: dict[str, Character] = {}
    for member in texts_of(members)[:_MOST]:
        if name := name_of(member.removesuffix(".png")):
            is_muted = member in muted
            cast.setdefault(name, Character(name=name, speaks="never" if is_muted else "freely"))
    kept = {name: values_of(data) for name, data in values_of(found.get("past_metadata")).items()}
    current = found.get("chat_id")
    if isinstance(current, str):
        kept[current] = {**kept.get(current, {}), **values_of(found.get("chat_metadata"))}
    name = one_line(clean(found["name"])) if isinstance(found.get("name"), str) else ""
    named = [each for each in chats[:_MOST] if isinstance(each, str) and _is_file_name(each)]
    strategy = found.get("activation_strategy")
    return Group(
        name if is_visible(name) else "A group",
        tuple(cast.values()),
        tuple(dict.fromkeys(named)),
        TURNS.get(strategy, "") if isinstance(strategy, int) else "",
        kept,
    )


def _is_file_name(name: str) -> bool:
    return bool(name) and "\0" not in name and "\\" not in name and PurePath(name).name == name

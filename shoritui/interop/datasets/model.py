"""What a file of conversations is read as: turns with their roles, then the parts of BlockML.

{"from": "human", "value": "Hm."}     Turn("human", "Hm.", side="user")
names = { human = "Mara" }            Block("message", "Hm.", "Mara")
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from shoritui.blockml import Length, Part
from shoritui.cards import Character
from shoritui.text import counted

Format = Literal[
    "auto", "blockml", "sharegpt", "messages", "alpaca", "limarp", "chatml", "log", "chat"
]
SystemUse = Literal["instruction", "scenario", "description", "lore", "drop"]
Side = Literal["user", "char", "system", ""]
Layout = Literal["blocks", "lines", "record"]
"""How texts lie in a file: below a block's first line, from their line on, or within a record."""

SIDES: Final[dict[str, Side]] = {
    **dict.fromkeys(("human", "user", "prompter", "player", "{{user}}", "<user>"), "user"),
    **dict.fromkeys(("instruction", "input", "prompt", "question", "query"), "user"),
    **dict.fromkeys(("gpt", "assistant", "bot", "model", "chatgpt", "ai", "char"), "char"),
    **dict.fromkeys(("output", "response", "completion", "answer", "character"), "char"),
    **dict.fromkeys(("{{char}}", "<bot>", "<char>", "<first>", "text"), "char"),
    "<second>": "user",
    **dict.fromkeys(("system", "developer"), "system"),
}
"""Which of the two a word stands for where others write names, in small letters."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How a file is to be read, and who is who in it."""

    format: Format = "auto"
    names: Mapping[str, str] = field(default_factory=dict)
    """What somebody is called, by the role or name in the file; `user` and `char` mean the two
    sides whatever the file calls them."""
    cast: tuple[Character, ...] = ()
    """Characters of cards, which give descriptions."""
    system: SystemUse = "instruction"
    """What becomes of a system message."""
    tags: tuple[str, ...] = ()
    """Tags of every conversation, beside its own."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One message, as the file has it."""

    role: str
    """Who says it: a name, or a word that stands for one."""
    text: str
    line: int
    name: str = ""
    """The name that the file gives beside the role."""
    length: Length | None = None
    learnt: bool = True

    @property
    def side(self) -> Side:
        """Which side the role stands for; none if it is a name."""
        return SIDES.get(self.role.casefold(), "")


@dataclass(frozen=True, slots=True)
class Talk:
    """One conversation, as the file has it."""

    line: int
    turns: tuple[Turn, ...]
    names: Mapping[str, str] = field(default_factory=dict)
    """Names that the file gives, by role."""
    descriptions: Mapping[str, str] = field(default_factory=dict)
    """Descriptions that the file gives, by role or name."""
    scenario: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """One conversation, ready to be read by a model."""

    parts: tuple[Part, ...]
    lines: tuple[int, ...]
    """Where each part begins, counted from 1."""
    layout: Layout = "record"
    unlearnt: frozenset[int] = frozenset()
    """The parts that are read but not learnt."""
    number: int = 0
    """Which conversation it is of those that begin in its line; 0 if it is the first."""
    added: frozenset[int] = frozenset()
    """The parts that do not stand in the file: what cards describe, and tags."""


class Unusable(ValueError):
    """What cannot be used of a file: the message says why, `line` where (0 for all of it)."""

    def __init__(self, line: int, sentence: str) -> None:
        super().__init__(sentence)
        self.line = line


class Unnamed(Unusable):
    """A conversation whose roles nobody has named."""

    def __init__(self, line: int, roles: Mapping[str, int]) -> None:
        told = (f'as "{role}" ({counted(count, "message")})' for role, count in roles.items())
        super().__init__(line, f"nobody says who speaks {' and '.join(told)}")
        self.roles = dict(roles)
        """How many messages each of the roles has."""


Read: TypeAlias = Found | Unusable

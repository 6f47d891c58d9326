"""What a conversation is: its parts, where each stands in a file, and what names it.

It does not know tokens, nor how a file is read.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from shoritui.blockml import Block, Instruction, Part


@dataclass(frozen=True, slots=True)
class Conversation:
    """One conversation, as its file tells it."""

    parts: tuple[Part, ...]
    file: str
    """From the config's folder."""
    lines: tuple[int, ...]
    """Where each part begins, counted from 1."""

    @property
    def source(self) -> str:
        """File and line, for people."""
        return self.place(0)

    def place(self, part: int) -> str:
        """File and line of a part, for people."""
        return f"{self.file}:{self.lines[part]}"

    @property
    def messages(self) -> list[Block]:
        """What is said, in order."""
        return [part for part in self.parts if isinstance(part, Block) and part.role == "message"]

    @property
    def tags(self) -> frozenset[str]:
        """The tags of its tags blocks, as they are written."""
        blocks = (p.body for p in self.parts if isinstance(p, Block) and p.role == "tags")
        tags = (" ".join(tag.split()) for body in blocks for tag in body.split(","))
        return frozenset(tag for tag in tags if tag)

    def digest(self) -> str:
        """Names what is said: the same for copies with other hints, headers or white space."""
        digest = hashlib.sha256()
        for part in self.messages or self.parts:
            text = part.text if isinstance(part, Instruction) else f"{part.name}:{part.body}"
            digest.update(" ".join(text.casefold().split()).encode() + b"\0")
        return digest.hexdigest()

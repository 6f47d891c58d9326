"""What the model reads now: the document, with old messages left out once the context is full.

It does not know who speaks or why; it counts tokens by asking the engine, each text once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from shoritui.blockml import Length, token_range
from shoritui.cards import Card
from shoritui.director import document as doc
from shoritui.engine import Engine, Segment
from shoritui.errors import UserError
from shoritui.settings import Settings
from shoritui.story import Entry


@dataclass(frozen=True, slots=True)
class Document:
    """The segments of one prompt, and the first of the given entries that is in it."""

    segments: list[Segment]
    first: int


class Reader:
    """Composes documents that fit the engine's context."""

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self.form = doc.Form(settings.instruction, settings.instruction_place, settings.ooc_form)
        self._engine = engine
        self._max_tokens = settings.max_tokens
        self._sizes: dict[str, int] = {}  # Tokens of a segment, by its text.

    @property
    def context_size(self) -> int:
        """The tokens that the model's context holds; 0 before there is a model."""
        return self._engine.info.n_ctx if self._engine.info else 0

    async def document(
        self,
        scene: Card,
        user: str,
        entries: Sequence[Entry],
        opened: Segment,
        length: Length | None,
    ) -> Document:
        """The document that ends in `opened`, with room for a reply of that length.

        Raises:
            UserError: The scene alone, or the last entry with it, does not fit.
        """
        header = doc.header_segments(scene, user, self.form)
        fixed = await self._total([*header, opened]) + self._reserve(length)
        if fixed > self.context_size:
            raise UserError(
                f"The scene's own blocks take {fixed - self._reserve(length):,} of the context's "
                f"{self.context_size:,} tokens: shorten descriptions or lore, or choose a larger "
                "n_ctx."
            )
        start = 0
        while True:
            story = list(doc.story_segments(scene, entries[start:], self.form))
            sizes = [await self._total(group) for group in story]
            dropped = doc.trimmed_start(sizes, 0, self.context_size - fixed)
            if not dropped:
                every = [*header, *(each for group in story for each in group), opened]
                return Document(every, start)
            if dropped == len(sizes):
                raise UserError(
                    f"The last message takes {sizes[-1]:,} tokens, but only "
                    f"{self.context_size - fixed:,} are free: shorten it, or choose a larger n_ctx."
                )
            start += dropped  # Lore may fire at another entry now, so it is measured anew.

    def _reserve(self, length: Length | None) -> int:
        """The tokens kept free for the reply: twice the most that its hint stands for."""
        expected = 2 * token_range(length or "medium")[1]
        return min(expected, self._max_tokens, self.context_size // 4)

    async def _total(self, segments: Sequence[Segment]) -> int:
        new = list({segment.text for segment in segments} - self._sizes.keys())
        if new:
            self._sizes.update(zip(new, await self._engine.count(new), strict=True))
        return sum(self._sizes[segment.text] for segment in segments)

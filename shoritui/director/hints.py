r"""The length hint of the next message, drawn by the model's own odds.

    ... ▄\n▀message (length:     the story, and how a message's first line begins
                             short): 48 %    medium): 21 %    tiny): 9 %   ...

It is drawn, since the likeliest one would be the same one nearly always.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Final, cast

from shoritui.blockml import LENGTHS, Length
from shoritui.director import prompt_layout as doc
from shoritui.director.chat_state import ChatState
from shoritui.director.context_window import ContextWindow
from shoritui.director.speakers import shares
from shoritui.engine import AnyEngine, Segment, WorkerDied
from shoritui.errors import UserError
from shoritui.story import Entry

USUAL_HINT: Final[Length] = "medium"
"""What a message's hint is where the model was to choose it and could not."""


class HintOdds:
    """Asks the model how long the next message is, once after each entry."""

    def __init__(self, chat: ChatState, window: ContextWindow, engine: AnyEngine) -> None:
        self._chat = chat
        self._window = window
        self._engine = engine

    def are_wanted(self, speaker: str = "") -> bool:
        """Whether the model chooses this one's hint, and was not asked since the last entry."""
        chat = self._chat
        is_its = chat.hint(speaker) == "model" and chat.length_of(speaker) is None
        return is_its and self._engine.info is not None

    async def document(self, speaker: str, end: int | None = None) -> Sequence[Segment]:
        """Return what this one's hint is scored after; `end` is that of `ContextWindow.document`.

        Raises:
            UserError: The scene alone does not fit into the context.
        """
        opened = doc.open_hint()
        return await self._window.document(opened, None, reader=speaker or None, end=end)

    async def drawn(self, document: Sequence[Segment]) -> Length:
        """Return a hint that the model may have chosen; with a seed always the same one.

        Raises:
            UserError: It was cancelled, or a server does not tell.
        """
        logprobs = await self._engine.score(document, list(map(doc.hint_label, LENGTHS)))
        odds, seed = shares(dict(zip(LENGTHS, logprobs, strict=True))), self._chat.sampling.seed
        dice = Random(None if seed is None else f"{seed} {len(self._chat.entries)}")
        return cast(Length, dice.choices(list(odds), list(odds.values()))[0])

    async def anew(self, old: Entry) -> Length | None:
        """Return the hint with which a message is written anew; where it is the model's, another.

        Raises:
            WorkerDied: The model ended meanwhile.
        """
        if self._chat.hint(old.speaker) != "model":
            return self._chat.length_of(old.speaker)
        try:
            return await self.drawn(await self.document(old.speaker, self._chat.place(old)))
        except WorkerDied:
            raise
        except UserError:
            return USUAL_HINT

    async def ask(self, document: Sequence[Segment]) -> None:
        """Draw one, and keep it with the chat.

        Raises:
            UserError: As `drawn`.
        """
        last = self._chat.last
        self._chat.keep_hint(last, await self.drawn(document))

r"""How likely each one is to speak next, by the model itself and by what the story shows.

    ... ▄\n▀message (length: medium)\n    the story, and a message's first line
                                     Mara: 62 %   Tobin: 27 %   Wren (you): 11 %

The engine scores the names after what the reply is written after anyway: where their first tokens
differ, nothing more is evaluated for it.
"""

from __future__ import annotations

from collections.abc import Sequence

from shoritui.director import prompt_layout as doc
from shoritui.director.chat_state import ChatState
from shoritui.director.context_window import ContextWindow
from shoritui.director.speakers import trust_in
from shoritui.engine import AnyEngine, Segment
from shoritui.story import STRANGER


class SpeakerOdds:
    """Asks the model who speaks next, once after each entry."""

    def __init__(self, chat: ChatState, window: ContextWindow, engine: AnyEngine) -> None:
        self._chat = chat
        self._window = window
        self._engine = engine

    @property
    def are_wanted(self) -> bool:
        """Whether the model decides in this chat, and was not asked since the last entry."""
        chat = self._chat
        decides = chat.strategy == "model" and chat.next_speaker is None
        return (
            decides and chat.odds is None and bool(chat.present) and self._engine.info is not None
        )

    async def document(self) -> Sequence[Segment]:
        """Return what the names are scored after: what everybody knows.

        Raises:
            UserError: The scene alone does not fit into the context.
        """
        length = self._chat.length
        return await self._window.document(doc.open_nameless(length), length, reader=STRANGER)

    async def ask(self, document: Sequence[Segment]) -> None:
        """Ask the model, and keep its answer with the chat.

        Raises:
            UserError: It was cancelled, or a server does not tell.
        """
        chat, head = self._chat, self._chat.last
        names = chat.drafted
        logprobs = await self._engine.score(document, list(map(doc.label, names)))
        info = self._engine.info
        trust = trust_in(info.n_params if info is not None else 0)
        chat.keep_odds(head, chat.weighed(dict(zip(names, logprobs, strict=True)), trust))

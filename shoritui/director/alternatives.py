"""Other texts for the last reply, written in idle time: there at once when one is asked for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Final

from shoritui.blockml import Length
from shoritui.director.chat_state import ChatState
from shoritui.director.context_window import ContextWindow
from shoritui.director.length_guide import LengthGuides
from shoritui.director.loops import loop_start
from shoritui.engine import (
    AnyEngine,
    Event,
    Finished,
    LengthGuide,
    ModelInfo,
    Sampling,
    Segment,
    Text,
)
from shoritui.settings import Settings

_TRIES: Final = 4
"""How often one is begun at most: other work may come between, or it has no end."""
_PAUSE_SECONDS: Final = 0.05


@dataclass(frozen=True, slots=True)
class ReplyRequest:
    """All that a reply is drawn from: of equal ones, one text is as good as another."""

    document: tuple[Segment, ...]
    sampling: Sampling
    max_tokens: int
    penalized: tuple[str, ...]
    names: tuple[str, ...]
    guide: LengthGuide | None = None

    def ask(self, engine: AnyEngine, *, idle: bool = False) -> AsyncGenerator[Event, None]:
        """Have a reply written."""
        return engine.generate(
            self.document,
            self.sampling,
            max_tokens=self.max_tokens,
            penalized=self.penalized,
            names=self.names,
            idle=idle,
            guide=self.guide,
        )


class Alternatives:
    """Replies to one request that nobody has read yet. They are in memory alone."""

    def __init__(
        self,
        chat: ChatState,
        window: ContextWindow,
        engine: AnyEngine,
        settings: Settings,
        guides: LengthGuides,
    ) -> None:
        self._chat = chat
        self._window = window
        self._engine = engine
        self._guides = guides
        self._setting = settings.alternatives
        self._max_tokens = settings.max_tokens
        self._request: ReplyRequest | None = None
        self._model: ModelInfo | None = None
        """What wrote them: another object whenever a model was loaded, or its adapters changed."""
        self._ready: list[list[Event]] = []

    def request(
        self,
        document: Sequence[Segment],
        max_tokens: int,
        at: int,
        reader: str | None,
        written: str = "",
        sampling: Sampling | None = None,
        guide: LengthGuide | None = None,
    ) -> ReplyRequest:
        """Return what its `reader` draws the entry at this place from; so much is written already.

        It is drawn by the chat's own sampler values unless there are others.
        """
        before = self._window.read_before(at, reader)
        # What penalties see: the messages read, oldest first, and what is written of this one.
        bodies = [entry.text for entry in before if entry.kind == "message"]
        penalized = tuple(body for body in (*bodies, written) if body)
        names = tuple(self._chat.cast)
        sampling = sampling or self._chat.sampling
        return ReplyRequest(tuple(document), sampling, max_tokens, penalized, names, guide)

    async def write(
        self, document: Sequence[Segment], reader: str | None, length: Length | None
    ) -> None:
        """Write as many after this document as are wanted and missing; others are forgotten.

        `length` is their hint.

        Raises:
            UserError: The engine cannot, or died on the way.
        """
        guide = self._guides.guide(length, self._max_tokens)
        at = len(self._chat.entries) - 1
        request = self.request(document, self._max_tokens, at, reader, guide=guide)
        if not self._holds(request):
            self._request, self._model, self._ready = request, self._engine.info, []
        for _ in range(_TRIES):
            if len(self._ready) >= self.wanted(request.sampling):
                return
            events = await self._written(request)
            if self._holds(request) and events:
                self._ready.append(events)
            else:
                await asyncio.sleep(_PAUSE_SECONDS)

    def take(self, request: ReplyRequest) -> AsyncGenerator[Event, None] | None:
        """Return the events of one that is ready, all at once; None if there is none."""
        return _replayed(self._ready.pop(0)) if self._holds(request) and self._ready else None

    def wanted(self, sampling: Sampling) -> int:
        """Return how many should be ready.

        None if all were the same, on a server, or in `shift` mode, where what is read now would
        have to make room for them.
        """
        info = self._engine.info
        is_random = sampling.seed is None and sampling.temperature > 0
        if info is None or info.server or info.context_mode == "shift" or not is_random:
            return 0
        return int(bool(info.gpu)) if self._setting == "auto" else self._setting

    def _holds(self, request: ReplyRequest) -> bool:
        return request == self._request and self._engine.info is self._model

    async def _written(self, request: ReplyRequest) -> list[Event] | None:
        """Return one more; None if it came to no end by itself."""
        events: list[Event] = []
        text = ""
        async with aclosing(request.ask(self._engine, idle=True)) as stream:
            async for event in stream:
                match event:
                    case Text():
                        text += event.text
                        events.append(event)
                        if loop_start(text) is not None:
                            return None
                    case Finished(outcome) if outcome.stop == "block_end" and text.strip():
                        read = replace(
                            outcome,
                            reused_tokens=outcome.prompt_tokens,
                            evaluated_tokens=0,
                            first_token_ms=0.0,
                        )
                        return [*events, Finished(read)]
        return None


async def _replayed(events: list[Event]) -> AsyncGenerator[Event, None]:
    for event in events:
        yield event

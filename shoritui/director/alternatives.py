"""Other texts for the last reply, written in idle time: there at once when one is asked for.

It does not know whose reply it is or where it stands: what a reply is drawn from says it all.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Final

from shoritui.director.loops import loop_start
from shoritui.engine import AnyEngine, Event, Finished, ModelInfo, Sampling, Segment, Text
from shoritui.settings import Settings

_TRIES: Final = 4
"""How often one is begun at most: other work may come between, or it has no end."""
_PAUSE_SECONDS: Final = 0.05


@dataclass(frozen=True, slots=True)
class Request:
    """All that a reply is drawn from: of equal ones, one text is as good as another."""

    document: tuple[Segment, ...]
    sampling: Sampling
    max_tokens: int
    penalized: tuple[str, ...]
    names: tuple[str, ...]

    def ask(self, engine: AnyEngine, *, idle: bool = False) -> AsyncGenerator[Event, None]:
        """Has a reply written."""
        return engine.generate(
            self.document,
            self.sampling,
            max_tokens=self.max_tokens,
            penalized=self.penalized,
            names=self.names,
            idle=idle,
        )


class Alternatives:
    """Replies to one request that nobody has read yet. They are in memory alone."""

    def __init__(self, engine: AnyEngine, settings: Settings) -> None:
        self._engine = engine
        self._setting = settings.alternatives
        self._request: Request | None = None
        self._model: ModelInfo | None = None
        """What wrote them: another object whenever a model was loaded, or its adapters changed."""
        self._ready: list[list[Event]] = []

    async def write(self, request: Request) -> None:
        """Writes as many as are wanted and missing; those for another request are forgotten.

        Raises:
            UserError: The engine cannot, or died on the way.
        """
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

    def take(self, request: Request) -> AsyncGenerator[Event, None] | None:
        """The events of one that is ready, all at once; None if there is none."""
        return _told(self._ready.pop(0)) if self._holds(request) and self._ready else None

    def wanted(self, sampling: Sampling) -> int:
        """How many should be ready: none if all were the same, on a server, or in `shift` mode,
        where what is read now would have to make room for them."""
        info = self._engine.info
        is_random = sampling.seed is None and sampling.temperature > 0
        if info is None or info.server or info.context_mode == "shift" or not is_random:
            return 0
        return int(bool(info.gpu)) if self._setting == "auto" else self._setting

    def _holds(self, request: Request) -> bool:
        return request == self._request and self._engine.info is self._model

    async def _written(self, request: Request) -> list[Event] | None:
        """One more; None if it came to no end by itself."""
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


async def _told(events: list[Event]) -> AsyncGenerator[Event, None]:
    for event in events:
        yield event

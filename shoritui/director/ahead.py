"""Documents evaluated ahead of need, beside everything else: one at a time, the newest wish wins.

It does not know which documents are likely; whoever wishes does.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Final, TypeAlias

from shoritui.engine import AnyEngine, ModelInfo, Segment, WorkerDied
from shoritui.errors import UserError

Wish: TypeAlias = Callable[[], AsyncGenerator[Sequence[Segment]]]
"""Composes documents, the most urgent first; it goes on once one has been evaluated whole.
After the last one it may do idle work of its own."""

_PAUSE_SECONDS: Final = 0.05
"""How long idle work waits after it gave way to something else."""
_FRUITLESS_TRIES: Final = 20


class Ahead:
    """Asks the engine, in idle time, to evaluate what will probably be read next.

    Nobody waits for it and it tells nobody of trouble: what it could not do is done when needed.
    """

    def __init__(self, engine: AnyEngine) -> None:
        self._engine = engine
        self._wish: Wish | None = None
        self._task: asyncio.Task[None] | None = None
        self._is_urgent = False
        """Whether what is being evaluated is the first document of its wish."""
        self._ready: Sequence[Segment] = ()
        """The document evaluated last."""
        self._ready_in: ModelInfo | None = None
        """The model that holds it: another object whenever it was loaded again."""
        self._given_up = False

    def wish(self, wish: Wish) -> None:
        """From now on, this is what should be ready; a less urgent document gives way to it."""
        if self._given_up:
            return
        self._wish = wish
        is_working = self._task is not None and not self._task.done()
        if not is_working or not self._is_urgent:
            self._stop()
            self._task = asyncio.create_task(self._work())

    def rest(self) -> None:
        """Stops at once: something is about to be done that changes what will be read."""
        self._wish, self._ready_in, self._given_up = None, None, False
        self._stop()

    async def settled(self) -> None:
        """Waits until everything wished for is ready, or could not be made so."""
        while self._task is not None and not self._task.done():
            await asyncio.wait({self._task})

    def _stop(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()

    async def _work(self) -> None:
        while (wish := self._wish) is not None:
            self._wish, self._is_urgent = None, True
            try:
                await self._grant(wish)
            except WorkerDied:  # It may have been this document; it is not tried again by itself.
                self._given_up, self._wish = True, None
            except UserError:
                pass

    async def _grant(self, wish: Wish) -> None:
        async with aclosing(wish()) as documents:
            async for document in documents:
                if not await self._evaluated(document) or self._wish is not None:
                    return
                self._is_urgent = False

    async def _evaluated(self, document: Sequence[Segment]) -> bool:
        """Whether the document is ready; where idle work gave way, it goes on after a pause."""
        same_model = self._ready_in is not None and self._ready_in is self._engine.info
        if same_model and self._ready == document:
            return True
        tries = 0
        while not (evaluation := await self._engine.prefill(document, idle=True)).complete:
            tries = 0 if evaluation.evaluated else tries + 1
            if self._wish is not None or tries > _FRUITLESS_TRIES:
                return False
            await asyncio.sleep(_PAUSE_SECONDS)
        self._ready, self._ready_in = document, self._engine.info
        return True

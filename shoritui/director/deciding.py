"""What the model is asked before a reply: who speaks next, and how long the message is."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Final, Protocol

from shoritui.director.action import Acting
from shoritui.director.events import Event, Notice
from shoritui.director.hints import USUAL_HINT, HintOdds
from shoritui.director.odds import SpeakerOdds
from shoritui.engine import AnyEngine, Segment, WorkerDied
from shoritui.errors import UserError

_LOOK_SECONDS: Final = 0.02


class Deciding(Acting, Protocol):
    """A director that lets the model decide what is its to decide."""

    engine: AnyEngine
    busy: bool
    _odds: SpeakerOdds
    _hints: HintOdds
    _stopping: bool

    async def _decide(self, speaker: str | None = None) -> Event | None:
        """Have the model say who speaks next, unless that is known, and how long the message is,
        where that is its to decide; return what failed.

        What it cannot say is decided by who was addressed and who has been silent.
        """
        self._stopping, failure = False, None
        await self._model_there()
        if not speaker and self._odds.are_wanted:
            await self._draw_hint()  # It stands before the name.
            failure = await self._asked(self._odds, self._odds.document())
        return await self._draw_hint(speaker or self.chat.who_next()) or failure

    async def _model_there(self) -> bool:
        """Wait for a model that is about to be opened; False once `stop` ended that."""
        was_busy = self.busy
        self.busy = True
        try:
            while self.engine.expecting and not self._stopping:
                await asyncio.sleep(_LOOK_SECONDS)
        finally:
            self.busy = was_busy
        return not self._stopping

    async def _draw_hint(self, speaker: str = "") -> Event | None:
        """Have the model choose the next message's hint, where it is to; return what failed.

        Where it cannot, that is a medium one.
        """
        if self._stopping or not self._hints.are_wanted(speaker):
            return None
        failure = await self._asked(self._hints, self._hints.document(speaker))
        if failure is not None:
            self.chat.keep_hint(self.chat.last, USUAL_HINT)
        return failure

    async def _asked(
        self, odds: SpeakerOdds | HintOdds, read: Awaitable[Sequence[Segment]]
    ) -> Event | None:
        """Have the model say what comes next, once it has read; return what failed."""
        self.busy = True
        try:
            document = await read
            await self.engine.prefill(document)
            if not self._stopping:
                await odds.ask(document)
        except WorkerDied:
            raise
        except UserError as error:
            return None if self._stopping else Notice(str(error))
        finally:
            self.busy = False
        return None

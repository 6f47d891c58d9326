"""One reply while it is written: from the engine's tokens to text that is on disk.

It does not know whose turn it is; it owns the entry from its first character to its end.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass

from shoritui.blockml import Length, clean
from shoritui.director.disk import Disk
from shoritui.director.events import Evaluating, Event, Notice, Wrote
from shoritui.director.figures import joined
from shoritui.director.loops import loop_start
from shoritui.engine import Evaluated, Finished, Noted, Outcome, Segment, Text
from shoritui.engine import Event as EngineEvent
from shoritui.story import Entry, Kind, Library, Status

JOURNAL_SECONDS = 0.5
"""How often at least what has arrived of a reply is written to disk."""


@dataclass(frozen=True, slots=True)
class Opening:
    """A reply about to be written: whose, of what kind, and the block that is open for it."""

    kind: Kind
    speaker: str
    length: Length | None
    segment: Segment
    continued: Entry | None = None
    joint: str = ""
    """What a continued text gains before the model's."""


class Reply:
    """An entry that the model is writing."""

    def __init__(self, disk: Disk, entry: Entry, joint: str = "") -> None:
        """Begins, or goes on with, an entry; `joint` is what its text gains before the model's."""
        self.entry = entry
        self.text = entry.text + joint
        self.outcome: Outcome | None = None
        """How it ended; what several generations wrote of it counts as one."""
        self.looped = False
        """Whether it was ended because it only repeated itself; `text` ends where that began."""
        self._disk = disk
        self._begun_with = self.text
        self._journalled = time.monotonic()

    async def write(
        self, stream: AsyncGenerator[EngineEvent, None], stop: Callable[[], Awaitable[None]]
    ) -> AsyncGenerator[Event]:
        """Streams what the model writes; `outcome` is there once it has ended.

        May be called again, with what the model writes after what is written already, if the
        context was full. `stop` ends the stream early.

        Raises:
            UserError: The engine could not begin, or died on the way.
        """
        begins = not self.text
        async with aclosing(stream):
            async for event in stream:
                match event:
                    case Evaluated(done, total):
                        yield Evaluating(done, total)
                    case Noted(sentence):
                        yield Notice(sentence)
                    case Text() if self.looped:
                        pass  # The engine has been told to stop, and is about to.
                    case Text(text):
                        # The space after the colon is the model's first character.
                        piece = clean(text.removeprefix(" ") if begins else text)
                        begins = False
                        self.text += piece
                        yield Wrote(self.entry.id, piece)
                        await self._journal()
                        if (loop := loop_start(self.text)) is not None:
                            self.text, self.looped = self.text[:loop], True
                            await stop()
                    case Finished(outcome):
                        self.outcome = joined(self.outcome, outcome)

    async def end(self) -> Entry | None:
        """Puts the reply's end on disk; None if the model wrote nothing and there was nothing."""
        if self.text == self._begun_with and self.entry.text:
            return await self._keep(self.entry.text, self.entry.status, self.entry.tokens)
        if not self.text.strip():
            await self._keep("", "cut", 0)
            return None
        new_tokens = self.outcome.generated_tokens if self.outcome else 0
        by_itself = self.outcome is not None and self.outcome.stop == "block_end"
        return await self._keep(
            self.text, "complete" if by_itself else "cut", self.entry.tokens + new_tokens
        )

    async def _journal(self) -> None:
        if time.monotonic() - self._journalled >= JOURNAL_SECONDS:
            self._journalled = time.monotonic()
            await self._keep(self.text, "streaming", self.entry.tokens)

    async def _keep(self, text: str, status: Status, tokens: int) -> Entry:
        return await self._disk.run(
            Library.write, self.entry.id, text, status=status, tokens=tokens
        )

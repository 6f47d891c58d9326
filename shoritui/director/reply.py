"""One reply while it is written: from the engine's tokens to text that is on disk."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from time import monotonic
from typing import Final

from shoritui.blockml import Length, length_for, token_range
from shoritui.director.body import Body, Cut, Labels
from shoritui.director.chat_state import ChatState
from shoritui.director.events import (
    Changed,
    Evaluating,
    Event,
    Notice,
    Removed,
    TurnEnded,
    Wrote,
)
from shoritui.director.loops import repetition
from shoritui.engine import Evaluated, Finished, Noted, Outcome, Sampling, Segment, Text
from shoritui.engine import Event as EngineEvent
from shoritui.story import By, Details, Entry, Kind, reader_of

JOURNAL_SECONDS = 0.25
"""What has arrived of a reply begins to be written to disk after so long, whatever comes next."""
_RECENT: Final = 8
"""So many messages before it tell whether a reply only repeats them."""
_DRY: Final = 0.8
_RUNAWAY: Final = 2
"""A reply runs on once it is so many times longer than its hint means."""


@dataclass(frozen=True, slots=True)
class PendingReply:
    """A reply about to be written: whose, of what kind, and the block that is open for it."""

    kind: Kind
    speaker: str
    length: Length | None
    opened: Segment
    version_of: Entry | None = None
    """The entry that it is to take the place of."""
    keep: bool = True
    """Whether what follows that entry comes after the reply."""
    begun: str = ""
    """The text that goes on."""
    joint: str = ""
    """What that text gains before the model's."""
    by: By = "model"
    """Who began it."""
    sampling: Sampling | None = None
    """What it is drawn by, if not by the chat's own."""
    details: Details = Details()  # noqa: RUF009  (frozen)

    @property
    def reader(self) -> str | None:
        """As whom its writer reads the story."""
        return reader_of(self.kind, self.speaker)

    @property
    def act(self) -> str:
        """What it is called when it is undone."""
        name = f"{self.speaker}'s message" if self.kind == "message" else f"{self.speaker}'s words"
        if self.version_of is not None and self.begun and not self.goes_on:
            return f"Retry a part of {name}"
        return f"{'Continue' if self.begun else 'Retry'} {name}"

    @property
    def goes_on(self) -> bool:
        """Whether it continues the whole text of what it takes the place of."""
        return self.version_of is not None and self.begun == self.version_of.text


class Reply:
    """An entry that the model is writing, and the journal of it on disk, until `end`."""

    def __init__(
        self,
        chat: ChatState,
        entry: Entry,
        pending: PendingReply,
        stop_strings: Sequence[str] = (),
    ) -> None:
        self.entry = entry
        self.outcome: Outcome | None = None
        """How it ended; what several generations wrote of it counts as one."""
        self.generations = 0
        self.notice = ""
        """Why it could not go on in a full context."""
        self._chat = chat
        self._begun_with = pending.begun + pending.joint
        labels = Labels(chat.participants, self._messages_before).without(pending.speaker)
        self._old_text = self._begun_with if pending.goes_on else ""
        self._body = Body(self._begun_with, labels, stop_strings)
        at = chat.place(entry)
        self._before = [e.text for e in chat.entries[max(0, at - _RECENT) : at] if not e.hidden]
        self._length = pending.length
        self._tokens = 0
        self._journal = asyncio.create_task(self._keep_journal())

    def _messages_before(self) -> Iterator[str]:
        at = self._chat.place(self.entry)
        return (entry.text for entry in self._chat.entries[:at] if entry.kind == "message")

    @property
    def text(self) -> str:
        """What is sure of it."""
        return self._body.text

    @property
    def cut(self) -> Cut | None:
        """Why no more is taken: `text` ends before that."""
        return self._body.cut

    @property
    def next(self) -> tuple[str, str] | None:
        """Who spoke on in it, where it was cut for that, and what was written of that."""
        if self._body.next is None:
            return None
        name, body = self._body.next
        return name, body.text.strip()

    @property
    def repetition(self) -> float:
        """How much of its newest words stood in it, or in the messages before it, already."""
        return repetition(self.text, self._before)

    @property
    def state(self) -> str:
        """What is notable of it while it is written: it thinks, or runs on; else nothing."""
        if self._body.is_thinking:
            return "thinking"
        most = token_range(self._length)[1] if self._length else 0
        if most and self._tokens > _RUNAWAY * most:
            return f"writing {self._tokens / most:.0f} times as much as {self._length} means"
        return ""

    def feed(self, event: EngineEvent) -> Event | None:
        """Take what the engine tells next; return what a reader sees of it.

        Raises:
            UserError: What has arrived could not be written to disk.
        """
        if self._journal.done():
            self._journal.result()
        match event:
            case Evaluated(done, total):
                return Evaluating(done, total)
            case Noted(sentence):
                return Notice(sentence)
            case Text(text, tokens):
                self._tokens += tokens
                return self._wrote(self._body.write(text))
            case Finished(outcome):
                self.generations += 1
                piece = "" if outcome.stop == "context_full" else self._body.end()
                self.outcome = joined(self.outcome, outcome)
                if self.cut is not None:
                    self.outcome = replace(self.outcome, stop=self.cut)
                return self._wrote(piece)

    def _wrote(self, piece: str) -> Wrote | None:
        return Wrote(self.entry.id, piece) if piece else None

    async def _keep_journal(self) -> None:
        written, due = self._begun_with, monotonic()
        while True:
            due = max(due + JOURNAL_SECONDS, monotonic())  # a slow disk has waited enough itself
            await asyncio.sleep(due - monotonic())
            if self.text != written:
                written = self.text
                await self._chat.write(self.entry.id, written, status="streaming", tokens=0)

    async def end(self) -> Entry | None:
        """Put the reply's end on disk; None if the model wrote nothing, and it was dropped."""
        self._journal.cancel()
        self._body.end()
        if self.text == self._old_text or not self.text.strip():
            await self._chat.drop(self.entry.id)
            return None
        stop = self.outcome.stop if self.outcome is not None else "cancelled"
        is_whole = stop in ("block_end", "speaker", "stop_string")
        # Of a text that goes on, or that was cut, nobody has counted what it has as a whole.
        is_counted = self.outcome is not None and not self._begun_with and self.cut is None
        tokens = self.outcome.generated_tokens if self.outcome and is_counted else 0
        return await self._chat.write(
            self.entry.id,
            self.text,
            status="looped" if self.cut == "loop" else "complete" if is_whole else "cut",
            tokens=tokens,
            length=length_for(tokens) if tokens and self.entry.length else None,
        )


def ending(reply: Reply, ended: Entry | None) -> list[Event]:
    """Return how the end of a reply is reported; None has ended where nothing was written."""
    if ended is None:
        return [Removed((reply.entry.id,))]
    if reply.outcome is None:
        return [Changed(ended)]
    notice = reply.notice
    if reply.cut == "loop":
        notice = f"{ended.speaker} began to repeat the same words: what repeats is cut off."
    return [TurnEnded(ended, reply.outcome), *([Notice(notice)] if notice else [])]


@dataclass(frozen=True, slots=True)
class TurnFigures:
    """What the last turn cost, for the status line; counts are tokens."""

    context_used: int = 0
    reused: int = 0
    evaluated: int = 0
    tokens_per_second: float = 0.0
    dropped_messages: int = 0
    """Old messages the model no longer reads, since the context is full."""
    repetition: float = 0.0
    """How much of the reply's newest words had been said before, from 0 to 1."""


def figures_of(
    outcome: Outcome, context_size: int, dropped_messages: int, repetition: float = 0.0
) -> TurnFigures:
    """Return the figures of a turn that ended like this."""
    used = outcome.prompt_tokens + outcome.generated_tokens
    return TurnFigures(
        context_used=min(used, context_size),  # The last token drawn is not in the cache yet.
        reused=outcome.reused_tokens,
        evaluated=outcome.evaluated_tokens,
        tokens_per_second=outcome.tokens_per_second,
        dropped_messages=dropped_messages,
        repetition=repetition,
    )


def joined(first: Outcome | None, then: Outcome) -> Outcome:
    """Return two generations of one message, the second after room was made for it, as one.

    Of the second one's prompt, what the first one wrote does not count as prompt.
    """
    if first is None:
        return then
    generated = first.generated_tokens + then.generated_tokens
    seconds = sum(
        each.generated_tokens / each.tokens_per_second
        for each in (first, then)
        if each.tokens_per_second
    )
    return replace(
        then,
        text=first.text + then.text,
        prompt_tokens=then.prompt_tokens - first.generated_tokens,
        reused_tokens=first.reused_tokens,
        evaluated_tokens=first.evaluated_tokens + then.evaluated_tokens,
        generated_tokens=generated,
        first_token_ms=first.first_token_ms,
        tokens_per_second=generated / seconds if seconds else 0.0,
    )


def stronger_dry(sampling: Sampling) -> Sampling:
    """Return the values with DRY on, or twice as strong as it is."""
    return replace(sampling, dry_multiplier=min(2 * sampling.dry_multiplier, 10) or _DRY)

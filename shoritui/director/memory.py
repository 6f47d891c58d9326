r"""Summaries of what leaves the context, written by the model while it still reads that.

    header  message  message  message    [INST] Summarise ... [/INST]\n▀lore\n    what it is asked
    header  lore (the summary)  message                                           what it reads then

The request follows what the cache holds, so only its own tokens are evaluated; the rest is read
again where the summary takes the place of the messages, which is when they would have left anyway.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from time import monotonic
from typing import Final, TypeAlias

import msgspec

from shoritui.director import prompt_layout as doc
from shoritui.director.body import Body, Labels
from shoritui.director.chat_state import ChatState
from shoritui.director.choices import SummaryDraft
from shoritui.director.context_window import ContextWindow
from shoritui.director.events import Event, Failed, Leaving, PathChanged, Summarising
from shoritui.engine import AnyEngine, Finished, Segment, Text
from shoritui.settings import Settings
from shoritui.story import Details, Draft, Entry, Library, Origin, hearers

Heard: TypeAlias = frozenset[str] | None

JOURNAL_SECONDS: Final = 0.25
"""What has arrived of a summary begins to be written to disk after so long."""
_LONGEST: Final = 256
"""Tokens of a summary, or fewer: an eighth of the context."""
_WORDS_PER_TOKEN: Final = 0.6
_WARMEST: Final = 0.7
"""A summary invents less than a reply."""
_TRIES: Final = 40
_PAUSE_SECONDS: Final = 0.05


class Memory:
    """Writes the summaries of one chat."""

    def __init__(
        self,
        chat: ChatState,
        window: ContextWindow,
        engine: AnyEngine,
        settings: Settings,
        on_news: Callable[[Event], None],
    ) -> None:
        """`on_news` hears what is done in idle time."""
        self._chat = chat
        self._window = window
        self._engine = engine
        self._settings = settings
        self._on_news = on_news
        self._offered: int | None = None
        """The last entry of those of which a summary was offered last."""
        self._vain: set[int] = set()
        """The last entries of spans of which the model wrote nothing."""
        self._using: asyncio.Task[PathChanged] | None = None

    @property
    def draft(self) -> SummaryDraft | None:
        """The summary that nobody has used yet, if the story still holds what it stands for."""
        draft = self._chat.choices.summary
        return draft if draft is not None and self._chat.at_slot(draft.after) else None

    def draft_to(self, last: int | None) -> SummaryDraft | None:
        """Return the draft if it stands for the story up to this entry."""
        draft, after = self.draft, None if last is None else self._chat.entry(last)
        return draft if draft is not None and after and after.slot == draft.after else None

    @property
    def is_auto(self) -> bool:
        """Whether summaries are written and used unasked."""
        return self._settings.memory == "auto"

    def usual_end(self) -> int | None:
        """Return the last entry of those that are summarised where nobody says how many.

        That is what has a draft, or what has left the context since the last summary, or else what
        leaves it soon, or the older half of what is read.
        """
        chat, draft = self._chat, self.draft
        if draft is not None and draft.text and (after := chat.at_slot(draft.after)) is not None:
            return after.id
        first, summary = chat.first_place, chat.summary_before(len(chat.entries), None)
        left = chat.entries[summary:first]
        if not any(each.kind == "message" and not each.hidden for each in left):
            offered = chat.entry(self._offered) if self._offered is not None else None
            if offered is not None and chat.place(offered) > first:
                return offered.id
            read = chat.entries[first:]
            left = read[: len(read) // 2]
        return left[-1].id if left else None

    def is_missing(self, last: int | None) -> bool:
        """Whether some of what is before this entry, itself included, has no summary."""
        after = None if last is None else self._chat.entry(last)
        return after is not None and bool(self._missing(self._chat.place(after) + 1))

    async def write(self, last: int | None, *, idle: bool = False) -> AsyncGenerator[Summarising]:
        """Write the next summary that is missing of the story up to this entry: it is the `draft`.

        Nothing is written where there is none to write. What is there of a draft goes on; each
        piece is soon on disk.

        Raises:
            UserError: It was cancelled, or the engine cannot.
        """
        after = None if last is None else self._chat.entry(last)
        end = 0 if after is None else self._chat.place(after) + 1
        for heard in self._missing(end):
            draft = self.draft
            told, _ = await self._window.to_summarise(end, heard, self._opened(heard, ""))
            if after is None or not any(each.kind == "message" for each in told):
                continue
            new = _new_draft(told, after, heard)
            if draft is None or (draft.span, draft.after, draft.heard) != (
                *(new.span, new.after, new.heard),
            ):
                draft = new
            yield Summarising(draft.count, 0)
            if not draft.whole:
                async with aclosing(self._written(draft, end, heard, idle=idle)) as steps:
                    async for step in steps:
                        yield step
            return

    async def use(self, text: str) -> PathChanged | None:
        """Let the draft, with this text, stand for what it is made of; what it did to the story.

        It is done whole even where the caller is cancelled.
        """
        draft = self.draft
        after = self._chat.at_slot(draft.after) if draft is not None else None
        if draft is None or after is None or not text.strip():
            return None
        self._using = asyncio.create_task(self._insert(draft, after, text.strip()))
        return await asyncio.shield(self._using)

    async def check_pin(self, entry: Entry) -> None:
        """Raise a UserError if there is no room to read this message however old it is."""
        if self._engine.info is not None:
            pinned = [each for each in self._chat.entries if each.pinned]
            await self._window.check_pin([*pinned, entry])

    async def summarise(self, last: int | None) -> AsyncGenerator[Event]:
        """Write the next missing summary up to an entry, or up to the usual one; say if there is
        none.
        """
        found = False
        async with aclosing(self.write(self.usual_end() if last is None else last)) as steps:
            async for step in steps:
                found = True
                yield step
        if not found:
            yield Failed("There is nothing to summarise up to there.")

    async def remember_now(self) -> AsyncGenerator[Event]:
        """Write and use the summaries that are due, where that is done by itself."""
        opened = doc.open_nameless(self._chat.length)
        last = await self._window.leaving(opened) if self.is_auto else None
        if last is not None:
            async with aclosing(self.remembered(last, idle=False)) as events:
                async for event in events:
                    yield event

    async def settled(self) -> None:
        """Wait until a summary that is being put into the story stands there."""
        if self._using is not None and not self._using.done():
            await asyncio.wait({self._using})

    async def remember(self, last: int) -> None:
        """In idle time, offer a summary of what soon leaves, or write and use it, as set."""
        if self._settings.memory == "off" or last in self._vain:
            return
        if not self.is_auto:
            if last != self._offered:
                self._offered = last
                self._on_news(Leaving(self._count_to(last)))
        elif (await self._chat.next_undo_redo())[1] is None:  # else that could not be done again
            async for event in self.remembered(last, idle=True):
                self._on_news(event)

    async def remembered(self, last: int, *, idle: bool) -> AsyncGenerator[Event]:
        """Write and use all summaries that are missing up to this entry."""
        while True:
            tries = 0
            draft: SummaryDraft | None = None
            while tries < _TRIES and (draft is None or not draft.whole):
                before = draft
                async with aclosing(self.write(last, idle=idle and self._is_beside)) as steps:
                    async for step in steps:
                        yield step
                if (draft := self.draft) is None:
                    return
                tries = 0 if draft.text != (before.text if before else "") else tries + 1
                if not draft.whole:
                    await asyncio.sleep(_PAUSE_SECONDS)
            if draft is None or not draft.whole or not draft.text.strip():
                self._vain.add(last)
                return
            event = await self.use(draft.text)
            if event is None:
                return
            yield event

    @property
    def _is_beside(self) -> bool:
        """Whether the engine writes in idle time beside what it holds."""
        info = self._engine.info
        return info is not None and not info.server and info.context_mode != "shift"

    def _count_to(self, last: int) -> int:
        after, first = self._chat.entry(last), self._chat.first_place
        return 0 if after is None else self._chat.place(after) + 1 - first

    def _missing(self, end: int) -> list[Heard]:
        """Return of what there is no summary up to there: of what everybody knows, or fewer."""
        chat = self._chat
        since = chat.entries[chat.summary_before(end, None) : end]
        kinds = dict.fromkeys([None, *(hearers(each) for each in since)])
        every = len(chat.entries)
        return [heard for heard in kinds if chat.summary_before(every, heard) < end]

    def _opened(self, heard: Heard, text: str) -> Segment:
        words = round(self._most * _WORDS_PER_TOKEN / 10) * 10
        return doc.open_summary(max(words, 10), heard, text)

    @property
    def _most(self) -> int:
        return min(_LONGEST, max(16, self._window.size // 8), self._settings.max_tokens)

    async def _written(
        self, draft: SummaryDraft, end: int, heard: Heard, *, idle: bool
    ) -> AsyncGenerator[Summarising]:
        """Let a draft be written on, after the same document."""
        chat = self._chat
        begun = self._opened(heard, draft.text)
        _, document = await self._window.to_summarise(end, heard, begun)
        body = Body(draft.text, Labels(chat.participants))
        [spent] = await self._engine.count([draft.text]) if draft.text else [0]
        sampling = replace(chat.sampling, temperature=min(chat.sampling.temperature, _WARMEST))
        tokens, kept_at = spent, monotonic()
        try:
            if spent < self._most:
                stream = self._engine.generate(
                    document, sampling, max_tokens=self._most - spent, idle=idle
                )
                async with aclosing(stream) as events:
                    async for event in events:
                        match event:
                            case Text(text, new):
                                body.write(text)
                                tokens += new
                                draft = self._grown(draft, body.text)
                                yield Summarising(draft.count, tokens)
                                if monotonic() - kept_at > JOURNAL_SECONDS:
                                    await chat.keep_summary(draft)
                                    kept_at = monotonic()
                                if body.cut is not None:
                                    break
                            case Finished(outcome) if outcome.stop != "cancelled":
                                body.end()
                                draft = self._grown(draft, body.text, whole=True)
                            case _:
                                pass
            if body.cut is not None or spent >= self._most:
                draft = self._grown(draft, body.text, whole=True)
        finally:
            # At once in memory; on disk too, unless this is being cancelled.
            chat.hold_summary(draft)
        await chat.keep_summary(draft)

    def _grown(self, draft: SummaryDraft, text: str, *, whole: bool = False) -> SummaryDraft:
        return msgspec.structs.replace(draft, text=text.lstrip(), whole=whole)

    async def _insert(self, draft: SummaryDraft, after: Entry, text: str) -> PathChanged:
        info = self._engine.info
        by = Origin("model", info.path.stem or info.server) if info is not None else Origin("model")
        details = Details(heard=draft.heard, span=draft.span)
        new = Draft("lore", "", text, origin=by, details=details)
        act = f"Summarise {draft.count} messages"
        chat = self._chat
        await chat.act(Library.insert, chat.id, after.id, new, act=act)
        await chat.keep_summary(None)
        return PathChanged(
            tuple(chat.entries), None, f"A summary stands for {draft.count} messages"
        )


def _new_draft(told: Sequence[Entry], after: Entry, heard: Heard) -> SummaryDraft:
    first, last = told[0], told[-1]
    begin = first.details.span[0] if first.details.span is not None else first.slot
    knowing = None if heard is None else tuple(sorted(heard))
    return SummaryDraft((begin, last.slot), after.slot, len(told), knowing)

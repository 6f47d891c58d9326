"""Idle work: evaluate what the model will most likely read next, and write other replies.

One document at a time, and the newest wish wins. Nobody waits for it, and trouble is nobody's:
what could not be done ahead is done when it is needed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Final, NamedTuple

from shoritui.director import prompt_layout as doc
from shoritui.director.alternatives import Alternatives
from shoritui.director.chat_state import ChatState
from shoritui.director.context_window import ContextWindow, said_by
from shoritui.director.hints import HintOdds
from shoritui.director.memory import Memory
from shoritui.director.odds import SpeakerOdds
from shoritui.engine import AnyEngine, ModelInfo, Segment, WorkerDied
from shoritui.errors import UserError
from shoritui.story import STRANGER, Entry
from shoritui.text import clean

_PAUSE_SECONDS: Final = 0.05
"""How long idle work waits after it gave way to something else."""
_FRUITLESS_TRIES: Final = 20


class Wish(NamedTuple):
    """What the next turn will probably be: these words typed, then a reply of this speaker."""

    typed: str
    speaker: str | None
    heard: tuple[str, ...] | None = None
    """Who hears the words, if they are whispered."""


class Prefetch:
    """What is done for one chat in idle time."""

    def __init__(
        self,
        chat: ChatState,
        window: ContextWindow,
        engine: AnyEngine,
        alternatives: Alternatives,
        hints: HintOdds,
        odds: SpeakerOdds,
        memory: Memory,
        on_odds: Callable[[], None],
    ) -> None:
        """`on_odds` is called once the model has said how long the next one is, or whose it is."""
        self._chat = chat
        self._window = window
        self._engine = engine
        self._alternatives = alternatives
        self._hints = hints
        self._odds = odds
        self._memory = memory
        self._on_odds = on_odds
        self._wish: Wish | None = None
        self._task: asyncio.Task[None] | None = None
        self._is_urgent = False
        """Whether what is being evaluated is the first document of its wish."""
        self._ready: Sequence[Segment] = ()
        """The document evaluated last."""
        self._ready_in: ModelInfo | None = None
        """The model that holds it: another object whenever it was loaded again."""
        self._given_up = False

    def begin(self, wish: Wish) -> None:
        """From now on, this is what should be ready; a less urgent document gives way to it."""
        if self._given_up:
            return
        self._wish = wish
        is_working = self._task is not None and not self._task.done()
        if not is_working or not self._is_urgent:
            self._stop()
            self._task = asyncio.create_task(self._work())

    def rest(self) -> None:
        """Stop at once: something is about to be done that changes what will be read."""
        self._wish, self._ready_in, self._given_up = None, None, False
        self._stop()

    async def settled(self) -> None:
        """Wait until everything wished for is ready, or could not be made so."""
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
        async with aclosing(self._likely(wish)) as documents:
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

    async def _likely(self, wish: Wish) -> AsyncGenerator[Sequence[Segment]]:
        """Yield what will be read next; then the same without the oldest messages, if it is time,
        and with a summary in their place where those are written by themselves.

        Before all, where the model decides, what it needs to say how long the next message is, and
        who speaks it.
        When that is ready: what is read if nothing more is typed, or where nothing is, other
        texts for the last reply.
        """
        if not wish.typed.strip():
            if self._hints.are_wanted(wish.speaker or ""):
                document = await self._hints.document(wish.speaker or "")
                yield document
                await self._hints.ask(document)
                self._on_odds()
            if wish.speaker is None and self._odds.are_wanted:
                document = await self._odds.document()
                yield document
                await self._odds.ask(document)
                self._on_odds()
        has_words = bool(doc.finished_words(clean(wish.typed).lstrip()))
        name = self._answerer(wish, self._said(wish) if has_words or wish.heard else None)
        opened = await self._likely_end(wish, name)
        if opened is None:
            return
        reader = name or STRANGER
        outlook = await self._window.outlook(opened, reader, waits=self._memory.is_auto)
        if outlook.leaving is not None:
            yield outlook.documents[0]
            await self._memory.remember(outlook.leaving)
            outlook = await self._window.outlook(opened, reader)
        for document in outlook.documents:
            yield document
        if outlook.first is not None:
            await self._window.drop_before(outlook.first)
        if not wish.typed:
            await self._write_alternatives()
        elif outlook.first is None and (sent := await self._as_sent(wish)) is not None:
            yield sent

    async def _likely_end(self, wish: Wish, name: str) -> Segment | None:
        """Return the block that will be open: the words typed so far, or a reply."""
        text = clean(wish.typed).lstrip()
        if doc.finished_words(text):
            [tokens] = await self._engine.count([" " + text.strip()])
            return doc.begun_message(self._chat.user, self._window.earned(tokens), text)
        return doc.open_message(name, self._chat.length_of(name)) if name else None

    def _answerer(self, wish: Wish, said: Entry | None) -> str:
        """Return who will answer these words."""
        chat = self._chat
        if wish.heard is not None and said is not None:
            return wish.speaker or chat.who_answers(said)
        return wish.speaker or chat.who_next(said)

    def _said(self, wish: Wish) -> Entry:
        """Return the words as they would stand in the story."""
        return said_by(self._chat.user, clean(wish.typed).strip(), wish.heard)

    async def _as_sent(self, wish: Wish) -> Sequence[Segment] | None:
        """Return what is read if the words are sent as they are; None if nobody would answer."""
        said = self._said(wish)
        name = self._answerer(wish, said)
        if not name or not said.text or self._chat.hint(name) == "model":
            return None
        length = self._chat.length_of(name)
        opened = doc.open_message(name, length)
        return await self._window.document(opened, length, [said], reader=name)

    async def _write_alternatives(self) -> None:
        """Have other texts written for the last reply, if that was written in this sitting."""
        last = self._chat.last
        if last is None or last.kind != "message" or self._chat.is_users(last):
            return
        if self._chat.hint(last.speaker) == "model":
            return  # Each retry has another hint.
        if self._window.wrote(last) and self._alternatives.wanted(self._chat.sampling):
            length = self._chat.length_of(last.speaker)
            opened = doc.opened_anew(last, length, self._window.form)
            end = len(self._chat.entries) - 1
            document = await self._window.document(opened, length, reader=last.speaker, end=end)
            await self._alternatives.write(document, last.speaker, length)

"""A chat played through the engine's door, each answer judged by the reference."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import takewhile
from pathlib import Path
from typing import Final, Literal

import pytest

from shoritui.engine import (
    Adapter,
    Engine,
    EngineOptions,
    Evaluation,
    Event,
    Finished,
    Outcome,
    Text,
    WorkerDied,
)
from shoritui.errors import UserError
from tests.engine.judge import Draw, adopt, judge, segments
from tests.engine.reference import Reference

SCENE: Final = (
    "▀title\nThe last ferry▄\n",
    "▀description\n**Name:** Ada\nA patient ferrywoman with a tin whistle.▄\n",
    "[INST] Write gently. [/INST]\n",
)
REPLY: Final = "▀message (length: short)\nBram:"
TYPED: Final = "▀message (length: short)\nAda:"
CLOSE: Final = "▄\n"


@dataclass(slots=True)
class Play:
    """One chat, its branches, and what the engine must have at hand."""

    engine: Engine
    reference: Reference
    model: Path
    options: EngineOptions
    adapters: Sequence[Path] = ()
    """LoRA files that fit the model."""
    messages: list[str] = field(default_factory=list)
    branches: list[list[str]] = field(default_factory=list)
    _held: list[int] = field(default_factory=list)
    """Ids that are certainly in the cache: what begins with them starts there."""
    _ready: list[int] = field(default_factory=list)
    """The ids of the last prompt, whose logits are certainly at hand."""
    _spoiled: bool = False
    """Whether blocks on disk may be worthless without anybody having looked."""

    @property
    def room(self) -> int:
        """How many ids a prompt may have."""
        return self.options.n_ctx - 1

    def document(self, *rest: str) -> list[str]:
        return [*SCENE, *self.messages, *rest]

    # What a person does.

    def say(self, text: str) -> None:
        self.messages.append(TYPED + text + CLOSE)

    def edit(self, index: int, text: str) -> None:
        """Give one of the messages another text."""
        if self.messages:
            self.messages[index % len(self.messages)] = TYPED + text + CLOSE

    def delete(self, count: int) -> None:
        """Delete the last messages."""
        del self.messages[-count:]

    def branch(self) -> None:
        """Remember the chat as it is."""
        self.branches.append(list(self.messages))

    def switch(self, index: int) -> None:
        """Go to a branch; the chat as it is takes its place."""
        if self.branches:
            index %= len(self.branches)
            self.branches[index], self.messages = self.messages, self.branches[index]

    def trim(self) -> None:
        """Drop the oldest quarter, as the director does once the context is full."""
        del self.messages[: -(-len(self.messages) // 4)]

    async def trim_ahead(self) -> None:
        """Drop the oldest quarter in idle time."""
        self.trim()
        await self.prefill(idle=True)

    async def fill(self, text: str, draw: Draw) -> None:
        """Say the same until the context is full, then write to its very end."""
        while len(self.reference.ids(self.document(REPLY))) < self.room - 40:
            self.say(text)
        await self.write(draw, 100)

    def fit(self, *rest: str, free: int = 0) -> None:
        """Trim until the document fits, `free` ids to spare."""
        while len(self.reference.ids(self.document(*rest))) > self.room - free:
            self.trim()

    async def write(self, draw: Draw, max_tokens: int) -> Outcome:
        """Let a reply be written."""
        self.fit(REPLY)
        outcome = await self._written(self.document(REPLY), draw, max_tokens)
        self.messages.append(REPLY + outcome.text + CLOSE)
        return outcome

    async def swipe(self, draws: Sequence[Draw], max_tokens: int) -> None:
        """Write the last message anew, some times."""
        for draw in draws:
            del self.messages[-1:]
            await self.write(draw, max_tokens)

    async def go_on(self, draw: Draw, max_tokens: int) -> None:
        """Let the last message go on."""
        opened = self.messages.pop().removesuffix(CLOSE) if self.messages else REPLY
        self.fit(opened)
        outcome = await self._written(self.document(opened), draw, max_tokens)
        self.messages.append(opened + outcome.text + CLOSE)

    async def write_too_much(self) -> None:
        """Ask for more than the context holds."""
        text = TYPED + " and then" * self.options.n_ctx + CLOSE
        with pytest.raises(UserError, match="The prompt has"):
            await self._events(self.document(text, REPLY), Draw(), 4)

    async def write_interrupted(
        self, how: Literal["cancel", "leave"], after: int, draw: Draw, max_tokens: int
    ) -> None:
        """Let a reply be written and end it after some events."""
        self.fit(REPLY)
        document = self.document(REPLY)
        prompt = await self._prompt(document)
        text, outcome = "", None
        async with aclosing(self._generation(document, draw, max_tokens)) as events:
            async for event in events:
                if isinstance(event, Text):
                    text += event.text
                if isinstance(event, Finished):
                    outcome = event.outcome
                if after == 0 and how == "leave":
                    break
                if after == 0:
                    await self.engine.cancel()
                after -= 1
        if outcome is None:
            self._forget_after(prompt)
        else:
            await self._judge(document, prompt, outcome, draw)
            text = outcome.text
        self.messages.append(REPLY + text + CLOSE)
        await self._adopt(REPLY + text)

    async def trim_cancelled(self, delay: float, draw: Draw, max_tokens: int) -> None:
        """Drop the oldest messages and cancel the next reply when it has hardly begun."""
        self.trim()
        self.fit(REPLY)
        document = self.document(REPLY)
        prompt = await self._prompt(document)
        writing = asyncio.create_task(self._events(document, draw, max_tokens))
        await asyncio.sleep(delay)
        await self.engine.cancel()
        events = await writing
        await self._judge(document, prompt, _outcome(events), draw, events)
        self.messages.append(REPLY + _outcome(events).text + CLOSE)

    async def score(self, candidates: Sequence[str]) -> None:
        """How likely each is as the beginning of the reply."""
        self.fit(REPLY, free=16)
        document = self.document(REPLY)
        prompt = await self._prompt(document)
        told = await self.engine.score(segments(document), candidates)
        self.reference.check_probabilities(told, self.reference.score(prompt, candidates))
        self._held, self._ready = prompt, []

    # Work ahead.

    async def write_idle(self, delay: float | None, draw: Draw, max_tokens: int) -> None:
        """Have another version of the reply written beside what is read; nothing is lost by it.

        Asked something else after `delay` seconds, it gives way.
        """
        self.fit(REPLY)
        document = self.document(REPLY)
        await self._prompt(document)
        writing = asyncio.create_task(self._events(document, draw, max_tokens, idle=True))
        if delay is not None:
            await asyncio.sleep(delay)
            await self.engine.count(["something else"])
        try:
            events = await writing
        except UserError:
            assert self.options.context_mode == "shift"  # which has one sequence
            return
        outcome = _outcome(events)
        assert delay is not None or outcome.stop != "cancelled"
        if outcome.stop != "cancelled":
            await judge(self.engine, self.reference, document, outcome, draw, events)

    async def prefill(self, *, idle: bool, opened: bool = True) -> None:
        """Have the document evaluated while nothing else is asked."""
        rest = [REPLY] if opened else []
        self.fit(*rest)
        document = self.document(*rest)
        prompt = await self._prompt(document)
        self._check_economy(prompt, await self._prefilled(document, idle=idle))
        self._held = self._ready = prompt

    async def write_meanwhile(self, delay: float, draw: Draw, max_tokens: int) -> None:
        """Ask for a reply while idle work on other documents is under way."""
        self.fit(REPLY)
        others = [
            [*SCENE, *messages, REPLY]
            for messages in (self.messages[-(-len(self.messages) // 4) :], *self.branches[-1:])
        ]
        fitting = [other for other in others if len(self.reference.ids(other)) <= self.room]
        idle = [
            asyncio.create_task(self.engine.prefill(segments(document), idle=True))
            for document in fitting
        ]
        await asyncio.sleep(delay)
        for document in fitting:
            self._forget_after(self.reference.ids(document))
        await self.write(draw, max_tokens)
        await asyncio.gather(*idle)

    async def type_ahead(self, text: str, back: int, *, waiting: bool) -> None:
        """Type a message word by word, take some words back, type them again, send it."""
        words = text.split()
        ends = [*range(1, len(words)), *range(len(words) - 1, len(words) - back, -1)]
        self.fit(TYPED + " ".join(["", *words]) + CLOSE, REPLY)
        tasks = []
        for end in ends:
            document = self.document(TYPED + " ".join(["", *words[:end]]))
            prompt = self.reference.ids(document)
            task = asyncio.create_task(self.engine.prefill(segments(document), idle=True))
            tasks.append(task)
            if waiting:
                self._check_economy(prompt, await task)
                self._held = self._ready = prompt
            else:
                self._forget_after(prompt)
                await asyncio.sleep(0.002)
        self.say(" ".join(["", *words]))
        if waiting:
            return
        await asyncio.gather(*tasks)

    # What goes wrong, and comes back.

    async def kill(self, delay: float) -> None:
        """Kill the worker while nothing is asked."""
        async with self.killed(delay):
            pass

    async def write_killed(self, delay: float, draw: Draw, max_tokens: int) -> None:
        """Let a reply be written and kill the worker on the way, or right after it."""
        self.fit(REPLY)
        document = self.document(REPLY)
        text = ""
        async with self.killed(delay):
            with suppress(WorkerDied):
                async with aclosing(self._generation(document, draw, max_tokens)) as events:
                    async for event in events:
                        text += event.text if isinstance(event, Text) else ""
        self.messages.append(REPLY + text + CLOSE)
        await self._adopt(REPLY + text)

    async def prefill_killed(self, delay: float, *, idle: bool) -> None:
        """Kill the worker while it works ahead, then ask again."""
        self.fit(REPLY)
        async with self.killed(delay):
            with suppress(WorkerDied):
                await self.engine.prefill(segments(self.document(REPLY)), idle=idle)
        await self.prefill(idle=idle)

    async def reopen(self, spoiled: Literal["", "torn", "flipped", "foreign", "gone"] = "") -> None:
        """Close the engine and open it again; meanwhile half of what it kept may be spoiled."""
        await self.engine.close()
        self._spoiled = self._spoiled or bool(spoiled)
        blocks = sorted(path for path in self._on_disk() if ".kv" in path.suffix)
        for path, other in zip(blocks[::2], blocks[1::2], strict=False):
            data = path.read_bytes()
            middle = len(data) // 2
            match spoiled:
                case "torn":
                    path.write_bytes(data[:middle])
                case "flipped":
                    path.write_bytes(data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :])
                case "foreign":
                    path.write_bytes(other.read_bytes())
                case "gone":
                    path.unlink()
        await self.engine.open(self.model, self.options)
        self._restarted()

    async def adapt(self, scales: Sequence[float]) -> None:
        """Take some of the adapters, each with its scale; those with scale 0 not at all."""
        taken = [(path, scale) for path, scale in zip(self.adapters, scales, strict=True) if scale]
        adapters = tuple(Adapter(path, scale) for path, scale in taken)
        info = await self.engine.adapt(adapters)
        assert info.adapters == adapters
        self.reference.adapt(taken)
        if adapters != self.options.adapters:
            self._held, self._ready = [], []
        self.options = replace(self.options, adapters=adapters)

    async def rest(self) -> None:
        """Leave the engine alone until it has nothing more to put on disk."""
        before = -1
        while (now := len(self._on_disk())) != before or self._is_working():
            before = now
            await asyncio.sleep(0.15)

    def _is_working(self) -> bool:
        """Whether any thread of the worker runs, waits for its turn, or for a disk."""
        worker = self.engine._worker
        if worker is None:
            return True
        states = []
        for path in Path(f"/proc/{worker.pid}/task").glob("*/stat"):
            with suppress(OSError):  # The thread has ended.
                states.append(path.read_text().rpartition(")")[2].split()[0])
        return "R" in states or "D" in states

    async def come_back(self, draw: Draw, max_tokens: int) -> None:
        """Write, rest, open the engine again, and write: little is evaluated then."""
        await self.write(draw, max_tokens)
        await self.rest()
        await self.reopen()
        written = self.document()
        outcome = await self.write(draw, max_tokens)
        is_whole = self.document()[:-1] == written  # else the oldest messages had to go
        if self._on_disk() and is_whole and not self._spoiled:
            assert outcome.reused_tokens >= len(self.reference.ids(written[:-1]))

    @asynccontextmanager
    async def killed(self, delay: float) -> AsyncIterator[None]:
        """Kill the worker in `delay` seconds; at the end the engine has heard of it."""
        worker = self.engine._worker
        while worker is None:
            await asyncio.sleep(0.01)
            worker = self.engine._worker
        loop = asyncio.get_running_loop()
        kill = loop.call_later(delay, os.kill, worker.pid, signal.SIGKILL)
        yield
        await asyncio.sleep(max(kill.when() - loop.time(), 0))
        while self.engine._worker is worker:
            await asyncio.sleep(0.005)
        self._restarted()

    # How it is judged.

    async def _written(self, document: list[str], draw: Draw, max_tokens: int) -> Outcome:
        prompt = await self._prompt(document)
        events = await self._events(document, draw, max_tokens)
        outcome = _outcome(events)
        assert outcome.text == "".join(e.text for e in events if isinstance(e, Text))
        assert outcome.stop in ("block_end", "token_limit", "context_full")
        assert outcome.generated_tokens <= max_tokens
        self._check_economy(
            prompt, Evaluation(outcome.reused_tokens, outcome.evaluated_tokens, complete=True)
        )
        await self._judge(document, prompt, outcome, draw, events)
        return outcome

    async def _judge(
        self,
        document: list[str],
        prompt: list[int],
        outcome: Outcome,
        draw: Draw,
        events: Sequence[Event] = (),
    ) -> None:
        ids = await judge(self.engine, self.reference, document, outcome, draw, events)
        if outcome.reused_tokens + outcome.evaluated_tokens == len(prompt):
            self._held, self._ready = ids, prompt
        else:
            self._forget_after(prompt)

    async def _prompt(self, document: list[str]) -> list[int]:
        """What the model reads, which the reference reads likewise."""
        prompt = self.reference.ids(document)
        assert await self.engine.tokens(segments(document)) == prompt
        return prompt

    def _check_economy(self, prompt: list[int], evaluation: Evaluation) -> None:
        assert evaluation.complete
        assert evaluation.reused + evaluation.evaluated == len(prompt)
        if prompt == self._ready:
            assert evaluation.evaluated == 0
        new = len(prompt) - common(self._held, prompt)
        assert evaluation.evaluated <= new + 1  # the last id held may lack its logits

    async def _adopt(self, opened: str) -> None:
        await adopt(self.engine, self.reference, [*self.document()[:-1], opened])

    async def _prefilled(self, document: list[str], *, idle: bool) -> Evaluation:
        return await self.engine.prefill(segments(document), idle=idle)

    async def _events(
        self, document: list[str], draw: Draw, max_tokens: int, *, idle: bool = False
    ) -> list[Event]:
        return [event async for event in self._generation(document, draw, max_tokens, idle=idle)]

    def _generation(
        self, document: list[str], draw: Draw, max_tokens: int, *, idle: bool = False
    ) -> AsyncGenerator[Event, None]:
        return self.engine.generate(
            segments(document), draw.sampling, max_tokens=max_tokens, top_logprobs=2, idle=idle
        )

    def _on_disk(self) -> list[Path]:
        """What the engine keeps over restarts."""
        folder = self.options.kv_store
        return [path for path in folder.rglob("*") if path.is_file()] if folder else []

    def _forget_after(self, prompt: list[int]) -> None:
        """Another document was begun: of what was held its beginning is certain."""
        self._held, self._ready = self._held[: common(self._held, prompt)], []

    def _restarted(self) -> None:
        self._held, self._ready = [], []
        if self.options.kv_store is None:
            self.reference.forget_generated()


def common(one: Sequence[int], other: Sequence[int]) -> int:
    """How many leading ids are equal."""
    pairs = zip(one, other, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _outcome(events: Sequence[Event]) -> Outcome:
    (last,) = (event.outcome for event in events if isinstance(event, Finished))
    return last

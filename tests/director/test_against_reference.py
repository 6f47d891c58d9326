"""Whatever happens to a chat on disk: that is what the model reads, and what it writes of it."""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
from collections.abc import AsyncGenerator, Coroutine, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
    run_state_machine_as_test,
)

from shoritui.blockml import Block, Instruction, render
from shoritui.demo import model_path
from shoritui.director import Director, Disk, Event, Failed, TurnEnded, Wrote, new_chat
from shoritui.engine import Engine, EngineOptions, Finished, Sampling, Segment, Text, presets
from shoritui.engine import Event as EngineEvent
from shoritui.settings import Settings
from shoritui.story import Entry, Library
from tests.director.conftest import SCENE
from tests.engine.playing import Draw, adopt, judge
from tests.engine.reference import Reference, in_full_precision

EXAMPLES: Final = int(os.environ.get("SHORITUI_TEST_PLAYS", "0"))
"""How many chats are played; without it a few, the same ones each time."""
SECONDS: Final = 60.0
CAST: Final = [character.name for character in SCENE.characters if not character.user]

texts = st.sampled_from(
    [
        '"Hello?" Wren called into the fog.',
        "Wren rang the bell. ▀It▄ made no sound…",
        "_So late_, she thought; *knock* and then nothing at all for the length of a breath.",
        "Yes.",
        "</s> 😀 two  spaces\n\nand a paragraph",
    ]
)
speakers = st.sampled_from(CAST)
seeds = st.integers(0, 99)
temperatures = st.sampled_from([0.0, 0.0, 1.0])
indices = st.integers(0, 20)
delays = st.sampled_from([0.0, 0.01, 0.03, 0.06, 0.1])


class Judged(Engine):
    """The real engine; what it writes is judged by the reference."""

    def __init__(self, reference: Reference) -> None:
        super().__init__()
        self._reference = reference
        self._unfinished: list[str] = []
        """The last document with what was written after it, if that was never judged."""
        self.asked: list[list[Segment]] = []
        """The documents of the last action."""

    async def generate(
        self, document: Sequence[Segment], sampling: Sampling, **rest: Any
    ) -> AsyncGenerator[EngineEvent, None]:
        self.asked.append(list(document))
        texts = [segment.text for segment in document]
        if self._unfinished:
            await adopt(self, self._reference, self._unfinished)
        assert await self.tokens(document) == self._reference.ids(texts)
        self._unfinished = texts
        draw = Draw(sampling.temperature, sampling.seed or 0)
        events: list[EngineEvent] = []
        async for event in super().generate(document, sampling, **{**rest, "likeliest": 2}):
            events.append(event)
            if isinstance(event, Finished):
                await judge(self, self._reference, texts, event.outcome, draw, events)
                self._unfinished = []
            if isinstance(event, Text):
                self._unfinished = [*texts[:-1], self._unfinished[-1] + event.text]
            yield event


@pytest.fixture(scope="module")
def precise(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return in_full_precision(model_path(), tmp_path_factory.mktemp("m") / "model.gguf", layers=5)


@pytest.fixture(scope="module")
def reference(precise: Path) -> Iterator[Reference]:
    reference = Reference(precise)
    yield reference
    print(reference.agreement)
    reference.free()


class Chatting(RuleBasedStateMachine):
    """One chat in a library on disk, with an engine that keeps its journal beside it."""

    model: Path
    judge: Reference

    def __init__(self) -> None:
        super().__init__()
        self._runner = asyncio.Runner()
        self._folder = tempfile.TemporaryDirectory()

    def _run(self, act: Coroutine[Any, Any, Any]) -> None:
        self._runner.run(asyncio.wait_for(act, SECONDS))

    def teardown(self) -> None:
        self._run(self._close())
        self._runner.close()
        self._folder.cleanup()

    @initialize()
    def open(self) -> None:
        self.judge.forget_generated()
        self._run(self._begin())

    async def _begin(self) -> None:
        folder = Path(self._folder.name)
        self.engine = Judged(self.judge)
        self.options = EngineOptions(
            n_ctx=448, n_threads=1, context_mode="exact", journal=folder / "kv"
        )
        await self.engine.open(self.model, self.options)
        self.disk = await Disk.open(folder / "library.db")
        chat = await new_chat(self.disk, SCENE)
        self.id = chat.id
        await self._reopen_chat()
        await self.director.choose_preset("neutral")

    async def _close(self) -> None:
        if hasattr(self, "director"):
            self.director.rest()
            await self.disk.close()
            await self.engine.close()

    async def _reopen_chat(self) -> None:
        chat = await self.disk.run(Library.chat, self.id)
        self.director = await Director.open(
            self.disk, chat, self.engine, Settings(max_tokens=24), presets(None)[0]
        )

    # What a person does.

    @rule(text=texts)
    def say(self, text: str) -> None:
        self._run(self._act(self.director.say(text)))

    @rule(text=texts)
    def note(self, text: str) -> None:
        self._run(self._act(self.director.note(text)))

    @rule(speaker=speakers, seed=seeds, temperature=temperatures)
    def reply(self, speaker: str, seed: int, temperature: float) -> None:
        self._run(self._reply(speaker, seed, temperature))

    @rule(seed=seeds, temperature=temperatures)
    def regenerate(self, seed: int, temperature: float) -> None:
        self._run(self._written(self.director.regenerate(), seed, temperature))

    @rule(seed=seeds, temperature=temperatures)
    def go_on(self, seed: int, temperature: float) -> None:
        self._run(self._written(self.director.continue_(), seed, temperature))

    @rule(index=indices, text=texts)
    def edit(self, index: int, text: str) -> None:
        if entries := self.director.entries:
            self._run(self._act(self.director.edit(entries[index % len(entries)].id, text)))

    @rule()
    def delete_last(self) -> None:
        self._run(self._act(self.director.delete_last()))

    @rule(index=indices)
    def choose(self, index: int) -> None:
        self._run(self._choose(index))

    @rule(text=texts, speaker=speakers, seed=seeds)
    def type_say_and_reply(self, text: str, speaker: str, seed: int) -> None:
        self._run(self._type(text, speaker))
        self.say(text)
        self.reply(speaker, seed, 0.0)

    @rule(speaker=speakers)
    def look_ahead(self, speaker: str) -> None:
        self._run(self._look_ahead(speaker))

    @rule(delay=delays, speaker=speakers, seed=seeds)
    def stop(self, delay: float, speaker: str, seed: int) -> None:
        self._run(self._stopped(delay, speaker, seed))

    @rule(delay=delays, speaker=speakers, seed=seeds)
    def kill(self, delay: float, speaker: str, seed: int) -> None:
        self._run(self._killed(delay, speaker, seed))

    @rule()
    def reopen_chat(self) -> None:
        self._run(self._reopen_chat())

    @rule()
    def reopen_engine(self) -> None:
        self.director.rest()
        self._run(self.engine.close())
        self._run(self.engine.open(self.model, self.options))

    # How it is done.

    async def _act(self, events: AsyncGenerator[Event]) -> list[Event]:
        found = [event async for event in events]
        assert await self.disk.run(Library.entries, self.id) == self.director.entries
        return found

    async def _written(
        self, events: AsyncGenerator[Event], seed: int, temperature: float
    ) -> list[Event]:
        await self.director.change_sampling(seed=seed, temperature=temperature)
        self.engine.asked = []
        found = await self._act(events)
        for document in self.engine.asked:
            self._check_read(document)
        for ended in (event for event in found if isinstance(event, TurnEnded)):
            shown = "".join(event.text for event in found if isinstance(event, Wrote))
            assert ended.entry.text.endswith(shown)
            assert self.director.entries[-1] == ended.entry
        return found

    async def _reply(self, speaker: str, seed: int, temperature: float) -> None:
        expected = await self.director.preview(speaker)
        events = await self._written(self.director.reply(speaker), seed, temperature)
        assert not [event for event in events if isinstance(event, Failed)]
        assert self.engine.asked[0] == expected

    def _check_read(self, document: list[Segment]) -> None:
        """What was read of the story is its newest entries, each as it is on disk."""
        stories = [each for each in document if each.source.startswith("entry: ")]
        read = {int(each.source.removeprefix("entry: ")): each.text for each in stories}
        path = [entry for entry in self.director.entries if entry.id in read]
        assert list(read.items()) == [(entry.id, _rendered(entry)) for entry in path]
        unread = [entry.id not in read for entry in self.director.entries]
        assert not any(unread[len(unread) - len(read) - 1 : -1])  # the last one may be the reply

    async def _choose(self, index: int) -> None:
        if self.director.entries:
            versions = await self.director.alternatives(self.director.entries[-1].id)
            if versions:
                await self._act(self.director.choose(versions[index % len(versions)].id))

    async def _type(self, text: str, speaker: str) -> None:
        for end in range(1, len(text) + 1, 3):
            self.director.look_ahead(text[:end], speaker)
            await asyncio.sleep(0)
        await self.director.settled()

    async def _look_ahead(self, speaker: str) -> None:
        self.director.look_ahead(speaker=speaker)
        await self.director.settled()

    async def _stopped(self, delay: float, speaker: str, seed: int) -> None:
        writing = asyncio.create_task(self._written(self.director.reply(speaker), seed, 0.0))
        await asyncio.sleep(delay)
        await self.director.stop()
        await writing

    async def _killed(self, delay: float, speaker: str, seed: int) -> None:
        await self.engine.count(["a call waits until the worker is there"])
        worker = self.engine._worker
        assert worker is not None
        writing = asyncio.create_task(self._written(self.director.reply(speaker), seed, 0.0))
        await asyncio.sleep(delay)
        os.kill(worker.pid, signal.SIGKILL)
        await writing
        while self.engine._worker is worker:
            await asyncio.sleep(0.005)


def _rendered(entry: Entry) -> str:
    if entry.kind == "note":
        return render(Instruction(entry.text))
    return render(Block("message", entry.text, entry.speaker, entry.length))


def test_whatever_happens_to_a_chat_the_model_reads_what_is_on_disk(
    precise: Path, reference: Reference
) -> None:
    class Chat(Chatting):
        model, judge = precise, reference

    run_state_machine_as_test(
        Chat,
        settings=settings(
            max_examples=EXAMPLES or 2,
            stateful_step_count=25,
            derandomize=not EXAMPLES,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            # A kill's moment is not in our hand: what fails may not fail again, and cannot shrink.
            phases=[Phase.generate],
        ),
    )

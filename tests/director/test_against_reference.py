"""Whatever happens to a chat on disk: that is what the model reads, and what it writes of it."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any, Final

import pytest

from shoritui.blockml import Block, Instruction, render
from shoritui.demo import model_path
from shoritui.director import (
    Director,
    Disk,
    Event,
    Failed,
    Notice,
    TurnEnded,
    TurnStarted,
    Wrote,
    new_chat,
)
from shoritui.engine import Engine, EngineOptions, Finished, Sampling, Segment, Text, presets
from shoritui.engine import Event as EngineEvent
from shoritui.engine.interface import ContextMode
from shoritui.settings import Settings
from shoritui.story import Entry, Library
from tests.director.conftest import SCENE
from tests.engine.judge import Draw, adopt, judge
from tests.engine.reference import LAYERS, Reference, in_full_precision

pytestmark = pytest.mark.slow

PLAYS: Final = int(os.environ.get("SHORITUI_TEST_PLAYS", "1"))
"""How many chats are played in each mode."""
SECONDS: Final = 60.0
"""No single act takes so long; one that does hangs."""
CAST: Final = [character.name for character in SCENE.characters if not character.user]
SAID: Final = (
    '"Hello?" Wren called into the fog.',
    "Wren rang the bell. ▀It▄ made no sound…",
    "_So late_, she thought; *knock* and then nothing at all for the length of a breath.",
    "Yes.",
    "</s> 😀 two  spaces\n\nand a paragraph",
)


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
        texts = [segment.text for segment in document]
        is_asked = not rest.get("idle")
        if is_asked:
            self.asked.append(list(document))
            if self._unfinished:
                await adopt(self, self._reference, self._unfinished)
        assert await self.tokens(document) == self._reference.ids(texts)
        if is_asked:
            self._unfinished = texts
        draw = Draw(sampling.temperature, sampling.seed)
        events: list[EngineEvent] = []
        async for event in super().generate(document, sampling, **{**rest, "top_logprobs": 2}):
            events.append(event)
            if isinstance(event, Finished) and (is_asked or event.outcome.stop != "cancelled"):
                await judge(self, self._reference, texts, event.outcome, draw, events)
                self._unfinished = [] if is_asked else self._unfinished
            if isinstance(event, Text) and is_asked:
                self._unfinished = [*texts[:-1], self._unfinished[-1] + event.text]
            yield event


class Played:
    """One chat in a library on disk, with an engine that keeps its KV store beside it."""

    def __init__(self, engine: Judged, model: Path, disk: Disk, options: EngineOptions) -> None:
        self._engine = engine
        self._model = model
        self._disk = disk
        self._options = options
        self._id = 0
        self._director: Director

    async def begin(self) -> None:
        """A new chat."""
        await self._engine.open(self._model, self._options)
        self._id = (await new_chat(self._disk, SCENE)).id
        await self.reopen_chat()
        await self._director.chat.choose_preset("neutral")

    async def end(self) -> None:
        """Close everything."""
        self._director.rest()
        await self._disk.close()
        await self._engine.close()

    # What a person does.

    async def say(self, text: str) -> None:
        await self._acted(self._director.say(text))

    async def note(self, text: str) -> None:
        await self._acted(self._director.note(text))

    async def reply(self, speaker: str, draw: Draw) -> None:
        expected = await self._director.preview(speaker)
        events = await self._written(self._director.reply(speaker), draw)
        assert not [event for event in events if isinstance(event, Failed)]
        if self._engine.asked:  # else it was written while nothing was asked
            assert self._engine.asked[0] == expected

    async def regenerate(self, draw: Draw) -> None:
        await self._written(self._director.regenerate(), draw)

    async def regenerate_any(self, index: int, draw: Draw) -> None:
        if (entry := self._any(index)) is not None:
            await self._written(self._director.regenerate(entry.id), draw)

    async def go_on(self, draw: Draw) -> None:
        await self._written(self._director.continue_(), draw)

    async def go_on_any(self, index: int, draw: Draw) -> None:
        if (entry := self._any(index)) is not None:
            await self._written(self._director.continue_(entry.id, keep=False), draw)

    async def hide(self, index: int) -> None:
        if (entry := self._any(index)) is not None:
            await self._acted(self._director.hide(entry.id, not entry.hidden))

    async def delete(self, index: int) -> None:
        if (entry := self._any(index)) is not None:
            await self._acted(self._director.delete(entry.id))

    async def move(self, index: int) -> None:
        if (entry := self._any(index)) is not None:
            await self._acted(self._director.move(entry.id, up=True))

    async def split(self, index: int) -> None:
        if (entry := self._any(index)) is not None:
            await self._acted(self._director.split(entry.id, len(entry.text) // 2))

    async def merge(self, index: int) -> None:
        if (entry := self._any(index)) is not None:
            await self._acted(self._director.merge(entry.id))

    async def undo(self) -> None:
        await self._acted(self._director.undo())

    async def redo(self) -> None:
        await self._acted(self._director.redo())

    async def edit(self, index: int, text: str) -> None:
        if (entry := self._any(index)) is not None:
            await self._acted(self._director.edit(entry.id, text))

    async def delete_last(self) -> None:
        if entries := self._director.chat.entries:
            await self._acted(self._director.delete(entries[-1].id))

    async def choose(self, index: int) -> None:
        if (entry := self._any(index)) is not None:
            versions = await self._director.chat.versions(entry.id)
            chosen = versions[index % len(versions)]
            await self._acted(self._director.choose_version(entry.id, chosen.id))

    async def type_and_say(self, text: str, speaker: str) -> None:
        for end in range(1, len(text) + 1, 3):
            self._director.look_ahead(text[:end], speaker)
            await asyncio.sleep(0)
        await self._director.settled()
        await self.say(text)

    async def look_ahead(self, speaker: str, draw: Draw) -> None:
        self._director.look_ahead(speaker=speaker)
        await self._director.settled()
        await self.reply(speaker, draw)

    async def wait_and_regenerate(self, speaker: str) -> None:
        draw = Draw(1.0, None)
        await self.reply(speaker, draw)
        self._director.look_ahead()
        await self._director.settled()
        await self._written(self._director.regenerate(), draw)

    async def stop(self, delay: float, speaker: str, draw: Draw) -> None:
        writing = asyncio.create_task(self._written(self._director.reply(speaker), draw))
        await asyncio.sleep(delay)
        await self._director.stop()
        await writing

    async def kill(self, delay: float, speaker: str, draw: Draw) -> None:
        await self._engine.count(["a call waits until the worker is there"])
        worker = self._engine._worker
        assert worker is not None
        writing = asyncio.create_task(self._written(self._director.reply(speaker), draw))
        await asyncio.sleep(delay)
        os.kill(worker.pid, signal.SIGKILL)
        await writing
        while self._engine._worker is worker:
            await asyncio.sleep(0.005)

    async def reopen_chat(self) -> None:
        chat = await self._disk.run(Library.chat, self._id)
        self._director = await Director.open(
            self._disk,
            chat,
            self._engine,
            Settings(max_tokens=60, alternatives=1, length="nano"),
            presets(None)[0],
        )

    async def reopen_engine(self) -> None:
        self._director.rest()
        await self._engine.close()
        await self._engine.open(self._model, self._options)

    def _any(self, index: int) -> Entry | None:
        entries = self._director.chat.entries
        return entries[index % len(entries)] if entries else None

    # What has to hold.

    async def _acted(self, events: AsyncGenerator[Event]) -> list[Event]:
        found = [event async for event in events]
        assert await self._disk.run(Library.entries, self._id) == self._director.chat.entries
        return found

    async def _written(self, events: AsyncGenerator[Event], draw: Draw) -> list[Event]:
        await self._director.chat.change_sampling(seed=draw.seed, temperature=draw.temperature)
        self._engine.asked = []
        found = await self._acted(events)
        started = [event.entry for event in found if isinstance(event, TurnStarted)]
        for document in self._engine.asked:
            self._check_read(document, started[0])
        for ended in (event for event in found if isinstance(event, TurnEnded)):
            shown = "".join(event.text for event in found if isinstance(event, Wrote))
            told = [event for event in found if isinstance(event, Notice)]
            assert ended.entry.text.endswith(shown) or told  # where it repeats itself it is cut
            assert self._director.chat.entry(ended.entry.id) == ended.entry
        return found

    def _check_read(self, document: list[Segment], reply: Entry) -> None:
        """What was read of the story is the newest entries before the reply, as on disk."""
        stories = [each for each in document if each.source.startswith("entry: ")]
        read = [(int(each.source.removeprefix("entry: ")), each.text) for each in stories]
        path = self._director.chat.entries
        [end] = [at for at, entry in enumerate(path) if entry.slot == reply.slot] or [len(path)]
        seen = [(entry.id, _rendered(entry)) for entry in path[:end] if not entry.hidden]
        assert read == seen[len(seen) - len(read) :]


def _rendered(entry: Entry) -> str:
    if entry.kind == "note":
        return render(Instruction(entry.text))
    return render(Block("message", entry.text, entry.speaker, entry.length))


Act = tuple[str, dict[str, Any]]
"""A method of `Played` and its arguments."""
Drawn = Callable[[Random], Any]


def text(random: Random) -> str:
    return random.choice(SAID)


def speaker(random: Random) -> str:
    return random.choice(CAST)


def draw(random: Random) -> Draw:
    return random.choice([Draw(), Draw(1.0, random.randrange(100)), Draw(1.0, None)])


def index(random: Random) -> int:
    return random.randrange(20)


def moment(random: Random) -> float:
    return random.choice([0.0, 0.01, 0.03, 0.06, 0.1])


ACTS: Final[dict[str, dict[str, Drawn]]] = {
    "say": {"text": text},
    "note": {"text": text},
    "reply": {"speaker": speaker, "draw": draw},
    "regenerate": {"draw": draw},
    "regenerate_any": {"index": index, "draw": draw},
    "go_on": {"draw": draw},
    "go_on_any": {"index": index, "draw": draw},
    "hide": {"index": index},
    "delete": {"index": index},
    "move": {"index": index},
    "split": {"index": index},
    "merge": {"index": index},
    "undo": {},
    "redo": {},
    "edit": {"index": index, "text": text},
    "delete_last": {},
    "choose": {"index": index},
    "type_and_say": {"text": text, "speaker": speaker},
    "look_ahead": {"speaker": speaker, "draw": draw},
    "wait_and_regenerate": {"speaker": speaker},
    "stop": {"delay": moment, "speaker": speaker, "draw": draw},
    "kill": {"delay": moment, "speaker": speaker, "draw": draw},
    "reopen_chat": {},
    "reopen_engine": {},
}
"""What may happen, and how its arguments are drawn."""
OFTEN: Final = (
    *("say", "say", "reply", "reply", "reply", "regenerate", "regenerate", "go_on"),
    *("edit", "edit", "choose", "choose", "type_and_say", "look_ahead", "undo", "undo", "hide"),
)
"""What happens more often than once."""


def drawn_acts(seed: str) -> list[Act]:
    """What happens in one chat: everything at least once."""
    random = Random(seed)
    names = random.sample([*ACTS, *OFTEN], len(ACTS) + len(OFTEN))
    return [
        (name, {argument: drawn(random) for argument, drawn in ACTS[name].items()})
        for name in names
    ]


@pytest.fixture(scope="module", params=["exact", "shift"])
def mode(request: pytest.FixtureRequest) -> ContextMode:
    mode: ContextMode = request.param
    return mode


@pytest.fixture(scope="module")
def precise(mode: ContextMode, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp(mode) / "model.gguf"
    return in_full_precision(model_path(), path, layers=LAYERS[mode])


@pytest.fixture(scope="module")
def reference(precise: Path) -> Iterator[Reference]:
    reference = Reference(precise)
    yield reference
    print(reference.agreement)
    reference.free()


@pytest.mark.parametrize("seed", range(PLAYS))
async def test_whatever_happens_to_a_chat_the_model_reads_what_is_on_disk(
    precise: Path, reference: Reference, mode: ContextMode, tmp_path: Path, seed: int
) -> None:
    reference.forget_generated()
    options = EngineOptions(n_ctx=448, n_threads=1, context_mode=mode, kv_store=tmp_path / "kv")
    disk = await Disk.open(tmp_path / "library.db")
    play = Played(Judged(reference), precise, disk, options)
    await play.begin()
    done: list[Act] = []
    try:
        for name, arguments in drawn_acts(f"{mode} {seed}"):
            done.append((name, arguments))
            result: Awaitable[None] = getattr(play, name)(**arguments)
            await asyncio.wait_for(result, SECONDS)
    except BaseException as error:
        error.add_note("after\n" + "".join(f"    {act},\n" for act in done))
        raise
    finally:
        await play.end()

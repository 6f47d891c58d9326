"""Who is there and who knows what: in the prompts that a real director makes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as bounds
from hypothesis import strategies as st

from shoritui.blockml import message_header
from shoritui.cards import Card, Character, Lore
from shoritui.demo import model_path
from shoritui.director import Director, Disk, Event, Failed, new_chat
from shoritui.engine import (
    Engine,
    EngineOptions,
    Evaluation,
    Finished,
    Outcome,
    Segment,
    Text,
    presets,
)
from shoritui.engine import Event as EngineEvent
from shoritui.errors import UserError
from shoritui.settings import Settings
from shoritui.story import Entry

NAMES = ("Mara", "Bo", "Cy", "Dot")
OPS = ("say", "whisper", "reply", "auto", "ooc", "enter", "leave", "user")
EDITS = ("edit", "split", "merge", "move", "hide", "delete", "retry", "continue", "undo", "redo")


class Noting(Engine):
    """The real engine, but that it only notes what it is to read, and writes the same words."""

    def __init__(self) -> None:
        super().__init__()
        self.read: list[str] = []
        """Each document, behind the texts that penalties see."""

    def _note(self, document: Sequence[Segment], penalized: Sequence[str] = ()) -> None:
        self.read.append("".join([*penalized, *(segment.text for segment in document)]))

    async def generate(
        self, document: Sequence[Segment], *args: Any, **kwargs: Any
    ) -> AsyncGenerator[EngineEvent, None]:
        self._note(document, kwargs["penalized"])
        yield Text(" So it was.", 4)
        yield Finished(Outcome("block_end", " So it was.", 10, 0, 10, 4, 1.0, 1.0))

    async def prefill(self, document: Sequence[Segment], *, idle: bool = False) -> Evaluation:
        self._note(document)
        return Evaluation(0, 0, True)

    async def score(self, document: Sequence[Segment], names: Sequence[str]) -> list[float]:
        self._note(document)
        return [-float(len(name)) for name in names]


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def engine(runner: asyncio.Runner) -> Iterator[Noting]:
    engine = Noting()
    runner.run(engine.open(model_path(), EngineOptions(n_ctx=512)))
    yield engine
    runner.run(engine.close())


@pytest.fixture(scope="module")
def disk(runner: asyncio.Runner, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Disk]:
    disk = runner.run(Disk.open(Path(tmp_path_factory.mktemp("library")) / "library.db"))
    yield disk
    runner.run(disk.close())


async def opened(disk: Disk, engine: Engine, scene: Card, **settings: Any) -> Director:
    chosen = Settings(**{"max_tokens": 32, "length": "nano", **settings})
    chat = await new_chat(disk, scene, "Mara")
    return await Director.open(disk, chat, engine, chosen, presets(None)[0])


async def done(events: AsyncGenerator[Event]) -> list[Event]:
    return [event async for event in events]


def cast(*names: str, absent: Sequence[str] = (), **fields: Any) -> Card:
    """A scene of these; each has a description that nobody else's text holds."""
    return Card(
        characters=tuple(
            Character(
                name=name, description=f"{name} is quiet. [{name}]", present=name not in absent
            )
            for name in names
        ),
        **fields,
    )


# Whispers


class Play:
    """A chat in which every whispered text is of words that stand nowhere else."""

    def __init__(self, director: Director, engine: Noting) -> None:
        self.director = director
        self.engine = engine
        self.hearers: dict[str, set[str]] = {}
        """Who has heard each secret word."""
        engine.read.clear()

    def secret(self, hearers: set[str]) -> str:
        word = f"zq{len(self.hearers)}x"
        self.hearers[word] = hearers
        return word

    async def do(self, op: str, who: int, mask: int) -> None:
        director, chat = self.director, self.director.chat
        names = chat.cast
        name = names[who % len(names)]
        heard = tuple(each for number, each in enumerate(names) if mask >> number & 1)
        entries = chat.entries
        entry = entries[mask * 7 % len(entries)] if entries else None
        match op:
            case "say":
                await done(director.say(f"{names[mask % len(names)]} saw the boat.", name))
            case "whisper":
                words = " ".join(self.secret({name, *heard}) for _ in range(4))
                await done(director.say(f"{words} {names[mask % len(names)]}", name, heard=heard))
                # What the words bring up is as secret as they are.
                lore = Lore(name="It", text=self.secret({name, *heard}), keys=(words.split()[0],))
                scene = chat.scene
                await done(director.change_scene(replace(scene, lore=(*scene.lore, lore))))
            case "reply" if mask % 2:
                words = self.secret({chat.user, *heard})
                await done(director.whisper(words, heard, name if name in heard else None))
            case "reply":
                await done(director.reply(name if mask % 4 else None))
            case "auto":
                await done(director.auto_play(2))
            case "ooc":
                await done(director.ooc("Who knows?"))
            case "enter":
                await done(director.enter(name))
            case "leave":
                await done(director.leave(name))
            case "user":
                await chat.choose_user(name)
            case "undo" | "redo":
                await done(director.undo() if op == "undo" else director.redo())
            case _ if entry is not None:
                await self.change(op, entry, mask)

    async def change(self, op: str, entry: Entry, mask: int) -> None:
        director = self.director
        hearers = entry.details.heard
        match op:
            case "edit":
                new = "So it is."
                if hearers is not None and entry.kind == "message":
                    new = f"{self.secret({entry.speaker, *hearers})} and more"
                await done(director.edit(entry.id, new))
            case "split" if " " in entry.text:
                await done(director.split(entry.id, entry.text.index(" ")))
            case "merge":
                await done(director.merge(entry.id))
            case "move":
                await done(director.move(entry.id, up=bool(mask % 2)))
            case "hide":
                await done(director.hide(entry.id, not entry.hidden))
            case "delete":
                await done(director.delete(entry.id))
            case "retry":
                await done(director.regenerate(entry.id))
            case "continue":
                await done(director.continue_(entry.id))

    async def look(self, typed: str, mask: int) -> None:
        """Have every one's prompt made, and what is read ahead for them."""
        director, names = self.director, self.director.chat.cast
        for name in names:
            with suppress(UserError):
                text = "".join(segment.text for segment in await director.preview(name))
                assert text.endswith(message_header(name, "nano"))
                self.expect(text, name)
            self.engine.read.clear()
            hearers = (name,) if mask % 2 else None
            director.look_ahead(typed, name, hearers)
            await director.settled()
            for text in self.engine.read:
                self.expect(text, name)

    def expect(self, text: str, reader: str) -> None:
        told = [word for word, hearers in self.hearers.items() if word in text]
        assert not [word for word in told if reader not in self.hearers[word]], (reader, text)

    def judge(self) -> None:
        """Judge what the engine was given to read: its last line says for whom."""
        for text in self.engine.read:
            block = text.rpartition("▀")[2]
            if not block.startswith("ooc"):  # the players know everything
                self.expect(text, block.partition("\n")[2].partition(":")[0])
        self.engine.read.clear()


steps = st.lists(
    st.tuples(
        st.sampled_from((*OPS, *OPS, *EDITS, "whisper")), st.integers(0, 3), st.integers(0, 15)
    ),
    min_size=3,
    max_size=14,
)


@given(
    st.integers(2, 4),
    steps,
    st.sampled_from(["natural", "model", "pooled", "in-turn"]),
    st.sampled_from(["", "Well,", "Well, Bo was"]),
)
@bounds(max_examples=15)
def test_no_byte_of_a_whisper_is_in_the_prompt_of_one_who_did_not_hear_it(
    runner: asyncio.Runner,
    engine: Noting,
    disk: Disk,
    size: int,
    steps: Sequence[tuple[str, int, int]],
    turns: str,
    typed: str,
) -> None:
    async def played() -> None:
        scene = cast(*NAMES[:size])
        play = Play(await opened(disk, engine, scene, turns=turns, keep_following="keep"), engine)
        for op, who, mask in steps:
            await play.do(op, who, mask)
            play.judge()
        await play.look(typed, steps[0][2])
        await play.director.close()

    runner.run(played())


# Presence


def test_who_left_is_drafted_no_more_until_they_enter_again(
    runner: asyncio.Runner, engine: Noting, disk: Disk
) -> None:
    async def played() -> None:
        director = await opened(disk, engine, cast("Mara", "Bo", "Cy", absent=("Cy",)))
        chat = director.chat
        await done(director.say("Cy! Where is Cy?"))
        await done(director.auto_play(1))
        assert [entry.speaker for entry in chat.entries] == ["Mara", "Bo"]
        await done(director.enter("Cy"))
        await done(director.leave("Bo", "slams the door"))
        assert chat.present == ["Mara", "Cy"] and chat.who_next() == "Cy"
        text = "".join(segment.text for segment in await director.preview("Cy"))
        header, _, rest = text.partition("▀message")
        assert "[Mara]" in header and "[Bo]" in header and "[Cy]" not in header
        assert "▀description\nCy is quiet. [Cy]▄\n[INST] Bo slams the door. [/INST]\n" in rest
        assert await done(director.leave("Bo")) == [Failed("Bo is not here.")]
        assert await done(director.enter("Cy")) == [Failed("Cy is here already.")]
        assert await done(director.enter("Eve")) == [Failed("There is no Eve in the cast.")]
        await done(director.undo())
        assert chat.present == ["Mara", "Bo", "Cy"]
        await done(director.undo())
        assert chat.absent == {"Cy"}
        await done(director.redo())
        await done(director.redo())
        assert chat.present == ["Mara", "Cy"]
        for number in range(40):
            await done(director.say(f"Mara counted to {number}, and on, and on, and on."))
        text = "".join(segment.text for segment in await director.preview("Cy"))
        assert "[Cy]" in text.partition("▀message")[0], "once it has gone from the story"
        assert "[Bo]" not in text
        await director.close()

    runner.run(played())


def test_a_whisper_is_answered_in_a_whisper_by_one_who_heard_it(
    runner: asyncio.Runner, engine: Noting, disk: Disk
) -> None:
    async def played() -> None:
        director = await opened(disk, engine, cast("Mara", "Bo", "Cy", "Dot", absent=("Dot",)))
        assert await director.whisper_cost(["Bo", "Cy"]) is None
        assert await done(director.whisper("Hm.", ["Dot"])) == [
            Failed("Nobody is here to hear that.")
        ]
        cost = await director.whisper_cost(["Cy"])
        await done(director.whisper("Bo must not know.", ["Cy", "Dot"]))
        said, answer = director.chat.entries
        assert said.details.heard == ("Cy",)
        assert (answer.speaker, answer.details.heard) == ("Cy", ("Mara", "Cy"))
        await done(director.say("Good morning."))
        more = await director.whisper_cost(["Cy"])
        assert cost is not None and more is not None
        whole, known = [
            sum(await director.engine.count([s.text for s in await director.preview(name)]))
            for name in ("Cy", "Bo")
        ]
        assert more > cost and more - cost >= whole - known > 0
        await done(director.regenerate(answer.id))
        await done(director.continue_(director.chat.entries[1].id))
        assert director.chat.entries[1].details.heard == ("Mara", "Cy")
        # The players know everything, so what they say is for those who do.
        await done(director.ooc("Does Bo know?"))
        assert [e.details.heard for e in director.chat.entries[-2:]] == [("Mara", "Cy")] * 2
        assert "Does Bo know" not in "".join(s.text for s in await director.preview("Bo"))
        await director.close()

    runner.run(played())

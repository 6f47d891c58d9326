"""Whatever is said, pinned, hidden, summarised and taken back: the prompt fits, nothing is told
twice, and nothing is left out but what is older than all that is read.

Characters count as tokens, so no model is needed.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from shoritui.cards import Card, Character
from shoritui.director import Director, Disk, Failed, new_chat
from shoritui.engine import AnyEngine, Finished, Outcome, PromptPlan, Segment, Text, presets
from shoritui.errors import UserError
from shoritui.settings import Settings
from shoritui.story import Library, is_summary
from tests.director.conftest import read

SCENE = Card(title="The quay", characters=(Character(name="Mara"), Character(name="Wren")))
WRITTEN = "So it was."

AT = st.integers(0, 12)
ops = st.one_of(
    st.tuples(st.just("say"), st.integers(20, 90)),
    st.tuples(st.just("reply"), AT),
    st.tuples(st.sampled_from(["say", "pin", "hide", "summarise", "undo"]), AT),
)


class Counting:
    """An engine that counts characters, and always writes the same."""

    def __init__(self, size: int) -> None:
        self.expecting = False
        self.info = SimpleNamespace(
            n_ctx=size,
            context_mode="exact",
            server="",
            path=Path("m.gguf"),
            leads_end=False,
            adapters=(),
            gpu="",
            key="m",
        )

    async def count(self, texts: Sequence[str]) -> list[int]:
        return [len(text) for text in texts]

    async def plan(self, document: Sequence[Segment]) -> PromptPlan:
        return PromptPlan(tuple(len(segment.text) for segment in document), None, 0)

    async def generate(
        self, document: Sequence[Segment], *_: Any, max_tokens: int, **__: Any
    ) -> AsyncGenerator[Text | Finished]:
        total = sum(len(segment.text) for segment in document)
        assert total <= self.info.n_ctx
        if document[-1].source == "summary":
            assert total + max_tokens <= self.info.n_ctx
        yield Text(WRITTEN, len(WRITTEN))
        count = len(WRITTEN)
        yield Finished(Outcome("block_end", WRITTEN, total, 0, total, count, 0.0, 0.0))


async def play(director: Director, op: str, number: int) -> None:
    chat = director.chat
    at = chat.entries[number % len(chat.entries)] if chat.entries else None
    if op == "say":
        await read(director.say("a" * number))
    elif op == "reply":
        await read(director.reply("Mara"))
    elif op == "undo":
        await read(director.undo())
    elif at is not None and op == "pin":
        await read(director.pin(at.id, not at.pinned))
    elif at is not None and op == "hide":
        await read(director.hide(at.id, not at.hidden))
    elif at is not None:
        events = await read(director.summarise(at.id))
        if not isinstance(events[-1], Failed):
            await read(director.use_summary("It was so."))


async def check(director: Director, size: int) -> None:
    path = director.chat.entries
    try:
        segments = await director.preview("Mara")
    except UserError as error:
        assert "pinned messages take" in str(error) or "last message" in str(error)
        return
    assert sum(len(segment.text) for segment in segments) <= size
    told = [segment.source for segment in segments if segment.source.startswith("entry: ")]
    ids = [int(source.removeprefix("entry: ")) for source in told]
    assert len(set(ids)) == len(ids)
    shown = [entry for entry in path if not entry.hidden]
    assert {entry.id for entry in shown if entry.pinned} <= set(ids) <= {each.id for each in shown}
    places = [director.chat.place(entry) for entry in map(director.chat.entry, ids) if entry]
    assert places == sorted(places)
    summaries = [at for at, entry in enumerate(path) if is_summary(entry) and not entry.hidden]
    last = summaries[-1] if summaries else -1
    loose = [at for at, e in enumerate(path) if not (e.hidden or e.pinned or is_summary(e))]
    read_loose = [at for at in loose if path[at].id in ids]
    assert all(at > last for at in read_loose), "nothing is both summarised and read"
    first = read_loose[0] if read_loose else len(path)
    assert [at for at in loose if at >= first] == read_loose, "only what is oldest is left out"
    held = [at for at in summaries if path[at].id in ids]
    assert last in (-1, *held) or len(held) == 0, "of two that begin alike the later one is read"


@hypothesis_settings(max_examples=40, deadline=None)
@given(st.integers(220, 420), st.lists(ops, min_size=12, max_size=24))
def test_a_prompt_fits_and_each_entry_is_read_or_summarised_or_older_than_all_that_is_read(
    size: int, story: list[tuple[str, int]]
) -> None:
    async def run() -> None:
        with tempfile.TemporaryDirectory() as folder:
            disk = await Disk.open(Path(folder) / "library.db")
            try:
                engine = cast(AnyEngine, Counting(size))
                chat = await new_chat(disk, SCENE, "Wren")
                chosen = Settings(max_tokens=24, instruction="", memory="off")
                director = await Director.open(disk, chat, engine, chosen, presets(None)[0])
                for op, number in story:
                    await play(director, op, number)
                    await check(director, size)
                before = [segment.text for segment in await director.preview("Mara")]
                copy = await disk.run(Library.copy_chat, chat.id, "copy")
                again = await Director.open(disk, copy, engine, chosen, presets(None)[0])
                assert [segment.text for segment in await again.preview("Mara")] == before
            except UserError as error:
                assert "pinned messages take" in str(error) or "last message" in str(error)
            finally:
                await disk.close()

    asyncio.run(run())

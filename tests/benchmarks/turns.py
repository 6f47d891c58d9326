"""Who speaks: what it costs to ask the model, how often it is right, and whether a reply stays its
speaker's.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from shoritui.benchmark import Aim, Figure, RowProgress, benchmark
from shoritui.blockml import LENGTHS, token_range
from shoritui.cards import Card, Character, load_cards
from shoritui.demo import model_path
from shoritui.director import Director, Disk, TurnEnded, body, new_chat
from shoritui.director.prompt_layout import label, open_nameless
from shoritui.engine import Engine, EngineOptions, presets
from shoritui.eval.kept import Kept, key_of
from shoritui.eval.measures import foreign_lines
from shoritui.eval.replies import STRATEGIES, NextSpeaker, Results, Stage, Subject
from shoritui.eval.stories import Place, load_stories
from shoritui.folders import bundled_dir, cache_dir
from shoritui.settings import Settings

REPLIES: Final = 500
_MOST: Final = 256
"""Tokens of a reply: after so many it speaks as another, or does not."""
_SAID: Final = 25
_STORIES: Final = model_path().parent / "stories" / "held-out"
_OPTIONS: Final = EngineOptions(n_ctx=2048)
_DIFFERENT: Final = ("Mara", "Tobin", "Isolde", "Cadmus", "Brindle", "Sable", "Ned", "Wren")
_ALIKE: Final = tuple(f"Mara {name}" for name in _DIFFERENT)


@benchmark(Aim("choice_decodes", "decodes", "<= 0"), Aim("choice_decodes_alike", "decodes", "<= 1"))
def choice() -> dict[str, Figure]:
    """Evaluations that it takes to choose among eight: whose names differ from the first token on,
    and whose do not.
    """
    return asyncio.run(_choice())


@benchmark(
    Aim("next_speaker_model", "%"),
    Aim("next_speaker_natural", "%"),
    Aim("next_speaker_in_turn", "%"),
    Aim("next_speaker_chance", "%"),
)
def held_out() -> dict[str, Figure]:
    """How often it is known who speaks next, in stories that people wrote and no model has read."""
    found = asyncio.run(_held_out())

    def share(right: float) -> Figure:
        return Figure([100 * right / len(found)], f"{len(found)} places, the model that ships")

    rows = {
        f"next_speaker_{each.replace('-', '_')}": share(
            sum(one.held[each] == one.true for one in found)
        )
        for each in STRATEGIES
    }
    chance = share(sum(1 / len(one.place.story.cast) for one in found))
    return {**rows, "next_speaker_chance": chance}


@benchmark(Aim("spoken_as_another", "replies", "<= 0"))
def replies() -> dict[str, Figure]:
    """Of 500 first messages of every length, how many speak as another.

    What was written is kept in the cache folder as it comes, for as long as the director stays as
    it is: a run that was stopped goes on.
    """
    texts = asyncio.run(_replies())
    foreign = sum(bool(foreign_lines(text, others)) for text, others, _ in texts)
    cut = sum(stop == "speaker" for _, _, stop in texts)
    note = f"of {REPLIES}; {cut} were cut where another one's message began"
    return {"spoken_as_another": Figure([foreign], note)}


@asynccontextmanager
async def _stage() -> AsyncGenerator[tuple[Engine, Disk]]:
    engine = Engine()
    await engine.open(model_path(), _OPTIONS)
    with tempfile.TemporaryDirectory() as folder:
        disk = await Disk.open(Path(folder) / "library.db")
        try:
            yield engine, disk
        finally:
            await disk.close()
            await engine.close()


async def _choice() -> dict[str, Figure]:
    found = {}
    async with _stage() as (engine, disk):
        for row, names in (("choice_decodes", _DIFFERENT), ("choice_decodes_alike", _ALIKE)):
            scene = Card(title="Eight", characters=tuple(Character(name=name) for name in names))
            chat = await new_chat(disk, scene)
            director = await Director.open(disk, chat, engine, Settings(), presets(None)[0])
            document = [*(await director.preview())[:-1], open_nameless("medium")]
            await engine.prefill(document)
            before = await engine.stats()
            await engine.score(document, list(map(label, names)))
            found[row] = Figure([(await engine.stats()).decodes - before.decodes])
    return found


async def _held_out() -> list[NextSpeaker]:
    samplers = presets(None)[0]
    results = Results(Subject("", model_path(), (), samplers[Settings().preset]))
    async with Stage.open(results.subject, _OPTIONS, samplers) as stage:
        for story in load_stories(_STORIES):
            for at in story.messages[1:]:
                await stage.read(Place(story, at), results)
    return results.speakers


async def _replies() -> list[tuple[str, list[str], str]]:
    """Return what was left of each reply, who else could have spoken, and why it ended."""
    samplers = presets(None)[0]
    cards = [load_cards([path]) for path in sorted(bundled_dir("characters").glob("*.toml"))]
    code = b"".join(path.read_bytes() for path in sorted(Path(body.__file__).parent.glob("*.py")))
    folder = cache_dir() / "benchmarks"
    folder.mkdir(parents=True, exist_ok=True)
    kept, progress = Kept(folder / "replies.jsonl"), RowProgress()
    found = []
    async with _stage() as (engine, disk):
        for number in range(REPLIES):
            card = cards[
                number * len(cards) // REPLIES
            ]  # One after the other: a prompt is read once.
            length = LENGTHS[number % len(LENGTHS)]
            most = min(_MOST, 2 * token_range(length)[1])
            key = key_of(code, model_path().stat().st_mtime_ns, card, length, most, number)
            written = kept.find(key, tuple[str, list[str], str])
            if written is None:
                chat = await new_chat(disk, card)
                settings = Settings(length=length, max_tokens=most)
                director = await Director.open(disk, chat, engine, settings, samplers)
                await director.chat.change_sampling(seed=number)
                who = director.chat.who_next()
                others = [name for name in director.chat.participants if name != who]
                written = "", others, "nothing"
                async for event in director.reply(who):
                    if isinstance(event, TurnEnded):
                        written = event.entry.text, others, event.outcome.stop
                await director.close()
                kept.add(key, written)
            found.append(written)
            if number % _SAID == 0:
                progress.begin(f"reply {number + 1} of {REPLIES}")
    progress.clear()
    return found

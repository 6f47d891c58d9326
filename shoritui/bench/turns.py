"""Two hundred turns of a story at a full context: what is evaluated for what is new."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from itertools import islice
from math import inf
from typing import Any, Final

from shoritui.bench import scenes
from shoritui.bench.lab import Lab
from shoritui.benchmark import Aim, Figure, benchmark
from shoritui.director import Director, Disk, Event, TurnEnded, new_chat
from shoritui.engine import Engine, Finished, Sampling, Segment, presets
from shoritui.engine import Event as EngineEvent
from shoritui.errors import UserError
from shoritui.files import temporary_folder
from shoritui.settings import Settings
from shoritui.story import Draft, Library

_TURNS: Final = 200
_N_CTX: Final = 1536
_FULL_N_CTX: Final = 4096
"""Small, so that the context is trimmed many times; what a trim takes of it is the same share."""
_LORE_EVERY: Final = 9


@benchmark(Aim("evaluated_per_new", "ratio", "<= 1.3"), Aim("evaluated_idle_per_new", "ratio"))
async def evaluated_per_new(lab: Lab) -> dict[str, Figure]:
    """Tokens evaluated while somebody waits / tokens new; and those evaluated while nobody does."""
    n_ctx = _FULL_N_CTX if lab.full else _N_CTX
    async with lab.opened(_Watched(), n_ctx=n_ctx) as engine:
        with temporary_folder() as folder:
            disk = await Disk.open(folder / "library.db")
            try:
                director = await _director(disk, engine, n_ctx)
                await _reply(director, 0)  # what a chat costs to open is not a turn's
                engine.new = engine.evaluated = engine.generated = 0
                before = (await engine.stats()).tokens
                turns, trims = await _play(lab, director)
                all_evaluated = (await engine.stats()).tokens - before
                idle = all_evaluated - engine.evaluated - engine.generated
            finally:
                await disk.close()
    note = (
        f"{turns} turns at {n_ctx:,} tokens, five speakers, lore; {engine.new:,} tokens new, "
        f"{trims} turns began with older messages gone"
    )
    return {
        "evaluated_per_new": Figure([engine.evaluated / engine.new], note),
        "evaluated_idle_per_new": Figure([idle / engine.new], "while nobody waits, trims mostly"),
    }


async def _play(lab: Lab, director: Director) -> tuple[int, int]:
    """Return the turns played, and how many of them read fewer old messages than the one before."""
    turns, trims, dropped = 0, 0, director.figures.dropped_messages
    keys = list(scenes.LORE)
    for turn in islice(lab.rounds(_TURNS, inf if lab.full else 5.0, least=20), _TURNS):
        lore = f" The {keys[turn % len(keys)]}!" if turn % _LORE_EVERY == 0 else ""
        await _end(director.say(f"{scenes.prose(6, f'turn {turn}')}{lore}"))
        await _reply(director, turn)
        director.look_ahead()
        await director.settled()
        turns += 1
        trims += director.figures.dropped_messages > dropped
        dropped = director.figures.dropped_messages
    return turns, trims


async def _director(disk: Disk, engine: Engine, n_ctx: int) -> Director:
    """Return a chat that is longer than the context."""
    scene = scenes.card()
    chat = await new_chat(disk, scene)

    def fill(library: Library) -> None:
        for number in range(n_ctx // 24):
            speaker = scene.characters[number % len(scene.characters)].name
            library.append(chat.id, Draft("message", speaker, scenes.prose(24, f"before {number}")))

    await disk.run(fill)
    settings = Settings(max_tokens=24, length="tiny", instruction="")
    director = await Director.open(disk, chat, engine, settings, presets(None)[0])
    await director.chat.change_sampling(seed=1)
    return director


async def _reply(director: Director, turn: int) -> None:
    others = [name for name in director.chat.cast if name != director.chat.user]
    events = await _end(director.reply(others[turn % len(others)]))
    if not any(isinstance(event, TurnEnded) for event in events):
        raise UserError(f"A turn came to nothing: {events[-1:]}.")


async def _end(events: AsyncGenerator[Event]) -> list[Event]:
    return [event async for event in events]


class _Watched(Engine):
    """An engine that counts, while somebody waits: tokens new, evaluated, and generated."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: set[str] = set()
        self._reply: tuple[str, int] = ("", 0)
        """How the last reply's body began, and the tokens up to its end, which is not evaluated."""
        self.new = self.evaluated = self.generated = 0

    async def generate(
        self, document: Sequence[Segment], sampling: Sampling, **options: Any
    ) -> AsyncGenerator[EngineEvent, None]:
        """Generate as ever, and count."""
        *closed, opened = document
        unseen = [segment.text for segment in closed if segment.text not in self._seen]
        *sizes, header = await self.count([*unseen, opened.text])
        self._seen.update(unseen)
        begin, known = self._reply
        self.new += header
        for text, size in zip(unseen, sizes, strict=True):
            # Its hint may be another by now: the one that it has earned.
            is_reply = begin and text.partition("\n")[2].startswith(begin)
            self.new += max(size - known, 0) if is_reply else size
        async with aclosing(super().generate(document, sampling, **options)) as events:
            async for event in events:
                if isinstance(event, Finished):
                    self.evaluated += event.outcome.evaluated_tokens
                    self.generated += event.outcome.generated_tokens
                    speaker = opened.text.partition("\n")[2]
                    self._reply = (speaker, header + event.outcome.generated_tokens)
                yield event

"""A model at work: replies by way of the director, and how likely it finds what people wrote.

Every reply is a turn of a chat of its own, with the story so far in it, so it goes the way of the
app: prompt builder, sampler chain, stop, what the director cuts. Replies at one place of a story
share their prompt, and stories are played forward: the KV cache holds what was read before.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from math import log
from pathlib import Path
from time import perf_counter
from typing import Any, Final, Literal, get_args

from msgspec import structs

from shoritui.blockml import Block, Instruction, length_for, render
from shoritui.cards import Card
from shoritui.director import Director, Disk, Failed, LengthTable, TurnEnded
from shoritui.director.length_guide import is_led, points
from shoritui.director.prompt_layout import label, open_nameless
from shoritui.director.speakers import trust_in, turn_order, weighed
from shoritui.engine import (
    Adapter,
    Engine,
    EngineOptions,
    Finished,
    ModelInfo,
    Outcome,
    Preset,
    Sampling,
    Segment,
    WorkerDied,
)
from shoritui.engine import Event as EngineEvent
from shoritui.engine.interface import EngineStats, Stop
from shoritui.errors import UserError
from shoritui.eval.stories import FORM, SETTINGS, Place, Reply, Story, Task
from shoritui.files import temporary_folder
from shoritui.settings import GuideSetting, Strategy
from shoritui.story import Library, header_parts, story_parts

Context = Literal["true", "no hints", "other cast", "other scene"]
"""How held-out messages are read: with the hints that their tokens earn, without hints, after the
characters of another story, or after all that stands before another one's messages."""
CONTEXTS: Final[tuple[Context, ...]] = get_args(Context)

STRATEGIES: Final[tuple[Strategy, ...]] = ("model", "natural", "in-turn")
"""Ways to tell who speaks next."""

_SPARE_TOKENS: Final = 64
_SPEED_TOKENS: Final = 16
"""Fewer tokens say nothing about speed."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What is judged: a model with its adapters, drawing by a preset, led or not."""

    name: str
    model: Path
    adapters: tuple[Adapter, ...]
    preset: Preset
    guide: GuideSetting = "auto"
    """Whether the length guide leads its replies."""


@dataclass(frozen=True, slots=True)
class Surprise:
    """How unlikely the model found one message that people wrote."""

    story: str
    number: int
    """Which of the story's messages it is."""
    context: Context
    nats: float
    tokens: int
    characters: int


@dataclass(frozen=True, slots=True)
class NextSpeaker:
    """Who was held to speak next, and who did."""

    place: Place
    held: Mapping[Strategy, str]
    """Whose turn it is by each of the app's strategies that are compared."""

    @property
    def true(self) -> str:
        """Who did."""
        return self.place.speaker


@dataclass(slots=True)
class Results:
    """What is known of one subject so far."""

    subject: Subject
    replies: list[list[Reply]] = field(default_factory=list)
    """By place."""
    surprises: list[Surprise] = field(default_factory=list)
    speakers: list[NextSpeaker] = field(default_factory=list)
    prompt_rates: list[float] = field(default_factory=list)
    """Tokens a second, each time that a story was read on."""
    decode_rates: list[float] = field(default_factory=list)
    """Tokens a second, of each reply that is not too short to tell."""
    verdicts: list[list[dict[str, float]]] = field(default_factory=list)
    """What a judge says of each reply, if there is one; by place."""
    skipped: int = 0
    """Places whose story does not fit the model's context."""
    description: str = ""


class _Recorded(Engine):
    """An engine that remembers how its last generation ended."""

    def __init__(self) -> None:
        super().__init__()
        self.last: Outcome | None = None

    async def generate(
        self, document: Sequence[Segment], sampling: Sampling, **options: Any
    ) -> AsyncGenerator[EngineEvent, None]:
        """Generate as ever."""
        self.last = None
        async with aclosing(super().generate(document, sampling, **options)) as events:
            async for event in events:
                if isinstance(event, Finished):
                    self.last = event.outcome
                yield event


class Stage:
    """A model, and a library for its chats that is gone afterwards."""

    def __init__(
        self, subject: Subject, engine: _Recorded, disk: Disk, presets: dict[str, Preset]
    ) -> None:
        self.subject = subject
        self._engine = engine
        self._disk = disk
        self._presets = presets

    @classmethod
    @asynccontextmanager
    async def open(
        cls, subject: Subject, options: EngineOptions, presets: dict[str, Preset]
    ) -> AsyncGenerator[Stage]:
        """Load the subject's model.

        Raises:
            UserError: It cannot be loaded, or an adapter does not fit it.
        """
        engine = _Recorded()
        with temporary_folder() as home:
            disk = await Disk.open(home / "library.db")
            try:
                await engine.open(subject.model, replace(options, adapters=subject.adapters))
                yield cls(subject, engine, disk, presets)
            finally:
                await engine.close()
                await disk.close()

    @property
    def info(self) -> ModelInfo:
        """The model, as it is loaded."""
        assert self._engine.info is not None
        return self._engine.info

    @property
    def description(self) -> str:
        """What the model is, in llama.cpp's words."""
        return self.info.description

    def led_by(self, task: Task) -> tuple[tuple[int, float], ...]:
        """Return the points of the length guide that leads a reply; none where none does."""
        known = LengthTable.read(self.info)
        if not is_led(self.info, task.guide, known):
            return ()
        return points(task.hint, (known or LengthTable()).aim(task.hint), task.most)

    async def stats(self) -> EngineStats:
        """Return what was evaluated since the model was loaded."""
        return await self._engine.stats()

    async def reply(self, task: Task, results: Results) -> None:
        """Write one reply into the results, to the last place in them."""
        place, text = task.place, ""
        async with (
            self._chat(place, results.subject.preset.name, task) as director,
            aclosing(director.reply(place.speaker, task.hint)) as events,
        ):
            stop: Stop | None = None
            async for event in events:
                match event:
                    case TurnEnded(entry, outcome):
                        text, stop = entry.text, outcome.stop
                    case Failed(sentence):
                        raise UserError(sentence)
        last = self._engine.last
        if last is None:
            raise UserError(f"{place.story.name}: the model wrote no reply.")
        stop = stop or last.stop
        raw = last.text.removeprefix(" ")
        # How much a model writes until it is stopped is a matter of time.
        is_cut = stop in ("loop", "speaker")
        [tokens] = await self._engine.count([f" {text if is_cut else raw}"])
        results.replies[-1].append(Reply(place, text, raw, task.hint, tokens, stop, task.seed))
        if last.generated_tokens >= _SPEED_TOKENS:
            results.decode_rates.append(last.tokens_per_second)

    async def read(self, place: Place, results: Results) -> bool:
        """Read the story up to a place, and ask who speaks next; False if it does not fit."""
        try:
            async with self._chat(place, SETTINGS.preset) as director:
                document = list(await director.preview(place.speaker))[:-1]
        except WorkerDied:
            raise
        except UserError:  # The scene, or the last message, is larger than the context.
            return False
        began = perf_counter()
        evaluation = await self._engine.prefill(document)
        seconds = perf_counter() - began
        if evaluation.evaluated >= _SPEED_TOKENS:
            results.prompt_rates.append(evaluation.evaluated / seconds)
        cast = place.story.cast
        opened = open_nameless("medium")
        scores = await self._engine.score([*document, opened], list(map(label, cast)))
        info = self._engine.info
        assert info is not None
        logprobs = dict(zip(cast, scores, strict=True))
        held = {
            each: _whose_turn(place, each, logprobs, trust_in(info.n_params)) for each in STRATEGIES
        }
        results.speakers.append(NextSpeaker(place, held))
        return True

    async def surprises(
        self, story: Story, context: Context, other: Story, most: int = 0
    ) -> list[Surprise]:
        """Return how unlikely each message of a story is, as far as `most` tokens reach.

        0 is as far as the model's context does. `other` is the other story, where one is needed.
        """
        scene, theirs = story.whole.chat.scene, other.whole.chat.scene
        if context in ("other cast", "other scene"):
            if other is story:
                return []
            scene = (
                replace(scene, characters=theirs.characters) if context == "other cast" else theirs
            )
        document = await self._document(story, scene, hints=context != "no hints")
        info = self._engine.info
        assert info is not None
        sizes = await self._engine.count([segment.text for segment, _ in document])
        fitting, left = 0, min(most or info.n_ctx, info.n_ctx - _SPARE_TOKENS)
        for size in sizes:
            left -= size
            if left < 0:
                break
            fitting += 1
        document = document[:fitting]
        if not any(is_body for _, is_body in document):
            return []
        logprobs = await self._engine.logprobs([segment for segment, _ in document])
        bodies = [
            (segment.text, each)
            for (segment, is_body), each in zip(document, logprobs, strict=True)
            if is_body
        ]
        return [
            Surprise(story.name, number, context, -sum(each), len(each), len(text) - 2)
            for number, (text, each) in enumerate(bodies)
        ]

    @asynccontextmanager
    async def _chat(
        self, place: Place, preset: str, task: Task | None = None
    ) -> AsyncGenerator[Director]:
        """A chat with the story up to the place, set up as the task wants it."""
        chat = await self._disk.run(Library.add_chat, place.chat)
        settings = SETTINGS
        if task is not None:
            settings = structs.replace(
                settings, length=task.hint, max_tokens=task.most, length_guide=task.guide
            )
        director = await Director.open(self._disk, chat, self._engine, settings, self._presets)
        try:
            await director.chat.choose_preset(preset)
            await director.chat.change_sampling(seed=task.seed if task is not None else 0)
            yield director
        finally:
            await director.close()

    async def _document(
        self, story: Story, scene: Card, *, hints: bool
    ) -> list[tuple[Segment, bool]]:
        """Return a whole story in a scene as segments, and which of them somebody wrote."""
        whole = story.whole
        bodies = [f" {e.text}" for e in whole.entries if e.kind == "message"]
        sizes = iter(await self._engine.count(bodies))
        parts = header_parts(scene, whole.chat.user, FORM)
        for group in story_parts(scene, whole.entries, FORM):
            parts += group
        document: list[tuple[Segment, bool]] = []
        for _, part in parts:
            if isinstance(part, Instruction) or part.role != "message":
                document.append((Segment(render(part)), False))
                continue
            length = length_for(next(sizes)) if hints else None
            text = render(Block("message", part.body, part.name, length))
            header, body = _header_and_body(text)
            document += [(Segment(header), False), (Segment(body), True)]
        return document


def perplexity(surprises: Sequence[Surprise]) -> float | None:
    """Return e to the mean surprise of a token; None without any."""
    tokens = sum(each.tokens for each in surprises)
    return 2.718281828459045 ** (sum(each.nats for each in surprises) / tokens) if tokens else None


def bits_per_character(surprises: Sequence[Surprise]) -> float | None:
    """Return the same in bits a character, whatever the tokens of a model are."""
    characters = sum(each.characters for each in surprises)
    return sum(each.nats for each in surprises) / log(2) / characters if characters else None


def _header_and_body(text: str) -> tuple[str, str]:
    """Return a message's header up to the colon, and the rest, which begins with a space."""
    line = text.index("\n") + 1
    colon = text.index(":", line) + 1
    return text[:colon], text[colon:]


def _whose_turn(
    place: Place, strategy: Strategy, logprobs: Mapping[str, float], trust: float
) -> str:
    """Return whose turn it is by one of the app's strategies, if nobody of the cast is the user."""
    chat = place.chat
    messages = [(at, entry) for at, entry in enumerate(chat.entries) if entry.kind == "message"]
    spoke_at = {entry.speaker: at for at, entry in messages}
    last = messages[-1][1] if messages else None
    cast = chat.chat.scene.characters
    odds = weighed(logprobs, trust, cast, "", last, spoke_at)
    order = turn_order(strategy, cast, "", last, spoke_at, odds)
    return next(filter(None, order), "")

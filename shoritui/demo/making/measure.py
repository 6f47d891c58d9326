"""Figures of a demo model: what its replies in scenes it never saw are worth.

The exported file is read through llama.cpp, as the program reads it. Whether a reply has read its
prompt is seen in the beats that it is made of: what fills their slots should stand there.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from typing import Literal, get_args

import numpy as np
from llama_cpp import Llama, llama_cpp

from shoritui.blockml import (
    LENGTHS,
    Block,
    Length,
    length_for,
    message_header,
    render_all,
    token_range,
)
from shoritui.demo.making.beats import SLOT, corpus_beats, fault
from shoritui.demo.making.cast import Plan
from shoritui.demo.making.scenes import Scene, make_scene
from shoritui.demo.making.words import settings
from shoritui.host.amx import without_amx

SIZES = (250, 400, 600, 900)
"""How many tokens of scene stand before a measured reply."""
_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")

Subject = Literal["name words", "names", "props", "places"]
"""What a reply names: words that look like names, wherever they stand, and what fills the slots of
the beats that it is made of."""
_SUBJECTS: dict[str, Subject] = {
    **dict.fromkeys(("me", "other", "third", "OTHER"), "names"),
    **dict.fromkeys(("prop", "prop2", "a_prop", "PROP"), "props"),
    **dict.fromkeys(("place", "place2"), "places"),
}
"""By the names of the slots."""


@dataclass(frozen=True, slots=True)
class Sampler:
    """How replies are drawn."""

    temperature: float
    min_p: float
    presence_penalty: float = 0.0


GENTLE = Sampler(0.8, 0.1)
CARD_MAIN = Sampler(1.0, 0.075, 0.4)


@dataclass(frozen=True, slots=True)
class Reply:
    """One sampled message, and what it answers."""

    scene: Scene
    prompt: str
    speaker: str
    length: Length
    text: str
    tokens: int
    ended: bool
    """It stopped at the block's end by itself."""


@dataclass(frozen=True, slots=True)
class Count:
    """How many there were, and how many of them were right."""

    right: int
    all: int

    @property
    def share(self) -> float:
        """The right ones' share; 1 if there were none at all."""
        return self.right / self.all if self.all else 1.0


@dataclass(frozen=True, slots=True)
class Figures:
    """What a number of replies are worth; shares of 1."""

    replies: int
    ended: float
    kept_speaker: float
    closed: float
    """Every quote, thought and emphasis that was opened is closed."""
    landed: float
    """The reply has the length that its hint asks for."""
    mean_tokens: dict[Length, float]
    hits: dict[Subject, Count]
    """How much of what the replies name stands in their prompts."""


class Reader:
    """A model file, ready to write replies."""

    def __init__(self, path: Path, context: int = 2048) -> None:
        without_amx(llama_cpp)
        self.llama = Llama(
            str(path), n_ctx=context, n_threads=1, n_threads_batch=1, logits_all=True, verbose=False
        )
        self.end = self.ids("▄")[0]

    def ids(self, text: str) -> list[int]:
        """Return the ids of a text, block characters included, without a beginning."""
        ids: list[int] = self.llama.tokenize(text.encode(), add_bos=False, special=False)
        return ids

    def count(self, text: str) -> int:
        """Return how many tokens a text has."""
        return len(self.ids(text))

    def reply(
        self, scene: Scene, speaker: str, length: Length, sampler: Sampler, seed: int
    ) -> Reply:
        """Return the speaker's message after the scene, drawn with this seed."""
        prompt = render_all(scene.parts) + message_header(speaker, length)
        ids = [self.llama.token_bos(), *self.ids(prompt)]
        most = min(2 * token_range(length)[1] + 64, self.llama.n_ctx() - len(ids))
        self.llama.set_seed(seed)
        drawn: list[int] = []
        ended = False
        for token in self.llama.generate(
            ids,
            top_k=0,
            top_p=1.0,
            temp=sampler.temperature,
            min_p=sampler.min_p,
            presence_penalty=sampler.presence_penalty,
            repeat_penalty=1.0,
        ):
            ended = token == self.end
            if ended or len(drawn) == most:
                break
            drawn.append(token)
        text = self.llama.detokenize(drawn).decode(errors="replace")
        return Reply(scene, prompt, speaker, length, text, len(drawn), ended)

    def loss(self, scenes: int, tokens: int = 1024) -> float:
        """Return the mean surprise, in nats a token, at the messages of unseen scenes."""
        surprises: list[float] = []
        for seed in range(scenes):
            scene = make_scene(seed, Plan(tokens, unseen=True), self.count)
            first = self.count(scene.text[: scene.opening])
            ids = [self.llama.token_bos(), *self.ids(scene.text)][: self.llama.n_ctx()]
            self.llama.n_tokens = 0
            self.llama.eval(ids)
            scores = np.array(self.llama.scores[first : len(ids) - 1], np.float64)
            high = scores.max(1)
            total = high + np.log(np.exp(scores - high[:, None]).sum(1))
            surprises += list(total - scores[np.arange(len(scores)), ids[first + 1 :]])
        return float(np.mean(surprises))


def sample(
    reader: Reader, count: int, sampler: Sampler, lengths: Sequence[Length] = LENGTHS
) -> list[Reply]:
    """Return replies in unseen scenes, each of the length hints as often as any other."""
    replies = []
    for index in range(count):
        rng = Random(index)
        scene = make_scene(100_000 + index, Plan(rng.choice(SIZES), unseen=True), reader.count)
        last = scene.parts[-1]
        spoke = last.name if isinstance(last, Block) else ""
        speaker = rng.choice([name for name in scene.names if name != spoke])
        length = lengths[index % len(lengths)]
        replies.append(reader.reply(scene, speaker, length, sampler, index))
    return replies


def judge(replies: list[Reply]) -> Figures:
    """Return the figures of these replies."""

    def share(good: Callable[[Reply], bool]) -> float:
        return sum(map(good, replies)) / len(replies)

    named = [each for reply in replies for each in named_in(reply.text, reply.prompt)]
    whole = Counter(subject for subject, _ in named)
    right = Counter(subject for subject, stands in named if stands)
    by_length = {length: [r.tokens for r in replies if r.length == length] for length in LENGTHS}
    return Figures(
        len(replies),
        share(lambda r: r.ended),
        share(kept_speaker),
        share(lambda r: not fault(r.text)),
        share(lambda r: length_for(r.tokens) == r.length),
        {length: sum(t) / len(t) for length, t in by_length.items() if t},
        {subject: Count(right[subject], whole[subject]) for subject in get_args(Subject)},
    )


def kept_speaker(reply: Reply) -> bool:
    """Return whether nobody else's message begins within the reply."""
    return "▀" not in reply.text and not any(f"\n{n}:" in reply.text for n in reply.scene.names)


def named_in(reply: str, prompt: str) -> Iterator[tuple[Subject, bool]]:
    """Yield each thing that the reply names, and whether it stands in the prompt."""
    low = prompt.casefold()
    known = frozenset(_WORD.findall(low))
    for word in _WORD.findall(reply):
        name = word.casefold()
        if word[0].isupper() and len(name) > 1 and name not in _corpus_words():
            yield "name words", name in known
    for pattern in _patterns():
        if pattern.anchor not in reply:
            continue
        for match in pattern.regex.finditer(reply):
            for slot, value in zip(pattern.slots, match.groups(), strict=True):
                if subject := _SUBJECTS.get(slot):
                    bare = re.escape(re.sub(r"^an? ", "", value.casefold()))
                    yield subject, bool(re.search(rf"(?<!\w){bare}(?!\w)", low))


@dataclass(frozen=True, slots=True)
class _Pattern:
    """A beat as a pattern, and the names of its slots in order."""

    regex: re.Pattern[str]
    anchor: str
    slots: tuple[str, ...]


@cache
def _patterns() -> tuple[_Pattern, ...]:
    patterns = []
    for beat in corpus_beats()[0]:
        pieces = SLOT.split(beat.text)
        literals, slots = pieces[::2], tuple(pieces[1::2])
        anchor = max(literals, key=len)
        if not slots or len(anchor) < 8:
            continue
        body = r"([\w' -]{1,40}?)".join(map(re.escape, literals))
        patterns.append(_Pattern(re.compile(rf"(?<!\w){body}(?!\w)"), anchor, slots))
    return tuple(patterns)


@cache
def _corpus_words() -> frozenset[str]:
    """Return every word that the corpus itself uses: a capital one of them need not be a name."""
    text = " ".join(beat.text for beat in corpus_beats()[0])
    frames = (t for s in settings(unseen=False) for t in (*s.titles, *s.lore, *s.scenarios))
    return frozenset(_WORD.findall(f"{SLOT.sub(' ', text)} {' '.join(frames)}".casefold()))

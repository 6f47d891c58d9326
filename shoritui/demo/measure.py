"""Figures of a demo model: what its replies in scenes it never saw are worth.

It reads the exported file through llama.cpp, as the program does; it knows nothing of training.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import llama_cpp
import numpy as np
from llama_cpp import Llama

from shoritui.blockml import (
    LENGTHS,
    Block,
    Length,
    length_for,
    message_header,
    render_all,
    token_range,
)
from shoritui.demo.beats import fault
from shoritui.demo.casting import Plan
from shoritui.demo.reading import Hits, read
from shoritui.demo.scenes import Scene, make_scene

SIZES = (250, 400, 600, 900)
"""How many tokens of scene stand before a measured reply."""


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
    hits: Hits


class Reader:
    """A model file, ready to write replies."""

    def __init__(self, path: Path, context: int = 2048) -> None:
        llama_cpp.llama_log_set(_silence, ctypes.c_void_p(0))
        self.llama = Llama(
            str(path), n_ctx=context, n_threads=1, n_threads_batch=1, logits_all=True, verbose=False
        )
        self.end = self.ids("▄")[0]

    def ids(self, text: str) -> list[int]:
        """The ids of a text, block characters included, without a beginning."""
        ids: list[int] = self.llama.tokenize(text.encode(), add_bos=False, special=False)
        return ids

    def count(self, text: str) -> int:
        """How many tokens a text has."""
        return len(self.ids(text))

    def reply(
        self, scene: Scene, speaker: str, length: Length, sampler: Sampler, seed: int
    ) -> Reply:
        """The speaker's message after the scene, drawn with this seed."""
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
        """The mean surprise, in nats a token, at the messages of unseen scenes."""
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
    """Replies in unseen scenes, each of the length hints as often as any other."""
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
    """The figures of these replies."""

    def share(good: Callable[[Reply], bool]) -> float:
        return sum(map(good, replies)) / len(replies)

    by_length = {length: [r.tokens for r in replies if r.length == length] for length in LENGTHS}
    return Figures(
        len(replies),
        share(lambda r: r.ended),
        share(kept_speaker),
        share(lambda r: not fault(r.text)),
        share(lambda r: length_for(r.tokens) == r.length),
        {length: sum(t) / len(t) for length, t in by_length.items() if t},
        sum((read(r.prompt, r.text) for r in replies), Hits()),
    )


def kept_speaker(reply: Reply) -> bool:
    """Whether nobody else's message begins within the reply."""
    return "▀" not in reply.text and not any(f"\n{n}:" in reply.text for n in reply.scene.names)


@llama_cpp.llama_log_callback  # type: ignore[untyped-decorator]
def _silence(level: int, text: bytes, data: ctypes.c_void_p) -> None:
    """Keep llama.cpp's log out of the terminal."""

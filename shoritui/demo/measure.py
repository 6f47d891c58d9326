"""Figures of a demo model: what its replies in scenes it never saw are worth.

It reads the exported file through llama.cpp, as the program does; it knows nothing of training.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from random import Random

from llama_cpp import Llama

from shoritui.blockml import LENGTHS, Length, message_header, render_all, token_range
from shoritui.demo.scenes import Plan, Scene, make_scene

_WORDS = re.compile(r"[^\W\d_]+(?:[-'][^\W\d_]+)*")


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
    """One sampled message and what it answers."""

    scene: Scene
    prompt: str
    speaker: str
    length: Length
    text: str
    tokens: int
    ended: bool
    """It stopped at the block's end by itself."""


class Reader:
    """A model file, ready to write replies."""

    def __init__(self, path: Path, context: int = 2048, threads: int = 1) -> None:
        self.llama = Llama(str(path), n_ctx=context, n_threads=threads, verbose=False)
        self.end = self.count_ids("▄")[0]

    def count_ids(self, text: str) -> list[int]:
        """The ids of a text, block characters included, without a beginning."""
        return self.llama.tokenize(text.encode(), add_bos=False, special=False)

    def count(self, text: str) -> int:
        """How many tokens a text has."""
        return len(self.count_ids(text))

    def reply(
        self, scene: Scene, prompt: str, speaker: str, length: Length, sampler: Sampler, seed: int
    ) -> Reply:
        """One message of the speaker after the prompt."""
        ids = self.llama.tokenize(prompt.encode(), add_bos=True, special=False)
        most = min(2 * token_range(length)[1] + 64, self.llama.n_ctx() - len(ids))
        self.llama.set_seed(seed)
        drawn: list[int] = []
        for token in self.llama.generate(
            ids,
            top_k=0,
            top_p=1.0,
            temp=sampler.temperature,
            min_p=sampler.min_p,
            presence_penalty=sampler.presence_penalty,
            repeat_penalty=1.0,
        ):
            if token == self.end or len(drawn) >= most:
                break
            drawn.append(token)
        text = self.llama.detokenize(drawn).decode(errors="replace")
        return Reply(scene, prompt, speaker, length, text, len(drawn), token == self.end)


def sample(reader: Reader, count: int, sampler: Sampler, seed: int) -> list[Reply]:
    """Replies in unseen scenes; every length hint comes up equally often."""
    replies = []
    for index in range(count):
        rng = Random(f"{seed}/{index}")
        size = rng.choice((250, 400, 600, 900))
        scene = make_scene(seed * 100_000 + index, Plan(size, unseen=True), reader.count)
        length = LENGTHS[index % len(LENGTHS)]
        last = scene.parts[-1]
        names = [n for n in scene.names if n != getattr(last, "name", "")]
        speaker = rng.choice(names)
        prompt = render_all(scene.parts) + message_header(speaker, length)
        replies.append(reader.reply(scene, prompt, speaker, length, sampler, index))
    return replies

"""Rows of ids to learn from: one scene a row, cut at the row's end, or meaningless repetition.

It knows nothing of networks.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from shoritui.blockml import Length
from shoritui.demo.marked import Mark
from shoritui.demo.pieces import Pieces
from shoritui.demo.scenes import Plan, make_scene

Row: TypeAlias = tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]
"""Ids, and the weights of all but the first: how much each counts as something to learn."""

WEIGHTS: dict[Mark, float] = {"news": 0.0, "repeat": 3.0, "pronoun": 2.0}
FRAME_SHARE = 0.2  # of the plain tokens before the first message: nobody asks for more of them
LONG = 2048


@dataclass(frozen=True, slots=True)
class Stage:
    """A part of the training: until which share of the time, and what its rows are."""

    until: float
    length: int
    most_people: int
    longest: Length
    long_share: float = 0.0
    """The share of rows that are as long as the context instead."""


STAGES = (
    Stage(0.60, 512, 4, "long"),
    Stage(0.85, 768, 5, "huge"),
    Stage(1.01, 1024, 5, "enormous", 0.35),
)


class Rows:
    """An endless, seeded supply of rows."""

    def __init__(self, pieces: Pieces, seed: int, repeats: float = 0.04) -> None:
        self.pieces = pieces
        self.seed = seed
        self.repeats = repeats

    def batch(self, step: int, share: float, tokens: int) -> Row:
        """Rows of one length, of about `tokens` ids together, stacked."""
        rng = Random(f"{self.seed}/{step}")
        stage = next(stage for stage in STAGES if share < stage.until)
        length = LONG if rng.random() < stage.long_share else stage.length
        rows = [self._row(rng, stage, length) for _ in range(max(1, tokens // length))]
        return np.stack([ids for ids, _ in rows]), np.stack([weights for _, weights in rows])

    def _row(self, rng: Random, stage: Stage, length: int) -> Row:
        if rng.random() < self.repeats:
            return repeated_row(rng, self.pieces.size, length)
        plan = Plan(length, (2, stage.most_people), stage.longest)
        return scene_row(rng.getrandbits(48), plan, self.pieces)


def scene_row(seed: int, plan: Plan, pieces: Pieces) -> Row:
    """The first `plan.tokens` + 1 ids of a scene; its news count nothing, its frame little."""
    scene = make_scene(seed, plan, pieces.count)
    ids, weights = pieces.weigh(scene.text, scene.spans, WEIGHTS)
    frame = weights[: pieces.count(scene.text[: scene.opening])]
    dropped = np.random.default_rng(seed).random(len(frame)) > FRAME_SHARE
    frame[dropped & (frame == 1)] = 0
    return np.concatenate([[pieces.bos], ids])[: plan.tokens + 1], weights[: plan.tokens]


def repeated_row(rng: Random, vocabulary: int, length: int) -> Row:
    """Meaningless pieces, then the same again: only copying can tell the second half."""
    draw = np.random.default_rng(rng.getrandbits(32))
    period = rng.randint(length // 6, length // 2)
    ids = np.resize(draw.integers(6, vocabulary, period), length + 1)
    weights = np.ones(length, np.float32)
    weights[:period] = 0
    return ids, weights

"""Rows of ids to learn from: one scene a row, cut at the row's end.

It knows nothing of networks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from shoritui.blockml import Length
from shoritui.demo.casting import Plan
from shoritui.demo.marked import Mark
from shoritui.demo.pieces import Pieces
from shoritui.demo.scenes import make_scene

Row: TypeAlias = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float32]]
"""What is read, what comes next, and how much each of those counts as something to learn."""

WEIGHTS: dict[Mark, float] = {"news": 0.0, "repeat": 3.0, "thing": 6.0, "pronoun": 2.0}
FRAME_SHARE = 0.2  # of the plain tokens before the first message: nobody asks for more of them
SLIPS = 0.025  # of the tokens of a story are stammered, as a model's own writing may be
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

    def __init__(self, pieces: Pieces, seed: int) -> None:
        self.pieces = pieces
        self.seed = seed

    def batch(self, step: int, share: float, tokens: int) -> Row:
        """Rows of one length, of about `tokens` ids together, stacked."""
        rng = Random(f"{self.seed}/{step}")
        stage = next(stage for stage in STAGES if share < stage.until)
        length = LONG if rng.random() < stage.long_share else stage.length
        plan = Plan(length, (2, stage.most_people), stage.longest)
        count = max(1, tokens // length)
        rows = [scene_row(rng.getrandbits(48), plan, self.pieces) for _ in range(count)]
        read, following, weights = zip(*rows, strict=True)
        return np.stack(read), np.stack(following), np.stack(weights)


def scene_row(seed: int, plan: Plan, pieces: Pieces) -> Row:
    """The first `plan.tokens` ids of a scene; its news count nothing, its frame little."""
    draw = np.random.default_rng(seed)
    scene = make_scene(seed, plan, pieces.count)
    following, weights = pieces.weigh(scene.text, scene.spans, WEIGHTS)
    opening = pieces.count(scene.text[: scene.opening])
    frame = weights[:opening]
    frame[(draw.random(opening) > FRAME_SHARE) & (frame == 1)] = 0
    read = np.concatenate([[pieces.bos], following[:-1]])
    times = stammers(read, opening, pieces.walls, draw)
    return (
        np.repeat(read, times)[: plan.tokens],
        np.repeat(following, times)[: plan.tokens],
        np.repeat(weights, times)[: plan.tokens],
    )


def stammers(
    ids: npt.NDArray[np.int64], opening: int, walls: Sequence[int], draw: np.random.Generator
) -> npt.NDArray[np.int64]:
    """How often each id is read before what follows it: now and then, in the story, too often.

    Who only ever reads what is right has not learned to go on after a slip of his own; and a
    model that copies well is quick to copy its own stammer.
    """
    slips = (draw.random(len(ids)) < SLIPS) & ~np.isin(ids, walls)
    slips[: opening + 1] = False
    return np.where(slips, draw.integers(2, 7, len(ids)), 1)

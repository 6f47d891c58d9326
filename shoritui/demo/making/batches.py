"""Batches of ids to learn from: one scene a row, cut at the row's end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from shoritui.blockml import Length
from shoritui.demo.making.cast import Plan
from shoritui.demo.making.marked_text import Mark
from shoritui.demo.making.scenes import make_scene
from shoritui.demo.making.vocabulary import Pieces

Row: TypeAlias = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float32]]
"""What is read, what comes next, and how much each of those counts as something to learn."""

WEIGHTS: dict[Mark, float] = {"news": 0.0, "repeat": 3.0, "thing": 6.0, "pronoun": 2.0}
FRAME_SHARE = 0.2  # of the plain tokens before the first message: nobody asks for more of them
SLIPS = 0.02  # of the tokens of a story begin a stammer
STAMMER_SIZES = (1, 1, 1, 2, 2, 3, 5, 8)  # in tokens
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


class Batches:
    """An endless, seeded supply of them."""

    def __init__(self, pieces: Pieces, seed: int) -> None:
        self.pieces = pieces
        self.seed = seed

    def batch(self, step: int, share: float, tokens: int) -> Row:
        """Return rows of one length, of about `tokens` ids together, stacked."""
        rng = Random(f"{self.seed}/{step}")
        stage = next(stage for stage in STAGES if share < stage.until)
        length = LONG if rng.random() < stage.long_share else stage.length
        plan = Plan(length, (2, stage.most_people), stage.longest)
        count = max(1, tokens // length)
        rows = [scene_row(rng.getrandbits(48), plan, self.pieces) for _ in range(count)]
        read, following, weights = zip(*rows, strict=True)
        return np.stack(read), np.stack(following), np.stack(weights)


def scene_row(seed: int, plan: Plan, pieces: Pieces) -> Row:
    """Return the first `plan.tokens` ids of a scene; its news count nothing, its frame little."""
    draw = np.random.default_rng(seed)
    scene = make_scene(seed, plan, pieces.count)
    following, weights = pieces.weigh(scene.text, scene.spans, WEIGHTS)
    opening = pieces.count(scene.text[: scene.opening])
    frame = weights[:opening]
    frame[(draw.random(opening) > FRAME_SHARE) & (frame == 1)] = 0
    read = np.concatenate([[pieces.bos], following[:-1]])
    order, counts = stammered(read, opening, pieces.walls, draw)
    order, counts = order[: plan.tokens], counts[: plan.tokens]
    return read[order], following[order], weights[order] * counts


def stammered(
    ids: npt.NDArray[np.int64], opening: int, walls: Sequence[int], draw: np.random.Generator
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """In which order the ids are read, some of them over and over; and which places count.

    A model that copies well is quick to copy its own stammer. So now and then some tokens of the
    story are repeated, and what is to be learned there is only how it goes on.
    """
    firm = np.isin(ids, walls)
    firm[: opening + 1] = True
    order: list[int] = []
    counts: list[float] = []
    for at, slips in enumerate(draw.random(len(ids)) < SLIPS):
        order.append(at)
        counts.append(1)
        if slips:
            size = int(draw.choice(STAMMER_SIZES))
            if not firm[max(0, at - size + 1) : at + 1].any():
                times = int(draw.integers(1, 6 if size < 3 else 3))
                order += [*range(at - size + 1, at + 1)] * times
                counts += ([0.0] * (size - 1) + [1.0]) * times
    return np.array(order), np.array(counts, np.float32)

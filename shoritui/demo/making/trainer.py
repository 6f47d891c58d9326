"""Training of the demo model: two optimisers, a schedule by the clock, one process a core."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor

from shoritui.demo.making.batches import Batches
from shoritui.demo.making.circuit import FIXED, Landmarks, circuit, start
from shoritui.demo.making.network import Network
from shoritui.demo.making.vocabulary import Pieces
from shoritui.gguf.shape import Shape


@dataclass(frozen=True, slots=True)
class Recipe:
    """What fixes a training run."""

    seconds: float
    seed: int = 1
    batch_tokens: int = 1536
    """Ids a step and process."""
    embedding_rate: float = 1e-2
    vector_rate: float = 1e-3
    """AdamW's rates, for the embedding and the norms."""
    matrix_rate: float = 0.02
    """Muon's rate."""
    circuit_share: float = 0.2
    """How much of Muon's rate the matrices get that begin as the copying circuit."""
    settle: float = 0.35
    """The first share of the time, in which the circuit stands still and the rest learns."""
    cool: float = 0.4
    """The last share of the time, in which the rates fall to nothing."""


@dataclass(frozen=True, slots=True)
class Step:
    """Where the training stands after a step, for whoever shows it."""

    share: float
    step: int
    tokens: int
    loss: float
    speed: float
    """Tokens a second, of all processes."""


class Trainer:
    """One run: network, optimisers, clock; it can be saved and taken up again.

    In a group of processes every one has its own rows, and all make the same steps.
    """

    def __init__(self, shape: Shape, pieces: Pieces, recipe: Recipe) -> None:
        self.recipe = recipe
        self.network = Network(shape)
        start(self.network, recipe.seed, landmarks(pieces))
        self.rank = dist.get_rank() if dist.is_initialized() else 0
        self.processes = dist.get_world_size() if dist.is_initialized() else 1
        self.batches = Batches(pieces, recipe.seed * 1000 + self.rank)
        self.optimisers = self._optimisers()
        self.spent = 0.0
        self.step = 0
        self.tokens = 0

    def _optimisers(self) -> tuple[torch.optim.Optimizer, ...]:
        started = circuit(self.network)
        for matrix in started[:FIXED]:
            matrix.requires_grad_(False)
        matrices = [p for layer in self.network.layers for p in layer.parameters() if p.ndim == 2]
        held = {id(matrix) for matrix in started}
        free = [matrix for matrix in matrices if id(matrix) not in held]
        vectors = [p for p in self.network.parameters() if p.ndim == 1]
        recipe = self.recipe
        adam = torch.optim.AdamW(
            [
                {"params": [self.network.embedding], "lr": recipe.embedding_rate},
                {"params": vectors, "lr": recipe.vector_rate},
            ],
            betas=(0.9, 0.95),
            weight_decay=0.0,
        )
        groups = [
            {"params": started, "lr": recipe.matrix_rate * recipe.circuit_share},
            {"params": free, "lr": recipe.matrix_rate},
        ]
        for optimiser in (adam, muon := torch.optim.Muon(groups)):
            for group in optimiser.param_groups:
                group["full"] = group["lr"]
        return adam, muon

    def run(self, report: Callable[[Step], None], save: Callable[[Trainer], None]) -> None:
        """Train until the recipe's seconds are used up; `save` is called every few minutes."""
        saved = self.spent
        while self.spent < self.recipe.seconds:
            share = self.spent / self.recipe.seconds
            loss, took, count = self._step(share)
            report(Step(share, self.step, self.tokens, loss, count / took))
            if self.spent - saved > 120:
                save(self)
                saved = self.spent
        save(self)

    def _step(self, share: float) -> tuple[float, float, int]:
        begun = time.monotonic()
        self._set_rates(rate_at(share, self.recipe.cool))
        batch = self.batches.batch(self.step, share, self.recipe.batch_tokens)
        read, following, weights = map(torch.from_numpy, batch)
        for matrix in circuit(self.network)[FIXED:]:
            matrix.requires_grad_(share >= self.recipe.settle)
        self.network.zero_grad()
        loss = weighted_loss(self.network, read, following, weights)
        loss.backward()  # type: ignore[no-untyped-call]
        mean_loss = self._share_gradients(loss.item())
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        for optimiser in self.optimisers:
            optimiser.step()
        took = self._slowest(time.monotonic() - begun)
        self.step += 1
        self.spent += took
        count = weights.numel() * self.processes
        self.tokens += count
        return mean_loss, took, count

    def _share_gradients(self, loss: float) -> float:
        """Make the gradients and the loss the means of the whole group."""
        if self.processes == 1:
            return loss
        gradients = [p.grad for p in self.network.parameters() if p.grad is not None]
        flat = torch.cat([*(g.flatten() for g in gradients), torch.tensor([loss])])
        dist.all_reduce(flat)
        flat /= self.processes
        means = torch.split(flat[:-1], [g.numel() for g in gradients])
        for gradient, mean in zip(gradients, means, strict=True):
            gradient.copy_(mean.view_as(gradient))
        return flat[-1].item()

    def _slowest(self, seconds: float) -> float:
        """Return the longest time of the group, so that all keep the same clock."""
        longest = torch.tensor(seconds, dtype=torch.float64)
        if self.processes > 1:
            dist.all_reduce(longest, dist.ReduceOp.MAX)
        return longest.item()

    def _set_rates(self, factor: float) -> None:
        for optimiser in self.optimisers:
            for group in optimiser.param_groups:
                group["lr"] = group["full"] * factor

    def state(self) -> dict[str, Any]:
        """Everything that a run needs to be taken up again."""
        return {
            "network": self.network.state_dict(),
            "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
            "clock": (self.spent, self.step, self.tokens),
        }

    def take_up(self, state: dict[str, Any]) -> None:
        """Go on from a saved state."""
        self.network.load_state_dict(state["network"])
        for optimiser, saved in zip(self.optimisers, state["optimisers"], strict=True):
            rates = [group["full"] for group in optimiser.param_groups]
            optimiser.load_state_dict(saved)
            for group, rate in zip(optimiser.param_groups, rates, strict=True):
                group["full"] = rate
        self.spent, self.step, self.tokens = state["clock"]


def landmarks(pieces: Pieces) -> Landmarks:
    """Return the ids that the first weights know."""
    articles = tuple(pieces.encode(word)[0] for word in (" the", " a", " an"))
    return Landmarks(pieces.encode("\n")[0], articles, pieces.twins())


def rate_at(share: float, cool: float) -> float:
    """Return the rates' factor after a share of the time: quickly up, level, straight down."""
    return min((share + 1e-4) / 0.01, 1.0, (1 - share) / cool)


def weighted_loss(network: Network, read: Tensor, following: Tensor, weights: Tensor) -> Tensor:
    """Return the mean surprise at the next ids, by weight."""
    flat = weights.flatten()
    counts = flat.nonzero().squeeze(1)  # the last projection is dear: only where it counts
    stream = network(read).flatten(0, 1)[counts]
    targets = following.flatten()[counts]
    losses = F.cross_entropy(stream @ network.embedding.T, targets, reduction="none")
    return (losses * flat[counts]).sum() / flat.sum()

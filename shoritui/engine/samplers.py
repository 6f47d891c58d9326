"""llama.cpp's samplers, built one to one from the steps that `sampling.py` lists.

It does not know why a chain is as it is, nor where logits come from.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from shoritui.engine.context import Context
from shoritui.engine.library import L, text
from shoritui.engine.sampling import Step


class Sampler:
    """One step of a chain."""

    def __init__(self, step: Step, n_vocab: int) -> None:
        """The sampler that `step` names, with its numbers as they stand."""
        self.handle = _BUILD[step.name](n_vocab, *step.values)

    @property
    def name(self) -> str:
        """llama.cpp's name for what it built."""
        return text(L.llama_sampler_name(self.handle))

    def recount(self, tokens: Iterable[int]) -> None:
        """Forget all counted tokens and count these."""
        L.llama_sampler_reset(self.handle)
        for token in tokens:
            L.llama_sampler_accept(self.handle, token)

    def free(self) -> None:
        """Give the memory back; the sampler is unusable afterwards."""
        L.llama_sampler_free(self.handle)


class Chain:
    """Samplers, one after the other on the logits of a context; the last one must draw."""

    def __init__(self, samplers: Sequence[Sampler]) -> None:
        """A chain of samplers that stay their owners' to free."""
        self._handle = L.llama_sampler_chain_init(L.llama_sampler_chain_default_params())
        for sampler in samplers:
            L.llama_sampler_chain_add(self._handle, sampler.handle)

    def sample(self, context: Context) -> int:
        """The id of the next token; every sampler counts it."""
        token: int = L.llama_sampler_sample(self._handle, context.handle, -1)
        return token

    def free(self) -> None:
        """Give the chain's own memory back."""
        while L.llama_sampler_chain_n(self._handle):
            L.llama_sampler_chain_remove(self._handle, 0)
        L.llama_sampler_free(self._handle)


def _ban(n_vocab: int, token: float) -> Any:
    bias = (L.llama_logit_bias * 1)()
    bias[0].token, bias[0].bias = int(token), -math.inf
    return L.llama_sampler_init_logit_bias(n_vocab, 1, bias)


_BUILD: Final[dict[str, Callable[..., Any]]] = {
    "ban": _ban,
    "penalties": lambda n_vocab, window, *values: L.llama_sampler_init_penalties(
        n_vocab, int(window), *values
    ),
    "top_k": lambda _, k: L.llama_sampler_init_top_k(int(k)),
    "typical_p": lambda _, p: L.llama_sampler_init_typical(p, 1),
    "top_p": lambda _, p: L.llama_sampler_init_top_p(p, 1),
    "min_p": lambda _, p: L.llama_sampler_init_min_p(p, 1),
    "temperature": lambda _, t: L.llama_sampler_init_temp(t),
    "greedy": lambda _: L.llama_sampler_init_greedy(),
    "dist": lambda _, seed: L.llama_sampler_init_dist(int(seed)),
    "mirostat": lambda _, seed, tau, eta: L.llama_sampler_init_mirostat_v2(int(seed), tau, eta),
}

"""llama.cpp's samplers, built one to one from the steps that `steps.py` lists.

It does not know why a chain is as it is, nor where scores come from.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Self

from shoritui.engine.candidates import Candidates, Some
from shoritui.engine.context import Context
from shoritui.engine.library import L, text
from shoritui.engine.steps import Step

_NO_CHANCE: Final = 1e-30
"""Tokens that are less likely than the best one by this only stand in the way."""


class Sampler:
    """One of llama.cpp's samplers, with what it has counted."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle

    @property
    def name(self) -> str:
        """llama.cpp's name for it."""
        return text(L.llama_sampler_name(self._handle))

    def apply(self, candidates: Candidates) -> None:
        """Take candidates away, or change their scores, or select one."""
        L.llama_sampler_apply(self._handle, candidates.pointer)
        candidates.whole = False

    def apply_to(self, some: Some) -> None:
        """Change the scores of a few candidates."""
        L.llama_sampler_apply(self._handle, some.pointer)

    def count(self, tokens: Iterable[int]) -> None:
        """See these tokens pass."""
        for token in tokens:
            L.llama_sampler_accept(self._handle, token)

    def clone(self) -> Self:
        """Another one that has counted the same."""
        return type(self)(L.llama_sampler_clone(self._handle))

    def free(self) -> None:
        """Give the memory back; the sampler is unusable afterwards."""
        L.llama_sampler_free(self._handle)


class Chain:
    """Samplers one after the other, all in llama.cpp: the quickest way, where it will do."""

    def __init__(
        self, samplers: Iterable[Sampler], biases: Mapping[int, float], n_vocab: int
    ) -> None:
        """`biases` are added to tokens' scores first. The last of the samplers draws.

        The samplers stay their owners'.
        """
        array = (L.llama_logit_bias * len(biases))()
        for entry, (token, bias) in zip(array, biases.items(), strict=True):
            entry.token, entry.bias = token, bias
        self._biased = L.llama_sampler_init_logit_bias(n_vocab, len(biases), array)
        self._handle = L.llama_sampler_chain_init(L.llama_sampler_chain_default_params())
        for handle in (self._biased, *(sampler._handle for sampler in samplers)):
            L.llama_sampler_chain_add(self._handle, handle)

    def draw(self, context: Context) -> int:
        """The token that is drawn from a context's logits; all samplers have counted it."""
        token: int = L.llama_sampler_sample(self._handle, context.handle, -1)
        return token

    def free(self) -> None:
        """Give its own memory back."""
        while L.llama_sampler_chain_n(self._handle):
            L.llama_sampler_chain_remove(self._handle, 0)
        L.llama_sampler_free(self._biased)
        L.llama_sampler_free(self._handle)


def samplers(step: Step, n_vocab: int) -> list[Sampler]:
    """The samplers that do one step, one after the other."""
    handles = []
    if step.name == "typical_p":  # one without any chance would make the entropy no number
        handles.append(L.llama_sampler_init_min_p(_NO_CHANCE, 1))
    handles.append(_BUILD[step.name](n_vocab, *step.values))
    if step.name == "top_n_sigma":  # it leaves what it drops, without any chance
        handles.append(L.llama_sampler_init_min_p(_NO_CHANCE, 1))
    return [Sampler(handle) for handle in handles]


def dry(vocab: Any, values: Sequence[float], breakers: Sequence[str]) -> Sampler:
    """DRY, whose sequences end at these texts; it takes milliseconds to build."""
    multiplier, base, allowed_length, window = values
    texts = [breaker.encode() for breaker in breakers]
    array = (ctypes.c_char_p * len(texts))(*texts)
    return Sampler(
        L.llama_sampler_init_dry(
            vocab, multiplier, base, int(allowed_length), int(window), array, len(texts)
        )
    )


_BUILD: Final[dict[str, Callable[..., Any]]] = {
    "penalties": lambda n_vocab, window, *values: L.llama_sampler_init_penalties(
        n_vocab, int(window), *values
    ),
    "top_n_sigma": lambda _, n: L.llama_sampler_init_top_n_sigma(n),
    "top_k": lambda _, k: L.llama_sampler_init_top_k(int(k)),
    "typical_p": lambda _, p: L.llama_sampler_init_typical(p, 1),
    "top_p": lambda _, p: L.llama_sampler_init_top_p(p, 1),
    "min_p": lambda _, p: L.llama_sampler_init_min_p(p, 1),
    "xtc": lambda _, p, threshold, seed: L.llama_sampler_init_xtc(p, threshold, 1, int(seed)),
    "temperature": lambda _, t: L.llama_sampler_init_temp(t),
    "dynamic_temperature": lambda _, t, reach, exponent: L.llama_sampler_init_temp_ext(
        t, reach, exponent
    ),
    "greedy": lambda _: L.llama_sampler_init_greedy(),
    "dist": lambda _, seed: L.llama_sampler_init_dist(int(seed)),
}

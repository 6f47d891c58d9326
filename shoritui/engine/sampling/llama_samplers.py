"""llama.cpp's samplers as objects: one, and one that counts a chat's tokens."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from typing import Any, Self

from shoritui.engine.llama.library import L
from shoritui.engine.sampling.candidates import Candidates


class LlamaSampler:
    """One of llama.cpp's samplers, with what it has counted."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle

    def apply(self, candidates: Candidates) -> None:
        """Take candidates away, or change their scores, or select one."""
        L.llama_sampler_apply(self._handle, candidates.pointer)

    def apply_to(self, pointer: Any) -> None:
        """The same with an array of llama.cpp's."""
        L.llama_sampler_apply(self._handle, pointer)

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


class CountingSampler:
    """A sampler that counts the tokens of one message on top of those of the chat.

    It changes the scores of counted tokens alone: the others, nearly all, need no look.
    """

    def __init__(
        self, before: LlamaSampler, seen: Sequence[int], uncounted: Container[int] = ()
    ) -> None:
        """`before` has counted `seen` and stays its owner's; `uncounted` are never counted."""
        self._before, self._uncounted = before, uncounted
        self.sampler = before.clone()
        """What counts now; another one after `recount`."""
        self.seen = seen
        """What the chat has counted before."""

    def apply_to(self, pointer: Any) -> None:
        """Do the sampler's step on an array of llama.cpp's."""
        self.sampler.apply_to(pointer)

    def apply(self, candidates: Candidates) -> None:
        """Do the sampler's step on the entries that are left."""
        self.sampler.apply(candidates)

    def count(self, token: int) -> None:
        """See this token written."""
        if token in self._uncounted:
            return
        self.sampler.count((token,))

    def recount(self, tokens: Iterable[int]) -> None:
        """Have seen only these tokens of the message."""
        self.sampler.free()
        self.sampler = self._before.clone()
        for token in tokens:
            self.count(token)

    def free(self) -> None:
        """Give the memory back."""
        self.sampler.free()

"""The tokens that may come next and their scores, in the form that llama.cpp's samplers work on.

It does not know what narrows them down.
"""

from __future__ import annotations

import ctypes
from collections.abc import Collection, Iterable
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from shoritui.engine.library import L

_ENTRY: Final = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])


class Candidates:
    """All tokens of a vocabulary but a few that are never drawn; steps take more of them away."""

    def __init__(self, n_vocab: int, never: Iterable[int] = ()) -> None:
        """Room for the vocabulary without `never`."""
        holes = sorted(never)
        self._ids = np.setdiff1d(np.arange(n_vocab, dtype=np.int32), holes)
        fresh = np.zeros(len(self._ids), _ENTRY)
        fresh["id"] = self._ids
        self._entries = fresh.copy()
        # As plain numbers: numpy copies records field by field.
        self._fresh, self._numbers = fresh.view(np.int32), self._entries.view(np.int32)
        logits = self._entries["logit"]
        edges = [-1, *holes, n_vocab]
        self._runs = [
            (slice(low + 1, high), logits[low + 1 - skipped : high - skipped])
            for skipped, (low, high) in enumerate(pairwise(edges))
        ]
        self._address = self._entries.ctypes.data
        self._first = ctypes.cast(self._address, L.llama_token_data_p)
        self._array = L.llama_token_data_array()
        self.pointer: Final[Any] = ctypes.byref(self._array)
        """What llama.cpp's samplers are applied to."""
        self.whole = False
        """Whether all are there, in order; whoever takes some away or moves them says so."""

    def fill(self, logits: NDArray[np.float32]) -> None:
        """All tokens, with these scores."""
        np.copyto(self._numbers, self._fresh)
        for run, scores in self._runs:
            scores[:] = logits[run]
        array = self._array
        array.data, array.size = self._first, len(self._entries)
        array.selected, array.sorted = -1, False
        self.whole = True

    def raise_scores(self, ids: NDArray[np.int32], by: NDArray[np.float32]) -> None:
        """Add to the scores of some tokens, right after `fill`."""
        self._entries["logit"][np.searchsorted(self._ids, ids)] += by

    def forbid(self, ids: Collection[int]) -> None:
        """Give some tokens no chance, right after `fill`."""
        known = [token for token in ids if token in self._ids]
        self._entries["logit"][np.searchsorted(self._ids, known)] = -np.inf

    def some(self, ids: NDArray[np.int32]) -> Some:
        """Copies of these tokens' entries, while all are there."""
        return Some(self._entries, np.searchsorted(self._ids, ids))

    def left(self) -> NDArray[Any]:
        """The entries (`id`, `logit`, `p`) that are left, to read and to change in place."""
        # A step may have moved the beginning.
        moved = ctypes.addressof(self._array.data.contents) - self._address
        begin = moved // _ENTRY.itemsize
        return self._entries[begin : begin + self._array.size]

    def take_out(self, ids: Collection[int]) -> NDArray[Any]:
        """Take these tokens away, as far as they are left; returns their entries."""
        entries = self.left()
        places = among(entries, ids).nonzero()[0]
        taken = entries[places]
        size = len(entries)
        for place in reversed(places):
            size -= 1
            entries[place] = entries[size]
        self._array.size, self._array.sorted, self.whole = size, False, False
        return taken

    def put_in(self, entries: NDArray[Any]) -> None:
        """Add entries that were taken out."""
        end = len(self.left()) + len(entries)
        self._array.size, self._array.sorted = end, False
        self.left()[end - len(entries) :] = entries

    def selected(self) -> int:
        """The id of the token that a drawing sampler has chosen."""
        token: int = self._array.data[self._array.selected].id
        return token


def among(entries: NDArray[Any], ids: Iterable[int]) -> NDArray[np.bool_]:
    """Which of the entries are of these tokens."""
    all_ids = entries["id"]
    found = np.zeros(len(all_ids), np.bool_)
    for token in ids:
        found |= all_ids == token
    return found


class Some:
    """A few of the candidates apart, for a step that changes no others' scores."""

    def __init__(self, entries: NDArray[Any], places: NDArray[np.intp]) -> None:
        self._entries, self._places = entries, places
        self._part = entries[places]
        first = ctypes.cast(self._part.ctypes.data, L.llama_token_data_p)
        self._array = L.llama_token_data_array(first, len(places), -1, False)
        self.pointer: Final[Any] = ctypes.byref(self._array)

    def put_back(self) -> None:
        """Give the candidates the scores that these have now."""
        self._entries["logit"][self._places] = self._part["logit"]

"""The tokens that may come next and their scores, in the form that llama.cpp's samplers work on."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Collection, Iterable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from shoritui.engine.llama.library import L

_ENTRY: Final = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])

_STRIDE: Final = 16
"""Of so many scores one is looked at to guess which are worth sorting: that is four times faster
than to sort them all."""


class Candidates:
    """The scores of a whole vocabulary, then the entries of those tokens that may be drawn.

    Of tens of thousands of tokens mostly a few dozen survive a chain. After an evaluation nothing
    of this is in the processor's caches, neither scores nor code: so the scores are read where they
    are, written only where they change, and with few calls. Only tokens that the chain's first
    truncation may keep become entries, which cost more to handle.
    """

    def __init__(self, n_vocab: int, never: Iterable[int] = ()) -> None:
        """Room for the vocabulary, of which `never` is never drawn."""
        self._never = np.array(sorted(never), np.intp)
        self._ids = np.setdiff1d(np.arange(n_vocab), self._never)
        self.scores = np.empty(0, np.float32)
        """One for each token, from `take` to `give_back`; see `put`."""
        self._before: list[tuple[NDArray[np.intp], NDArray[np.float32]]] = []
        """What was put aside, by the tokens' ids."""
        self._entries = np.zeros(n_vocab, _ENTRY)
        self._entry_ids, self._entry_scores = self._entries["id"], self._entries["logit"]
        self._address = self._entries.ctypes.data
        self._first = ctypes.cast(self._address, L.llama_token_data_p)
        self._array = L.llama_token_data_array()
        self._byref: Final[Any] = ctypes.byref(self._array)
        self._few: tuple[NDArray[np.intp], NDArray[np.float32]] | None = None
        """Ids and scores that are gathered, as long as nobody needs them as entries."""

    def take(self, logits: NDArray[np.float32]) -> None:
        """All tokens, with these scores, which are changed in place until they are given back."""
        self.scores = logits
        if len(self._never):
            self.put(self._never, -np.inf, logits[self._never])

    def put(
        self,
        ids: NDArray[np.intp],
        scores: NDArray[np.float32] | float,
        before: NDArray[np.float32],
    ) -> None:
        """Give these tokens other scores; `before` are those that they had."""
        self._before.append((ids, before))
        self.scores[ids] = scores

    def give_back(self) -> None:
        """Make the scores what they were."""
        while self._before:
            ids, scores = self._before.pop()
            self.scores[ids] = scores

    def gather(self, below_best: np.float32 | None = None, likeliest: int | None = None) -> None:
        """Choose among the tokens, in the order of their ids.

        Args:
            below_best: Only those whose score is at most so far below the best one.
            likeliest: Only so many; of equals at the edge, those with the lowest ids.
        """
        scores = self.scores
        if below_best is not None:
            places = (scores >= scores[scores.argmax()] - below_best).nonzero()[0]
            self._few = places, scores[places]
        elif likeliest is not None and likeliest < len(self._ids):
            self._few = _likeliest(scores, likeliest)
        else:
            self._few = self._ids, scores[self._ids]

    @property
    def pointer(self) -> Any:
        """What llama.cpp's samplers are applied to, after `gather`."""
        if self._few is not None:
            ids, scores = self._few
            self._few, size = None, len(ids)
            self._entry_ids[:size], self._entry_scores[:size] = ids, scores
            array = self._array
            array.data, array.size = self._first, size
            array.selected, array.sorted = -1, False
        return self._byref

    def ids_and_scores(self) -> tuple[NDArray[Any], NDArray[np.float32]]:
        """The ids and scores that are left, to read."""
        if self._few is not None:
            return self._few
        entries = self.left()
        return entries["id"], entries["logit"]

    def left(self) -> NDArray[Any]:
        """The entries (`id`, `logit`, `p`) that are left, to read and to change in place."""
        assert self.pointer is not None
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
        self._array.size, self._array.sorted = size, False
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


def _likeliest(
    scores: NDArray[np.float32], count: int
) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Return the places of the highest scores, in order, and these; of equals the first ones."""
    sample = scores[::_STRIDE]
    guess = int(1.5 * count / _STRIDE) + 8  # somewhat more than a fair sample would have
    least = np.partition(sample, -guess)[-guess] if guess < len(sample) else -np.inf
    places = (scores >= least).nonzero()[0]
    few = scores[places]
    if len(few) < count:  # the sample was not fair
        places, few = np.arange(len(scores)), scores
    least = np.partition(few, -count)[-count]
    kept = (few >= least).nonzero()[0]
    if len(kept) > count:
        equal = (few[kept] == least).nonzero()[0]
        kept = np.delete(kept, equal[count - len(kept) :])
    return places[kept], few[kept]


class Counted:
    """Entries of the tokens that a chat has: steps that count change no others' scores."""

    def __init__(self, ids: Collection[int]) -> None:
        self._known = set(ids)
        self._make_room()

    def _make_room(self) -> None:
        """Lay the entries out, with room for more."""
        size = len(self._known)
        self._room = size + 256
        self._ids = np.zeros(self._room, np.intp)
        self._ids[:size] = np.fromiter(self._known, np.intp, size)
        entries = np.zeros(self._room, _ENTRY)
        self._entry_ids, self._scores = entries["id"], entries["logit"]
        self._entry_ids[:] = self._ids
        first = ctypes.cast(entries.ctypes.data, L.llama_token_data_p)
        self._array = L.llama_token_data_array(first, size, -1, False)
        self._byref = ctypes.byref(self._array)

    def add(self, token: int) -> None:
        """One more token that the chat has from now on."""
        if token in self._known:
            return
        at = len(self._known)
        self._known.add(token)
        if at == self._room:
            self._make_room()
            return
        self._ids[at] = self._entry_ids[at] = token
        self._array.size = at + 1

    def change(self, candidates: Candidates, steps: Iterable[Callable[[Any], None]]) -> None:
        """Have these steps change the tokens' scores."""
        size = len(self._known)
        ids, scores = self._ids[:size], self._scores[:size]
        before = candidates.scores[ids]
        scores[:] = before
        for step in steps:
            step(self._byref)
        candidates.put(ids, scores, before)

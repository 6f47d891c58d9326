"""Texts that are the same, or nearly: MinHash of five-word shingles, found by bands (LSH)."""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from typing import Final

import numpy as np
import numpy.typing as npt

_WORDS: Final = 5
"""Words of a shingle."""
_HASHES: Final = 64
_BANDS: Final = 16
"""Of four hashes each: texts that share 70 % of their shingles agree in one of them with a chance
of 1 - (1 - 0.7^4)^16 = 0.99."""
NEAR: Final = 0.7
"""The share of shingles in common from which on two texts are near-duplicates."""

_Shingles = npt.NDArray[np.uint64]
_MULTIPLIERS: Final = np.random.default_rng(5).integers(1, 2**63, _HASHES, np.uint64) * 2 + 1
_MIX: Final = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, slots=True)
class Pair:
    """Two texts that resemble each other, by their places in the list."""

    first: int
    second: int
    share: float
    """Of all their shingles, those that both have: Jaccard's index."""


def near_duplicates(texts: Sequence[Sequence[str]]) -> list[Pair]:
    """Return the pairs of texts, as lists of words, that share `NEAR` of their shingles or more."""
    shingles = [_shingles(words) for words in texts]
    pairs = {pair for bucket in _buckets(shingles) for pair in combinations(bucket, 2)}
    found = (Pair(a, b, _jaccard(shingles[a], shingles[b])) for a, b in sorted(pairs))
    return [pair for pair in found if pair.share >= NEAR]


def _buckets(shingles: Sequence[_Shingles]) -> Iterator[list[int]]:
    """Texts that agree in a band."""
    met: dict[tuple[int, bytes], list[int]] = defaultdict(list)
    for index, each in enumerate(shingles):
        if len(each):
            for band, part in enumerate(np.split(_signature(each), _BANDS)):
                met[band, part.tobytes()].append(index)
    return (bucket for bucket in met.values() if len(bucket) > 1)


def _signature(shingles: _Shingles) -> npt.NDArray[np.uint64]:
    """(64,): the least of each hash; wrapped multiplication by an odd number permutes."""
    lowest = np.empty(_HASHES, np.uint64)
    for number, multiplier in enumerate(_MULTIPLIERS):
        lowest[number] = (shingles * multiplier).min()
    return lowest


def _shingles(words: Sequence[str]) -> _Shingles:
    """(shingles,): each once, as a number; a text of fewer words is one shingle."""
    codes = np.fromiter(map(_code, words), np.uint64, len(words))
    size = min(_WORDS, len(codes))
    if not size:
        return codes
    count = len(codes) - size + 1
    mixed = np.zeros(count, np.uint64)
    for at in range(size):
        mixed = (mixed + codes[at : at + count]) * _MIX
        mixed ^= mixed >> np.uint64(29)
    return np.unique(mixed)


@lru_cache(maxsize=200_000)
def _code(word: str) -> int:
    data = word.encode()
    return zlib.crc32(data) | zlib.adler32(data) << 32


def _jaccard(first: _Shingles, second: _Shingles) -> float:
    common = len(np.intersect1d(first, second, assume_unique=True))
    return common / (len(first) + len(second) - common)

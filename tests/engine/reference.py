"""The plain way to know what a model writes: forget everything, evaluate everything, look.

It does not know the engine: no cache, no blocks, no worker; llama.cpp and nothing else.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any, Final

import gguf
import numpy as np
from gguf.quants import dequantize
from llama_cpp import llama_cpp as L
from numpy.typing import NDArray

from shoritui.host.amx import without_amx

MARGIN: Final = 0.08
"""How far two logits of the same ids may lie apart when the ids were evaluated in other steps.

llama.cpp sums in another order for each size of step. With weights in full precision that moves
logits by 0.001, once in ten thousand by 0.04; with the Q8_0 weights that ship by 0.1 to 0.3.
"""
TYPICAL: Final = 0.01
"""The same for the middle one of several."""
SLACK: Final = 0.003
"""The same for a cumulated probability, where the noise of many tokens cancels."""

LAYERS: Final = {"exact": 5, "shift": 1}
"""What is moved up was evaluated behind other blocks, which a second layer would show: with one
layer, a shifted context has to be as exact as one that is evaluated anew."""
_SILENT: Final = L.llama_log_callback(lambda level, text, data: None)


def in_full_precision(model: Path, path: Path, *, layers: int) -> Path:
    """Write the first layers of a model with 32-bit weights."""
    reader = gguf.GGUFReader(model)
    architecture = reader.fields["general.architecture"].contents()
    writer = gguf.GGUFWriter(path, architecture)
    anew = ("GGUF.", "general.architecture", "general.file_type", f"{architecture}.block_count")
    for name, entry in reader.fields.items():
        if not name.startswith(anew):
            kind, *inner = entry.types
            writer.add_key_value(name, entry.contents(), kind, inner[-1] if inner else None)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    writer.add_block_count(layers)
    for tensor in reader.tensors:
        weights = dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        layer = re.match(r"blk\.(\d+)\.", tensor.name)
        if layer is None or int(layer[1]) < layers:
            writer.add_tensor(tensor.name, weights)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@dataclass(slots=True)
class Agreement:
    """How well what was written agreed with what a whole evaluation finds."""

    tokens: int = 0
    near_ties: list[float] = field(default_factory=list)
    """How far the tokens lie that only a margin allowed."""
    distances: list[float] = field(default_factory=list)
    """How far each logarithm of a probability that the engine told was from the reference's."""
    typical: list[float] = field(default_factory=list)
    """The middle one of those that were told together."""

    def __str__(self) -> str:
        far = sorted(self.distances) or [0.0]
        return (
            f"{self.tokens} tokens agree, {len(self.near_ties)} of them within a margin, "
            f"{max(self.near_ties, default=0):.4f} at most; "
            f"{len(far)} probabilities lie {far[len(far) // 2]:.4f} apart, {far[-1]:.4f} at most, "
            f"{max(self.typical, default=0):.4f} in the middle"
        )


class Reference:
    """A model, and a context that forgets everything before each evaluation."""

    def __init__(self, path: Path, n_ctx: int = 1024) -> None:
        L.llama_backend_init()
        without_amx(L)
        L.llama_log_set(_SILENT, None)
        self._model = L.llama_model_load_from_file(
            str(path).encode(), L.llama_model_default_params()
        )
        self._vocab = L.llama_model_get_vocab(self._model)
        self._n_vocab = L.llama_vocab_n_tokens(self._vocab)
        params = L.llama_context_default_params()
        params.n_ctx = params.n_batch = n_ctx
        params.n_threads = params.n_threads_batch = 1
        self._context = L.llama_init_from_model(self._model, params)
        self._batch = L.llama_batch_init(n_ctx, 0, 1)
        self._kept: dict[str, list[int]] = {}
        self._adapters: dict[Path, Any] = {}
        self._line_break = self._tokenized("\n", first=False)
        self.opens, self.closes = (self._inner(mark)[0] for mark in "▀▄")
        self.agreement = Agreement()

    # Text and ids.

    def ids(self, texts: Sequence[str]) -> list[int]:
        """The ids of a document: generated texts as they were generated, all between as one."""
        ids: list[int] = []
        unkept = ""
        for text in texts:
            if text in self._kept:
                ids += [*self._whole(unkept, first=not ids), *self._kept[text]]
                unkept = ""
            else:
                unkept += text
        return ids + self._whole(unkept, first=not ids)

    def keep(self, text: str, ids: Sequence[int]) -> None:
        """From now on `text` has the ids with which it was generated."""
        self._kept[text] = list(ids)
        self._kept[text + "▄\n"] = [*ids, *self._inner("▄\n")]

    def forget_generated(self) -> None:
        """All texts have again the ids that the vocabulary gives them."""
        self._kept.clear()

    def text(self, ids: Sequence[int]) -> str:
        """What the ids spell."""
        return b"".join(map(self._piece, ids)).decode("utf-8", "replace")

    # Logits.

    def rows(
        self, ids: Sequence[int], last: int = 1, *, steps: Sequence[int] = ()
    ) -> NDArray[np.float32]:
        """The logits after each of the last ids, all evaluated anew; in one step, or ending
        steps where `steps` say."""
        L.llama_memory_clear(L.llama_get_memory(self._context), True)
        for begin, end in pairwise([0, *steps, len(ids)]):
            self._decode(ids[begin:end], begin, last)
        return np.stack([self._row(index) for index in range(-last, 0)])

    def adapt(self, adapters: Sequence[tuple[Path, float]]) -> None:
        """Take these adapters in place of those before."""
        for path, _ in adapters:
            if path not in self._adapters:
                self._adapters[path] = L.llama_adapter_lora_init(self._model, str(path).encode())
        handles = [self._adapters[path] for path, _ in adapters]
        scales = [scale for _, scale in adapters]
        L.llama_set_adapters_lora(
            self._context,
            (L.llama_adapter_lora_p_ctypes * len(handles))(*handles),
            len(handles),
            (ctypes.c_float * len(scales))(*scales),
        )

    # Judgements.

    def check_written(
        self,
        rows: NDArray[np.float32],
        written: Sequence[int],
        *,
        ended: bool,
        temperature: float,
        seed: int | None,
    ) -> None:
        """Assert that this is what the model writes, token by token.

        `rows` are the logits after the prompt and after each token that was really written, so
        that one near-tie does not end the comparison. `ended`: then the block's end was drawn.
        What was drawn without a seed could be anything.
        """
        if temperature and seed is None:
            return
        rows = rows.copy()
        rows[:, self.opens] = -np.inf  # a message never opens a block
        draws = _Draws(seed or 0)
        for index, row in enumerate(rows[: len(written) + ended]):
            tokens = [written[index]] if index < len(written) else self._ends()
            share = draws.next()
            if temperature:
                near = min(_off_draw(row / temperature, share, token) for token in tokens)
                allowed = SLACK
            else:
                near, allowed = float(row.max() - row[tokens].max()), MARGIN
            self.agreement.tokens += 1
            if near > 0:
                self.agreement.near_ties.append(near)
            assert near <= allowed, (
                f"token {index} of {self.text(written)!r}: the reference is {near:.3f} away "
                f"and would write {self.text([int(row.argmax())])!r}"
            )

    def check_probabilities(self, told: Sequence[float], found: Sequence[float]) -> None:
        """Assert that these logarithms of probabilities are the same but for noise."""
        distances = [abs(one - other) for one, other in zip(told, found, strict=True)]
        self.agreement.distances += distances
        self.agreement.typical.append(median(distances))
        assert max(distances) <= MARGIN, (told, found)
        assert median(distances) <= TYPICAL, (told, found)

    def score(self, ids: Sequence[int], candidates: Sequence[str]) -> list[float]:
        """How likely each candidate is after the ids, as far as it takes to tell it apart."""
        after: dict[tuple[int, ...], NDArray[np.float64]] = {}
        spelled = [tuple(self._inner(text)) for text in candidates]
        scores = []
        for own in spelled:
            score = 0.0
            for index in range(_distinct(own, [other for other in spelled if other != own])):
                if own[:index] not in after:
                    after[own[:index]] = log_softmax(self.rows([*ids, *own[:index]]))[0]
                score += after[own[:index]][own[index]]
            scores.append(score)
        return scores

    def free(self) -> None:
        """Give the memory back."""
        L.llama_batch_free(self._batch)
        L.llama_free(self._context)
        L.llama_model_free(self._model)

    def _decode(self, ids: Sequence[int], begin: int, last: int) -> None:
        batch = self._batch
        batch.n_tokens = len(ids)
        for index, id_ in enumerate(ids):
            batch.token[index], batch.pos[index] = id_, begin + index
            batch.n_seq_id[index], batch.seq_id[index][0] = 1, 0
            batch.logits[index] = index >= len(ids) - last
        status = L.llama_decode(self._context, batch)
        assert status == 0, status

    def _ends(self) -> list[int]:
        eog = (t for t in range(self._n_vocab) if L.llama_vocab_is_eog(self._vocab, t))
        return [self.closes, *eog]

    def _row(self, index: int) -> NDArray[np.float32]:
        pointer = L.llama_get_logits_ith(self._context, index)
        return np.array(np.ctypeslib.as_array(pointer, (self._n_vocab,)))

    def _whole(self, text: str, *, first: bool) -> list[int]:
        if not text:
            return []
        return self._tokenized(text, first=True) if first else self._inner(text)

    def _inner(self, text: str) -> list[int]:
        """The ids of a text inside a document: after a line break nothing is put before it."""
        return self._tokenized("\n" + text, first=False)[len(self._line_break) :]

    def _tokenized(self, text: str, *, first: bool) -> list[int]:
        data = text.encode()
        ids = (ctypes.c_int32 * (len(data) + 8))()
        count = L.llama_tokenize(self._vocab, data, len(data), ids, len(ids), first, False)
        assert count >= 0
        return list(ids[:count])

    def _piece(self, id_: int) -> bytes:
        buffer = ctypes.create_string_buffer(256)
        length = L.llama_token_to_piece(self._vocab, id_, buffer, len(buffer), 0, False)
        return buffer.raw[:length]


class _Draws:
    """The random numbers of llama.cpp's `dist`: 64 bits of a Mersenne twister each."""

    def __init__(self, seed: int) -> None:
        self._twister = np.random.RandomState(seed)

    def next(self) -> float:
        low, high = (int(n) for n in self._twister.randint(0, 2**32, 2, dtype=np.uint32))
        return (low + (high << 32)) / 2**64


def _off_draw(logits: NDArray[np.float32], share: float, token: int) -> float:
    """How far the draw lies outside the token's part of all probability; 0 inside."""
    probabilities = np.exp(log_softmax(logits))
    begin = float(probabilities[:token].sum())
    end = begin + float(probabilities[token])
    return max(begin - share, share - end, 0.0)


def _distinct(ids: Sequence[int], others: Sequence[Sequence[int]]) -> int:
    """How many ids it takes to tell these from the others; all, where they begin another."""
    for length in range(1, len(ids)):
        if all(list(other[:length]) != list(ids[:length]) for other in others):
            return length
    return len(ids)


def log_softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """The natural logarithms of the probabilities."""
    scores = logits.astype(np.float64)
    scores -= scores.max(axis=-1, keepdims=True)
    result: NDArray[np.float64] = scores - np.log(np.exp(scores).sum(axis=-1, keepdims=True))
    return result

"""The proof that an exported file is the trained model: its logits, and its tokens."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from shoritui.blockml import Block, Part, length_for, render
from shoritui.errors import UserError
from shoritui.finetune.config.model import Config, Tier
from shoritui.finetune.config.tag_filter import parse_where
from shoritui.finetune.data import preferences
from shoritui.finetune.data.conversations import find, read
from shoritui.finetune.data.tokenizer import Tokenizer
from shoritui.finetune.export.llama_cpp import LlamaFile
from shoritui.finetune.export.reference import Documents, Reference
from shoritui.gguf.read import Floats
from shoritui.text import clean

TOLERANCES: Final[Mapping[str, float]] = {
    "lora": 1e-5,
    "lora-f16": 1e-2,
    "f32": 1e-5,
    "f16": 1e-2,
    "bf16": 5e-2,
    "q8_0": 1e-1,
    "q6_k": 0.2,
    "q5_k_m": 0.4,
    "q4_k_m": 0.5,
}
"""The largest relative error of logits. In F32 only the order of sums differs. In every other
format the weights are rounded, and llama.cpp rounds what they are multiplied with in the same way.
Small models feel it most: the bounds are about twice what networks of less than four million
parameters show, and real ones stay far below; so what the adapter changes is looked at apart."""
STRENGTH_TOLERANCE: Final = 0.2
"""How far from 1 the share may be in which a rounded file has what the adapter changes."""
_BASES_TOLERANCE: Final = 1e-4
GELU_TOLERANCE: Final = 3e-4
"""The least that is allowed where llama.cpp rounds GELU: a number on the edge between two falls to
the other side when a sum is made in another order. Small models feel this most as well."""
_TIMES: Final = 3
_DOCUMENTS: Final = 2
_TOKENS: Final = 160
_SHOWN: Final = 60


@dataclass(frozen=True, slots=True)
class Agreement:
    """How near a file's logits are to the trained model's."""

    error: float
    """Of all logits, relative to their size."""
    tolerance: float
    strength: float | None
    """How much of what the adapter changes is in the file: 1 for all; None where the format's own
    error would hide it."""
    tokens: int
    """That were evaluated."""


def documents_of(samples: Sequence[Any]) -> Documents:
    """Return the beginnings of some samples, far apart."""
    some = samples[:: max(len(samples) // _DOCUMENTS, 1)][:_DOCUMENTS]
    return [sample.ids[:_TOKENS] for sample in some]


def check_adapter(
    base: LlamaFile, form: str, adapter: Path, documents: Documents, wanted: Reference
) -> Agreement:
    """Compare a LoRA GGUF, on its base in F32, with the trained model.

    Where sums are so long that the base alone differs by more, thrice that is allowed.

    Raises:
        UserError: They differ by more than the order of sums does, or the bases do.
    """
    least = _least(wanted)
    own, most = _error(_logits(base, None, documents), _flat(wanted.base)), _BASES_TOLERANCE
    if not own <= max(most, least):
        raise UserError(_disagreement("base", own, max(most, least), "f32"))
    error = _error(_logits(base, adapter, documents), _flat(wanted.trained))
    tolerance = max(TOLERANCES[form], _TIMES * own, least)
    if not error <= tolerance:
        raise UserError(_disagreement("adapter", error, tolerance, form))
    return Agreement(error, tolerance, None, sum(map(len, documents)))


def check_model(file: LlamaFile, form: str, documents: Documents, wanted: Reference) -> Agreement:
    """Compare a merged model with the trained one.

    Raises:
        UserError: They differ by more than the format allows.
    """
    found, trained = _logits(file, None, documents), _flat(wanted.trained)
    error = _error(found, trained)
    tolerance = max(TOLERANCES[form], _least(wanted))
    if not error <= tolerance:
        raise UserError(_disagreement("model", error, tolerance, form))
    strength = _strength(found, trained, _flat(wanted.base), form)
    if strength is not None and not abs(strength - 1) <= STRENGTH_TOLERANCE:
        raise UserError(
            f"The exported model has {strength:.2f} times what the adapter changes; 1 was expected."
        )
    return Agreement(error, tolerance, strength, sum(map(len, documents)))


def _least(wanted: Reference) -> float:
    if wanted.rounds_gelu:
        return GELU_TOLERANCE
    return _BASES_TOLERANCE if wanted.has_long_sums else 0.0


def _strength(found: Floats, trained: Floats, base: Floats, form: str) -> float | None:
    change = trained - base
    size = float(np.linalg.norm(change) / np.linalg.norm(trained))
    if form == "f32" or size < TOLERANCES[form] / 3:
        return None
    return float((found - base) @ change / (change @ change))


def _error(found: Floats, wanted: Floats) -> float:
    if found.shape != wanted.shape:
        raise UserError("The exported file has another number of tokens than the trained model.")
    return float(np.linalg.norm(found - wanted) / np.linalg.norm(wanted))


def _disagreement(what: str, error: float, tolerance: float, form: str) -> str:
    return (
        f"The exported {what} does not agree with the trained model: its logits differ by "
        f"{error:.1e}, at most {tolerance:.1e} was expected of {form}."
    )


def _logits(file: LlamaFile, adapter: Path | None, documents: Documents) -> Floats:
    return _flat(file.logits(documents, adapter, torch.get_num_threads()))


def _flat(rows: Sequence[Floats]) -> Floats:
    return np.concatenate([each.ravel() for each in rows])


def check_tokens(file: LlamaFile, tokenizer: Tokenizer, config: Config, tier: Tier) -> int:
    """See that a file's vocabulary cuts every text of a tier's training as training did.

    Returns how many texts were compared.

    Raises:
        UserError: One is cut differently; its place is told.
    """
    count = 0
    for place, text, first in _texts(config, tier, tokenizer):
        begin = [file.begin] if first and file.begin is not None else []
        found = [*begin, *file.tokens((file.space_prefix if first else "") + text)]
        wanted = tokenizer.ids(text, first=first)
        if found != wanted:
            raise UserError(_difference(place, text, found, wanted))
        count += 1
    return count


def _difference(place: str, text: str, found: Sequence[int], wanted: Sequence[int]) -> str:
    pairs = zip(found, wanted, strict=False)
    at = next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(found), len(wanted)))
    shown = clean(text[:_SHOWN]).replace("\n", " ")
    return (
        f"{place}: the exported vocabulary cuts this text differently from training: token "
        f"{at + 1} of {shown!r} is {_id(found, at)}, and {_id(wanted, at)} was learnt. The base's "
        "tokenizer.model and tokenizer.json may disagree: take them from where the base is from."
    )


def _id(ids: Sequence[int], at: int) -> str:
    return str(ids[at]) if at < len(ids) else "missing"


def _texts(config: Config, tier: Tier, tokenizer: Tokenizer) -> Iterator[tuple[str, str, bool]]:
    """Yield every block of a tier and of those before it: its place, and if it begins a document.

    Messages come with the hint that is written and with the one that their length makes.
    """
    for each in _ancestors(config, tier):
        for place, part, first in _parts(config, each):
            for text in dict.fromkeys(map(render, _hinted(part, tokenizer))):
                yield place, text, first


def _parts(config: Config, tier: Tier) -> Iterator[tuple[str, Part, bool]]:
    """Yield a tier's blocks as they are written: the place, and if one begins a document."""
    folder, wanted = config.path.parent, parse_where(tier.where).allows
    files = find(folder, tier.files)
    if tier.kind == "preference":
        for preference in preferences.read(folder, files, wanted):
            for index, part in enumerate((*preference.context, *preference.messages)):
                yield preference.source, part, index == 0
        return
    for conversation in read(config, files, wanted):
        for index, part in enumerate(conversation.parts):
            yield conversation.place(index), part, index == 0


def _ancestors(config: Config, tier: Tier) -> list[Tier]:
    by_name = {each.name: each for each in config.tiers}
    line = [tier]
    while line[-1].parent:
        line.append(by_name[line[-1].parent])
    return line


def _hinted(part: Part, tokenizer: Tokenizer) -> list[Part]:
    if not isinstance(part, Block) or part.role != "message":
        return [part]
    length = length_for(len(tokenizer.ids(" " + part.body)))
    return [part, replace(part, length=length), replace(part, length=None)]

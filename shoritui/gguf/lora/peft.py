"""A LoRA adapter as PEFT saves it: its settings and its factors, each read when it is asked for.

    base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight    (rank, inputs)
    base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight    (outputs, rank)

Nothing is ever unpickled.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import regex
from msgspec import Meta

from shoritui.bounded import Malformed, misfit, read_json
from shoritui.errors import UserError
from shoritui.gguf.checkpoint import NUMPY, Place, floats_at, places_in
from shoritui.gguf.read import Floats
from shoritui.text import printable
from shoritui.toml.read import read_text

CONFIG_FILE: Final = "adapter_config.json"
WEIGHTS_FILE: Final = "adapter_model.safetensors"
PREFIX: Final = "base_model.model."
_PICKLE: Final = "adapter_model.bin"
_LARGEST_RANK: Final = 1 << 16
_LARGEST_ALPHA: Final = 1e9
_PATTERN_SECONDS: Final = 0.2
_MOST_PATTERNS: Final = 1024
_NAME: Final = re.compile(
    r"(?:base_model\.model\.)?(?P<module>.+)\.lora_(?P<kind>embedding_)?(?P<side>[AB])"
    r"(?:\.[^.]+)?(?(kind)|\.weight)"
)
"""Some programs leave the adapter's own name in it: `.lora_A.default.weight`."""
_BASES_OWN: Final = ".base_layer."
_BASE_KEPT: Final = (True, "gaussian", "eva", "orthogonal")
"""Ways to begin that leave the base as it is; PiSSA, OLoRA, CorDA, LoftQ and others change it."""
_REFUSED: Final[Mapping[str, str]] = {
    "use_dora": "DoRA",
    "lora_bias": "biases of the factors",
    "modules_to_save": "whole modules beside the factors",
    "trainable_token_indices": "tokens trained by themselves",
    "layer_replication": "layers that are repeated",
    "alora_invocation_tokens": "aLoRA, which begins at certain tokens",
    "use_qalora": "QALoRA",
    "target_parameters": "factors of experts that PEFT holds as one",
    "use_bdlora": "BD-LoRA",
    "arrow_config": "Arrow",
    "kasa_config": "KaSA",
    "monteclora_config": "MonteCLoRA",
    "velora_config": "VeLoRA",
}
"""What is more than plain LoRA in PEFT, by the key that asks for it."""

_Rank = Annotated[int, Meta(ge=1, le=_LARGEST_RANK)]
_Alpha = Annotated[float, Meta(gt=0, le=_LARGEST_ALPHA)]


class _Config(msgspec.Struct, frozen=True):
    """The keys of adapter_config.json that say what the factors do."""

    peft_type: str
    r: _Rank
    lora_alpha: _Alpha
    base_model_name_or_path: str | None = None
    lora_dropout: Annotated[float, Meta(ge=0, le=1)] | None = None
    use_rslora: bool | None = None
    bias: str | None = None
    init_lora_weights: bool | str | None = None
    rank_pattern: Annotated[dict[str, _Rank], Meta(max_length=_MOST_PATTERNS)] | None = None
    alpha_pattern: Annotated[dict[str, _Alpha], Meta(max_length=_MOST_PATTERNS)] | None = None


@dataclass(frozen=True, slots=True)
class Factors:
    """What is added to a linear layer: `scale` times the product of the two."""

    down: Place
    """A, of (rank, inputs); of an embedding, (rank, tokens)."""
    up: Place
    """B, of (outputs, rank)."""
    scale: float
    is_embedding: bool = False

    @property
    def rank(self) -> int:
        """How many directions there are."""
        return self.down.shape[0]

    @property
    def sizes(self) -> tuple[int, int]:
        """(outputs, inputs) of the layer; of an embedding, (width, tokens)."""
        return self.up.shape[0], self.down.shape[1]


@dataclass(frozen=True, slots=True)
class PeftAdapter:
    """An adapter in a folder."""

    folder: Path
    base: str
    """What it was trained on, as its folder says; it may be anything."""
    rank: int
    """Of most layers, as `alpha` is."""
    alpha: float
    dropout: float
    rslora: bool
    factors: dict[str, Factors]
    """By the module's name, such as `model.layers.0.self_attn.q_proj`."""

    @property
    def scale(self) -> float:
        """By what the product of most layers' factors is multiplied."""
        return _scale(self.alpha, self.rank, self.rslora)

    @property
    def size_bytes(self) -> int:
        """How much all factors take in fp32."""
        sizes = ((each.rank, sum(each.sizes)) for each in self.factors.values())
        return sum(4 * rank * both for rank, both in sizes)

    def down(self, module: str) -> Floats:
        """Return A of a layer in fp32."""
        return floats_at(self.factors[module].down)

    def up(self, module: str) -> Floats:
        """Return B of a layer in fp32."""
        return floats_at(self.factors[module].up)


def read_peft(folder: Path) -> PeftAdapter:
    """Return the adapter of a folder, which this project, PEFT or another program wrote.

    `UserError` if it is none, is damaged, or is more than plain LoRA.
    """
    where, weights = files_of(folder)
    config, values = _read_config(where)
    _check_plain(config, values, where)
    found = _Factored(weights)
    return PeftAdapter(
        folder,
        config.base_model_name_or_path or "",
        config.r,
        config.lora_alpha,
        config.lora_dropout or 0.0,
        bool(config.use_rslora),
        {module: found.factors(module, config) for module in found.modules},
    )


def files_of(folder: Path) -> tuple[Path, Path]:
    """Return the files of its settings and of its factors; `UserError` if one is missing."""
    config, weights = folder / CONFIG_FILE, folder / WEIGHTS_FILE
    if config.is_file() and weights.is_file():
        return config, weights
    shown = printable(folder)
    if config.is_file() and (folder / _PICKLE).is_file():
        raise UserError(
            f"{shown} holds {_PICKLE}, a pickle, which may run any program when it is read: save "
            "the adapter as safetensors, which is PEFT's usual way, or get a copy with "
            f"{WEIGHTS_FILE}."
        )
    missing = WEIGHTS_FILE if config.is_file() else CONFIG_FILE
    raise UserError(f"{shown} has no {missing}: expected an adapter as PEFT saves it.")


def _read_config(path: Path) -> tuple[_Config, dict[str, Any]]:
    """Return what is checked of a config, and all of it."""
    text = read_text(path, "PEFT config", "JSON")
    try:
        values = read_json(text)
        return msgspec.convert(values, _Config), values
    except msgspec.ValidationError as error:
        raise UserError(f"{printable(path)}: {misfit(error)}.") from None
    except Malformed:
        raise UserError(
            f"{printable(path)} is no JSON as PEFT writes it: save the adapter again."
        ) from None


def _check_plain(config: _Config, values: Mapping[str, Any], path: Path) -> None:
    """`UserError` names what an adapter is more than plain LoRA."""
    shown = printable(path)
    if config.peft_type != "LORA":
        raise UserError(
            f"{shown}: peft_type is {printable(config.peft_type)!r}; only LORA is known here."
        )
    for key, what in _REFUSED.items():
        if values.get(key):
            raise UserError(f"{shown}: {key} asks for {what}; only plain LoRA is known here.")
    if config.bias not in (None, "none"):
        raise UserError(
            f"{shown}: bias is {printable(config.bias)!r}: trained biases are not known here; "
            'train with bias = "none".'
        )
    begun = config.init_lora_weights
    if begun not in (None, False, *_BASE_KEPT):
        raise UserError(
            f"{shown}: init_lora_weights is {printable(begun)!r}, which changes the base too: save "
            "the adapter with PEFT's path_initial_model_for_weight_conversion."
        )


class _Factored:
    """The pairs of tensors in a file of PEFT's."""

    def __init__(self, path: Path) -> None:
        """Sort the tensors; `UserError` if one is no factor, or stands there twice."""
        self._path = printable(path)
        self._sides: dict[str, dict[str, Place]] = {}
        self._embeddings: set[str] = set()
        for name, place in places_in(path).items():
            if _BASES_OWN in name:
                continue
            found = _NAME.fullmatch(name)
            if found is None:
                raise UserError(
                    f"{self._path}: {printable(name)} is no factor of a LoRA adapter: only plain "
                    "LoRA of linear layers is known here."
                )
            if place.dtype not in NUMPY or len(place.shape) != 2:
                raise UserError(
                    f"{self._path}: {printable(name)} is no matrix in {', '.join(NUMPY)}."
                )
            sides = self._sides.setdefault(found["module"], {})
            if found["side"] in sides:
                raise UserError(f"{self._path}: {printable(name)} is there under two names.")
            sides[found["side"]] = place
            if found["kind"]:
                self._embeddings.add(found["module"])
        if not self._sides:
            raise UserError(f"{self._path} holds no adapter: it has no tensors.")

    @property
    def modules(self) -> list[str]:
        """The names of the layers, in the file's order."""
        return list(self._sides)

    def factors(self, module: str, config: _Config) -> Factors:
        """Return those of a layer; `UserError` if they do not fit each other or the config."""
        sides, shown = self._sides[module], printable(module)
        rank = self._pattern(config.rank_pattern, module, config.r)
        if len(sides) != 2 or sides["A"].shape[0] != rank or sides["B"].shape[1] != rank:
            raise UserError(f"{self._path}: the factors of {shown} are not of rank {rank}.")
        alpha = self._pattern(config.alpha_pattern, module, config.lora_alpha)
        scale = _scale(alpha, rank, bool(config.use_rslora))
        return Factors(sides["A"], sides["B"], scale, module in self._embeddings)

    def _pattern(self, patterns: Mapping[str, Any] | None, module: str, usual: Any) -> Any:
        """Return the value of the first pattern that a module's name ends with, as in PEFT."""
        for pattern, value in (patterns or {}).items():
            try:
                if regex.match(rf"(.*\.)?({pattern})$", module, timeout=_PATTERN_SECONDS):
                    return value
            except (regex.error, TimeoutError, RecursionError):
                raise UserError(
                    f"{self._path}: {printable(pattern)!r} in {CONFIG_FILE} is no usable pattern."
                ) from None
        return usual


def _scale(alpha: float, rank: int, rslora: bool) -> float:
    return alpha / (math.sqrt(rank) if rslora else rank)

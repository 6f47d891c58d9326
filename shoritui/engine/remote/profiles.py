"""The servers that are known: what each calls a sampler value, in which order it works, its routes.

A new kind is recognised in `detect.py`; what it wants of sampler values beyond its table is in
`sampling_params.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

Order = Literal["asked", "penalties, cut, temperature", "penalties, temperature, cut", "unknown"]
"""In which order a server's steps run; `cut` are those that drop tokens. `asked`: as it is told."""


@dataclass(frozen=True, slots=True)
class TokenRoute:
    """Where a server turns text into ids and back, and how it names them."""

    encode: str
    text: str
    """The field that takes the text."""
    ids: str
    """The field of the answer that holds the ids."""
    extra: Mapping[str, bool]
    """What asks for the ids that begin a prompt, too, where it is not the rule."""
    decode: str
    decode_ids: str
    decode_text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerProfile:
    """One kind of server."""

    name: str
    fields: Mapping[str, str]
    """Our sampler values and what it calls them."""
    unsure: frozenset[str] = frozenset()
    """Those of them that it may not know; they are only sent where they change something."""
    order: Order = "unknown"
    extra: Mapping[str, object] = field(default_factory=dict)
    """What else each request says."""
    route: TokenRoute | None = None
    prefill_tokens: int | None = None
    """The `max_tokens` of a request that only evaluates; None where that would gain nothing."""
    probabilities: int = 0
    """How many likeliest tokens it tells while it writes."""
    choices: int = 0
    """How many likeliest tokens it tells when nothing is written but one token."""
    repeats: bool = False
    """Whether it writes the same text again and again unless it is given a seed."""


def _same(*names: str) -> dict[str, str]:
    return {name: name for name in names}


_STANDARD: Final = _same(
    "temperature", "top_p", "frequency_penalty", "presence_penalty", "seed", "logit_bias"
)
_DRY: Final = _same("dry_multiplier", "dry_base", "dry_allowed_length") | {
    "dry_breakers": "dry_sequence_breakers"
}
_XTC: Final = _same("xtc_probability", "xtc_threshold")
_MIROSTAT: Final = _same("mirostat_tau", "mirostat_eta") | {"mirostat": "mirostat_mode"}
_ADAPTIVE: Final = _same("adaptive_target", "adaptive_decay")
_DYNAMIC: Final = _same("dynatemp_range", "dynatemp_exponent")

LLAMA_SERVER: Final = ServerProfile(
    name="llama-server",
    fields=_STANDARD
    | _DRY
    | _XTC
    | _ADAPTIVE
    | _DYNAMIC
    | _same("top_k", "min_p", "typical_p", "top_n_sigma", "repeat_penalty")
    | _same("mirostat", "mirostat_tau", "mirostat_eta")
    | {"penalty_window": "repeat_last_n", "dry_window": "dry_penalty_last_n"},
    order="asked",
    extra={"cache_prompt": True, "return_progress": True},
    route=TokenRoute(
        "/tokenize", "content", "tokens", {"add_special": True}, "/detokenize", "tokens", "content"
    ),
    prefill_tokens=0,
    probabilities=50,
    choices=500,
)
KOBOLDCPP: Final = ServerProfile(
    name="KoboldCpp",
    fields=_same("temperature", "top_p", "presence_penalty", "seed", "logit_bias")
    | _DRY
    | _XTC
    | _MIROSTAT
    | _ADAPTIVE
    | _DYNAMIC
    | _same("top_k", "min_p")
    | {
        "typical_p": "typical",
        "top_n_sigma": "nsigma",
        "repeat_penalty": "rep_pen",
        "penalty_window": "rep_pen_range",
        "dry_window": "dry_penalty_last_n",
        "banned": "banned_tokens",
    },
    order="asked",
    route=TokenRoute(
        "/api/extra/tokencount", "prompt", "ids", {}, "/api/extra/detokenize", "ids", "result"
    ),
    prefill_tokens=1,
    choices=10,
)
VLLM: Final = ServerProfile(
    name="vLLM",
    fields=_STANDARD
    | _same("top_k", "min_p")
    | {"repeat_penalty": "repetition_penalty", "banned": "bad_words"},
    order="penalties, temperature, cut",
    route=TokenRoute(
        "/tokenize",
        "prompt",
        "tokens",
        {"add_special_tokens": True},
        "/detokenize",
        "tokens",
        "prompt",
    ),
    probabilities=20,
    choices=20,
)
TABBY: Final = ServerProfile(
    name="TabbyAPI",
    fields=_same("temperature", "top_p", "frequency_penalty", "presence_penalty", "logit_bias")
    | _DRY
    | _XTC
    | _MIROSTAT
    | _same("top_k", "min_p")
    | {
        "typical_p": "typical",
        "repeat_penalty": "repetition_penalty",
        "penalty_window": "penalty_range",
        "dry_window": "dry_range",
        "dynatemp_range": "max_temp",
        "dynatemp_exponent": "temp_exponent",
        "banned": "banned_strings",
    },
    order="asked",
    route=TokenRoute(
        "/v1/token/encode",
        "text",
        "tokens",
        {"add_bos_token": True},
        "/v1/token/decode",
        "tokens",
        "text",
    ),
    probabilities=20,
    choices=20,
)
LLAMA_CPP_PYTHON: Final = ServerProfile(
    name="llama-cpp-python",
    fields=_STANDARD | _MIROSTAT | _same("top_k", "min_p", "repeat_penalty"),
    order="penalties, cut, temperature",
    route=TokenRoute(
        "/extras/tokenize", "input", "tokens", {}, "/extras/detokenize", "tokens", "text"
    ),
    choices=100,
    repeats=True,
)
OTHER: Final = ServerProfile(
    name="OpenAI-compatible server",
    fields=_STANDARD
    | _same("top_k", "min_p", "typical_p")
    | {"repeat_penalty": "repetition_penalty"},
    unsure=frozenset(("top_k", "min_p", "typical_p", "repeat_penalty")),
    choices=5,
)

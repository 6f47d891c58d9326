"""What a tier is called by its content: two tiers with one key would be trained to one adapter.

    root key = base, tokenizer, quantisation, LoRA, seed
    tier key = its parent's key, its samples, how it is trained

An adapter of another run that a tier begins with counts, with the root, as its parent.

Paths, names, checkpointing levels, devices, what is watched and the versions of libraries are in no
key: they do not change the maths.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final, get_type_hints

from shoritui.finetune.config.model import Base, Config, Lora, Preference, Tier, Train

FORMAT: Final = 1
"""Counted up when the same settings come to mean other maths."""


@dataclasses.dataclass(frozen=True, slots=True)
class Root:
    """What every tier of a config stands on."""

    base: str
    """The fingerprint of the frozen weights."""
    tokenizer: str
    """The fingerprint of the vocabulary."""
    quantisation: Base
    lora: Lora


def root_key(root: Root, seed: int) -> str:
    """Return the key of an adapter that has learnt nothing yet."""
    quantised = root.quantisation.quantize != "none"
    lora = {**_plain(root.lora), "targets": sorted(set(root.lora.targets))}
    return _digest(
        {
            "format": FORMAT,
            "base": root.base,
            "tokenizer": root.tokenizer,
            "quantize": root.quantisation.quantize,
            "double_quant": quantised and root.quantisation.double_quant,
            "lora": lora,
            "seed": seed,
        }
    )


def tier_key(parent: str, fingerprint: str, tier: Tier, evaluate_every: int) -> str:
    """Return the key of a tier that goes on from `parent`, which is a tier's key or the root's.

    `fingerprint` is of its samples, those that are held out included. `evaluate_every` is of
    meaning only where the best adapter is the one that is kept.
    """
    train = tier.train
    maths = _plain(train)
    del maths["accumulation"], maths["micro_batch"]  # only their product counts
    if train.warmup_steps or not train.warmup_ratio:  # it does not count then
        del maths["warmup_ratio"]
    return _digest(
        {
            "format": FORMAT,
            "parent": parent,
            "samples": fingerprint,
            "train": {**maths, "packs_per_step": train.packs_per_step},
            "evaluate_every": evaluate_every if train.keep == "best" else None,
            **({"preference": _plain(tier.preference)} if tier.kind == "preference" else {}),
        }
    )


def keys_of(
    config: Config,
    root: Root,
    fingerprints: Mapping[str, str],
    starts: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Return the key of every tier, by its name.

    `fingerprints` are those of their samples, `starts` those of the adapters that some begin with.
    """
    keys: dict[str, str] = {}
    for tier in config.tiers:
        if tier.parent:
            parent = keys[tier.parent]
        else:
            parent = root_key(root, tier.train.seed)
            if starts and tier.name in starts:
                parent = _digest({"format": FORMAT, "root": parent, "start": starts[tier.name]})
        keys[tier.name] = tier_key(
            parent, fingerprints[tier.name], tier, config.watch.evaluate_every
        )
    return keys


def _plain(settings: Lora | Train | Preference) -> dict[str, Any]:
    """By field; whole numbers where a fraction may stand are written as one."""
    return {
        name: float(getattr(settings, name)) if kind is float else getattr(settings, name)
        for name, kind in get_type_hints(type(settings)).items()
    }


def _digest(content: Mapping[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()

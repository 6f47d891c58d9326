"""The adapters of other runs that tiers begin with, and what they decide of `[lora]`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from shoritui.errors import UserError
from shoritui.finetune.config.model import Config, Lora, Tier
from shoritui.folders import user_path
from shoritui.text import printable
from shoritui.toml import Problem, shown

if TYPE_CHECKING:
    from shoritui.gguf.lora.peft import PeftAdapter

_MUST_AGREE: Final = ("r", "alpha", "rslora")


def start_of(config: Config, tier: Tier) -> Path | None:
    """Return the PEFT folder that a tier begins with; None for the base or another tier.

    `UserError` if no folder can have that name.
    """
    return user_path(tier.start, config.path.parent) if tier.start else None


def started(config: Config, said: Mapping[str, Any]) -> Config:
    """Return the config with what the adapters that tiers begin with decide of the adapter's shape.

    Raises:
        StartError: One cannot be read, or is not as `said`, the table, or another one has it.
    """
    lora, others = config.lora, {key: "[lora] says" for key in said}
    for index, tier in enumerate(config.tiers):
        if not tier.start:
            continue
        try:
            own = _lora(config, tier, start_of(config, tier))
        except UserError as error:
            raise StartError(index, str(error).removesuffix(".")) from None
        for key in _MUST_AGREE:
            wanted, found = getattr(lora, key), getattr(own, key)
            if key in others and wanted != found:
                raise StartError(
                    index,
                    f"{shown(tier.start)} was trained with {key} = {_toml(found)}, and "
                    f"{others[key]} {_toml(wanted)}: all tiers share one adapter, so set it so in "
                    "[lora], or leave it out there",
                )
        free = {key: getattr(own, key) for key in (*_MUST_AGREE, "targets") if key not in others}
        lora = replace(lora, **free)
        others |= {key: f"{shown(tier.start)} with" for key in free}
    return replace(config, lora=lora)


class StartError(Exception):
    """What is wrong with the adapter that a tier begins with."""

    def __init__(self, index: int, sentence: str) -> None:
        """Take the tier's place in the file."""
        super().__init__(sentence)
        self.problem = Problem(("tier", index, "after"), sentence)


def _lora(config: Config, tier: Tier, folder: Path | None) -> Lora:
    from shoritui.gguf.lora.peft import read_peft  # needs numpy

    assert folder is not None
    if (own := _own_output(config, folder)) is not None:
        raise UserError(
            f"{shown(tier.start)} is where tier {own} of this config puts its adapter: "
            "give the tier another name, or copy the folder and name the copy"
        )
    if not folder.is_dir():
        raise UserError(f"{shown(tier.start)} is no folder: expected one that PEFT saved")
    adapter = read_peft(folder)
    for module, factors in adapter.factors.items():
        if factors.is_embedding or (factors.rank, factors.scale) != (adapter.rank, adapter.scale):
            raise UserError(
                f"{shown(tier.start)}: {printable(module)} is an embedding, or has a rank or alpha "
                "of its own: only linear layers of one rank and alpha are trained here"
            )
    return Lora(
        r=adapter.rank,
        alpha=adapter.alpha,
        rslora=adapter.rslora,
        targets=tuple(_targets(adapter)),
    )


def _own_output(config: Config, folder: Path) -> str | None:
    """Return the tier whose result would take the place of a folder, or of one around it."""
    folder = folder.resolve()
    places = {
        tier.name: (config.path.parent / config.output / tier.name).resolve()
        for tier in config.tiers
    }
    return next((name for name, place in places.items() if folder.is_relative_to(place)), None)


def _targets(adapter: PeftAdapter) -> Iterator[str]:
    """Yield the kinds of its layers, or their whole names if it is only on some of a kind."""
    kinds: dict[str, set[str]] = {}
    for module in adapter.factors:
        before, _, kind = module.rpartition(".")
        kinds.setdefault(kind, set()).add(before)
    in_blocks = {len(places) for places in kinds.values() if len(places) > 1}
    yield from sorted(kinds if len(in_blocks) <= 1 else adapter.factors)


def _toml(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value:g}"

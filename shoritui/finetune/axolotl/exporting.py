"""Write a config as axolotl's YAML files, with the data of each tier and a script."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from shoritui.blockml import Block, Length, Part, message_header, render, render_all
from shoritui.demo import DEMO, SMOLLM2
from shoritui.finetune.axolotl.keys import OPTIMIZERS, PAIRS, PLAIN
from shoritui.finetune.axolotl.stages import yaml_library
from shoritui.finetune.config.model import Config, Data, Tier
from shoritui.finetune.config.starts import start_of
from shoritui.finetune.config.tag_filter import parse_where
from shoritui.folders import user_path
from shoritui.text import as_json

SCRIPT: Final = "train.sh"
_OUTPUT: Final = "outputs"
_ALL_LEARNT: Final = Data().learn
_PREFERENCE_TYPE: Final = {
    **{f"field_{side}": side for side in ("prompt", "chosen", "rejected")},
    **{f"{side}_format": f"{{{side}}}" for side in ("prompt", "chosen", "rejected")},
}
"""Axolotl's own type of a data set whose texts are taken as they are."""
_LEFT_OUT: Final = {
    *("neftune_noise_alpha", "peft_use_rslora", "loraplus_lr_ratio", "revision_of_model"),
    "eval_steps",
}
"""Left out where they ask for nothing: axolotl refuses some of them then."""


def files_of(config: Config) -> Iterator[tuple[str, str]]:
    """Yield each file's name and text, the script last; names are paths in one folder.

    Raises:
        UserError: YAML cannot be written, or the tiers' data cannot be read.
    """
    yaml = yaml_library()
    for tier in config.tiers:
        yield f"data/{tier.name}.jsonl", "".join(_rows(config, tier))
        text = yaml.safe_dump(dict(settings_of(config, tier)), sort_keys=False)
        after = f" It goes on from the tier {tier.parent}." if tier.parent else ""
        yield f"{tier.name}.yaml", f"# The tier {tier.name}.{after}\n{text}"
    yield SCRIPT, _script(config)


def settings_of(config: Config, tier: Tier) -> Mapping[str, Any]:
    """Return axolotl's settings of a tier; paths are from the folder of its file."""
    base, lora, train = config.base, config.lora, tier.train
    is_nf4 = base.quantize == "nf4"
    place = _base_folder(config)
    values: dict[str, Any] = {
        "base_model": str(place.resolve()) if place.exists() else base.model,
        "load_in_4bit": is_nf4,
        "adapter": "qlora" if is_nf4 else "lora",
    }
    if is_nf4:
        values["bnb_config_kwargs"] = {"bnb_4bit_use_double_quant": base.double_quant}
    if start := start_of(config, tier):
        values["lora_model_dir"] = str(start.resolve())
    elif tier.parent:
        values["lora_model_dir"] = f"{_OUTPUT}/{tier.parent}"
    is_preference = tier.kind == "preference"
    kind = _PREFERENCE_TYPE if is_preference else "completion"
    values["datasets"] = [{"path": f"data/{tier.name}.jsonl", "ds_type": "json", "type": kind}]
    if is_preference:
        values["datasets"][0]["split"] = "train"
        values["rl"] = "dpo"
        # A step has as many pairs, one a batch; and here both documents of a pair count as one.
        train = replace(
            train,
            accumulation=train.accumulation * tier.preference.pairs,
            sequence_len=train.sequence_len // 2,
            packing=False,
        )
    values["output_dir"] = f"{_OUTPUT}/{tier.name}"
    if lora.targets:
        values["lora_target_modules"] = _targets(lora.targets)
    else:
        values["lora_target_linear"] = True
    tables = {"base": base, "lora": lora, "train": train, "data": tier.data, "watch": config.watch}
    if is_preference:
        tables["preference"] = tier.preference
    for pair in (pair for pair in PAIRS if pair.table in tables):
        value = getattr(tables[pair.table], pair.ours)
        if value != pair.unset or pair.theirs not in _LEFT_OUT:
            is_whole = isinstance(value, float) and value.is_integer()
            values[pair.theirs] = int(value) if is_whole else value
    if 1 <= tier.data.evaluation < 2:
        values["val_set_size"] = 1.5  # axolotl rounds it down, but takes 1 as a share
    if not tier.data.evaluation:
        values.pop("eval_steps", None)
    has_warmup = bool(train.warmup_steps or train.warmup_ratio)
    schedule = f"constant{'_with_warmup' * has_warmup}"
    values |= {
        "optimizer": _first(OPTIMIZERS, train.optimizer),
        "lr_scheduler": schedule if train.schedule == "constant" else train.schedule,
        **(
            {"warmup_ratio": train.warmup_ratio}
            if train.warmup_ratio and not train.warmup_steps
            else {"warmup_steps": train.warmup_steps}
        ),
        "bf16": train.precision == "bf16",
        "fp16": False,
        **({} if is_preference else {"train_on_inputs": True}),
        "pad_to_sequence_len": False,
        "gradient_checkpointing": True,
        "flash_attention": True,
    }
    return values


def _targets(targets: Sequence[str]) -> list[str] | str:
    """Return a list of names; with a regular expression among them, one for all of them."""
    if all(PLAIN.fullmatch(each) for each in targets):
        return list(targets)
    if len(targets) == 1:
        return targets[0]
    return "|".join(
        f"(?:.*[.])?{re.escape(each)}" if PLAIN.fullmatch(each) else f"(?:{each})"
        for each in targets
    )


def notes_of(config: Config) -> list[str]:
    """Return a sentence for each thing that axolotl will do otherwise."""
    notes = [note for tier in config.tiers for note in _notes(tier)]
    model = config.base.model
    if model in (DEMO, SMOLLM2) or model.lower().endswith(".gguf"):
        notes.append(f"base: axolotl reads no GGUF; put a folder or hub id in place of {model}.")
    if not config.lora.alpha.is_integer():
        notes.append("lora: axolotl knows only whole numbers for alpha.")
    if not _has_tokenizer(config) and any(tier.data.hints == "tokens" for tier in config.tiers):
        notes.append(
            "data: length hints stay as they are written, since the base is no folder here whose "
            "tokenizer could count."
        )
    notes.append("data: axolotl cuts what is longer than sequence_len, not between messages.")
    notes.append("data: axolotl ends each conversation with the end of text, unlike training here.")
    return notes


def _notes(tier: Tier) -> Iterator[str]:
    data, train = tier.data, tier.train
    if tier.kind == "preference":
        if tier.preference.pairs > 1:
            yield f"{tier.name}: each step of axolotl's has as many pairs as a full one here."
        if tier.after:
            yield f"{tier.name}: in older axolotls the reference is the base without an adapter."
        return
    if set(data.learn) != set(_ALL_LEARNT) or data.speakers or data.not_speakers:
        yield f"{tier.name}: axolotl learns every block of a completion; learn, speakers and "
        "not_speakers are lost."
    if train.carry_optimizer and tier.parent:
        yield f"{tier.name}: carry_optimizer is lost; axolotl begins each tier with a fresh one."
    if train.keep == "best":
        yield f"{tier.name}: keep is lost; axolotl goes on from the last step's adapter."
    if train.warmup_steps == 1:
        yield f"{tier.name}: axolotl warms up for 2 steps where it is told 1."


def _first(words: Mapping[str, str], ours: str) -> str:
    return next(theirs for theirs, word in words.items() if word == ours)


def _rows(config: Config, tier: Tier) -> Iterator[str]:
    """Yield the tier's conversations, one JSON object a line, or its pairs."""
    if tier.kind == "preference":
        yield from _pairs(config, tier)
        return
    for parts in _conversations(config, tier):
        yield as_json({"text": render_all(parts)}) + "\n"


def _pairs(config: Config, tier: Tier) -> Iterator[str]:
    from shoritui.finetune.data.conversations import find
    from shoritui.finetune.data.preferences import read

    folder = config.path.parent
    for each in read(folder, find(folder, tier.files), parse_where(tier.where).allows):
        header = message_header(each.chosen.name, each.chosen.length)
        chosen, *rejected = (
            render(one).removesuffix("\n").removeprefix(header) for one in each.messages
        )
        for other in rejected:
            row = {
                "prompt": render_all(each.context) + header,
                "chosen": chosen,
                "rejected": other,
            }
            yield as_json(row) + "\n"


def _conversations(config: Config, tier: Tier) -> Iterator[Sequence[Part]]:
    """Yield each conversation with the length hints it is trained with, where they are known."""
    from shoritui.finetune.data.conversations import find, read
    from shoritui.finetune.data.samples import Rule, tokenize
    from shoritui.finetune.data.tokenizer import open_tokenizer

    folder = config.path.parent
    found = read(config, find(folder, tier.files), parse_where(tier.where).allows)
    if not _has_tokenizer(config):
        for conversation in found:
            is_bare = tier.data.hints == "none"
            lengths = (None if is_bare else message.length for message in conversation.messages)
            yield _hinted(conversation.parts, lengths)
        return
    rule = Rule(tier.data, tier.train.sequence_len, tier.train.seed)
    tokenizer = open_tokenizer(_base_folder(config))
    for conversation, done in zip(found, tokenize(found, tokenizer, rule), strict=True):
        yield _hinted(conversation.parts, done.hints)


def _hinted(parts: Sequence[Part], lengths: Iterable[Length | None]) -> list[Part]:
    hints = iter(lengths)
    return [
        replace(part, length=next(hints))
        if isinstance(part, Block) and part.role == "message"
        else part
        for part in parts
    ]


def _base_folder(config: Config) -> Path:
    return user_path(config.base.model, config.path.parent)


def _has_tokenizer(config: Config) -> bool:
    """Return whether the base is a folder here whose tokenizer can count."""
    folder = _base_folder(config)
    return any((folder / name).is_file() for name in ("tokenizer.model", "tokenizer.json"))


def _script(config: Config) -> str:
    names = " ".join(f"'{tier.name}'" for tier in config.tiers)
    return f"""\
#!/bin/sh
# Trains the tiers one after another; each goes on from the adapter of the tier it comes after.
set -eu
cd "$(dirname "$0")"
for tier in {names}; do
  axolotl train "$tier.yaml"
done
"""

"""Read axolotl's YAML files as a config, and write a config as axolotl's YAML files.

Every key of theirs is taken over, or a note says why it is not. The names are those of axolotl's
own schema and trainer; axolotl need not be installed.

    config_of(files, target)    their files, in the order of training  ->  one config, and notes
    files_of(config)            one config  ->  a YAML file and the data of each tier, and a script
"""

from __future__ import annotations

import glob
import importlib
import json
import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from types import ModuleType
from typing import Any, Final, TypeVar

from shoritui.blockml import Block, Length, Part, render_all
from shoritui.demo import DEMO, SMOLLM2
from shoritui.errors import UserError
from shoritui.finetune.config.fields import TableName
from shoritui.finetune.config.model import (
    Base,
    Config,
    Data,
    Lora,
    Optimizer,
    Schedule,
    Tier,
    Train,
    Watch,
    is_tier_name,
)
from shoritui.finetune.config.tag_filter import parse_where
from shoritui.folders import user_path
from shoritui.toml import file_error, read_text

Yaml = Mapping[str, Any]

_ALL_LEARNT: Final = Data().learn
_NO_WARMUP: Final = 1e-9
"""A `warmup_ratio` that gives no step: axolotl takes 3 % of the steps where it is 0 or unset."""


@dataclass(frozen=True, slots=True)
class _Pair:
    """A setting that means the same in both."""

    theirs: str
    table: TableName
    ours: str
    unset: object
    """What axolotl takes if it is not given."""


_PAIRS: Final = (
    _Pair("lora_r", "lora", "r", 8),
    _Pair("lora_alpha", "lora", "alpha", 8),
    _Pair("lora_dropout", "lora", "dropout", 0.0),
    _Pair("peft_use_rslora", "lora", "rslora", False),
    _Pair("loraplus_lr_ratio", "lora", "plus", 1.0),
    _Pair("revision_of_model", "base", "revision", ""),
    _Pair("learning_rate", "train", "learning_rate", None),
    _Pair("num_epochs", "train", "epochs", 1),
    _Pair("sequence_len", "train", "sequence_len", 512),
    _Pair("sample_packing", "train", "packing", False),
    _Pair("gradient_accumulation_steps", "train", "accumulation", 1),
    _Pair("micro_batch_size", "train", "micro_batch", 1),
    _Pair("weight_decay", "train", "weight_decay", 0.0),
    _Pair("adam_beta1", "train", "beta1", 0.9),
    _Pair("adam_beta2", "train", "beta2", 0.999),
    _Pair("adam_epsilon", "train", "epsilon", 1e-8),
    _Pair("max_grad_norm", "train", "max_grad_norm", 1.0),
    _Pair("tf32", "train", "tf32", False),
    _Pair("neftune_noise_alpha", "train", "neftune", 0.0),
    _Pair("seed", "train", "seed", 42),
    _Pair("val_set_size", "data", "evaluation", 0.0),
    _Pair("eval_steps", "watch", "evaluate_every", 0),
    _Pair("save_steps", "watch", "save_every", 10),
)

_OPTIMIZERS: Final[dict[str, Optimizer]] = {
    "adamw_bnb_8bit": "adamw8bit",
    "adamw_8bit": "adamw8bit",
    "paged_adamw_8bit": "adamw8bit",
    "adamw_torch": "adamw",
    "adamw_torch_fused": "adamw",
    "adamw_hf": "adamw",
    "adamw_bnb_32bit": "adamw",
    "paged_adamw_32bit": "adamw",
}
"""The first of each is what is written for ours."""
_SCHEDULES: Final[dict[str, Schedule]] = {
    "constant": "constant",
    "constant_with_warmup": "constant",
    "linear": "linear",
    "cosine": "cosine",
}
_UNSET_OPTIMIZER: Final = "adamw_torch_fused"
_UNSET_SCHEDULE: Final = "cosine"

_READ_APART: Final = frozenset(
    {
        *("base_model", "load_in_4bit", "adapter", "bnb_config_kwargs"),
        *("lora_target_linear", "lora_target_modules", "lora_model_dir"),
        *("optimizer", "lr_scheduler", "warmup_steps", "warmup_ratio"),
        *("bf16", "fp16", "float32", "bfloat16", "train_on_inputs", "datasets", "output_dir"),
    }
)
"""Keys that no pair holds, and that are understood all the same."""

_MEMORY: Final = "how memory is saved is chosen by the plan here, and changes no result"
_ATTENTION: Final = "attention is always document by document here"
_LOGS: Final = "figures are always kept here, and go to the boards that are installed"
_TOKENS: Final = "the base's own tokenizer is always taken"
_PADDING: Final = "packs are never padded here"

_REASONS: Final[dict[str, str]] = {
    **dict.fromkeys(
        ("gradient_checkpointing", "gradient_checkpointing_kwargs", "activation_offloading"),
        _MEMORY,
    ),
    **dict.fromkeys(
        ("flash_attention", "sdp_attention", "xformers_attention", "flex_attention"), _ATTENTION
    ),
    **dict.fromkeys(("sdpa_varlen", "attn_implementation", "eager_attention"), _ATTENTION),
    **dict.fromkeys(("logging_steps", "use_tensorboard", "use_wandb", "wandb_project"), _LOGS),
    **dict.fromkeys(("wandb_entity", "wandb_watch", "wandb_name", "wandb_log_model"), _LOGS),
    **dict.fromkeys(("tokenizer_type", "tokenizer_config", "special_tokens", "tokens"), _TOKENS),
    **dict.fromkeys(("model_type", "is_mistral_derived_model", "trust_remote_code"), _TOKENS),
    **dict.fromkeys(("pad_to_sequence_len", "eval_sample_packing"), _PADDING),
    "eval_batch_size": "evaluation reads one pack at a time here; its loss is the same",
    "load_in_8bit": "the base is held in 4 bits or as it is",
    "group_by_length": "the order of packs is drawn from the seed",
    "dataset_prepared_path": "what was tokenised is remembered here by content, in the cache",
    "save_total_limit": "one state to go on from is kept for each tier",
    "saves_per_epoch": "say after how many steps to save, as save_every of [watch]",
    "evals_per_epoch": "say after how many steps to evaluate, as evaluate_every of [watch]",
    "chat_template": "conversations are BlockML, which has no template",
    "max_steps": "a tier always trains whole epochs",
    "deepspeed": "several GPUs are used through torchrun",
    "fsdp": "several GPUs are used through torchrun; see sharding of [watch]",
    "fsdp_config": "several GPUs are used through torchrun; see sharding of [watch]",
    "strict": "every key is always checked here",
    "resume_from_checkpoint": "an interrupted run always goes on from its last saved step",
    "auto_resume_from_checkpoints": "an interrupted run always goes on from its last saved step",
    "lora_modules_to_save": "only linear layers are trained; BlockML needs no new tokens",
    "peft_use_dora": "DoRA is not known here",
    "test_datasets": "what is held out is a share of the data, as evaluation of [data]",
}

SCRIPT: Final = "train.sh"
_OUTPUT: Final = "outputs"
_LEFT_OUT: Final = {
    *("neftune_noise_alpha", "peft_use_rslora", "loraplus_lr_ratio", "revision_of_model"),
    "eval_steps",
}
"""Left out where they ask for nothing: axolotl refuses some of them then."""
_NAMES: Final = ("low", "mid", "high", "top", "top-pg13")
"""For tiers without a name of their own: the model card's."""
_ARROW: Final = re.compile(r"\s*(?:->|→)\s*")

_Record = TypeVar("_Record", Base, Lora, Train, Data, Watch)


@dataclass(slots=True)
class _Stage:
    """One training run of axolotl's, and the notes about it."""

    path: Path
    """The YAML file."""
    values: Yaml
    name: str = ""
    notes: list[str] = field(default_factory=list)

    def note(self, key: str, sentence: str) -> None:
        """Note what becomes of a key."""
        self.notes.append(f"{self.path.name}: {key}: {sentence}.")


def config_of(files: Sequence[Path], target: Path) -> tuple[Config, list[str]]:
    """Return the config for a file at `target`, and a sentence for what has no counterpart.

    Args:
        files: YAML files in the order of training. One that gives several values with arrows
            between them, as the model card does, is as many tiers.
        target: Where the config will lie: its paths begin there.

    Raises:
        UserError: A file cannot be read, or its values cannot be understood.
    """
    stages = [stage for file in files for stage in _stages(file)]
    _name_all(stages)
    tiers = [_tier(stages, index, target) for index in range(len(stages))]
    first = stages[0]
    config = Config(
        path=target.absolute(),
        tiers=tuple(tiers),
        base=_base(first, target),
        lora=_lora(first),
        watch=_record(Watch(), "watch", first),
    )
    for stage in stages:
        _note_others(stage, first)
    return config, list(dict.fromkeys(note for stage in stages for note in stage.notes))


def _stages(path: Path) -> list[_Stage]:
    """Return the runs of one file: as many as there are values between arrows."""
    values = _read(path)
    split = {
        key: _ARROW.split(value.strip())
        for key, value in values.items()
        if isinstance(value, str) and _ARROW.search(value)
    }
    counts = {len(parts) for parts in split.values()}
    if len(counts) > 1:
        keys = ", ".join(split)
        raise file_error(path, f"the arrows of {keys} lead through different numbers of values")
    runs = counts.pop() if counts else 1
    return [
        _Stage(path, {**values, **{key: parts[index] for key, parts in split.items()}})
        for index in range(runs)
    ]


def _read(path: Path) -> Yaml:
    yaml = _yaml()
    text = read_text(path, "config", "YAML")
    try:
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1}: " if mark else ""
        raise file_error(
            path, f"{line}this is not YAML ({getattr(error, 'problem', error)})"
        ) from error
    except RecursionError as error:
        raise file_error(path, "lists or mappings are nested too deeply") from error
    if not isinstance(values, dict) or "base_model" not in values:
        raise file_error(path, "this is no training config of axolotl's: it names no base_model")
    return {str(key): value for key, value in values.items() if value is not None}


def _name_all(stages: Sequence[_Stage]) -> None:
    """Name each run by its output folder, by its file, or as the model card names its tiers."""
    files = [stage.path for stage in stages]
    spare = iter((*_NAMES, *(f"tier-{number}" for number in range(6, len(stages) + 6))))
    taken: set[str] = set()
    for stage in stages:
        folder = Path(str(stage.values.get("output_dir", ""))).name
        own = [folder] if folder else []
        if files.count(stage.path) == 1 and len(files) > 1:
            own.append(stage.path.stem)
        names = [name for name in own if is_tier_name(name) and name.casefold() not in taken]
        stage.name = names[0] if names else next(n for n in spare if n.casefold() not in taken)
        taken.add(stage.name.casefold())


def _tier(stages: Sequence[_Stage], index: int, target: Path) -> Tier:
    stage = stages[index]
    return Tier(
        name=stage.name,
        files=_files(stage, target),
        after=_after(stages, index),
        train=_train(stage),
        data=_data(stage),
    )


def _after(stages: Sequence[_Stage], index: int) -> str:
    """Return the tier whose output this one goes on from; empty for the base."""
    stage = stages[index]
    wanted = stage.values.get("lora_model_dir")
    above = stages[index - 1].name if index else ""
    if not wanted:
        if index and stages[index - 1].path == stage.path:
            return above  # arrows: one after the other
        if index:
            stage.note("lora_model_dir", "it is not given, so this tier begins from the base")
        return ""
    for other in reversed(stages[:index]):
        folder = other.values.get("output_dir")
        if folder and os.path.normpath(str(folder)) == os.path.normpath(str(wanted)):
            return other.name
    takes = f"tier {above}" if above else "the base"
    stage.note("lora_model_dir", f"no file before writes to {wanted}; it goes on from {takes}")
    return above


def _files(stage: _Stage, target: Path) -> tuple[str, ...]:
    datasets = stage.values.get("datasets") or []
    if not isinstance(datasets, list):
        raise file_error(stage.path, "datasets should be a list")
    found = tuple(
        pattern for each in datasets for pattern in _patterns(stage, each, target.absolute().parent)
    )
    if not found:
        found = (f"data/{stage.name}/*",)
        stage.note("datasets", f"none is named; put conversations into data/{stage.name}")
    return found


def _patterns(stage: _Stage, dataset: object, folder: Path) -> Iterator[str]:
    if not isinstance(dataset, dict) or not isinstance(dataset.get("path"), str):
        raise file_error(stage.path, "each of the datasets should have a path")
    kind = dataset.get("type")
    if kind not in (None, "completion"):
        stage.note("datasets", f"{dataset['path']} is of type {kind}; only BlockML is read here")
    for key in dataset.keys() - {"path", "type", "ds_type", "data_files"}:
        if (key, dataset[key]) not in (("field", "text"), ("split", "train")):
            stage.note("datasets", f"{key} of {dataset['path']} is not known here")
    files = dataset.get("data_files") or [""]
    for name in [files] if isinstance(files, str) else files:
        yield _pattern(stage, Path(dataset["path"], str(name)), folder)


def _pattern(stage: _Stage, path: Path, folder: Path) -> str:
    """Return a glob from the config's folder."""
    there = _found(stage, path)
    if there is None:
        stage.note("datasets", f"there is no {path} here; put conversations there")
        there = stage.path.absolute().parent / path
    pattern = glob.escape(_from(folder, there, path))
    return f"{pattern}/*" if there.is_dir() else pattern


def _found(stage: _Stage, path: Path) -> Path | None:
    """Return what a relative path means: beside the YAML file, or here."""
    places = [user_path(path, folder) for folder in (stage.path.absolute().parent, Path.cwd())]
    return next((place for place in places if place.exists()), None)


def _from(folder: Path, place: Path, written: Path) -> str:
    """Return the place as a path from the folder, unless it was written as an absolute one."""
    if user_path(written).is_absolute():
        return place.as_posix()
    return Path(os.path.relpath(place, folder)).as_posix()


def _base(stage: _Stage, target: Path) -> Base:
    values = stage.values
    model = str(values["base_model"])
    if there := _found(stage, Path(model)):
        model = _from(target.absolute().parent, there, Path(model))
    base = _record(Base(), "base", stage)
    four_bits = bool(values.get("load_in_4bit")) or values.get("adapter") == "qlora"
    if values.get("adapter") not in ("lora", "qlora"):
        stage.note("adapter", f"{values.get('adapter')} is not known; a LoRA adapter is trained")
    quantization = values.get("bnb_config_kwargs") or {}
    if not isinstance(quantization, dict):
        raise file_error(stage.path, "bnb_config_kwargs should be a mapping")
    for key, value in quantization.items():
        if key != "bnb_4bit_use_double_quant" and value != "nf4":
            stage.note("bnb_config_kwargs", f"{key} = {value} has no counterpart")
    double = quantization.get("bnb_4bit_use_double_quant", True)
    return Base(model, base.revision, "nf4" if four_bits else "none", bool(double))


def _lora(stage: _Stage) -> Lora:
    lora = _record(Lora(), "lora", stage)
    targets = stage.values.get("lora_target_modules") or ()
    if stage.values.get("lora_target_linear"):
        if targets:
            stage.note("lora_target_modules", "lora_target_linear takes all linear layers already")
        targets = ()
    elif not targets:
        stage.note("lora_target_linear", "it is not given; all linear layers are trained here")
    names = [targets] if isinstance(targets, str) else targets
    if not isinstance(names, list | tuple):
        raise file_error(stage.path, "lora_target_modules should be a list")
    return Lora(lora.r, lora.alpha, lora.dropout, tuple(map(str, names)), lora.rslora, lora.plus)


def _train(stage: _Stage) -> Train:
    train = _record(Train(), "train", stage)
    return replace(
        train,
        optimizer=_known(stage, "optimizer", _OPTIMIZERS, _UNSET_OPTIMIZER),
        schedule=_known(stage, "lr_scheduler", _SCHEDULES, _UNSET_SCHEDULE),
        warmup_steps=_warmup(stage),
        precision=_precision(stage),
    )


_Word = TypeVar("_Word", bound=str)


def _known(stage: _Stage, key: str, words: Mapping[str, _Word], unset: str) -> _Word:
    word = str(stage.values.get(key, unset))
    if word in words:
        return words[word]
    taken = words[unset]
    stage.note(key, f"{word} is not known here; {taken} is taken")
    return taken


def _warmup(stage: _Stage) -> int:
    """Return the steps of warm-up, as far as they are known without the number of all steps."""
    scheduler = stage.values.get("lr_scheduler", _UNSET_SCHEDULE)
    steps, ratio = stage.values.get("warmup_steps"), stage.values.get("warmup_ratio")
    if scheduler == "constant":  # for which axolotl does not warm up
        if steps or ratio:
            stage.note("warmup_steps", "a constant rate has none in axolotl")
        return 0
    if steps:
        return int(_number(stage, "warmup_steps", steps))
    if ratio and _number(stage, "warmup_ratio", ratio) <= _NO_WARMUP:
        return 0
    share = f"{ratio:g}" if isinstance(ratio, int | float) and ratio else "0.03"
    stage.note("warmup_ratio", f"axolotl warms up for {share} of a tier; set warmup_steps yourself")
    return 0


def _precision(stage: _Stage) -> Any:
    values = stage.values
    if values.get("fp16") and not values.get("bf16"):
        stage.note("fp16", "fp16 is not known here; bf16 is taken")
        return "bf16"
    return "bf16" if values.get("bf16", "auto") or values.get("bfloat16") else "fp32"


def _data(stage: _Stage) -> Data:
    if not stage.values.get("train_on_inputs"):
        stage.note("train_on_inputs", "all blocks are learnt; leave some out as learn of [data]")
    return _record(Data(), "data", stage)


def _record(record: _Record, table: TableName, stage: _Stage) -> _Record:
    """Return the record with what the YAML says, or what axolotl takes if it says nothing."""
    values = {each.name: getattr(record, each.name) for each in fields(record)}
    for pair in _PAIRS:
        if pair.table == table:
            if pair.theirs not in stage.values and pair.unset is None:
                raise file_error(stage.path, f"{pair.theirs} is missing")
            value = stage.values.get(pair.theirs, pair.unset)
            values[pair.ours] = _value(stage, pair.theirs, type(values[pair.ours]), value)
    return type(record)(**values)


def _value(stage: _Stage, key: str, kind: type, value: object) -> object:
    if kind is bool:
        return bool(value)
    if kind is str:
        return str(value)
    number = _number(stage, key, value)
    if kind is float:
        return number
    whole = math.ceil(number)
    if whole != number:
        stage.note(key, f"{number:g} is no whole number; {whole} is taken")
    return whole


def _number(stage: _Stage, key: str, value: object) -> float:
    """Return a number; YAML 1.1 reads `1e-4` as text."""
    try:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ValueError
        number = float(value)
        if not math.isfinite(number):
            raise ValueError
    except (ValueError, OverflowError):
        raise file_error(stage.path, f"{key} should be a number, not {str(value)[:40]}") from None
    return number


def _note_others(stage: _Stage, first: _Stage) -> None:
    """Note what is not taken over, and what the first file alone decides."""
    known = {pair.theirs for pair in _PAIRS} | _READ_APART
    for key, value in stage.values.items():
        if key not in known and value not in ("", [], {}):
            stage.note(key, _REASONS.get(key, "it has no counterpart here"))
    shared = {pair.theirs for pair in _PAIRS if pair.table in ("base", "lora", "watch")}
    for key in sorted(shared | {"base_model", "load_in_4bit", "adapter", "lora_target_modules"}):
        if stage.values.get(key) != first.values.get(key):
            stage.note(key, f"one config has one, and {first.path.name} says it")


def files_of(config: Config) -> Iterator[tuple[str, str]]:
    """Yield each file's name and text, the script last; names are paths in one folder.

    Raises:
        UserError: YAML cannot be written, or the tiers' data cannot be read.
    """
    yaml = _yaml()
    for tier in config.tiers:
        yield f"data/{tier.name}.jsonl", "".join(_rows(config, tier))
        text = yaml.safe_dump(dict(settings_of(config, tier)), sort_keys=False, allow_unicode=True)
        after = f" It goes on from the tier {tier.after}." if tier.after else ""
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
    if tier.after:
        values["lora_model_dir"] = f"{_OUTPUT}/{tier.after}"
    values["datasets"] = [
        {"path": f"data/{tier.name}.jsonl", "ds_type": "json", "type": "completion"}
    ]
    values["output_dir"] = f"{_OUTPUT}/{tier.name}"
    if lora.targets:
        values["lora_target_modules"] = list(lora.targets)
    else:
        values["lora_target_linear"] = True
    tables = {"base": base, "lora": lora, "train": train, "data": tier.data, "watch": config.watch}
    for pair in _PAIRS:
        value = getattr(tables[pair.table], pair.ours)
        if value != pair.unset or pair.theirs not in _LEFT_OUT:
            is_whole = isinstance(value, float) and value.is_integer()
            values[pair.theirs] = int(value) if is_whole else value
    if not tier.data.evaluation:
        values.pop("eval_steps", None)
    has_warmup = train.warmup_steps > 0
    schedule = f"constant{'_with_warmup' * has_warmup}"
    values |= {
        "optimizer": _first(_OPTIMIZERS, train.optimizer),
        "lr_scheduler": schedule if train.schedule == "constant" else train.schedule,
        **({"warmup_steps": train.warmup_steps} if has_warmup else {"warmup_ratio": _NO_WARMUP}),
        "bf16": train.precision == "bf16",
        "fp16": False,
        "train_on_inputs": True,
        "pad_to_sequence_len": False,
        "gradient_checkpointing": True,
        "flash_attention": True,
    }
    return values


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
    if set(data.learn) != set(_ALL_LEARNT) or data.speakers or data.not_speakers:
        yield f"{tier.name}: axolotl learns every block of a completion; learn, speakers and "
        "not_speakers are lost."
    if train.carry_optimizer and tier.after:
        yield f"{tier.name}: carry_optimizer is lost; axolotl begins each tier with a fresh one."
    if train.keep == "best":
        yield f"{tier.name}: keep is lost; axolotl goes on from the last step's adapter."
    if train.warmup_steps == 1:
        yield f"{tier.name}: axolotl warms up for 2 steps where it is told 1."


def _first(words: Mapping[str, str], ours: str) -> str:
    return next(theirs for theirs, word in words.items() if word == ours)


def _rows(config: Config, tier: Tier) -> Iterator[str]:
    """Yield the tier's conversations, one JSON object a line."""
    for parts in _conversations(config, tier):
        yield json.dumps({"text": render_all(parts)}, ensure_ascii=False) + "\n"


def _conversations(config: Config, tier: Tier) -> Iterator[Sequence[Part]]:
    """Yield each conversation with the length hints it is trained with, where they are known."""
    from shoritui.finetune.data.conversations import find, read
    from shoritui.finetune.data.samples import Rule, tokenize
    from shoritui.finetune.data.tokenizer import open_tokenizer

    folder = config.path.parent
    found = read(folder, find(folder, tier.files), parse_where(tier.where).allows)
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


def _yaml() -> ModuleType:
    try:
        return importlib.import_module("yaml")
    except ImportError as error:
        raise UserError(
            "For YAML, install the finetune extra: pip install 'shoritui[finetune]'."
        ) from error

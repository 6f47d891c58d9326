"""axolotl's YAML files as a config: every key is taken over, or told why it is not.

It does not know how the config is written.
"""

from __future__ import annotations

import glob
import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Final, TypeVar

from shoritui.errors import UserError
from shoritui.finetune.config.axolotl import (
    NO_WARMUP,
    OPTIMIZERS,
    PAIRS,
    READ_APART,
    REASONS,
    SCHEDULES,
    UNSET_OPTIMIZER,
    UNSET_SCHEDULE,
    Yaml,
)
from shoritui.finetune.config.check import is_tier_name
from shoritui.finetune.config.fields import TableName, own_fields
from shoritui.finetune.config.model import Base, Config, Data, Lora, Tier, Train, Watch
from shoritui.sheets import read_text, told

KIND: Final = "YAML"
_NAMES: Final = ("low", "mid", "high", "top", "top-pg13")
"""For tiers without a name of their own: the model card's."""
_ARROW: Final = re.compile(r"\s*(?:->|→)\s*")

_Record = TypeVar("_Record", Base, Lora, Train, Data, Watch)


@dataclass(slots=True)
class _Stage:
    """One training run of axolotl's, and what was told about it."""

    path: Path
    """The YAML file."""
    values: Yaml
    name: str = ""
    notes: list[str] = field(default_factory=list)

    def tell(self, key: str, sentence: str) -> None:
        """Notes what becomes of a key."""
        self.notes.append(f"{self.path.name}: {key}: {sentence}.")


def config_of(files: Sequence[Path], target: Path) -> tuple[Config, list[str]]:
    """The config for a file at `target`, and a sentence for each thing that has no counterpart.

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
        _tell_of_others(stage, first)
    return config, list(dict.fromkeys(note for stage in stages for note in stage.notes))


def _stages(path: Path) -> list[_Stage]:
    """The runs of one file: as many as there are values between arrows."""
    values = _read(path)
    split = {
        key: _ARROW.split(value.strip())
        for key, value in values.items()
        if isinstance(value, str) and _ARROW.search(value)
    }
    counts = {len(parts) for parts in split.values()}
    if len(counts) > 1:
        keys = ", ".join(split)
        raise told(path, f"the arrows of {keys} lead through different numbers of values")
    runs = counts.pop() if counts else 1
    return [
        _Stage(path, {**values, **{key: parts[index] for key, parts in split.items()}})
        for index in range(runs)
    ]


def _read(path: Path) -> Yaml:
    try:
        import yaml
    except ImportError as error:
        raise UserError(
            "To read YAML, install the finetune extra: pip install 'shoritui[finetune]'."
        ) from error
    text = read_text(path, KIND)
    try:
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1}: " if mark else ""
        raise told(path, f"{line}this is not YAML ({getattr(error, 'problem', error)})") from error
    except RecursionError as error:
        raise told(path, "lists or mappings are nested too deeply") from error
    if not isinstance(values, dict) or "base_model" not in values:
        raise told(path, "this is no training config of axolotl's: it names no base_model")
    return {str(key): value for key, value in values.items() if value is not None}


def _name_all(stages: Sequence[_Stage]) -> None:
    """By the folder that axolotl writes to, by the file, or as the model card names its tiers."""
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
    """The tier whose output is gone on from."""
    stage = stages[index]
    wanted = stage.values.get("lora_model_dir")
    above = stages[index - 1].name if index else ""
    if not wanted:
        if index and stages[index - 1].path == stage.path:
            return above  # arrows: one after the other
        if index:
            stage.tell("lora_model_dir", "it is not given, so this tier begins from the base")
        return ""
    for other in reversed(stages[:index]):
        folder = other.values.get("output_dir")
        if folder and os.path.normpath(str(folder)) == os.path.normpath(str(wanted)):
            return other.name
    takes = f"tier {above}" if above else "the base"
    stage.tell("lora_model_dir", f"no file before writes to {wanted}; it goes on from {takes}")
    return above


def _files(stage: _Stage, target: Path) -> tuple[str, ...]:
    datasets = stage.values.get("datasets") or []
    if not isinstance(datasets, list):
        raise told(stage.path, "datasets should be a list")
    found = tuple(
        pattern for each in datasets for pattern in _patterns(stage, each, target.absolute().parent)
    )
    if not found:
        found = (f"data/{stage.name}/*",)
        stage.tell("datasets", f"none is named; put conversations into data/{stage.name}")
    return found


def _patterns(stage: _Stage, dataset: object, folder: Path) -> Iterator[str]:
    if not isinstance(dataset, dict) or not isinstance(dataset.get("path"), str):
        raise told(stage.path, "each of the datasets should have a path")
    kind = dataset.get("type")
    if kind not in (None, "completion"):
        stage.tell("datasets", f"{dataset['path']} is of type {kind}; only BlockML is read here")
    for key in dataset.keys() - {"path", "type", "ds_type", "data_files"}:
        if (key, dataset[key]) not in (("field", "text"), ("split", "train")):
            stage.tell("datasets", f"{key} of {dataset['path']} is not known here")
    files = dataset.get("data_files") or [""]
    for name in [files] if isinstance(files, str) else files:
        yield _pattern(stage, Path(dataset["path"], str(name)), folder)


def _pattern(stage: _Stage, path: Path, folder: Path) -> str:
    """A glob from the config's folder."""
    there = _found(stage, path)
    if there is None:
        stage.tell("datasets", f"there is no {path} here; put conversations there")
        there = stage.path.absolute().parent / path
    pattern = glob.escape(_from(folder, there, path))
    return f"{pattern}/*" if there.is_dir() else pattern


def _found(stage: _Stage, path: Path) -> Path | None:
    """What a relative path means: beside the YAML file, or here."""
    places = [stage.path.absolute().parent / path.expanduser(), Path.cwd() / path.expanduser()]
    return next((place for place in places if place.exists()), None)


def _from(folder: Path, place: Path, written: Path) -> str:
    """The place as a path from the folder, unless it was written as an absolute one."""
    if written.expanduser().is_absolute():
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
        stage.tell("adapter", f"{values.get('adapter')} is not known; a LoRA adapter is trained")
    quantization = values.get("bnb_config_kwargs") or {}
    if not isinstance(quantization, dict):
        raise told(stage.path, "bnb_config_kwargs should be a mapping")
    for key, value in quantization.items():
        if key != "bnb_4bit_use_double_quant" and value != "nf4":
            stage.tell("bnb_config_kwargs", f"{key} = {value} has no counterpart")
    double = quantization.get("bnb_4bit_use_double_quant", True)
    return Base(model, base.revision, "nf4" if four_bits else "none", bool(double))


def _lora(stage: _Stage) -> Lora:
    lora = _record(Lora(), "lora", stage)
    targets = stage.values.get("lora_target_modules") or ()
    if stage.values.get("lora_target_linear"):
        if targets:
            stage.tell("lora_target_modules", "lora_target_linear takes all linear layers already")
        targets = ()
    elif not targets:
        stage.tell("lora_target_linear", "it is not given; all linear layers are trained here")
    names = [targets] if isinstance(targets, str) else targets
    if not isinstance(names, list | tuple):
        raise told(stage.path, "lora_target_modules should be a list")
    return Lora(lora.r, lora.alpha, lora.dropout, tuple(map(str, names)), lora.rslora, lora.plus)


def _train(stage: _Stage) -> Train:
    train = _record(Train(), "train", stage)
    return replace(
        train,
        optimizer=_known(stage, "optimizer", OPTIMIZERS, UNSET_OPTIMIZER),
        schedule=_known(stage, "lr_scheduler", SCHEDULES, UNSET_SCHEDULE),
        warmup_steps=_warmup(stage),
        precision=_precision(stage),
    )


_Word = TypeVar("_Word", bound=str)


def _known(stage: _Stage, key: str, words: Mapping[str, _Word], unset: str) -> _Word:
    word = str(stage.values.get(key, unset))
    if word in words:
        return words[word]
    taken = words[unset]
    stage.tell(key, f"{word} is not known here; {taken} is taken")
    return taken


def _warmup(stage: _Stage) -> int:
    """Steps of warm-up, as far as they are known without the number of all steps."""
    scheduler = stage.values.get("lr_scheduler", UNSET_SCHEDULE)
    steps, ratio = stage.values.get("warmup_steps"), stage.values.get("warmup_ratio")
    if scheduler == "constant":  # for which axolotl does not warm up
        if steps or ratio:
            stage.tell("warmup_steps", "a constant rate has none in axolotl")
        return 0
    if steps:
        return int(_number(stage, "warmup_steps", steps))
    if ratio and _number(stage, "warmup_ratio", ratio) <= NO_WARMUP:
        return 0
    share = f"{ratio:g}" if isinstance(ratio, int | float) and ratio else "0.03"
    stage.tell("warmup_ratio", f"axolotl warms up for {share} of a tier; set warmup_steps yourself")
    return 0


def _precision(stage: _Stage) -> Any:
    values = stage.values
    if values.get("fp16") and not values.get("bf16"):
        stage.tell("fp16", "fp16 is not known here; bf16 is taken")
        return "bf16"
    return "bf16" if values.get("bf16", "auto") or values.get("bfloat16") else "fp32"


def _data(stage: _Stage) -> Data:
    if not stage.values.get("train_on_inputs"):
        stage.tell("train_on_inputs", "all blocks are learnt; leave some out as learn of [data]")
    return _record(Data(), "data", stage)


def _record(record: _Record, table: TableName, stage: _Stage) -> _Record:
    """The record with what the YAML says, or what axolotl takes if it says nothing."""
    values = {each.name: getattr(record, each.name) for each in fields(record)}
    for pair in PAIRS:
        if pair.table == table:
            if pair.theirs not in stage.values and pair.unset is None:
                raise told(stage.path, f"{pair.theirs} is missing")
            value = stage.values.get(pair.theirs, pair.unset)
            values[pair.ours] = _value(stage, pair.theirs, own_fields(table)[pair.ours].kind, value)
    return type(record)(**values)


def _value(stage: _Stage, key: str, kind: str, value: object) -> object:
    if kind == "flag":
        return bool(value)
    if kind == "text":
        return str(value)
    number = _number(stage, key, value)
    if kind == "number":
        return number
    whole = math.ceil(number)
    if whole != number:
        stage.tell(key, f"{number:g} is no whole number; {whole} is taken")
    return whole


def _number(stage: _Stage, key: str, value: object) -> float:
    """A number; YAML 1.1 reads `1e-4` as text."""
    try:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ValueError
        number = float(value)
        if not math.isfinite(number):
            raise ValueError
    except (ValueError, OverflowError):
        raise told(stage.path, f"{key} should be a number, not {str(value)[:40]}") from None
    return number


def _tell_of_others(stage: _Stage, first: _Stage) -> None:
    """Notes what is not taken over, and what the first file alone decides."""
    known = {pair.theirs for pair in PAIRS} | READ_APART
    for key, value in stage.values.items():
        if key not in known and value not in ("", [], {}):
            stage.tell(key, REASONS.get(key, "it has no counterpart here"))
    shared = {pair.theirs for pair in PAIRS if pair.table in ("base", "lora", "watch")}
    for key in sorted(shared | {"base_model", "load_in_4bit", "adapter", "lora_target_modules"}):
        if stage.values.get(key) != first.values.get(key):
            stage.tell(key, f"one config has one, and {first.path.name} says it")

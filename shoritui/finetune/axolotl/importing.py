"""Read axolotl's YAML files as a config: taken over exactly, or named in a note, or refused."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

from shoritui.errors import UserError
from shoritui.finetune.axolotl.keys import (
    BUILDERS,
    FORMER_NAMES,
    OPTIMIZERS,
    PAIRED,
    PAIRS,
    PLAIN,
    QUIET_PLUGINS,
    READ_APART,
    REFUSED,
    REFUSED_PLUGINS,
    SCHEDULES,
    UNSET_OPTIMIZER,
    UNSET_SCHEDULE,
    reason,
)
from shoritui.finetune.axolotl.stages import Stage, stages_of, told
from shoritui.finetune.config.fields import TableName, own_fields
from shoritui.finetune.config.model import (
    Base,
    Config,
    Data,
    Lora,
    Preference,
    Source,
    Tier,
    Train,
    Watch,
    is_tier_name,
)
from shoritui.folders import user_path
from shoritui.interop.datasets import Format
from shoritui.toml import Rule, item_of, type_parts

_NAMES: Final = ("low", "mid", "high", "top", "top-pg13")
"""For tiers without a name of their own: the model card's."""
_ONLY: Final = "only LoRA adapters that learn text are imported"
_NO_LINEAR: Final = {"embed_tokens", "lm_head", "wte", "embed_in", "embed_out"}

_Record = TypeVar("_Record", Base, Lora, Train, Data, Preference, Watch)
_Word = TypeVar("_Word", bound=str)


def config_of(files: Sequence[Path], target: Path) -> tuple[Config, list[str]]:
    """Return the config for a file at `target`, and a sentence for what has no counterpart.

    Args:
        files: YAML files in the order of training. One that gives several values with arrows
            between them, as the model card does, is as many tiers.
        target: Where the config will lie: its paths begin there.

    Raises:
        UserError: A file cannot be read, its values cannot be understood, or it is for another
            kind of training; the file and the key.
    """
    stages = [stage for file in files for stage in stages_of(file)]
    for stage in stages:
        _refuse(stage)
    _name_all(stages)
    sources = _sources(stages, target)
    tiers = [_tier(stages, index, target) for index in range(len(stages))]
    first, *others = stages
    config = Config(
        path=target.absolute(),
        tiers=tuple(tiers),
        base=_base(first, target),
        lora=_lora(first),
        watch=_record(Watch(), "watch", first),
        sources=sources,
    )
    for stage in others:
        _note_what_differs(stage, config, target, first.path.name)
    for stage in stages:
        _note_others(stage)
    return config, list(dict.fromkeys(note for stage in stages for note in stage.notes))


def _refuse(stage: Stage) -> None:
    """Refuse what asks for another kind of training than a LoRA adapter's on text."""
    kind = stage.values.get("rl")
    if _asks(kind) and not _is_dpo(stage):
        raise stage.wrong("rl", f" is {told(kind)}; {_ONLY}, or preferences by dpo")
    for key, why in REFUSED.items():
        if _asks(stage.values.get(key)):
            raise stage.wrong(key, f": {why}; {_ONLY}")
    for plugin in _plugins(stage):
        if plugin in REFUSED_PLUGINS:
            raise stage.wrong("plugins", f": {plugin}: {REFUSED_PLUGINS[plugin]}; {_ONLY}")
        if plugin not in QUIET_PLUGINS:
            stage.note("plugins", f"{plugin} has no counterpart here")
    adapter = stage.text("adapter")
    if not adapter:
        raise stage.wrong("adapter", f" is not given: the whole model would be trained; {_ONLY}")
    if adapter not in ("lora", "qlora"):
        raise stage.wrong("adapter", f" is {told(adapter)}; {_ONLY}")


def _asks(value: object) -> bool:
    """Return whether a value asks for something: not if it is false, zero or empty."""
    is_off = isinstance(value, str) and value.casefold() in ("false", "no", "off")
    return bool(value) and not is_off


def _is_dpo(stage: Stage) -> bool:
    return stage.values.get("rl") == "dpo"


def _plugins(stage: Stage) -> Iterator[str]:
    plugins = stage.values.get("plugins", [])
    if not isinstance(plugins, list) or not all(isinstance(each, str) for each in plugins):
        raise stage.wrong("plugins", " should be a list of names")
    for each in plugins:
        _, _, inner = each.partition("integrations.")
        yield inner.partition(".")[0] or each


def _name_all(stages: Sequence[Stage]) -> None:
    """Name each run by its output folder, by its file, or as the model card names its tiers."""
    files = [stage.path for stage in stages]
    spare = iter((*_NAMES, *(f"tier-{number}" for number in range(6, len(stages) + 6))))
    taken: set[str] = set()
    for stage in stages:
        folder = Path(stage.text("output_dir")).name
        own = [folder] if folder else []
        if files.count(stage.path) == 1 and len(files) > 1:
            own.append(stage.path.stem)
        names = [name for name in own if is_tier_name(name) and name.casefold() not in taken]
        stage.name = names[0] if names else next(n for n in spare if n.casefold() not in taken)
        taken.add(stage.name.casefold())


def _tier(stages: Sequence[Stage], index: int, target: Path) -> Tier:
    stage = stages[index]
    tier = Tier(
        name=stage.name,
        files=stage.patterns,
        after=_after(stages, index, target),
        train=_train(stage),
        data=_data(stage),
        preference=_preference(stage),
    )
    if not _is_dpo(stage):
        return tier
    if tier.after:
        stage.note(
            "rl", "the reference is the adapter that it goes on from; in older axolotls, the base"
        )
    # Theirs is the most that one of a pair's two documents may have.
    train = replace(tier.train, sequence_len=2 * tier.train.sequence_len)
    return replace(tier, kind="preference", train=train)


def _preference(stage: Stage) -> Preference:
    if _is_dpo(stage):
        return replace(_record(Preference(), "preference", stage), pairs=1)
    for pair in PAIRS:
        if pair.table == "preference" and pair.theirs in stage.values:
            stage.note(pair.theirs, "it counts only where rl is dpo")
    return Preference()


def _after(stages: Sequence[Stage], index: int, target: Path) -> str:
    """Return the tier or the adapter's folder that this goes on from; empty for the base."""
    stage = stages[index]
    wanted = stage.text("lora_model_dir")
    above = stages[index - 1].name if index else ""
    if not wanted:
        if index and stages[index - 1].path == stage.path:
            return above  # arrows: one after the other
        if index:
            stage.note("lora_model_dir", "it is not given, so this tier begins from the base")
        return ""
    for other in reversed(stages[:index]):
        folder = other.text("output_dir")
        if folder and os.path.normpath(folder) == os.path.normpath(wanted):
            return other.name
    if (there := _found(stage, "lora_model_dir", Path(wanted))) and there.is_dir():
        return f"{_from(target.absolute().parent, there, Path(wanted)).removesuffix('/')}/"
    takes = f"tier {above}" if above else "the base"
    stage.note(
        "lora_model_dir",
        f"no file before writes to {wanted}; it goes on from {takes}",
    )
    return above


def _sources(stages: Sequence[Stage], target: Path) -> tuple[Source, ...]:
    """Return what the data sets of all stages are; each stage gets its file patterns."""
    formats: dict[str, Format] = {}
    for stage in stages:
        datasets = stage.values.get("datasets", [])
        if not isinstance(datasets, list):
            raise stage.wrong("datasets", " should be a list")
        found: dict[str, None] = {}
        for each in datasets:
            format_, patterns = _dataset(stage, each, target.absolute().parent)
            found.update(dict.fromkeys(patterns))
            if format_ is not None:
                formats |= dict.fromkeys(patterns, format_)
        if not found:
            found[f"data/{stage.name}/*"] = None
            stage.note("datasets", f"none is named; put conversations into data/{stage.name}")
        stage.patterns = tuple(found)
    return tuple(Source((pattern,), format_) for pattern, format_ in formats.items())


def _dataset(stage: Stage, dataset: object, folder: Path) -> tuple[Format | None, list[str]]:
    """Return a data set's format, unless it is BlockML or unknown, and its file patterns."""
    if not isinstance(dataset, dict) or not isinstance(dataset.get("path"), str):
        raise stage.wrong("datasets", ": each of them should have a path")
    place = dataset["path"]
    kind = dataset.get("type")
    key = dataset.get("field_messages", "messages")
    format_ = None if _is_dpo(stage) else _format(kind, key)
    known = {"path", "type", "data_files", *(["field_messages"] if format_ else [])}
    if _is_dpo(stage):
        stage.note(
            "datasets",
            f"{place} should hold preferences as `shoritui chats export --preferences` writes "
            "them; no prompt format is applied here",
        )
    elif format_ is not None:
        stage.note(
            "datasets",
            f"{place} is of type {kind}: it is read, and learnt as BlockML; names of its "
            "[[source]] should say who its roles are",
        )
    elif kind not in (None, "completion"):
        called = f"of type {kind}" if isinstance(kind, str) else "of a format of its own"
        stage.note("datasets", f"{place} is {called}; no prompt format is applied here")
    for name, value in dataset.items():
        if name in known or value is None:
            continue
        if (name, value) not in (("field", "text"), ("split", "train"), ("ds_type", "json")):
            named = name if isinstance(name, str) else told(name)
            stage.note("datasets", f"{named} of {place} is not known here")
    files = dataset.get("data_files") or []
    files = [files] if isinstance(files, str) else files
    if not isinstance(files, list) or not all(isinstance(each, str) for each in files):
        raise stage.wrong("datasets", f": data_files of {place} should be a file or a list of them")
    if place in BUILDERS and files:  # the path is a kind of file, and no place
        place = ""
    return format_, [_pattern(stage, Path(place, name), folder) for name in files or [""]]


def _format(kind: object, key: object) -> Format | None:
    """Return the format that a type of axolotl's is here; None if it is none.

    Args:
        kind: The type.
        key: Where a conversation's turns stand.
    """
    match kind, key:
        case "alpaca", _:
            return "alpaca"
        case "sharegpt", _:
            return "sharegpt"
        case "chat_template", "conversations" | "conversation":
            return "sharegpt"
        case "chat_template", "messages":
            return "messages"
    return None


def _pattern(stage: Stage, path: Path, folder: Path) -> str:
    """Return a glob from the config's folder."""
    there = _found(stage, "datasets", path)
    if there is None:
        stage.note("datasets", f"there is no {path} here; put conversations there")
        there = stage.path.absolute().parent / path
    pattern = glob.escape(_from(folder, there, path))
    return f"{pattern}/*" if there.is_dir() else pattern


def _found(stage: Stage, key: str, path: Path) -> Path | None:
    """Return what a relative path means: beside the YAML file, or here."""
    try:
        places = [user_path(path, folder) for folder in (stage.path.absolute().parent, Path.cwd())]
    except UserError as error:
        raise stage.wrong(key, f": {error}".rstrip(".")) from None
    return next((place for place in places if place.exists()), None)


def _from(folder: Path, place: Path, written: Path) -> str:
    """Return the place as a path from the folder, unless it was written as an absolute one."""
    if user_path(written).is_absolute():
        return place.as_posix()
    return Path(os.path.relpath(place, folder)).as_posix()


def _base(stage: Stage, target: Path) -> Base:
    model = stage.text("base_model")
    if not model.strip():
        raise stage.wrong("base_model", " is empty")
    if there := _found(stage, "base_model", Path(model)):
        model = _from(target.absolute().parent, there, Path(model))
    base = _record(Base(), "base", stage)
    four_bits = stage.flag("load_in_4bit")
    if stage.text("adapter") == "qlora" and not four_bits:
        four_bits = True
        stage.note("load_in_4bit", "it is not true; the base of a QLoRA adapter is held in 4 bits")
    quantization = stage.mapping("bnb_config_kwargs")
    for key, value in quantization.items():
        if key != "bnb_4bit_use_double_quant" and (key, value) != ("bnb_4bit_quant_type", "nf4"):
            stage.note("bnb_config_kwargs", f"{key} = {told(value)} has no counterpart")
    double = quantization.get("bnb_4bit_use_double_quant", True)
    if not isinstance(double, bool):
        raise stage.wrong(
            "bnb_config_kwargs", ": bnb_4bit_use_double_quant should be true or false"
        )
    return Base(model, base.revision, "nf4" if four_bits else "none", double)


def _lora(stage: Stage) -> Lora:
    return replace(_record(Lora(), "lora", stage), targets=_targets(stage))


def _targets(stage: Stage) -> tuple[str, ...]:
    """Return the layers that are adapted; empty for all linear ones.

    A list names the ends of layers' names; one text is a regular expression for whole names, or
    `all-linear`.
    """
    key = "lora_target_modules"
    wanted = stage.values.get(key, [])
    wanted = [] if wanted == "" else wanted
    names = [wanted] if isinstance(wanted, str) else wanted
    if not isinstance(names, list) or not all(isinstance(each, str) for each in names):
        raise stage.wrong(key, " should be a list of names, or a regular expression")
    if stage.flag("lora_target_linear") or wanted == "all-linear":
        for name in names:
            if name in _NO_LINEAR:
                stage.note(key, f"{name} is left as it is; only linear layers are trained")
        if wanted and wanted != "all-linear":
            stage.note(key, "lora_target_linear takes all linear layers already")
        return ()
    if not names:
        stage.note("lora_target_linear", "it is not given; all linear layers are trained here")
    if isinstance(wanted, str) and wanted and PLAIN.fullmatch(wanted):
        stage.note(key, f"{wanted} is no list; the layers of this name are taken")
    if isinstance(wanted, list):
        for name in names:
            if not PLAIN.fullmatch(name):
                raise stage.wrong(
                    key, f": {told(name)} is no layer's name; a regular expression is no list"
                )
    rules = type_parts(item_of(own_fields("lora")["targets"].type))[1]
    for name in names:
        for rule in rules:
            if isinstance(rule, Rule) and (fault := rule.fault(name)):
                raise stage.wrong(key, f" should be {rule.expected}, {fault}")
    return tuple(names)


def _train(stage: Stage) -> Train:
    train = _record(Train(), "train", stage)
    steps, ratio = _warmup(stage)
    return replace(
        train,
        accumulation=_accumulation(stage, train),
        optimizer=_known(stage, "optimizer", OPTIMIZERS, UNSET_OPTIMIZER),
        schedule=_known(stage, "lr_scheduler", SCHEDULES, UNSET_SCHEDULE),
        warmup_steps=steps,
        warmup_ratio=ratio,
        precision=_precision(stage),
    )


def _accumulation(stage: Stage, train: Train) -> int:
    if "batch_size" not in stage.values or "gradient_accumulation_steps" in stage.values:
        if "batch_size" in stage.values:
            stage.note("batch_size", "gradient_accumulation_steps is given, and counts")
        return train.accumulation
    count = stage.whole("batch_size") // train.micro_batch
    if count < 1:
        raise stage.wrong("batch_size", " should be at least micro_batch_size")
    stage.note("batch_size", f"{count} micro-steps are taken for it, as accumulation of [train]")
    return count


def _known(stage: Stage, key: str, words: Mapping[str, _Word], unset: str) -> _Word:
    word = stage.text(key) or unset
    if word in words:
        return words[word]
    taken = words[unset]
    stage.note(key, f"{word} is not known here; {taken} is taken")
    return taken


def _warmup(stage: Stage) -> tuple[int, float]:
    """Return the steps of warm-up, or their share."""
    steps = stage.whole("warmup_steps", 0)
    ratio = stage.number("warmup_ratio", 0)
    if steps < 0 or steps >= 2**31:
        raise stage.wrong("warmup_steps", f" should be a whole number of 0 or more, not {steps}")
    if not 0 <= ratio < 1:
        raise stage.wrong("warmup_ratio", f" should be a share from 0 to below 1, not {ratio:g}")
    if stage.values.get("lr_scheduler") == "constant":  # for which axolotl does not warm up
        for key in ("warmup_steps", "warmup_ratio"):
            if stage.number(key, 0):
                stage.note(key, "a constant rate has none in axolotl")
        return 0, 0.0
    if "warmup_steps" in stage.values:
        if ratio:
            stage.note("warmup_ratio", "warmup_steps is given, and counts")
        return steps, 0.0
    if "warmup_ratio" in stage.values:
        return 0, ratio
    stage.note("warmup_ratio", "it is not given; 0.03 is taken, which axolotl ends at 100 steps")
    return 0, 0.03


def _precision(stage: Stage) -> Literal["bf16", "fp32"]:
    is_bf16 = stage.values.get("bf16", "auto") in ("auto", "full") or stage.flag("bf16")
    if is_bf16 or stage.flag("bfloat16"):
        if stage.flag("float32"):
            stage.note("float32", "bf16 is taken, since bf16 is not false")
        return "bf16"
    for key in ("fp16", "float16"):
        if stage.flag(key):
            stage.note(key, "fp16 is not known here; bf16 is taken")
            return "bf16"
    return "fp32"


def _data(stage: Stage) -> Data:
    if _is_dpo(stage):
        stage.note("train_on_inputs", "of preferences the messages alone are learnt")
        stage.note(
            "excess_length_strategy", "the oldest messages before a pair are left out if it is long"
        )
        return _record(Data(), "data", stage)
    if not stage.flag("train_on_inputs"):
        stage.note("train_on_inputs", "all blocks are learnt; leave some out as learn of [data]")
    if stage.text("excess_length_strategy") != "raise":
        stage.note(
            "excess_length_strategy",
            "what is longer than sequence_len is split between messages, not dropped or cut",
        )
    return _record(Data(), "data", stage)


def _record(record: _Record, table: TableName, stage: Stage) -> _Record:
    """Return the record with what the YAML says, or what axolotl takes if it says nothing."""
    values = {each.name: getattr(record, each.name) for each in fields(record)}
    for pair in PAIRS:
        if pair.table == table:
            values[pair.ours] = stage.paired(pair)
    return type(record)(**values)


def _note_what_differs(stage: Stage, config: Config, target: Path, first: str) -> None:
    """Note what a later file says otherwise, but the first alone decides."""
    base, lora = _base(stage, target), _lora(stage)
    watch = _record(Watch(), "watch", stage)
    tables: dict[str, tuple[Any, Any]] = {
        "base": (base, config.base),
        "lora": (lora, config.lora),
        "watch": (watch, config.watch),
    }
    keys: dict[tuple[str, str], str] = {
        ("base", "model"): "base_model",
        ("base", "quantize"): "load_in_4bit",
        ("base", "double_quant"): "bnb_config_kwargs",
        ("lora", "targets"): "lora_target_modules",
        **{(pair.table, pair.ours): pair.theirs for pair in PAIRS if pair.table in tables},
    }
    for (table, ours), key in keys.items():
        theirs, taken = tables[table]
        if getattr(theirs, ours) != getattr(taken, ours):
            stage.note(key, f"one config has one, and {first} says it")


def _note_others(stage: Stage) -> None:
    """Note what is not taken over."""
    for key, value in stage.values.items():
        if key in PAIRED or key in READ_APART or value in ("", [], {}):
            continue
        if (why := reason(key)) or key in REFUSED:
            if _asks(value):
                stage.note(key, why or "it has no counterpart here")
        else:
            stage.note(key, "it has no counterpart here")
    for former, now in FORMER_NAMES.items():
        if former in stage.values and now in stage.values:
            stage.note(now, f"{former} is given too, and counts")

"""Export a trained tier: write the file, prove that it is the trained model, only then name it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, get_args

from shoritui import demo
from shoritui.errors import UserError
from shoritui.files import check_space, scratch_folder, why
from shoritui.finetune.config.model import Config, Tier
from shoritui.finetune.data.tier import prepare
from shoritui.finetune.data.tokenizer import open_tokenizer
from shoritui.finetune.export.llama_cpp import BITS, LlamaFile, Quant, quantize
from shoritui.finetune.export.reference import completed, reference
from shoritui.finetune.export.verify import (
    Agreement,
    check_adapter,
    check_model,
    check_tokens,
    documents_of,
)
from shoritui.folders import user_path
from shoritui.gguf.converted import model_of_folder
from shoritui.gguf.lora.peft import CONFIG_FILE, WEIGHTS_FILE, read_peft
from shoritui.gguf.lora.write import write_lora
from shoritui.gguf.merge import merged, untied
from shoritui.gguf.model import Format, Model, model_bytes, model_of_gguf, write_model
from shoritui.gguf.write import About, Kind
from shoritui.text import printable

_LORA: Final[Mapping[str, Kind]] = {"lora": "F32", "lora-f16": "F16"}
"""How an adapter's factors are stored."""
FORMS: Final = (*_LORA, "peft", *get_args(Format), *get_args(Quant))
FileProgress = Callable[[str, int, int], None]
"""Hears what is being written, and the bytes done and of all."""


@dataclass(frozen=True, slots=True)
class Order:
    """What to export, and as what."""

    config: Config
    tier: Tier
    base: Path
    """The base's folder."""
    adapter: Path
    """The trained tier's PEFT folder."""
    form: str
    """One of FORMS."""
    target: Path
    is_verified: bool


@dataclass(frozen=True, slots=True)
class Proof:
    """What was compared."""

    agreement: Agreement
    texts: int
    """That were cut into tokens by the exported vocabulary and by training's, to the same ids; 0
    where an adapter's base has a vocabulary that GGUF cannot hold."""


def export_tier(order: Order, report: FileProgress) -> Proof | None:
    """Write the file or folder; with a proof if one was asked for.

    Raises:
        UserError: The adapter or base is not one that can be exported so, the target cannot be
            written, or what was written is not the trained model: then it is not kept.
    """
    try:
        if order.form == "peft":
            read_peft(order.adapter)
            _copy(order.adapter, order.target)
            return None
        with scratch_folder(order.target) as place:
            made = place / "made.gguf"
            base = _base(order)
            _write(made, order, base, report)
            proof = _proof(made, order, base, report) if order.is_verified else None
            made.replace(order.target)
            return proof
    except OSError as error:
        raise UserError(f"{order.target} cannot be written: {why(error)}.") from None


def _base(order: Order) -> Model:
    """Return the base: of its own GGUF where it is one, with all that stands in it."""
    if (own := gguf_of(order.config)) is not None:
        return model_of_gguf(own)
    return model_of_folder(order.base, completed(order.base), needs_tokens=order.form not in _LORA)


def _write(made: Path, order: Order, base: Model, report: FileProgress) -> None:
    about, saved = _about(order), read_peft(order.adapter)
    if order.form in _LORA:
        write_lora(made, saved, base.base, about, _LORA[order.form])
        return
    adapter = made.with_name("adapter.gguf")
    write_lora(adapter, saved, untied(base.base), about)
    model = merged(base, adapter)
    heard = _of(f"writing {order.form}", report)
    if order.form in get_args(Format):
        form: Format = order.form  # type: ignore[assignment]
        check_space(made.parent, model_bytes(model, form), "the model")
        write_model(made, model, form, about, heard)
    else:
        quant: Quant = order.form  # type: ignore[assignment]
        between, size = made.with_name("f16.gguf"), model_bytes(model, "f16")
        check_space(made.parent, size + int(size / 16 * BITS[quant]), "the model, in F16 before,")
        write_model(between, model, "f16", about, _of("writing f16", report))
        quantize(between, made, quant, heard)
        between.unlink()
    with LlamaFile(made):
        pass  # what llama.cpp does not take is not kept


def _about(order: Order) -> About:
    """Return what the file says of itself: nobody else should read where the folder lies."""
    name = Path(order.config.base.model).name
    what = "An adapter for" if order.form in _LORA else "Trained from"
    return About(f"{name} {order.tier.name}", f"{what} {name}; made with ShoriTUI.")


def _proof(made: Path, order: Order, base: Model, report: FileProgress) -> Proof:
    tokenizer = open_tokenizer(order.base)
    samples = prepare(order.config, tokenizer)[order.tier.name].train
    documents = documents_of(samples)
    wanted = reference(order.base, order.adapter, documents)
    if order.form not in _LORA:
        with LlamaFile(made) as file:
            texts = check_tokens(file, tokenizer, order.config, order.tier)
            return Proof(check_model(file, order.form, documents, wanted), texts)
    # An adapter's own error is told from its base's only where that has none.
    exact = made.with_name("base.gguf")
    check_space(made.parent, model_bytes(base, "f32"), "its base in F32, to compare with,")
    write_model(exact, base, "f32", About("base"), _of("writing the base in f32", report))
    own, texts = gguf_of(order.config), 0
    if own or base.has_vocabulary:
        with LlamaFile(own or exact, vocabulary_only=True) as file:
            texts = check_tokens(file, tokenizer, order.config, order.tier)
    with LlamaFile(exact) as file:
        return Proof(check_adapter(file, order.form, made, documents, wanted), texts)


def gguf_of(config: Config) -> Path | None:
    """Return the base's own GGUF, which a chat can run; None where it is a folder or on the hub."""
    name = config.base.model
    if (shipped := demo.named(name)) is not None:
        return shipped
    path = user_path(name, config.path.parent)
    return path if path.suffix.lower() == ".gguf" and path.is_file() else None


def _of(what: str, report: FileProgress) -> Callable[[int, int], None]:
    return lambda done, total: report(what, done, total)


def _copy(adapter: Path, target: Path) -> None:
    """Copy the adapter's files; what else is in its folder stays."""
    if target.resolve() == adapter.resolve():
        raise UserError(f"{printable(target)} is the adapter itself: name another folder.")
    if target.exists() and not (target / CONFIG_FILE).is_file():
        raise UserError(f"{target} is there already and holds no adapter: name another folder.")
    names = (WEIGHTS_FILE, CONFIG_FILE)
    with scratch_folder(target) as place:
        for name in names:
            shutil.copyfile(adapter / name, place / name)
        target.mkdir(parents=True, exist_ok=True)
        for name in names:
            (place / name).replace(target / name)

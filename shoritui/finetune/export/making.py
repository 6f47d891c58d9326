"""One export from beginning to end: what it needs, the file, the proof, and only then its name.

It does not know the command line.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, get_args

from shoritui.demo import model_path
from shoritui.errors import UserError
from shoritui.finetune.config.model import Config, Tier
from shoritui.finetune.data.tier import prepare
from shoritui.finetune.data.tokenizer import open_tokenizer
from shoritui.finetune.export.checkpoint import llama_of
from shoritui.finetune.export.llama import LlamaFile
from shoritui.finetune.export.lora import write_lora
from shoritui.finetune.export.merged import merged
from shoritui.finetune.export.quantize import BITS, Quant, quantize
from shoritui.finetune.export.reference import reference
from shoritui.finetune.export.verify import (
    Agreement,
    check_adapter,
    check_model,
    check_tokens,
    documents_of,
)
from shoritui.finetune.gguf.reading import printable
from shoritui.finetune.gguf.whole import cause, check_room, workplace
from shoritui.finetune.gguf.write import About, Format, Llama, model_bytes, write_model
from shoritui.finetune.model.adapter import CONFIG_FILE, WEIGHTS_FILE, Saved, load

FORMS: Final = ("lora", "peft", *get_args(Format), *get_args(Quant))
Tell = Callable[[str, int, int], None]
"""Is told what is being written, and the bytes done and of all."""

_HEAD: Final = "lm_head.weight"


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
    """That were cut into tokens by the exported vocabulary and by training's, to the same ids."""


def make(order: Order, tell: Tell) -> Proof | None:
    """Write the file or folder; with a proof if one was asked for.

    Raises:
        UserError: The adapter or base is not one that can be exported so, the target cannot be
            written, or what was written is not the trained model: then it is not kept.
    """
    saved = load(order.adapter)
    try:
        if order.form == "peft":
            _copy(order.adapter, order.target)
            return None
        with workplace(order.target) as place:
            made = place / "made.gguf"
            base = llama_of(order.base)
            _write(made, order, saved, base, tell)
            proof = _proof(made, order, base, tell) if order.is_verified else None
            made.replace(order.target)
            return proof
    except OSError as error:
        raise UserError(f"{order.target} cannot be written: {cause(error)}.") from None


def _write(made: Path, order: Order, saved: Saved, base: Llama, tell: Tell) -> None:
    about = _about(order)
    if order.form == "lora":
        write_lora(made, saved, base.sizes, about, tied=_HEAD not in base.names)
        return
    model = merged(base, saved)
    told = _of(f"writing {order.form}", tell)
    if order.form in get_args(Format):
        form: Format = order.form  # type: ignore[assignment]
        check_room(made.parent, model_bytes(model, form), "the model")
        write_model(made, model, form, about, told)
        return
    quant: Quant = order.form  # type: ignore[assignment]
    between, size = made.with_name("f16.gguf"), model_bytes(model, "f16")
    check_room(made.parent, size + int(size / 16 * BITS[quant]), "the model, in F16 before,")
    write_model(between, model, "f16", about, _of("writing f16", tell))
    quantize(between, made, quant, told)
    between.unlink()


def _about(order: Order) -> About:
    """A folder's own name is enough: nobody else should read where it lies."""
    name = Path(order.config.base.model).name
    what = "An adapter for" if order.form == "lora" else "Trained from"
    return About(f"{name} {order.tier.name}", f"{what} {name}; made with ShoriTUI.")


def _proof(made: Path, order: Order, base: Llama, tell: Tell) -> Proof:
    tokenizer = open_tokenizer(order.base)
    samples = prepare(order.config, order.tier, tokenizer).train
    documents = documents_of(samples)
    wanted = reference(order.base, order.adapter, documents)
    if order.form != "lora":
        with LlamaFile(made) as file:
            texts = check_tokens(file, tokenizer, order.config, order.tier)
            return Proof(check_model(file, order.form, documents, wanted), texts)
    # An adapter's own error is told from its base's only where that has none.
    exact = made.with_name("base.gguf")
    check_room(made.parent, model_bytes(base, "f32"), "its base in F32, to compare with,")
    write_model(exact, base, "f32", About("base"), _of("writing the base in f32", tell))
    own = gguf_of(order.config)
    with LlamaFile(own or exact, vocabulary_only=True) as file:
        texts = check_tokens(file, tokenizer, order.config, order.tier)
    with LlamaFile(exact) as file:
        return Proof(check_adapter(file, made, documents, wanted), texts)


def gguf_of(config: Config) -> Path | None:
    """The base's own GGUF, which a chat can run; None where it is a folder or on the hub."""
    name = config.base.model
    path = config.path.parent / Path(name).expanduser()
    if name == "demo":
        return model_path()
    return path if path.suffix.lower() == ".gguf" and path.is_file() else None


def _of(what: str, tell: Tell) -> Callable[[int, int], None]:
    return lambda done, total: tell(what, done, total)


def _copy(adapter: Path, target: Path) -> None:
    """The files of the adapter; what else is in an adapter's folder stays."""
    if target.resolve() == adapter.resolve():
        raise UserError(f"{printable(str(target))} is the adapter itself: name another folder.")
    if target.exists() and not (target / CONFIG_FILE).is_file():
        raise UserError(f"{target} is there already and holds no adapter: name another folder.")
    with workplace(target) as place:
        files = _copied(adapter, place)
        target.mkdir(parents=True, exist_ok=True)
        for name, path in files.items():
            path.replace(target / name)


def _copied(adapter: Path, place: Path) -> Mapping[str, Path]:
    files = {name: place / name for name in (WEIGHTS_FILE, CONFIG_FILE)}
    for name, path in files.items():
        shutil.copyfile(adapter / name, path)
    return files

"""`shoritui finetune export`: a trained tier as a file that chat loads, or as one for others."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from shoritui.commands.arguments import add_json, named_path
from shoritui.commands.finetune.arguments import add_config, add_demo, finetune_extra
from shoritui.commands.output import print_json
from shoritui.demo import DEMO, SMOLLM2
from shoritui.errors import UserError
from shoritui.finetune.config.load import chosen
from shoritui.finetune.config.model import Config, Tier
from shoritui.finetune.events import Preparing, Reported
from shoritui.progress import ProgressLine
from shoritui.text import clean, closest, command, size

if TYPE_CHECKING:
    from shoritui.finetune.export.export import Order, Proof

DESCRIPTION: Final = """\
Write a trained tier as a LoRA GGUF (the default), as a merged model, or as a PEFT folder. No
compiler or other program is needed. `shoritui help training` lists the architectures.
"""
_WORTH_A_LINE: Final = 1 << 27
"""Bytes; what is smaller is there at once."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_config(parser)
    add_demo(parser)
    parser.add_argument("--tier", metavar="NAME", help="the tier (default: the last one)")
    parser.add_argument(
        "--as",
        dest="form",
        metavar="FORM",
        default="lora",
        help="lora, lora-f16, peft, or a merged model: f32, f16, bf16, q8_0, q6_k, q5_k_m or "
        "q4_k_m",
    )
    parser.add_argument("--to", metavar="PATH", type=named_path, help="the file or folder to write")
    parser.add_argument(
        "--verify",
        action="store_true",
        help="compare its logits and tokens in llama.cpp with the trained model; fail if they "
        "differ",
    )
    add_json(parser)


@finetune_extra()
def run(options: argparse.Namespace) -> int:
    """Write the tier in the form that is asked for, and say what to do with it.

    Raises:
        UserError: The tier or form is unknown, the tier is not trained, the file cannot be
            written, or it is not the trained model.
    """
    from shoritui.finetune.base_model import folder_of
    from shoritui.finetune.data.conversations import filled
    from shoritui.finetune.export.export import FORMS, Order, export_tier, gguf_of
    from shoritui.finetune.quiet_libraries import quieten
    from shoritui.finetune.run.adapter_folders import place_of

    quieten()
    form = _form(options.form, FORMS)
    if form == "peft" and options.verify:
        raise UserError(
            "--verify compares with llama.cpp, which reads no PEFT folder: leave --verify out."
        )
    with _Progress() as progress:
        config = filled(chosen(options), progress.prepare)
    tier = _tier(config, options.tier)
    adapter = place_of(config, tier.name)
    _check_trained(adapter, tier, options)
    target = _target(options.to, adapter, form)
    if (own := gguf_of(config)) and target.resolve() == own.resolve():
        raise UserError(f"{clean(str(target))} is the base itself: name another file.")
    with _Progress() as progress:
        base = folder_of(config.base, progress.prepare, config.path.parent)
        order = Order(config, tier, base, adapter, form, target, options.verify)
        proof = export_tier(order, progress.report)
    facts = _facts(order, proof)
    if options.json:
        print_json(facts)
    else:
        print("\n".join(_lines(order, proof, facts["bytes"])))
    return 0


def _form(wanted: str, forms: tuple[str, ...]) -> str:
    form = wanted.lower()
    if form in forms:
        return form
    near = closest(form, forms)
    hint = f"; did you mean {near}?" if near else "."
    raise UserError(f"--as {clean(wanted)!r} is none of {', '.join(forms)}{hint}")


def _tier(config: Config, name: str | None) -> Tier:
    if name is None:
        return config.tiers[-1]
    for tier in config.tiers:
        if tier.name == name:
            return tier
    known = ", ".join(tier.name for tier in config.tiers)
    raise UserError(f"There is no tier {clean(name)!r} in {config.path}: it has {known}.")


def _check_trained(adapter: Path, tier: Tier, options: argparse.Namespace) -> None:
    from shoritui.gguf.lora.peft import CONFIG_FILE

    if not (adapter / CONFIG_FILE).is_file():
        run = command("finetune", "--demo" if options.demo else options.config)
        raise UserError(
            f"The tier {tier.name!r} is not trained yet ({clean(str(adapter))} is missing): run "
            f"`{run}` first."
        )


def _target(wanted: Path | None, adapter: Path, form: str) -> Path:
    """Return a path beside the adapter, or the one wanted; in a folder, under its usual name."""
    usual = f"{adapter.name}.{form}" if form == "peft" else f"{adapter.name}.{form}.gguf"
    if wanted is None:
        return adapter.with_name(usual)
    return wanted / usual if form != "peft" and wanted.is_dir() else wanted


def _facts(order: Order, proof: Proof | None) -> dict[str, Any]:
    target = order.target
    files = target.iterdir() if target.is_dir() else [target]
    facts: dict[str, Any] = {
        "tier": order.tier.name,
        "as": order.form,
        "path": str(target),
        "bytes": sum(file.stat().st_size for file in files if file.is_file()),
        "verified": None,
    }
    if proof is not None:
        facts["verified"] = {
            "logits_error": proof.agreement.error,
            "tolerance": proof.agreement.tolerance,
            "strength": proof.agreement.strength,
            "tokens": proof.agreement.tokens,
            "texts": proof.texts,
        }
    return facts


def _lines(order: Order, proof: Proof | None, count: int) -> list[str]:
    lines = [f"{order.target}  {size(count)}"]
    if proof is not None:
        agreement = proof.agreement
        verified = (
            f"Verified: logits of {agreement.tokens} tokens differ from PyTorch's by "
            f"{agreement.error:.1e} (allowed {agreement.tolerance:.0e})"
        )
        same = f"; {proof.texts:,} texts of the training set give the same tokens"
        lines.append(f"{verified}{same if proof.texts else ''}.")
        if agreement.strength is not None:
            lines.append(f"The adapter's effect is in it {agreement.strength:.2f} times.")
    return [*lines, _next(order)]


def _next(order: Order) -> str:
    path = order.target.absolute()
    if order.form == "peft":
        return f"In a chat: /adapter {path}; any program that uses PEFT loads it too."
    if not order.form.startswith("lora"):
        return f"Talk with it: {command('chat', '--model', path)}"
    return f"In a chat with {_base_name(order.config)}: /adapter {path}"


_NAMES: Final = {DEMO: "the model that ships", SMOLLM2: "SmolLM2"}


def _base_name(config: Config) -> str:
    model = config.base.model
    return _NAMES.get(model, f"a GGUF of {model}")


class _Progress:
    """A line on stderr for each thing that takes its time."""

    def __init__(self) -> None:
        self._line: ProgressLine | None = None
        self._what = ""

    def prepare(self, event: Preparing | Reported) -> None:
        """Show what opening the base reports."""
        if isinstance(event, Reported):
            print(event.text, file=sys.stderr)
        else:
            self.report(event.what, event.done << 20, event.total << 20)

    def report(self, what: str, done: int, total: int) -> None:
        """Show that so many bytes of something are done."""
        if total < _WORTH_A_LINE:
            return
        if what != self._what:
            self._end()
            print(what, file=sys.stderr)
            self._what, self._line = what, ProgressLine(total)
        if self._line:
            self._line.report(done)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def _end(self) -> None:
        if self._line:
            self._line.end()
        self._line = None

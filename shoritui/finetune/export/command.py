"""`finetune export`: a trained tier as a file that a chat loads, or as one that others take.

It does not know formats.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, Self

from shoritui.blockml import clean
from shoritui.errors import UserError
from shoritui.finetune.config.choose import chosen
from shoritui.finetune.config.model import Config, Tier
from shoritui.finetune.events import Preparing, Told
from shoritui.progress import ProgressLine

_WORTH_A_LINE: Final = 1 << 27
"""Bytes; what is smaller is there at once."""


def export(options: argparse.Namespace) -> int:
    """Writes the tier in the form that is asked for, and says what to do with it.

    Raises:
        UserError: The tier or form is unknown, the tier is not trained, the file cannot be
            written, or it is not the trained model.
    """
    try:
        from shoritui.finetune.export import making
    except ImportError:
        raise UserError("Exporting needs more: pip install 'shoritui[finetune]'.") from None
    from shoritui.finetune.model.base import folder_of
    from shoritui.finetune.model.quiet import quieten
    from shoritui.finetune.run.output import place_of

    quieten()
    form = _form(options.form, making.FORMS)
    if form == "peft" and options.verify:
        raise UserError(
            "--verify compares with llama.cpp, which reads no PEFT folder: leave --verify out."
        )
    config = chosen(options)
    tier = _tier(config, options.tier)
    adapter = place_of(config, tier.name)
    _check_trained(adapter, tier, options)
    target = _target(options.to, adapter, form)
    if (own := making.gguf_of(config)) and target.resolve() == own.resolve():
        raise UserError(f"{clean(str(target))} is the base itself: name another file.")
    with _Progress() as progress:
        base = folder_of(config.base, progress.prepare, config.path.parent)
        order = making.Order(config, tier, base, adapter, form, target, options.verify)
        proof = making.make(order, progress.tell)
    facts = _facts(order, proof)
    if options.json:
        print(json.dumps(facts, indent=2).replace("\x7f", "\\u007f"))
    else:
        print(clean("\n".join(_lines(order, proof, facts["bytes"]))))
    return 0


def _form(wanted: str, forms: tuple[str, ...]) -> str:
    form = wanted.lower()
    if form in forms:
        return form
    near = get_close_matches(form, forms, n=1)
    hint = f"; did you mean {near[0]}?" if near else "."
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
    from shoritui.finetune.model.adapter import CONFIG_FILE

    if not (adapter / CONFIG_FILE).is_file():
        which = "--demo" if options.demo else shlex.quote(str(options.config))
        raise UserError(
            f"The tier {tier.name!r} is not trained yet ({clean(str(adapter))} is missing): run "
            f"`shoritui finetune {clean(which)}` first."
        )


def _target(wanted: Path | None, adapter: Path, form: str) -> Path:
    """Beside the adapter, or where it is wanted; in a folder, under its usual name."""
    usual = f"{adapter.name}.{form}" if form == "peft" else f"{adapter.name}.{form}.gguf"
    if wanted is None:
        return adapter.with_name(usual)
    path = wanted.expanduser()
    return path / usual if form != "peft" and path.is_dir() else path


def _facts(order: Any, proof: Any) -> dict[str, Any]:
    target: Path = order.target
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


def _lines(order: Any, proof: Any, size: int) -> list[str]:
    lines = [f"{order.target}  {size / 2**20:,.1f} MiB"]
    if proof is not None:
        agreement = proof.agreement
        lines.append(
            f"Verified: logits of {agreement.tokens} tokens differ from PyTorch's by "
            f"{agreement.error:.1e} (allowed {agreement.tolerance:.0e}); {proof.texts:,} texts of "
            "the training set are cut into the same tokens."
        )
        if agreement.strength is not None:
            lines.append(f"What the adapter changes is in it {agreement.strength:.2f} times.")
    return [*lines, _next(order)]


def _next(order: Any) -> str:
    path = order.target.absolute()
    if order.form == "peft":
        return "Any program that knows PEFT loads this folder."
    if order.form != "lora":
        return f"Talk with it: shoritui --model {shlex.quote(str(path))}"
    return f"In a chat with {_base_name(order.config)}: /adapter {path}"


def _base_name(config: Config) -> str:
    return (
        "the model that ships" if config.base.model == "demo" else f"a GGUF of {config.base.model}"
    )


class _Progress:
    """A line on stderr for each thing that takes its time."""

    def __init__(self) -> None:
        self._line: ProgressLine | None = None
        self._what = ""

    def prepare(self, event: Preparing | Told) -> None:
        """What opening the base tells."""
        if isinstance(event, Told):
            print(clean(event.text), file=sys.stderr)
        else:
            self.tell(event.what, event.done << 20, event.total << 20)

    def tell(self, what: str, done: int, total: int) -> None:
        """So many bytes of something are done."""
        if total < _WORTH_A_LINE:
            return
        if what != self._what:
            self._end()
            print(clean(what), file=sys.stderr)
            self._what, self._line = what, ProgressLine(total)
        if self._line:
            self._line.report(done)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def _end(self) -> None:
        if self._line:
            self._line.__exit__(None, None, None)
        self._line = None

"""`shoritui finetune bench`: measure the training step beside transformers and PEFT."""

from __future__ import annotations

import argparse
import os
from typing import Any, Final

from shoritui.benchmark import RowProgress, asked_for
from shoritui.commands.arguments import add_json
from shoritui.commands.benchmark_rows import print_rows
from shoritui.commands.finetune.arguments import add_cap, cap_of, finetune_extra
from shoritui.errors import UserError
from shoritui.text import counted

DESCRIPTION: Final = """\
Measure the training step's tokens per second, peak memory and gradients, and compare them with
those of transformers and PEFT in the same run. Random weights; nothing is downloaded.
"""
_LEAST_TOKENS: Final = 64
_GIB: Final = 2**30


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("rows", metavar="ROW", nargs="*", help="measure these rows only")
    parser.add_argument("--shape", metavar="SHAPE", help="the base's shape, such as mistral-7b")
    add_cap(parser, "use no more GPU memory than this")
    parser.add_argument("--tokens", type=int, metavar="N", help="tokens in a pack")
    parser.add_argument(
        "--device",
        choices=("cuda", "cpu"),
        default="",
        help="measure the rows of a GPU there (cpu: to try them with a tiny shape)",
    )
    add_json(parser)


@finetune_extra()
def run(options: argparse.Namespace) -> int:
    """Measure and print; 0 if it ran, whatever the values, 130 if it was interrupted.

    Raises:
        UserError: There is no such row or shape, or a number makes no sense.
    """
    # As in training: threads that spin while they wait take a core from each other, and their time
    # would count.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from shoritui.finetune.bench.lab import Lab
    from shoritui.finetune.bench.measurements import MEASUREMENTS
    from shoritui.finetune.model.shape import shape_named
    from shoritui.finetune.quiet_libraries import quieten

    quieten()
    wanted = asked_for(MEASUREMENTS, options.rows)
    if options.shape is not None:
        shape_named(options.shape)
    cap = cap_of(options)
    if options.tokens is not None and options.tokens < _LEAST_TOKENS:
        raise UserError(f"--tokens is {options.tokens}: the rows need at least {_LEAST_TOKENS}.")
    progress = RowProgress()
    cap_bytes = None if cap is None else int(cap * _GIB)
    lab = Lab(options.shape, cap_bytes, options.tokens, progress.step, options.device)
    facts = _facts(options)
    threads = counted(facts["threads"], "thread")
    return print_rows(
        wanted,
        options.rows,
        lambda each: each.measure(lab),
        progress,
        facts,
        f"torch {facts['torch']}, {facts['gpu'] or 'no GPU'}, {threads}",
        as_json=options.json,
    )


def _facts(options: argparse.Namespace) -> dict[str, Any]:
    import torch

    return {
        "shape": options.shape,
        "cap_gib": options.cap_gib,
        "tokens": options.tokens,
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }

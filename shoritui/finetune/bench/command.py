"""`shoritui finetune bench`: which rows, told as they come, or as JSON.

It does not know what a row measures.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from math import inf
from typing import Any, Final, TypeAlias

import torch

from shoritui.errors import UserError
from shoritui.finetune.bench.equality import equality
from shoritui.finetune.bench.graphics import against_peft, equality_on_gpu, rungs
from shoritui.finetune.bench.lab import Lab
from shoritui.finetune.bench.planning import longest, traced_peak
from shoritui.finetune.bench.processor import processor
from shoritui.finetune.model.quiet import quieten
from shoritui.finetune.model.shape import shape_named
from shoritui.finetune.plan.memory import GIB
from shoritui.rows import (
    HEADER,
    Benchmark,
    Figure,
    Row,
    RowProgress,
    Unmeasurable,
    asked_for,
    table_line,
)

Measurement: TypeAlias = Benchmark[Callable[[Lab], Mapping[str, Figure]]]

MEASUREMENTS: Final[tuple[Measurement, ...]] = (
    *(equality, processor, traced_peak, longest),
    *(equality_on_gpu, rungs, against_peft),
)
_LEAST_TOKENS: Final = 64


def bench(options: argparse.Namespace) -> int:
    """Measures and prints; 0 if it ran, whatever the values, 130 if it was interrupted.

    Raises:
        UserError: There is no such row or shape, or a number makes no sense.
    """
    quieten()
    wanted = asked_for(MEASUREMENTS, options.rows)
    progress = RowProgress()
    lab = _lab(options, progress)
    rows: list[Row] = []
    interrupted = False
    if not options.json:
        print(_what(options))
        print(HEADER, flush=True)
    try:
        for number, each in enumerate(wanted, 1):
            progress.begin(f"{number}/{len(wanted)} {each.aims[0].id}")
            found = _rows(each, lab, options.rows)
            progress.clear()
            rows += found
            if not options.json:
                print(*map(table_line, found), sep="\n", flush=True)
    except KeyboardInterrupt:
        interrupted = True
    finally:
        progress.clear()
    if options.json:
        print(json.dumps({**_facts(options), "interrupted": interrupted, "rows": _plain(rows)}))
    return 130 if interrupted else 0


def _rows(each: Measurement, lab: Lab, names: Sequence[str]) -> list[Row]:
    try:
        return each.rows(each.measure(lab), names)
    except (Unmeasurable, UserError) as why:
        return each.missing(str(why), names)


def _lab(options: argparse.Namespace, progress: RowProgress) -> Lab:
    if options.shape is not None:
        shape_named(options.shape)
    if options.cap_gib is not None and not 0 < options.cap_gib < inf:
        raise UserError(f"--cap-gib is {options.cap_gib:g}: expected a number above 0.")
    if options.tokens is not None and options.tokens < _LEAST_TOKENS:
        raise UserError(f"--tokens is {options.tokens}: the rows need at least {_LEAST_TOKENS}.")
    cap = None if options.cap_gib is None else int(options.cap_gib * GIB)
    return Lab(options.shape, cap, options.tokens, progress.step)


def _facts(options: argparse.Namespace) -> dict[str, Any]:
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {
        "shape": options.shape,
        "cap_gib": options.cap_gib,
        "tokens": options.tokens,
        "gpu": gpu,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }


def _what(options: argparse.Namespace) -> str:
    facts = _facts(options)
    threads = f"{facts['threads']} thread{'s' if facts['threads'] > 1 else ''}"
    return f"torch {facts['torch']}, {facts['gpu'] or 'no GPU'}, {threads}"


def _plain(rows: Sequence[Row]) -> list[dict[str, Any]]:
    return [asdict(row) for row in rows]

"""`shoritui bench`: which rows on which model, told as they come, or as JSON.

It does not know what a row measures.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from shoritui.bench.lab import Lab
from shoritui.bench.rows import MEASUREMENTS, Measurement
from shoritui.director import engine_options
from shoritui.engine import ModelInfo, inspect_model
from shoritui.errors import UserError
from shoritui.rows import HEADER, Row, RowProgress, Unmeasurable, asked_for, table_line
from shoritui.settings import Settings, cache_dir, model_file

QUICK_CONTEXT: Final = 4096
FULL_CONTEXT: Final = 16384
_LEAST_CONTEXT: Final = 2048


def bench(options: argparse.Namespace, settings: Settings) -> int:
    """Measures and prints; 0 if it ran, whatever the values, 130 if it was interrupted."""
    wanted = asked_for(MEASUREMENTS, options.rows)
    progress = RowProgress()
    context = options.context or (FULL_CONTEXT if options.full else QUICK_CONTEXT)
    if context < _LEAST_CONTEXT:
        raise UserError(
            f"--context is {context}: the rows need at least {_LEAST_CONTEXT:,} tokens."
        )
    model = _model(options, settings, progress)
    engine = replace(engine_options(settings), n_ctx=context, journal=None, adapters=())
    info = inspect_model(model, engine)
    # A thread count that is given is not tuned: everything is measured with the same.
    engine = replace(engine, n_threads=info.n_threads)
    lab = Lab(model, engine, bool(info.gpu), options.full, progress.step)
    report = _Report(json=options.json, info=info)
    report.begin()
    interrupted = False
    try:
        asyncio.run(_measure(lab, wanted, options.rows, progress, report))
    except KeyboardInterrupt:
        interrupted = True
    finally:
        progress.clear()
    report.end(interrupted=interrupted)
    return 130 if interrupted else 0


async def _measure(
    lab: Lab,
    wanted: Sequence[Measurement],
    names: Sequence[str],
    progress: RowProgress,
    report: _Report,
) -> None:
    for number, each in enumerate(wanted, 1):
        progress.begin(f"{number}/{len(wanted)} {each.aims[0].id}")
        try:
            rows = each.rows(await each.measure(lab), names)
        except (Unmeasurable, UserError) as why:
            rows = each.missing(str(why), names)
        progress.clear()
        report.add(rows)


def _model(options: argparse.Namespace, settings: Settings, progress: RowProgress) -> Path:
    if options.shape is None:
        return model_file(options.model, settings)
    if options.model is not None:
        raise UserError("--model and --shape each name a model: give one of them.")
    from shoritui.bench.shapes import SHAPES, model_of  # which needs numpy; nothing else here does

    if options.shape not in SHAPES:
        raise UserError(f"There is no shape {options.shape!r}: expected {', '.join(SHAPES)}.")
    progress.begin(f"{options.shape} {options.quant}")
    try:
        return model_of(options.shape, options.quant, cache_dir() / "bench", progress.step)
    finally:
        progress.clear()


@dataclass(slots=True)
class _Report:
    """The rows so far; on standard output as they come, or as one JSON object at the end."""

    json: bool
    info: ModelInfo
    rows: list[Row] = field(default_factory=list)

    def begin(self) -> None:
        """What is measured."""
        if not self.json:
            facts = self._facts()
            print(f"{facts['model']}, context {facts['context']:,}, {facts['runs_on']}")
            print(HEADER, flush=True)

    def add(self, rows: Sequence[Row]) -> None:
        """More rows."""
        self.rows += rows
        if not self.json:
            for row in rows:
                print(table_line(row), flush=True)

    def end(self, *, interrupted: bool) -> None:
        """Nothing follows."""
        if self.json:
            rows = [asdict(row) for row in self.rows]
            whole = {**self._facts(), "interrupted": interrupted, "rows": rows}
            print(json.dumps(whole, indent=2, ensure_ascii=False))

    def _facts(self) -> dict[str, Any]:
        info = self.info
        threads = f"{info.n_threads} thread{'s' if info.n_threads > 1 else ''}"
        return {
            "model": info.description,
            "context": info.n_ctx,
            "threads": info.n_threads,
            "gpu": info.gpu,
            "runs_on": f"{info.gpu}, {info.n_gpu_layers} layers" if info.gpu else threads,
            "llama_cpp": info.llama_cpp,
        }

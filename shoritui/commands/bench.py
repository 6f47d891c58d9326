"""`shoritui bench`: measure the speed on this machine, beside other programs."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Awaitable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from shoritui.bench.lab import Lab
from shoritui.bench.measurements import MEASUREMENTS
from shoritui.benchmark import Figure, RowProgress, asked_for
from shoritui.commands.arguments import add_json, add_model
from shoritui.commands.benchmark_rows import print_rows
from shoritui.commands.output import show_making
from shoritui.director import engine_options
from shoritui.engine import ModelInfo, inspect_model
from shoritui.errors import UserError
from shoritui.folders import cache_dir
from shoritui.models import model_file
from shoritui.settings import Settings, load_settings
from shoritui.text import counted

DESCRIPTION: Final = """\
Measure the speed, one row at a time: streaming compared with llama.cpp alone and with its usual
Python interface, turns at a full context compared with how other programs take them, retries,
reopened chats, typing ahead. A value that misses its aim is marked NO; that is not an error.
"""
QUICK_CONTEXT: Final = 4096
FULL_CONTEXT: Final = 16384
_LEAST_CONTEXT: Final = 2048


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("rows", metavar="ROW", nargs="*", help="measure these rows only")
    add_model(parser)
    parser.add_argument(
        "--context",
        metavar="N",
        type=int,
        help=f"tokens in a full context (default: {QUICK_CONTEXT}, with --full {FULL_CONTEXT})",
    )
    add_json(parser)
    parser.add_argument("--full", action="store_true", help="take more time and more rounds")
    parser.add_argument(
        "--shape",
        metavar="SHAPE",
        help="make a model with random weights (7b, 3b, 1b, 100m, tiny) and measure that one",
    )
    parser.add_argument(
        "--quant", choices=("q4_0", "q8_0"), default="q4_0", help="how its weights are stored"
    )


def run(options: argparse.Namespace) -> int:
    """Measure and print; 0 if it ran, whatever the values, 130 if it was interrupted.

    Raises:
        UserError: There is no such row, shape or model, or the context is too small.
    """
    settings = load_settings()
    wanted = asked_for(MEASUREMENTS, options.rows)
    progress = RowProgress()
    context = options.context or (FULL_CONTEXT if options.full else QUICK_CONTEXT)
    if context < _LEAST_CONTEXT:
        raise UserError(
            f"--context is {context}: the rows need at least {_LEAST_CONTEXT:,} tokens."
        )
    model = _model(options, settings, progress)
    engine = replace(engine_options(settings), n_ctx=context, kv_store=None, adapters=())
    info = inspect_model(model, engine)
    # A thread count that is given is not tuned: everything is measured with the same.
    engine = replace(engine, n_threads=info.n_threads)
    lab = Lab(model, engine, bool(info.gpu), options.full, progress.step)
    facts = _facts(info)
    title = f"{facts['model']}, context {facts['context']:,}, {facts['runs_on']}"
    with asyncio.Runner() as loop:
        return print_rows(
            wanted,
            options.rows,
            lambda each: loop.run(_figures(each.measure(lab))),
            progress,
            facts,
            title,
            as_json=options.json,
        )


async def _figures(measured: Awaitable[Mapping[str, Figure]]) -> Mapping[str, Figure]:
    return await measured


def _model(options: argparse.Namespace, settings: Settings, progress: RowProgress) -> Path:
    if options.shape is None:
        return model_file(options.model, settings.model, show_making)
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


def _facts(info: ModelInfo) -> dict[str, Any]:
    threads = counted(info.n_threads, "thread")
    return {
        "model": info.description,
        "context": info.n_ctx,
        "threads": info.n_threads,
        "gpu": info.gpu,
        "runs_on": f"{info.gpu}, {info.n_gpu_layers} layers" if info.gpu else threads,
        "llama_cpp": info.llama_cpp,
    }

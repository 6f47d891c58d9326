"""`shoritui lengths`: how long a model's replies are, under each length hint."""

from __future__ import annotations

import argparse
import asyncio
from dataclasses import replace
from typing import Final

from shoritui.benchmark import RowProgress
from shoritui.commands.arguments import add_json, add_model, count
from shoritui.commands.output import print_error, print_json, show_making
from shoritui.demo import held_out_stories
from shoritui.director import LengthTable, adapters, engine_options
from shoritui.engine import check_preset, inspect_model, presets
from shoritui.eval.lengths import LengthPlan, facts_of_lengths, measure_lengths, table_of_lengths
from shoritui.eval.replies import Subject
from shoritui.eval.stories import SETTINGS, load_stories
from shoritui.folders import config_dir, user_path
from shoritui.models import model_file
from shoritui.progress import show
from shoritui.settings import load_settings
from shoritui.text import printable

DESCRIPTION: Final = """\
Let the model in use write replies under each length hint, and keep how long they are: first as the
model ends them by itself, then, where it does not keep to hints, as the length guide leads them.
The guide learns from that where to begin. Ctrl+C stops it; the same command goes on.
"""
_SAMPLES: Final = 6


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_model(parser)
    parser.add_argument(
        "--samples",
        metavar="N",
        type=count,
        default=_SAMPLES,
        help=f"replies under each hint ({_SAMPLES})",
    )
    parser.add_argument(
        "--guide",
        action="store_true",
        help="measure the length guide, too, where the model keeps to hints by itself",
    )
    parser.add_argument("--anew", action="store_true", help="forget what was measured before")
    parser.add_argument("--preset", metavar="NAME", help="the sampler preset to use")
    parser.add_argument(
        "--stories",
        metavar="FOLDER",
        type=user_path,
        help="a folder of stories in BlockML (default: those held out from training)",
    )
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Measure and print; 0 if it ran to its end, 130 if it was interrupted.

    Raises:
        UserError: A story, the model or the preset is not right.
    """
    settings = load_settings()
    known, problems = presets(config_dir() / "presets")
    for problem in problems:
        print_error(problem)
    preset = options.preset or settings.preset
    preset = preset if options.preset or preset in known else SETTINGS.preset
    check_preset(preset, known, config_dir() / "presets")
    model = model_file(options.model, settings.model, show_making)
    own = adapters(settings.adapters) if options.model is None else ()
    subject = Subject(printable(model.stem), model, own, known[preset])
    stories = load_stories(options.stories or held_out_stories())
    engine = replace(engine_options(settings), kv_store=None, context_mode="exact")
    engine = replace(engine, n_threads=inspect_model(model, engine).n_threads)
    plan = LengthPlan(options.samples, options.anew, options.guide)
    found: list[LengthTable] = []
    rows, begun, interrupted = RowProgress(), "", False

    def report(text: str) -> None:
        nonlocal begun
        kind = text.partition(",")[0]
        if kind != begun:
            begun = kind
            rows.begin(text)
        else:
            show(text)

    try:
        asyncio.run(measure_lengths(subject, stories, plan, engine, known, report, found))
    except KeyboardInterrupt:
        interrupted = True
    finally:
        rows.clear()
    for lengths in found:
        if options.json:
            print_json({**facts_of_lengths(lengths), "interrupted": interrupted})
        else:
            for line in table_of_lengths(lengths):
                print(line)
    return 130 if interrupted else 0

"""`shoritui eval`: how well models tell stories, side by side."""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from tempfile import TemporaryFile
from time import monotonic
from typing import Any, Final, get_args

from shoritui.benchmark import RowProgress
from shoritui.commands.arguments import add_json, add_model, named_path
from shoritui.commands.output import print_error, print_json, show_making
from shoritui.demo import held_out_stories
from shoritui.director import adapters, engine_options
from shoritui.engine import Adapter, Preset, Server, check_preset, inspect_model, presets
from shoritui.errors import UserError
from shoritui.eval.blind import KEY, PAIRS, blind_pairs
from shoritui.eval.figures import facts_of, lines, table_of
from shoritui.eval.judge import judge, judging_model
from shoritui.eval.kept import Kept
from shoritui.eval.page import report_page
from shoritui.eval.replies import Results, Subject
from shoritui.eval.run import evaluate
from shoritui.eval.stories import FULL, QUICK, SETTINGS, by_people, chosen, load_stories
from shoritui.files import replace_text, why
from shoritui.folders import config_dir, user_path
from shoritui.models import model_file
from shoritui.progress import show
from shoritui.settings import GuideSetting, Settings, load_settings
from shoritui.text import printable

DESCRIPTION: Final = """\
Let models write replies to stories they have never seen, and measure what the replies are worth:
whether they end by themselves, stay with their speaker, keep the length asked for, use what the
scene says, repeat themselves. Several models are measured side by side, beside what people wrote.
--adapter, --preset and --guide belong to the --model before them.
"""
_NUMBERS: Final = re.compile(r"\d+ of \d+")
_MOST_SEED: Final = 2**31 - 1
_SECONDS: Final = 30.0
"""So often at least it is said how far it is, where there is no terminal."""


@dataclass(slots=True)
class _Asked:
    """One --model, and what was said of it."""

    model: Path | None
    adapters: list[Path] = field(default_factory=list)
    presets: list[str] = field(default_factory=list)
    guides: list[GuideSetting] = field(default_factory=list)


class _Model(argparse.Action):
    """Begin another model."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        """Note it."""
        namespace.asked = [*namespace.asked, _Asked(values)]  # type: ignore[arg-type]


class _OfModel(argparse.Action):
    """Say something of the last model that was named, or of the usual one."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        """Note it."""
        namespace.asked = namespace.asked or [_Asked(None)]
        getattr(namespace.asked[-1], self.dest).append(values)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.set_defaults(asked=[])
    add_model(parser, action=_Model)
    parser.add_argument(
        "--adapter",
        dest="adapters",
        metavar="PATH",
        type=named_path,
        action=_OfModel,
        help="a LoRA adapter for that model: a GGUF, or a PEFT folder",
    )
    parser.add_argument(
        "--preset",
        dest="presets",
        metavar="NAME",
        action=_OfModel,
        help=f"the sampler preset; repeat it to compare several (default: {SETTINGS.preset})",
    )
    parser.add_argument(
        "--guide",
        dest="guides",
        choices=get_args(GuideSetting),
        action=_OfModel,
        help="whether the length guide leads its replies; repeat it to compare (default: auto, as "
        "in the app)",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help=f"only {QUICK.stories} stories, {QUICK.stories * QUICK.places * QUICK.replies} "
        "replies a model: some minutes",
    )
    parser.add_argument(
        "--seed", metavar="N", type=_seed, default=1, help="the same seed asks for the same (1)"
    )
    parser.add_argument(
        "--stories",
        metavar="FOLDER",
        type=user_path,
        help="a folder of stories in BlockML (default: those held out from training)",
    )
    parser.add_argument(
        "--report", metavar="FILE", type=user_path, help="also write an HTML page with every reply"
    )
    parser.add_argument(
        "--keep",
        metavar="FILE",
        type=user_path,
        help="keep what is measured in this file; the same command goes on from it",
    )
    parser.add_argument(
        "--blind",
        metavar="FOLDER",
        type=user_path,
        help="also write pairs of the first two models' replies without names, and a key to them",
    )
    parser.add_argument(
        "--judge",
        metavar="URL",
        help="an OpenAI-compatible server whose model marks each reply",
    )
    parser.add_argument("--judge-model", metavar="NAME", help="the model to ask for there")
    parser.add_argument(
        "--judge-key", metavar="VARIABLE", help="the environment variable that holds its API key"
    )
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Measure and print; 0 if it ran, whatever the figures, 130 if it was interrupted.

    1 where the judge failed on the way.

    Raises:
        UserError: A story, a model, an adapter, a preset or the judge is not right.
    """
    settings = load_settings()
    known, problems = presets(config_dir() / "presets")
    for problem in problems:
        print_error(problem)
    for path in filter(None, (options.report, options.keep)):
        _expect_place(path)
    server = _judge(options) if options.judge else None
    subjects = _subjects(options.asked, settings, known)
    if options.blind is not None:
        if len(subjects) < 2:
            raise UserError("Pairs are of two models or presets: name another --model or --preset.")
        _expect_place(options.blind / PAIRS)
    kept = Kept(options.keep)
    plan = QUICK if options.quick else FULL
    stories = chosen(load_stories(options.stories or held_out_stories()), plan, options.seed)
    engine = replace(engine_options(settings), kv_store=None, context_mode="exact")
    # A thread count that is given is not tuned: the same steps give the same replies.
    engine = replace(engine, n_threads=inspect_model(subjects[0].model, engine).n_threads)
    results: list[Results] = []
    progress = _Progress()
    interrupted, failed = False, ""
    try:
        with asyncio.Runner() as loop:
            if server is not None:
                loop.run(judging_model(server))  # before hours of work it is told what is wrong
            loop.run(
                evaluate(
                    *(subjects, stories, plan, options.seed, engine, known, results),
                    progress.report,
                    kept,
                )
            )
            if server is not None:
                try:
                    loop.run(judge(server, results, progress.report))
                except UserError as error:  # what was measured is printed all the same
                    failed = str(error)
    except KeyboardInterrupt:
        interrupted = True
    finally:
        progress.clear()
    people = by_people(stories)
    found = lines(people, results, options.seed)
    if options.json:
        facts = {
            "seed": options.seed,
            "quick": options.quick,
            "stories": [story.name for story in stories],
            "interrupted": interrupted,
            **facts_of(found, results),
        }
        print_json(facts)
    else:
        for line in table_of(found, results):
            print(line)
    if options.report is not None:
        _write(options.report, report_page(found, results))
    if options.blind is not None and len(results) > 1:
        pairs, key = blind_pairs(results[0], results[1], options.seed)
        _write(options.blind / PAIRS, pairs)
        _write(options.blind / KEY, key)
    if failed:
        print_error(f"The judge did not mark every reply. {failed}")
    return 130 if interrupted else int(bool(failed))


def _subjects(
    asked: Sequence[_Asked], settings: Settings, known: dict[str, Preset]
) -> list[Subject]:
    """Return every model with each of its presets; without any, what `shoritui chat` uses.

    Raises:
        UserError: There is no such model, adapter or preset.
    """
    found = []
    for each in asked or [_Asked(None)]:
        model = model_file(each.model, settings.model, show_making)
        usual = adapters(settings.adapters) if each.model is None and not each.adapters else ()
        own = tuple(Adapter(path) for path in each.adapters) or usual
        parts = [printable(name) for name in (model.stem, *(one.name for one in own))]
        guides: list[GuideSetting] = each.guides or ["auto"]
        for name, guide in product(each.presets or [SETTINGS.preset], guides):
            check_preset(name, known, config_dir() / "presets")
            led = f", length guide {guide}" if each.guides else ""
            title = f"{' + '.join(parts)}, {name}{led}"
            found.append(Subject(title, model, own, known[name], guide))
    return found


def _judge(options: argparse.Namespace) -> Server:
    key = os.environ.get(options.judge_key, "").strip() if options.judge_key else ""
    if options.judge_key and not key:
        raise UserError(
            f"The environment variable {printable(options.judge_key)} is not set: put the judge's "
            "API key into it."
        )
    return Server(options.judge, options.judge_model or "", key)


def _seed(word: str) -> int:
    if not word.isdecimal() or len(word) > 10 or int(word) > _MOST_SEED:
        raise argparse.ArgumentTypeError(f"must be a whole number from 0 to {_MOST_SEED}.")
    return int(word)


def _expect_place(path: Path) -> None:
    """Raise unless a file can be written there: hours later it would be too late to say so."""
    if path.is_dir():
        raise UserError(f"{printable(path)} is a folder, not a file to write to.")
    place = next(each for each in path.absolute().parents if each.exists())
    try:
        TemporaryFile(dir=place).close()
    except OSError as error:
        raise UserError(f"{printable(path)} cannot be written: {why(error)}.") from None


def _write(path: Path, page: str) -> None:
    try:
        replace_text(path, page)
    except OSError as error:
        raise UserError(f"{printable(path)} cannot be written: {why(error)}.") from None


class _Progress:
    """What is being done: on a terminal one line, elsewhere a line now and then."""

    def __init__(self) -> None:
        self._rows = RowProgress()
        self._kind = ""
        self._said = 0.0

    def report(self, text: str) -> None:
        """Show it."""
        kind, now = _NUMBERS.sub("", text), monotonic()
        if kind != self._kind or (now - self._said > _SECONDS and not sys.stderr.isatty()):
            self._kind, self._said = kind, now
            self._rows.begin(text)
        else:
            show(text)

    def clear(self) -> None:
        """Leave the line to others."""
        self._rows.clear()

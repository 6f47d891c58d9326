"""`shoritui finetune`: which of its words is asked for, and whether a run has a screen.

It does not know how any of it works; that is imported once a word is chosen.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from functools import wraps
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from shoritui.errors import UserError

if TYPE_CHECKING:
    Door = Callable[[argparse.Namespace], int]
    Words = argparse._SubParsersAction[argparse.ArgumentParser]

DEFAULT_CONFIG: Final = Path("finetune.toml")
WORDS: Final = (
    *("run", "init", "plan", "stats", "check", "export", "bench"),
    *("import-axolotl", "export-axolotl"),
)

DESCRIPTION: Final = """\
Trains an adapter on a folder of BlockML conversations, tier by tier, as the model card of ShoriRP
does: QLoRA on a base that stays frozen. `init` writes a config and folders to begin with; without a
word the config is run. What has not changed since the last run is not trained again, and what was
interrupted goes on.
"""


def with_word(arguments: Sequence[str]) -> list[str]:
    """The command line with `run` in its place: what follows `finetune` may be a config at once."""
    words = list(arguments)
    if words[:1] == ["finetune"] and words[1:2] not in (
        [word] for word in (*WORDS, "-h", "--help")
    ):
        words.insert(1, "run")
    return words


def add_finetune(doors: Words) -> None:
    """The words of `shoritui finetune`."""
    finetune = doors.add_parser(
        "finetune",
        help="train an adapter on your own conversations",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    words = finetune.add_subparsers(title="words", metavar="WORD", required=True)
    _add_run(words)
    _add_init(words)
    _add_plan(words)
    _add_stats(words)
    _add_check(words)
    _add_export(words)
    _add_bench(words)
    _add_axolotl(words)


def _add_run(words: Words) -> None:
    run = words.add_parser(
        "run",
        help="train what has changed (this is also what no word does)",
        description="Trains every tier that has changed since it was last trained, and those that "
        "go on from it. Ctrl+C saves and ends; the next run goes on from there.",
    )
    _add_config(run)
    run.add_argument(
        "--demo",
        action="store_true",
        help="train the five tiers that ship, on the small model that ships, on the CPU",
    )
    run.add_argument(
        "--plain", action="store_true", help="print lines instead of opening the live view"
    )
    run.add_argument("--json", action="store_true", help="print the run's events, one JSON a line")
    run.set_defaults(door=_run)


def _add_init(words: Words) -> None:
    init = words.add_parser(
        "init",
        help="write a commented config and folders for the data",
        description="Writes finetune.toml, with the model card's five tiers and every setting "
        "explained, and a folder for each tier's conversations. Nothing is overwritten.",
    )
    init.add_argument(
        "folder",
        metavar="DIR",
        type=Path,
        nargs="?",
        default=Path(),
        help="the folder to write into (else this one)",
    )
    init.set_defaults(door=_init)


def _add_plan(words: Words) -> None:
    plan = words.add_parser(
        "plan",
        help="what a run would train, and the memory and time it takes",
        description="Prints each tier's conversations, tokens, packs and steps, whether it is "
        "cached, and the peak memory of each rung, traced from the real code; no GPU is needed.",
    )
    _add_config(plan)
    _add_demo(plan)
    plan.add_argument(
        "--cap-gib", type=float, metavar="N", help="plan for a GPU with so much memory"
    )
    plan.add_argument(
        "--shape",
        metavar="SHAPE",
        help="plan for a base of this shape (mistral-7b, ...) instead of the config's",
    )
    _add_json(plan)
    plan.set_defaults(door=_plan)


def _add_stats(words: Words) -> None:
    stats = words.add_parser(
        "stats",
        help="count conversations, messages and tokens of each tier",
        description="Prints the model card's block of figures for each tier and for all, and a "
        "histogram of message lengths.",
    )
    _add_config(stats)
    _add_demo(stats)
    stats.add_argument(
        "--plot", metavar="FILE", type=Path, help="write the histogram as .svg or .png too"
    )
    _add_json(stats)
    stats.set_defaults(door=_stats)


def _add_check(words: Words) -> None:
    check = words.add_parser(
        "check",
        help="find what is wrong in the data, and score each conversation",
        description="Finds duplicates, also across tiers, unbalanced marks, curly quotes, "
        "addresses, user names, talk out of character, first person and present tense in "
        "narration, repeated phrases and empty blocks, each with file and line; and gives every "
        "conversation a score to sort it into a tier by. Exits with 1 if data cannot be used.",
    )
    _add_config(check)
    _add_demo(check)
    _add_json(check)
    check.set_defaults(door=_check)


def _add_export(words: Words) -> None:
    export = words.add_parser(
        "export",
        help="write an adapter or a merged model that chat can load",
        description="Writes a trained tier as a LoRA GGUF (the default), as a merged model, or as "
        "a PEFT folder. No compiler and no other program is needed.",
    )
    _add_config(export)
    _add_demo(export)
    export.add_argument("--tier", metavar="NAME", help="the tier (else the last one)")
    export.add_argument(
        "--as",
        dest="form",
        metavar="FORM",
        default="lora",
        help="lora, peft, or a merged model: f32, f16, q8_0, q6_k, q5_k_m, q4_k_m",
    )
    export.add_argument("--to", metavar="PATH", type=Path, help="the file or folder to write")
    export.add_argument(
        "--verify",
        action="store_true",
        help="compare its logits and tokens with the trained model in llama.cpp; fail if they "
        "differ",
    )
    _add_json(export)
    export.set_defaults(door=_export)


def _add_bench(words: Words) -> None:
    bench = words.add_parser(
        "bench",
        help="measure the training step beside transformers and PEFT",
        description="Measures tokens a second, peak memory and gradients of our training step and "
        "of transformers with PEFT, in one run, with random weights; nothing is downloaded.",
    )
    bench.add_argument("rows", metavar="ROW", nargs="*", help="measure these rows only")
    bench.add_argument("--shape", metavar="SHAPE", help="the base's shape, such as mistral-7b")
    bench.add_argument(
        "--cap-gib", type=float, metavar="N", help="use no more GPU memory than this"
    )
    bench.add_argument("--tokens", type=int, metavar="N", help="tokens of a pack")
    _add_json(bench)
    bench.set_defaults(door=_bench)


def _add_axolotl(words: Words) -> None:
    into = words.add_parser(
        "import-axolotl",
        help="make a config from axolotl's YAML files",
        description="Makes finetune.toml from one YAML file per tier, in the order of training, "
        "and says what has no counterpart here.",
    )
    into.add_argument("files", metavar="YAML", type=Path, nargs="+", help="a tier's config")
    into.add_argument(
        "--to",
        metavar="FILE",
        type=Path,
        default=DEFAULT_CONFIG,
        help=f"the config to write (else {DEFAULT_CONFIG} here)",
    )
    into.set_defaults(door=_import_axolotl)
    out = words.add_parser(
        "export-axolotl",
        help="write a config as axolotl's YAML files",
        description="Writes one YAML file per tier and a script that trains them in a chain.",
    )
    _add_config(out)
    out.add_argument(
        "--to",
        metavar="DIR",
        type=Path,
        default=Path("axolotl"),
        help="the folder to write (else axolotl here)",
    )
    out.set_defaults(door=_export_axolotl)


def _add_config(word: argparse.ArgumentParser) -> None:
    word.add_argument(
        "config",
        metavar="CONFIG.toml",
        type=Path,
        nargs="?",
        default=DEFAULT_CONFIG,
        help=f"the training config (else {DEFAULT_CONFIG} here)",
    )


def _add_demo(word: argparse.ArgumentParser) -> None:
    word.add_argument("--demo", action="store_true", help="take the config and data that ship")


def _add_json(word: argparse.ArgumentParser) -> None:
    word.add_argument("--json", action="store_true", help="print one JSON object")


def _with_extra(door: Door) -> Door:
    """The door, which says in a sentence how to install what it lacks."""

    @wraps(door)
    def opened(options: argparse.Namespace) -> int:
        try:
            return door(options)
        except ModuleNotFoundError as error:
            from shoritui.finetune.run.causes import EXTRA

            package = (error.name or "").partition(".")[0]
            if package not in EXTRA:
                raise
            raise _lacking(package) from None

    return opened


def _lacking(package: str) -> UserError:
    return UserError(f"{package} is not installed; pip install 'shoritui[finetune]' brings it.")


def _run(options: argparse.Namespace) -> int:
    # Told here, before a screen opens for a process that could only say the same.
    for package in ("gguf", "sentencepiece", "torch", "transformers", "peft", "bitsandbytes"):
        if find_spec(package) is None:
            raise _lacking(package)
    is_one_of_many = "WORLD_SIZE" in os.environ  # torchrun started it; ranks share the terminal
    if options.json or options.plain or is_one_of_many or not sys.stdout.isatty():
        from shoritui.finetune.run.command import run

        return run(options)
    from shoritui.tui.training import watch

    return watch(options)


def _init(options: argparse.Namespace) -> int:
    from shoritui.finetune.config.command import init

    return init(options)


@_with_extra
def _plan(options: argparse.Namespace) -> int:
    from shoritui.finetune.plan.command import plan

    return plan(options)


@_with_extra
def _stats(options: argparse.Namespace) -> int:
    from shoritui.finetune.data.command import stats

    return stats(options)


@_with_extra
def _check(options: argparse.Namespace) -> int:
    from shoritui.finetune.data.command import check

    return check(options)


@_with_extra
def _export(options: argparse.Namespace) -> int:
    from shoritui.finetune.export.command import export

    return export(options)


@_with_extra
def _bench(options: argparse.Namespace) -> int:
    from shoritui.finetune.bench.command import bench

    return bench(options)


def _import_axolotl(options: argparse.Namespace) -> int:
    from shoritui.finetune.config.command import import_axolotl

    return import_axolotl(options)


def _export_axolotl(options: argparse.Namespace) -> int:
    from shoritui.finetune.config.command import export_axolotl

    return export_axolotl(options)

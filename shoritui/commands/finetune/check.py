"""`shoritui finetune check`: find faults in the data, and score each conversation."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Final

from shoritui.commands.arguments import add_json, named_path
from shoritui.commands.finetune.arguments import add_config, add_demo, finetune_extra
from shoritui.commands.finetune.output import report
from shoritui.commands.output import print_json
from shoritui.errors import UserError
from shoritui.finetune.config.load import chosen
from shoritui.finetune.config.model import Config

DESCRIPTION: Final = """\
Find all that a run would refuse: what cannot be read, blocks longer than sequence_len, tiers with
nothing to learn. Find duplicates (also across tiers), unclosed marks, curly quotes, web addresses,
user names, out-of-character talk, narration in the first person or present tense, repeated phrases
and empty blocks, each with its file and line. Score each conversation, to help you sort it into a
tier. Show some of them as the model will read them, at least one of each source.
The exit code is 1 if some of the data cannot be used. With --repair nothing is changed in place:
mended copies are written, and what was mended and what is left for you is printed.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_config(parser)
    add_demo(parser)
    parser.add_argument(
        "--show",
        metavar="N",
        type=int,
        default=5,
        help="how many conversations to show (default: 5; 0 for none)",
    )
    parser.add_argument(
        "--repair",
        metavar="FOLDER",
        type=named_path,
        help="write copies of all conversations into this new folder, with what is mechanical "
        "mended: quotes, marks that stand alone, web addresses, white space, length hints",
    )
    add_json(parser)


@finetune_extra()
def run(options: argparse.Namespace) -> int:
    """Print some conversations, what is wrong, and the scores; 1 if some data cannot be used.

    Raises:
        UserError: The config cannot be used, or a number makes no sense.
    """
    from shoritui.finetune.data.check import check_data, facts_of, lines_of
    from shoritui.finetune.data.shown import NO_HINTS, shown
    from shoritui.finetune.data.shown import lines_of as lines_shown

    if options.show < 0:
        raise UserError(f"--show is {options.show}: expected 0 or more.")
    config = chosen(options)
    if options.repair is not None:
        return _repair(config, options.repair, as_json=options.json)
    found = check_data(config, report)
    told, has_hints = shown(config, found, options.show)
    if options.json:
        print_json(facts_of(found) | {"shown": [asdict(each) for each in told]})
        return 1 if found.errors else 0
    if told:
        print(f"As the model will read them ({len(told)} of {len(found.rows):,}):\n")
    for each in told:
        print("\n".join(lines_shown(each)), end="\n\n")
    if not has_hints:
        print(NO_HINTS, end="\n\n")
    for line in lines_of(found):
        print(line)
    return 1 if found.errors else 0


def _repair(config: Config, folder: Path, *, as_json: bool) -> int:
    from shoritui.finetune.data.checks.repair import lines_of, repair

    repaired = repair(config, folder, report)
    if as_json:
        print_json(repaired.facts())
    else:
        for line in lines_of(repaired):
            print(line)
    return 0 if repaired.is_whole else 1

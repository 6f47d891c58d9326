"""`shoritui finetune check`: find faults in the data, and score each conversation."""

from __future__ import annotations

import argparse
from typing import Final

from shoritui.commands.arguments import add_json
from shoritui.commands.finetune.arguments import add_config, add_demo, finetune_extra
from shoritui.commands.finetune.output import report
from shoritui.commands.output import print_json
from shoritui.finetune.config.load import chosen
from shoritui.text import clean

DESCRIPTION: Final = """\
Find duplicates (also across tiers), unclosed marks, curly quotes, web addresses, user names,
out-of-character talk, narration in the first person or present tense, repeated phrases and empty
blocks, each with its file and line. Score each conversation, to help you sort it into a tier.
The exit code is 1 if some of the data cannot be used.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_config(parser)
    add_demo(parser)
    add_json(parser)


@finetune_extra()
def run(options: argparse.Namespace) -> int:
    """Print what is wrong and the scores; 1 if some data cannot be used."""
    from shoritui.finetune.data.check import check_data, facts_of, lines_of

    found = check_data(chosen(options), report)
    if options.json:
        print_json(facts_of(found))
    else:
        for line in lines_of(found):
            print(clean(line))
    return 1 if found.errors else 0

"""`shoritui finetune stats`: count the data of a config, as lines, as JSON, as a picture."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from shoritui.commands.arguments import add_json, named_path
from shoritui.commands.finetune.arguments import add_config, add_demo, finetune_extra
from shoritui.commands.finetune.output import report
from shoritui.commands.output import print_json
from shoritui.errors import UserError
from shoritui.files import whole_file
from shoritui.finetune.config.load import chosen
from shoritui.finetune.data.histogram import Histogram, bars, histogram_of, picture
from shoritui.text import clean

if TYPE_CHECKING:
    from shoritui.finetune.data.stats import Stats

DESCRIPTION: Final = """\
Print the model card's figures for each tier and for all tiers together, and a histogram of message
lengths.
"""
_PICTURES: Final = (".svg", ".png")
_AXIS: Final = "tokens in a message"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_config(parser)
    add_demo(parser)
    parser.add_argument(
        "--plot", metavar="FILE", type=named_path, help="also write the histogram, as .svg or .png"
    )
    add_json(parser)


@finetune_extra()
def run(options: argparse.Namespace) -> int:
    """Print the figures of each tier and of all.

    Raises:
        UserError: The config, the base's vocabulary or the data cannot be used.
    """
    plot: Path | None = options.plot
    if plot is not None and plot.suffix.lower() not in _PICTURES:
        raise UserError(f"{plot}: expected a name that ends with {' or '.join(_PICTURES)}.")
    if plot is not None and not plot.parent.is_dir():
        raise UserError(clean(f"{plot} cannot be written: there is no folder {plot.parent}."))
    from shoritui.finetune.data.stats import count_data

    tiers, every = count_data(chosen(options), report)
    histogram = histogram_of(every.message_tokens)
    if options.json:
        print_json(_facts(tiers, every, histogram))
    else:
        print("\n".join(_lines(tiers, every, histogram)))
    if plot is not None:
        _write_picture(plot, histogram, f"{every.messages:,} messages")
        print(f"The histogram is in {plot}.", file=sys.stderr)
    return 0


def _lines(tiers: Sequence[Stats], every: Stats, histogram: Histogram) -> list[str]:
    from shoritui.finetune.data.stats import lines_of

    lines: list[str] = []
    told = [every] if every.conversations else []
    for stats in (*tiers, *told):
        lines += [clean(stats.name) or "All tiers (a conversation in several tiers counts once)"]
        lines += [f"  {line}" for line in lines_of(stats)]
        lines.append("")
    if not told:
        return lines[:-1]
    lines.append(f"Messages by their tokens ({every.messages:,}):")
    return lines + bars(histogram, shutil.get_terminal_size().columns)


def _facts(tiers: Sequence[Stats], every: Stats, histogram: Histogram) -> dict[str, Any]:
    return {
        "tiers": [stats.facts() for stats in tiers],
        "all": every.facts(),
        "message_tokens": asdict(histogram),
    }


def _write_picture(path: Path, histogram: Histogram, title: str) -> None:
    data = picture(histogram, title, _AXIS, path.suffix[1:].lower())
    try:
        with whole_file(path) as beside:
            beside.write_bytes(data)
    except OSError as error:
        raise UserError(clean(f"{path} cannot be written: {error.strerror}.")) from None

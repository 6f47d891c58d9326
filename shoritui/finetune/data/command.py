"""`finetune stats`: what the data of a config amounts to, as lines, as JSON, as a picture.

It counts nothing itself.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from shoritui.blockml import clean
from shoritui.errors import UserError
from shoritui.finetune.config.choose import chosen
from shoritui.finetune.data.checking import check
from shoritui.finetune.data.histogram import Histogram, bars, histogram_of
from shoritui.finetune.data.telling import tell

if TYPE_CHECKING:
    from shoritui.finetune.data.stats import Stats

__all__ = ["check", "stats"]

_PICTURES: Final = (".svg", ".png")
_AXIS: Final = "tokens in a message"


def stats(options: argparse.Namespace) -> int:
    """Prints the figures of each tier and of all.

    Raises:
        UserError: The config, the base's vocabulary or the data cannot be used.
    """
    picture: Path | None = options.plot
    if picture is not None and picture.suffix.lower() not in _PICTURES:
        raise UserError(f"{picture}: expected a name that ends with {' or '.join(_PICTURES)}.")
    try:
        from shoritui.finetune.data.stats import counted
    except ImportError:
        raise UserError("Counting tokens needs more: pip install 'shoritui[finetune]'.") from None
    tiers, every = counted(chosen(options), tell)
    histogram = histogram_of(every.message_tokens)
    if options.json:
        print(json.dumps(_facts(tiers, every, histogram), indent=2))
    else:
        print("\n".join(_lines(tiers, every, histogram)))
    if picture is not None:
        _write_picture(picture, histogram, f"{every.messages:,} messages")
        print(clean(f"The histogram is in {picture}."), file=sys.stderr)
    return 0


def _lines(tiers: Sequence[Stats], every: Stats, histogram: Histogram) -> list[str]:
    from shoritui.finetune.data.stats import lines_of

    lines: list[str] = []
    for stats in (*tiers, every):
        lines += [clean(stats.name) or "All tiers, a conversation in several counted once"]
        lines += [f"  {line}" for line in lines_of(stats)]
        lines.append("")
    lines.append(f"Messages by their tokens ({every.messages:,}):")
    return lines + bars(histogram, shutil.get_terminal_size().columns)


def _facts(tiers: Sequence[Stats], every: Stats, histogram: Histogram) -> dict[str, Any]:
    return {
        "tiers": [stats.facts() for stats in tiers],
        "all": every.facts(),
        "message_tokens": asdict(histogram),
    }


def _write_picture(path: Path, histogram: Histogram, title: str) -> None:
    from shoritui.finetune.data.picture import draw, png, svg

    shapes = draw(histogram, title, _AXIS)
    data = png(shapes) if path.suffix.lower() == ".png" else svg(shapes).encode()
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        beside.write_bytes(data)
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise UserError(clean(f"{path} cannot be written: {error.strerror}.")) from None

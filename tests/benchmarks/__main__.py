"""The command that runs the benchmarks. Exit 1 if a row misses its aim or cannot be measured."""

from __future__ import annotations

import argparse
import json
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Final

from shoritui.benchmark import HEADER, Benchmark, Figure, Row, table_line
from tests.benchmarks.browser import in_browser
from tests.benchmarks.growth import growth_of_parsers
from tests.benchmarks.keys import key_to_paint
from tests.benchmarks.library import long_story, many_stories
from tests.benchmarks.long import opened, streaming
from tests.benchmarks.lore import lore
from tests.benchmarks.painted import painted_row
from tests.benchmarks.startup import first_paint, help_time
from tests.benchmarks.tavern import import_folder
from tests.benchmarks.turn import turn_overhead
from tests.benchmarks.turns import choice, held_out, replies

BENCHMARKS: Final = (
    key_to_paint,
    painted_row,
    in_browser,
    first_paint,
    help_time,
    turn_overhead,
    long_story,
    many_stories,
    lore,
    import_folder,
    growth_of_parsers,
    opened,
    streaming,
    choice,
    held_out,
    replies,
)


def main() -> int:
    """Measure what was asked for and print it."""
    known = sorted(set().union(*(each.names for each in BENCHMARKS)))
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=main.__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(known)}")
    parser.add_argument("--json", action="store_true", help="print one JSON list of rows")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(known):
        parser.error(f"unknown: {', '.join(sorted(unknown))} (known: {', '.join(known)})")
    rows: list[Row] = []
    if not arguments.json:
        print(HEADER)
    for each in BENCHMARKS:
        if not arguments.names or each.names & set(arguments.names):
            found = rows_of(each)
            rows += found
            if not arguments.json:
                print(*map(table_line, found), sep="\n", flush=True)
    if arguments.json:
        print(json.dumps([asdict(row) for row in rows], indent=2))
    return 0 if all(row.ok for row in rows) else 1


def rows_of(each: Benchmark[Callable[[], Mapping[str, Figure]]]) -> list[Row]:
    """Its rows; without values where it fails."""
    try:
        return each.rows(each.measure())
    except Exception as error:
        traceback.print_exc(file=sys.stderr)
        return each.missing(f"It failed: {error}.")


if __name__ == "__main__":
    raise SystemExit(main())

"""The command that runs the benchmarks. Exit 1 if a row misses its aim or cannot be measured."""

from __future__ import annotations

import argparse
import importlib
import json
import pkgutil
import sys
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import asdict

import tests.benchmarks as package
from tests.benchmarks import BENCHMARKS, Benchmark, Row

FORMAT = "{:<28} {:>9} {:<7} {:<9} {:<4} {}"


def main() -> int:
    """Measure what was asked for and print it."""
    for module in pkgutil.iter_modules(package.__path__):
        if not module.name.startswith("_"):
            importlib.import_module(f"{package.__name__}.{module.name}")
    known = sorted(set().union(*(each.names for each in BENCHMARKS)))
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=main.__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(known)}")
    parser.add_argument("--json", action="store_true", help="print one JSON list of rows")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(known):
        parser.error(f"unknown: {', '.join(sorted(unknown))} (known: {', '.join(known)})")
    rows = []
    if not arguments.json:
        print(FORMAT.format("id", "value", "unit", "aim", "ok", "spread"))
    for row in measured(arguments.names):
        rows.append(row)
        if not arguments.json:
            print(table_line(row), flush=True)
    if arguments.json:
        print(json.dumps([asdict(row) for row in rows], indent=2))
    return 0 if all(row.ok for row in rows) else 1


def measured(names: Sequence[str]) -> Iterator[Row]:
    """The rows of the benchmarks of these names, of all without names."""
    for each in BENCHMARKS:
        if not names or each.names & set(names):
            yield from rows_of(each)


def rows_of(each: Benchmark) -> list[Row]:
    """Its rows; without values where it fails."""
    try:
        return each.rows()
    except Exception:
        traceback.print_exc(file=sys.stderr)
        nan = float("nan")
        return [Row(aim.id, nan, aim.unit, aim.aim, False, nan, nan, 0) for aim in each.aims]


def table_line(row: Row) -> str:
    """One row of the table."""
    spread = f"{row.low:.3g} .. {row.high:.3g} ({row.samples})"
    ok = "yes" if row.ok else "NO"
    return FORMAT.format(row.id, f"{row.value:.3g}", row.unit, row.aim, ok, spread)


if __name__ == "__main__":
    raise SystemExit(main())

"""Measure the rows of a benchmark and print them: as they come, or as one JSON object."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict

from shoritui.benchmark import (
    HEADER,
    Benchmark,
    Figure,
    M,
    Row,
    RowProgress,
    Unmeasurable,
    table_line,
)
from shoritui.commands.output import print_json
from shoritui.errors import UserError


def print_rows(
    benchmarks: Sequence[Benchmark[M]],
    names: Sequence[str],
    measure: Callable[[Benchmark[M]], Mapping[str, Figure]],
    progress: RowProgress,
    facts: Mapping[str, object],
    title: str,
    *,
    as_json: bool,
) -> int:
    """Measure and print every row of these names; 0, or 130 if interrupted.

    Args:
        benchmarks: What measures them.
        names: The rows to print of those; all if there are none.
        measure: Measures one benchmark.
        progress: The line on stderr.
        facts: What was measured on, for the JSON object.
        title: The same for people, printed above the table.
        as_json: Print one object at the end instead of lines as they come.
    """
    rows: list[Row] = []
    interrupted = False
    if not as_json:
        print(title)
        print(HEADER, flush=True)
    try:
        for number, each in enumerate(benchmarks, 1):
            progress.begin(f"{number}/{len(benchmarks)} {each.aims[0].id}")
            try:
                found = each.rows(measure(each), names)
            except (Unmeasurable, UserError) as why:
                found = each.missing(str(why), names)
            progress.clear()
            rows += found
            if not as_json:
                print(*map(table_line, found), sep="\n", flush=True)
    except KeyboardInterrupt:
        interrupted = True
    finally:
        progress.clear()
    if as_json:
        print_json({**facts, "interrupted": interrupted, "rows": [asdict(row) for row in rows]})
    return 130 if interrupted else 0

"""Benchmarks: what this program does with a model, against others on the same machine.

Rows, each a ratio of two things measured in one run, or a time. It changes nothing; the engines it
measures run in worker processes of their own.
"""

from shoritui.bench.command import bench
from shoritui.bench.frame import (
    HEADER,
    Aim,
    Benchmark,
    Figure,
    Row,
    Unmeasurable,
    benchmark,
    table_line,
)

__all__ = [
    "HEADER",
    "Aim",
    "Benchmark",
    "Figure",
    "Row",
    "Unmeasurable",
    "bench",
    "benchmark",
    "table_line",
]

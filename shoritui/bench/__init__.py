"""Benchmarks: what this program does with a model, against others on the same machine.

Rows, each a ratio of two things measured in one run, or a time. It changes nothing; the engines it
measures run in worker processes of their own.
"""

from shoritui.bench.command import bench

__all__ = ["bench"]

"""Benchmarks: what this program does with a model, beside others on the same machine.

Each row is a time, or a ratio of two things measured in one run.
"""

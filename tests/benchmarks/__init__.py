"""The developers' benchmarks: `python -m tests.benchmarks [NAME...] [--json]`, one module a topic.

What a person meets before any model runs: starting, keys. What the engine does is measured by
`shoritui bench`, whose rows these are made of too.
"""

"""Mutated files and hostile strings through the program's own doors: `python -m tests.fuzz`.

    python -m tests.fuzz                            every target, a minute each
    python -m tests.fuzz cards server --minutes 30 --seed 7
    python -m tests.fuzz --replay                   what is in the corpus, and nothing else

Whatever goes in, what comes out is a result or a sentence: no traceback, no hang, no control
character, no file elsewhere. What breaks a promise is made small and joins the corpus.
"""

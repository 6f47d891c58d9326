"""The command that fuzzes. Exit 1 if a promise was not kept."""

from __future__ import annotations

import argparse
import gettext
import sys
from functools import cache
from pathlib import Path
from typing import Final

from tests import smollm2
from tests.fuzz.run import CORPUS, Fuzzer

TARGETS: Final = tuple(sorted(path.stem for path in Path(__file__).parent.glob("targets/[!_]*.py")))


def main(words: list[str]) -> int:
    """Take mutated inputs through the program's doors, and check what comes out."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=main.__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(TARGETS))
    parser.add_argument("--minutes", type=float, default=1, metavar="N", help="for each target")
    parser.add_argument("--inputs", type=int, metavar="N", help="so many, however long they take")
    parser.add_argument("--seed", default="1", metavar="S", help="the same one, the same inputs")
    parser.add_argument("--replay", action="store_true", help="the corpus and the seeds alone")
    parser.add_argument("--dry", action="store_true", help="write no failure into the corpus")
    options = parser.parse_args(words)
    for name in options.targets:
        if name not in TARGETS:
            parser.error(f"there is no target {name}: choose of {', '.join(TARGETS)}")
    smollm2.hide()  # it takes long to open
    vars(gettext)["find"] = cache(gettext.find)  # argparse asks the disk at every word
    is_clean = True
    for name in options.targets or TARGETS:
        fuzzer = Fuzzer(name, options.seed, None if options.dry else CORPUS)
        fuzzer.replay()
        if options.replay:
            pass
        elif options.inputs is not None:
            fuzzer.run(inputs=options.inputs)
        else:
            fuzzer.run(options.minutes * 60)
        print(f"{name:9} {fuzzer.tally}", flush=True)
        for reason, count in fuzzer.tally.failures.most_common():
            print(f"{'':9} {count:>6} x {reason}", flush=True)
        is_clean &= not fuzzer.tally.failures
    return 0 if is_clean else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

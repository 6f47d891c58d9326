"""The command that kills in many rounds. Exit 1 if anything was lost or harmed."""

from __future__ import annotations

import argparse
import random
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

from tests import smollm2
from tests.kill.plan import ROUNDS
from tests.kill.rounds import Home, new_home


def main() -> int:
    """Kill what holds a story, again and again, and check what is left."""
    parser = argparse.ArgumentParser(prog="python -m tests.kill", description=main.__doc__)
    parser.add_argument("--rounds", type=int, default=200, metavar="N")
    parser.add_argument("--seed", type=int, default=1, metavar="S")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="end after so many")
    arguments = parser.parse_args()
    smollm2.hide()  # it takes long to open
    done: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    end = time.monotonic() + arguments.seconds
    homes: list[Home] = []
    with tempfile.TemporaryDirectory() as folder:
        homes.append(home := new_home(Path(folder) / "home"))
        for number in range(arguments.rounds):
            if time.monotonic() > end:
                break
            play = ROUNDS[number % len(ROUNDS)]
            seed = f"{arguments.seed}-{number}"
            try:
                play(home, random.Random(seed))
            except Exception as error:
                failed[play.__name__] += 1
                print(f"round {number} ({play.__name__}, {seed}): {error}", flush=True)
                traceback.print_exc()
                homes.append(home := new_home(Path(folder) / f"home-after-{number}"))
            done[play.__name__] += 1
    for name, count in done.items():
        print(f"{name:<32} {count:>4} rounds  {failed[name]:>3} failed")
    print(f"{'all':<32} {done.total():>4} rounds  {failed.total():>3} failed")
    midst = sum((each.in_the_midst for each in homes), Counter[str]())
    print("in the midst of it: " + ", ".join(f"{name} {midst[name]}" for name in sorted(midst)))
    lost, lived, saved = (
        max(getattr(each, name) for each in homes)
        for name in ("most_lost", "slowest_end", "slowest_save")
    )
    print(f"of streamed text at most the last {lost:.2f} s were lost")
    print(f"processes of a dead one lived on for at most {lived:.2f} s")
    print(f"a run that nobody watched any more saved and ended within {saved:.2f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())

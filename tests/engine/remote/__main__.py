"""The command that plays a hostile server. Exit 1 if a promise was not kept."""

from __future__ import annotations

import argparse
import random

from tests.engine.remote.hostile import BEHAVIOURS
from tests.engine.remote.play import play


def main() -> int:
    """Play every behaviour of a hostile server against `say` and the app, and time the keys."""
    parser = argparse.ArgumentParser(prog="python -m tests.engine.remote", description=main.__doc__)
    parser.add_argument("behaviours", nargs="*", metavar="BEHAVIOUR", help="only these")
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="in another order")
    arguments = parser.parse_args()
    if unknown := set(arguments.behaviours) - BEHAVIOURS.keys():
        parser.error(f"there is no {min(unknown)}: expected {', '.join(BEHAVIOURS)}")
    names = arguments.behaviours or list(BEHAVIOURS)
    random.Random(arguments.seed).shuffle(names)
    failed, worst, memory = 0, 0.0, 0
    for name in names:
        played = play(name)
        failed += bool(played.faults)
        worst, memory = max(worst, played.worst_key_ms), max(memory, played.memory)
        print(f"{name}: {played.worst_key_ms:.0f} ms, {played.memory >> 10} MiB", flush=True)
        for fault in played.faults:
            print(f"  {fault}", flush=True)
    print(
        f"{len(names)} behaviours, {failed} with a promise broken; the slowest key took "
        f"{worst:.0f} ms, the app had {memory >> 10} MiB at most"
    )
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())

"""The command that plays all acts under each evil. Exit 1 if a promise was not kept."""

from __future__ import annotations

import argparse
import random
import shutil
from pathlib import Path

from tests import smollm2
from tests.faults.evils import EVILS, NEEDS_DISK, has_own_disk, small_disk
from tests.faults.play import acts, new_home, play


def main() -> int:
    """Play every act of the app under each evil, and see that it goes on and loses nothing."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=main.__doc__)
    parser.add_argument("evils", nargs="*", metavar="EVIL", help=", ".join(EVILS))
    parser.add_argument("--acts", type=int, default=0, metavar="N", help="only so many of them")
    parser.add_argument("--only", default="", metavar="NAME,...", help="only these acts")
    parser.add_argument("--seed", type=int, default=1, metavar="S")
    arguments = parser.parse_args()
    if unknown := set(arguments.evils) - EVILS.keys():
        parser.error(f"there is no {min(unknown)}: expected {', '.join(EVILS)}")
    smollm2.hide()
    failed = 0
    for name in arguments.evils or EVILS:
        chosen = acts()
        if arguments.only:
            chosen = [each for each in chosen if each.name in arguments.only.split(",")]
        random.Random(f"{arguments.seed}-{name}").shuffle(chosen)
        with small_disk() as folder:
            home = new_home(folder / "home")
            if name in NEEDS_DISK and not has_own_disk(home):
                print(f"{name}: not played, as it needs root for a disk of its own", flush=True)
                continue
            outcome = play(home, EVILS[name], chosen[: arguments.acts or None])
            shutil.rmtree(Path(folder) / "home", ignore_errors=True)
        failed += len(outcome.faults)
        print(f"{name}: {outcome.acts} acts, {len(outcome.faults)} promises broken", flush=True)
        for fault in outcome.faults:
            print(f"  {fault}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())

"""The command that plays all acts under each evil. Exit 1 if a promise was not kept."""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from pathlib import Path

from tests import smollm2
from tests.faults.evils import EVILS, Stage, small_disk
from tests.faults.play import Outcome, acts, new_home, play


def main() -> int:
    """Play every act of the app under each evil, and see that it goes on and loses nothing."""
    described = "\n".join(f"  {name:<17} {evil.what}" for name, evil in EVILS.items())
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults",
        description=main.__doc__,
        epilog=f"evils:\n{described}\n\nExit 1 if a promise was broken.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("evils", nargs="*", metavar="EVIL", help="which of those below; else all")
    parser.add_argument("--acts", type=int, default=0, metavar="N", help="only so many acts each")
    parser.add_argument("--only", default="", metavar="ACT,...", help="only these acts")
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="the order of the acts")
    arguments = parser.parse_args()
    if unknown := set(arguments.evils) - EVILS.keys():
        parser.error(f"there is no {min(unknown)}: expected {', '.join(EVILS)}")
    known = acts()
    only = arguments.only.split(",") if arguments.only else [act.name for act in known]
    if strange := set(only) - {act.name for act in known}:
        parser.error(f"there is no act {min(strange)}: expected {', '.join(a.name for a in known)}")
    smollm2.hide()
    broken = 0
    for name in arguments.evils or EVILS:
        chosen = [act for act in known if act.name in only]
        random.Random(f"{arguments.seed}-{name}").shuffle(chosen)
        chosen.sort(key=lambda act: act.name not in EVILS[name].shown_by)
        chosen = chosen[: arguments.acts or None]
        with small_disk() as folder, tempfile.TemporaryDirectory() as elsewhere:
            stage = Stage(new_home(folder / "home"), Path(elsewhere))
            if why := EVILS[name].needs(stage):
                print(f"{name}: not played, as {why}", flush=True)
                continue
            began = time.monotonic()
            outcome = play(stage, {name: EVILS[name]}, {name: chosen})
        broken += len(outcome.faults)
        _print(name, outcome, time.monotonic() - began)
    return 1 if broken else 0


def _print(name: str, outcome: Outcome, seconds: float) -> None:
    print(
        f"{name:<17} {outcome.acts:>3} acts, {len(outcome.faults):>2} promises broken, "
        f"a key answered after {outcome.latest:.2f} s at worst, {seconds:.0f} s in all",
        flush=True,
    )
    for fault in outcome.faults:
        print(f"  {fault}", flush=True)


if __name__ == "__main__":
    raise SystemExit(main())

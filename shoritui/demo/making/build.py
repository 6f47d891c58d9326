"""The one command that makes the demo model: vocabulary, training, export.

`python -m shoritui.demo.making.build --minutes 80 --threads 2`; stopped, it goes on where it was.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch.multiprocessing.spawn import spawn

from shoritui.demo import model_path
from shoritui.demo.making.export import write_gguf
from shoritui.demo.making.network import demo_shape
from shoritui.demo.making.trainer import Recipe, Step, Trainer
from shoritui.demo.making.vocabulary import Pieces, learn_vocabulary
from shoritui.files import whole_file


@dataclass(frozen=True, slots=True)
class Build:
    """What to build, how and where."""

    recipe: Recipe
    processes: int
    work: Path
    """The folder of what is kept between runs: the vocabulary and the state of the training."""
    out: Path


def build(plan: Build) -> None:
    """Make the model, or go on making it, and write the file."""
    plan.work.mkdir(parents=True, exist_ok=True)
    pieces = vocabulary(plan)
    if plan.processes == 1:
        train(plan, pieces)
        return
    meeting = plan.work / "meeting"
    meeting.unlink(missing_ok=True)
    spawn(_worker, (plan, pieces.model, meeting), plan.processes)  # type: ignore[no-untyped-call]


def vocabulary(plan: Build) -> Pieces:
    """Return the vocabulary of this build: learned once, then kept."""
    path = plan.work / "pieces.model"
    if not path.exists():
        path.write_bytes(learn_vocabulary(plan.recipe.seed))
    return Pieces(path.read_bytes())


def train(plan: Build, pieces: Pieces) -> None:
    """Train in this process, alone or as one of a group; the first writes the file."""
    torch.set_num_threads(1)
    trainer = Trainer(demo_shape(pieces.size), pieces, plan.recipe)
    state = plan.work / "state.pt"
    if state.exists():
        trainer.take_up(torch.load(state, weights_only=True))

    def save(trainer: Trainer) -> None:
        if trainer.rank == 0:
            with whole_file(state) as part:
                torch.save(trainer.state(), part)
            write_gguf(plan.out, trainer.network, pieces, trainer.tokens, trainer.spent)

    trainer.run(Progress() if trainer.rank == 0 else lambda _: None, save)


def _worker(rank: int, plan: Build, model: bytes, meeting: Path) -> None:
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{meeting.resolve()}", rank=rank, world_size=plan.processes
    )
    train(plan, Pieces(model))
    dist.destroy_process_group()


class Progress:
    """Prints a line every half minute: where the training stands."""

    def __init__(self) -> None:
        self.shown = 0.0
        self.loss = 0.0

    def __call__(self, step: Step) -> None:
        """Take note of a step."""
        self.loss = 0.95 * self.loss + 0.05 * step.loss if self.loss else step.loss
        if time.monotonic() - self.shown < 30:
            return
        self.shown = time.monotonic()
        print(
            f"{step.share:6.1%}  step {step.step:5}  {step.tokens / 1e6:6.2f} M tokens  "
            f"loss {self.loss:.3f}  {step.speed:,.0f} tokens/s",
            flush=True,
        )


def main(arguments: list[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m shoritui.demo.making.build",
        description="Make the small model that ships with ShoriTUI, from nothing, on a CPU.",
    )
    parser.add_argument("--minutes", type=float, default=80, help="how long to train (80)")
    parser.add_argument("--threads", type=int, default=2, help="processor cores to use (2)")
    parser.add_argument("--seed", type=int, default=1, help="another seed, another model (1)")
    parser.add_argument("--out", type=Path, default=model_path(), help="the file to write")
    parser.add_argument(
        "--work",
        type=Path,
        default=Path("build/demo"),
        help="the folder that keeps what a later run needs to go on (build/demo)",
    )
    options: Any = parser.parse_args(arguments)
    recipe = Recipe(seconds=options.minutes * 60, seed=options.seed)
    build(Build(recipe, options.threads, options.work, options.out))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""TensorBoard and W&B, where they are installed: each drawn on by a thread of its own.

They load slowly, wait for networks and break; a run neither waits for them nor hears of it but
once. It does not know which of them are wanted.
"""

from __future__ import annotations

import os
import threading
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Final, Protocol

from shoritui.blockml import clean
from shoritui.finetune.events import Evaluated, Event, Replied, Stepped, TierStarted, Told

if TYPE_CHECKING:
    from shoritui.finetune.config.model import Config

_GOODBYE: Final = 20.0
"""Seconds that a board gets to send what is left at the end."""


class Drawing(Protocol):
    """A board that is open."""

    def begin(self, tier: str, step: int) -> None:
        """A tier goes on from a step; what was drawn of it after that step is void."""

    def scalar(self, tier: str, name: str, value: float, step: int) -> None:
        """One point of a curve."""

    def text(self, tier: str, name: str, value: str, step: int) -> None:
        """A sample reply."""

    def close(self) -> None:
        """Everything is sent."""


class Board:
    """Draws events in a thread; opening it, drawing and closing may fail or hang."""

    def __init__(
        self, name: str, opened: Callable[[], Drawing], tell: Callable[[Event], None]
    ) -> None:
        self._name = name
        self._open = opened
        self._tell = tell
        self._events: SimpleQueue[Event | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def take(self, event: Event) -> None:
        """Draws it some time."""
        self._events.put(event)

    def close(self) -> None:
        """Waits a little for what is still to be drawn."""
        self._events.put(None)
        self._thread.join(_GOODBYE)

    def _run(self) -> None:
        try:
            board: Drawing | None = None
            while (event := self._events.get()) is not None:
                if board is None and isinstance(event, TierStarted):
                    board = self._open()  # not before: it takes seconds, and may not be needed
                if board is not None:
                    draw(board, event)
            if board is not None:
                board.close()
        except (Exception, SystemExit) as error:
            traceback.print_exc()
            why = clean(str(error).partition("\n")[0]) or type(error).__name__
            self._tell(Told(f"{self._name} is left out: {why}"))


def draw(board: Drawing, event: Event) -> None:
    """Puts an event on a board, if it shows there."""
    match event:
        case TierStarted():
            board.begin(event.tier, event.step)
        case Stepped():
            for name, value in _figures(event):
                board.scalar(event.tier, name, value, event.step)
        case Evaluated():
            board.scalar(event.tier, "evaluation", event.loss, event.step)
        case Replied():
            board.text(event.tier, event.prompt, clean(event.text), event.step)
        case _:
            pass


def _figures(event: Stepped) -> Iterator[tuple[str, float]]:
    yield "loss", event.loss
    yield "learning_rate", event.learning_rate
    yield "gradient_norm", event.gradient_norm
    yield "tokens_per_second", event.tokens / event.seconds if event.seconds else 0.0
    yield "memory_gib", event.memory / 2**30


def tensorboard(folder: Path) -> Callable[[], Drawing]:
    """Opens TensorBoard's files: a run for each tier, so that curves lie over each other."""
    return lambda: _TensorBoard(folder)


def wandb(config: Config, folder: Path) -> Callable[[], Drawing]:
    """Opens a run of W&B as its own environment variables say."""
    return lambda: _Wandb(config, folder)


class _TensorBoard:
    def __init__(self, folder: Path) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._new: Any = SummaryWriter
        self._folder = folder
        self._writers: dict[str, Any] = {}

    def begin(self, tier: str, step: int) -> None:
        self._writers[tier] = self._new(str(self._folder / tier), purge_step=step + 1)

    def scalar(self, tier: str, name: str, value: float, step: int) -> None:
        self._writers[tier].add_scalar(name, value, step)

    def text(self, tier: str, name: str, value: str, step: int) -> None:
        self._writers[tier].add_text(name, value, step)

    def close(self) -> None:
        for writer in self._writers.values():
            writer.close()


class _Wandb:
    def __init__(self, config: Config, folder: Path) -> None:
        import wandb  # type: ignore[import-not-found,unused-ignore]

        folder.mkdir(parents=True, exist_ok=True)
        self._run: Any = wandb.init(
            project=os.environ.get("WANDB_PROJECT") or "shoritui",
            name=os.environ.get("WANDB_NAME") or config.path.stem,
            dir=str(folder),
            config={"base": config.base.model, "tiers": [tier.name for tier in config.tiers]},
            settings=wandb.Settings(console="off", silent=True),
        )

    def begin(self, tier: str, step: int) -> None:
        self._run.define_metric(f"{tier}/*", step_metric=f"{tier}/step")

    def scalar(self, tier: str, name: str, value: float, step: int) -> None:
        self._run.log({f"{tier}/{name}": value, f"{tier}/step": step})

    def text(self, tier: str, name: str, value: str, step: int) -> None:
        self._run.log({f"{tier}/reply/{name}": value, f"{tier}/step": step})

    def close(self) -> None:
        self._run.finish()

"""A run's figures, kept: metrics.jsonl always, TensorBoard and W&B where they are installed.

Nothing here can stop a run: what cannot be written is reported once and left out. The boards load
slowly, wait for networks and break, so each is drawn on by a thread of its own.
"""

from __future__ import annotations

import os
import threading
import traceback
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from queue import SimpleQueue
from typing import Any, BinaryIO, Final, Protocol, TypeAlias

from shoritui.bounded import read_json
from shoritui.files import content_of, open_to_append, replace_text
from shoritui.finetune.config.model import Config
from shoritui.finetune.events import (
    METRICS,
    Emit,
    Evaluated,
    Event,
    LevelLowered,
    Replied,
    Reported,
    Stepped,
    TierStarted,
    WorstDocuments,
    to_json,
)
from shoritui.text import clean

Figure: TypeAlias = Stepped | Evaluated | WorstDocuments | Replied | LevelLowered
_Key: TypeAlias = tuple[str, str, int, str]


@contextmanager
def recorded(config: Config, emit: Emit) -> Generator[Emit]:
    """An `emit` that also keeps the figures, in the folder where the adapters go."""
    folder = config.path.parent / config.output
    sinks: list[Metrics | Board] = [Metrics(folder / METRICS, emit)]
    if find_spec("tensorboard") is not None:
        sinks.append(Board("TensorBoard", partial(_TensorBoard, folder / "tensorboard"), emit))
    if find_spec("wandb") is not None and _wandb_is_wanted():
        sinks.append(Board("Weights & Biases", partial(_Wandb, config, folder), emit))

    def both(event: Event) -> None:
        emit(event)
        for sink in sinks:
            sink.take(event)

    try:
        yield both
    finally:
        for sink in sinks:
            sink.close()


def _wandb_is_wanted() -> bool:
    mode = os.environ.get("WANDB_MODE", "")
    named = any(os.environ.get(f"WANDB_{name}") for name in ("API_KEY", "PROJECT", "BASE_URL"))
    return mode != "disabled" and bool(mode or named)


class Metrics:
    """metrics.jsonl: a JSON object a line, as the events are written, no step of a tier twice.

    A tier that goes on from a saved step, or is trained anew, loses the rows after that step.
    """

    def __init__(self, path: Path, emit: Emit) -> None:
        self._path = path
        self._emit = emit
        self._file: BinaryIO | None = None
        self._known: set[_Key] = set()
        self._is_given_up = False

    def take(self, event: Event) -> None:
        """Keep the event if it is a figure."""
        if self._is_given_up:
            return
        try:
            if isinstance(event, TierStarted):
                self._begin(event)
            elif isinstance(event, Figure):
                self._keep(event)
        except OSError as error:
            self._is_given_up = True
            self.close()
            self._emit(Reported(f"{self._path}: figures are not kept any more: {error.strerror}."))

    def close(self) -> None:
        """Nothing more comes."""
        if self._file is not None:
            with suppress(OSError):
                self._file.close()
            self._file = None

    def _begin(self, event: TierStarted) -> None:
        self.close()
        rows = [
            (key, line)
            for key, line in _rows(self._path)
            if key[1] != event.tier or (event.step and key[2] <= event.step)
        ]
        self._known = {key for key, _ in rows}
        replace_text(self._path, "".join(f"{line}\n" for _, line in rows))

    def _keep(self, event: Figure) -> None:
        line = to_json(event)
        key = _key(read_json(line))
        if key in self._known:
            return
        self._known.add(key)
        if self._file is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = open_to_append(self._path)
        self._file.write(f"{line}\n".encode("ascii"))
        self._file.flush()


def _rows(path: Path) -> Iterator[tuple[_Key, str]]:
    """The rows of a file, without those that a power cut tore."""
    try:
        text = content_of(path).decode("utf-8", "replace")
    except FileNotFoundError:
        return
    for line in text.split("\n"):
        with suppress(ValueError, KeyError, TypeError, AttributeError):
            yield _key(read_json(line)), line


def _key(row: dict[str, Any]) -> _Key:
    return row["event"], row["tier"], int(row["step"]), row.get("prompt", "")


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

    def __init__(self, name: str, opener: Callable[[], Drawing], emit: Emit) -> None:
        self._name = name
        self._open = opener
        self._emit = emit
        self._events: SimpleQueue[Event | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def take(self, event: Event) -> None:
        """Draw it some time."""
        self._events.put(event)

    def close(self) -> None:
        """Wait a little for what is still to be drawn."""
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
            self._emit(Reported(f"{self._name} is left out: {why}"))


def draw(board: Drawing, event: Event) -> None:
    """Put an event on a board, if it shows there."""
    match event:
        case TierStarted():
            board.begin(event.tier, event.step)
        case Stepped():
            for name, value in _figures(event):
                board.scalar(event.tier, name, value, event.step)
        case Evaluated():
            board.scalar(event.tier, "evaluation", event.loss, event.step)
            for name, value in _preferred(event):
                board.scalar(event.tier, f"evaluation_{name}", value, event.step)
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
    yield from _preferred(event)


def _preferred(event: Stepped | Evaluated) -> Iterator[tuple[str, float]]:
    if event.preference is not None:
        yield from asdict(event.preference).items()


class _TensorBoard:
    """TensorBoard's files: a run for each tier, so that curves lie over each other."""

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
    """A run of W&B, as its own environment variables say."""

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

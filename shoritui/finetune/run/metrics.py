"""A run's figures, kept: metrics.jsonl always, TensorBoard and W&B where they are at hand.

It does not know how figures come about. Nothing here can stop a run: what cannot be written is
told once and left out.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, TextIO, TypeAlias

from shoritui.files import replace_text
from shoritui.finetune.config.model import Config
from shoritui.finetune.events import (
    Evaluated,
    Event,
    Replied,
    RungLowered,
    Stepped,
    TierStarted,
    Told,
    WorstDocuments,
    to_json,
)
from shoritui.finetune.run.boards import Board, tensorboard, wandb

FILE: Final = "metrics.jsonl"
Figure: TypeAlias = Stepped | Evaluated | WorstDocuments | Replied | RungLowered
_Key: TypeAlias = tuple[str, str, int, str]


@contextmanager
def recorded(config: Config, emit: Callable[[Event], None]) -> Generator[Callable[[Event], None]]:
    """An `emit` that also keeps the figures, in the folder where the adapters go."""
    folder = config.path.parent / config.output
    sinks: list[Metrics | Board] = [Metrics(folder / FILE, emit)]
    if find_spec("tensorboard") is not None:
        sinks.append(Board("TensorBoard", tensorboard(folder / "tensorboard"), emit))
    if find_spec("wandb") is not None and _wandb_is_wanted():
        sinks.append(Board("Weights & Biases", wandb(config, folder), emit))

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

    def __init__(self, path: Path, tell: Callable[[Event], None]) -> None:
        self._path = path
        self._tell = tell
        self._file: TextIO | None = None
        self._known: set[_Key] = set()
        self._is_given_up = False

    def take(self, event: Event) -> None:
        """Keeps the event if it is a figure."""
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
            self._tell(Told(f"{self._path}: figures are not kept any more: {error.strerror}."))

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
        key = _key(json.loads(line))
        if key in self._known:
            return
        self._known.add(key)
        if self._file is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("a", encoding="ascii", newline="\n")
        self._file.write(f"{line}\n")
        self._file.flush()


def _rows(path: Path) -> Iterator[tuple[_Key, str]]:
    """The rows of a file, without those that a power cut tore."""
    try:
        text = path.read_text("utf-8", "replace")
    except FileNotFoundError:
        return
    for line in text.split("\n"):
        with suppress(ValueError, KeyError, TypeError, AttributeError):
            yield _key(json.loads(line)), line


def _key(row: dict[str, Any]) -> _Key:
    return row["event"], row["tier"], int(row["step"]), row.get("prompt", "")

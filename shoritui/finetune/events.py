"""What a training run reports while it goes: plain facts, for a screen, a log or a script.

As JSON each is an object whose `event` is the class's name in lower case:

    {"event": "saved", "tier": "low", "step": 40}
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, get_args

import msgspec

from shoritui.bounded import read_json

METRICS: Final = "metrics.jsonl"
"""The file beside the adapters that keeps the figures among the events."""


@dataclass(frozen=True, slots=True)
class PlannedTier:
    """One tier of the run, as it will be trained or taken from the cache."""

    name: str
    after: str
    """The tier it goes on from; empty for the base itself."""
    conversations: int
    tokens: int
    """Tokens of one epoch that are read."""
    packs: int
    steps: int
    """Optimizer steps of all epochs."""
    cached: bool
    """Nothing that matters to it has changed: it is taken as it was trained."""
    resumes_at: int = 0
    """The step that an interrupted run of it goes on from."""
    kind: str = "conversation"
    """Of what it learns from; `conversations` are the rows of a file of preferences if it is
    `preference`."""
    pairs: int = 0
    """Of preferences, those to learn from: one for each message that was rejected."""
    same_as: str = ""
    """The tier before it whose data, start and settings are its own: both are trained at once."""


@dataclass(frozen=True, slots=True)
class RunStarted:
    """The run begins; these are its tiers in the order in which they are trained."""

    config: str
    base: str
    device: str
    tiers: tuple[PlannedTier, ...]


@dataclass(frozen=True, slots=True)
class Preparing:
    """Something before the first step takes its time: reading data, loading the base."""

    what: str
    done: int
    total: int
    """0 where it is not known."""


@dataclass(frozen=True, slots=True)
class TierStarted:
    """Training of one tier begins, or goes on from a saved step."""

    tier: str
    step: int
    """Steps done already."""
    steps: int
    level: str


@dataclass(frozen=True, slots=True)
class PreferenceFigures:
    """What a preference tier has reached on some pairs, as means over them.

    The log-ratio of a message is log p - log p of the tier's reference, in nats: of the whole
    message, or per token with `length_normalised`.
    """

    margin: float
    """beta * (the chosen message's log-ratio - the rejected one's)."""
    accuracy: float
    """The share of the pairs whose margin is above 0."""
    chosen: float
    """The chosen messages' log-ratio: how far they have drifted from the reference."""
    rejected: float
    """The same of the rejected ones."""


@dataclass(frozen=True, slots=True)
class Stepped:
    """One optimizer step is done."""

    tier: str
    step: int
    """Counted from 1."""
    steps: int
    epoch: float
    loss: float
    """Mean over the learnt tokens of this step, in nats; of preferences, over its pairs."""
    learning_rate: float
    gradient_norm: float
    """Before clipping."""
    tokens: int
    """Tokens read in this step."""
    seconds: float
    memory: int
    """Peak bytes of the device in this step; resident bytes on a CPU."""
    seconds_left: float
    """Of the whole run, as far as it is known."""
    preference: PreferenceFigures | None = None
    """Of a preference tier."""


@dataclass(frozen=True, slots=True)
class Evaluated:
    """The held-out conversations or preferences were read."""

    tier: str
    step: int
    loss: float
    """Mean over their learnt tokens, in nats; of preferences, over the pairs."""
    is_best: bool
    """No step of this tier did better; its adapter is kept."""
    preference: PreferenceFigures | None = None
    """Of a preference tier."""


@dataclass(frozen=True, slots=True)
class DocumentLoss:
    """How badly one conversation is predicted, or one preference met."""

    source: str
    """File and line."""
    loss: float
    """Mean over its learnt tokens, in nats, when it was last read; of a preference, its loss."""


@dataclass(frozen=True, slots=True)
class WorstDocuments:
    """The conversations with the highest losses of late, worst first."""

    tier: str
    step: int
    documents: tuple[DocumentLoss, ...]


@dataclass(frozen=True, slots=True)
class Replied:
    """A sample reply was written with the adapter as it is now."""

    tier: str
    step: int
    prompt: str
    """The name of the fixed prompt."""
    text: str


@dataclass(frozen=True, slots=True)
class LevelLowered:
    """Memory ran out: the step is begun again, at this checkpointing level from now on."""

    tier: str
    step: int
    level: str


@dataclass(frozen=True, slots=True)
class Saved:
    """Everything that is needed to go on from this step is on disk."""

    tier: str
    step: int


@dataclass(frozen=True, slots=True)
class TierEnded:
    """The tier's adapter is there."""

    tier: str
    cached: bool
    adapter: str
    """The PEFT folder that holds it."""
    loss: float | None
    """Of the last step; None where nothing was trained."""
    evaluation: float | None
    """The best one."""


@dataclass(frozen=True, slots=True)
class Reported:
    """One sentence that the person who waits should know."""

    text: str


@dataclass(frozen=True, slots=True)
class Failed:
    """The run cannot go on: one sentence says why and what to do."""

    text: str


@dataclass(frozen=True, slots=True)
class RunEnded:
    """The run is over, or was stopped; what was saved is where it goes on from."""

    stopped: bool
    steps: int
    """Optimizer steps done by this run."""
    seconds: float
    """Of training work."""
    adapter: str
    """The PEFT folder of the last tier; empty if it was stopped before."""


Event: TypeAlias = (
    RunStarted
    | Preparing
    | TierStarted
    | Stepped
    | Evaluated
    | WorstDocuments
    | Replied
    | LevelLowered
    | Saved
    | TierEnded
    | Reported
    | Failed
    | RunEnded
)

Emit: TypeAlias = Callable[[Event], None]
"""Hears every event of a run."""
Report: TypeAlias = Callable[[Preparing | Reported], None]
"""Hears how far a preparation is, and what the person who waits should know."""

_CLASSES: dict[str, Any] = {kind.__name__.lower(): kind for kind in get_args(Event)}


def to_json(event: Event) -> str:
    """Return the event as one line, without its end."""
    kind = type(event).__name__.lower()
    return json.dumps({"event": kind, **dataclasses.asdict(event)}, ensure_ascii=True)


def from_json(line: str) -> Event:
    """Return the event that `to_json` wrote.

    Raises:
        ValueError: The line is not an event.
    """
    fields = read_json(line, finite=False)
    try:
        event: Event = msgspec.convert(fields, _CLASSES[fields.pop("event")])
    except (AttributeError, KeyError, TypeError, msgspec.ValidationError) as error:
        raise ValueError(f"not an event of a training run: {line[:80]!r}") from error
    return event

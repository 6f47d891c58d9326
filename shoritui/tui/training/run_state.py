"""What a screen knows of a training run: its events, added up.

All text in it is as it came: not safe to show.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from math import isfinite
from typing import Literal

from shoritui.finetune.events import (
    Evaluated,
    Event,
    Failed,
    LevelLowered,
    PlannedTier,
    Preparing,
    Replied,
    Reported,
    RunEnded,
    RunStarted,
    Saved,
    Stepped,
    TierEnded,
    TierStarted,
    WorstDocuments,
)

Standing = Literal["waiting", "cached", "running", "done"]
KEPT_REPLIES = 60
KEPT_POINTS = 1500
_RECENT = 12
_PARTS = 12
"""A smoothed value looks back over such a part of the tier."""


@dataclass(slots=True)
class Smooth:
    """A running mean that trusts its first values no less than its later ones."""

    window: float = 8.0
    """About so many values count."""
    total: float = 0.0
    weight: float = 0.0

    def add(self, value: float) -> float:
        """Return the mean with one more value; what is no number changes nothing."""
        if isfinite(value):
            keep = 1 - 1 / self.window
            self.total = self.total * keep + value
            self.weight = self.weight * keep + 1
        return self.total / self.weight if self.weight else value


@dataclass(slots=True)
class Points:
    """A curve's points, evenly thinned where there are more than a screen can show."""

    kept: list[tuple[int, float]] = field(default_factory=list)
    count: int = 0
    stride: int = 1

    def add(self, step: int, value: float) -> None:
        """One point more; the newest is always there."""
        if self.kept and (self.count - 1) % self.stride:
            self.kept.pop()
        self.kept.append((step, value))
        self.count += 1
        if len(self.kept) > KEPT_POINTS:
            self.stride *= 2
            self.kept = self.kept[::2]


@dataclass(slots=True)
class TierCourse:
    """One tier: how far it is, and its curve."""

    planned: PlannedTier
    standing: Standing = "waiting"
    step: int = 0
    steps: int = 0
    level: str = ""
    losses: Points = field(default_factory=Points)
    smooth: Points = field(default_factory=Points)
    evaluations: list[Evaluated] = field(default_factory=list)
    last: Stepped | None = None
    worst: WorstDocuments | None = None
    ended: TierEnded | None = None
    recent: deque[tuple[int, float]] = field(default_factory=lambda: deque(maxlen=_RECENT))
    """Tokens and seconds of the last steps."""
    _mean: Smooth = field(default_factory=Smooth)

    @property
    def tokens_per_second(self) -> float:
        """Of late; 0 before the first step."""
        seconds = sum(taken for _, taken in self.recent)
        return sum(tokens for tokens, _ in self.recent) / seconds if seconds else 0.0

    @property
    def best(self) -> Evaluated | None:
        """The evaluation whose adapter is kept."""
        return next((one for one in reversed(self.evaluations) if one.is_best), None)

    def stepped(self, event: Stepped) -> None:
        """One step more."""
        self.standing = "running"
        self.step, self.steps, self.last = event.step, event.steps, event
        self._mean.window = min(max(event.steps / _PARTS, 3.0), 50.0)
        self.losses.add(event.step, event.loss)
        self.smooth.add(event.step, self._mean.add(event.loss))
        self.recent.append((event.tokens, event.seconds))


@dataclass(frozen=True, slots=True)
class Notice:
    """A sentence for whoever watches."""

    text: str
    trouble: bool = False


@dataclass(slots=True)
class Course:
    """A whole run so far."""

    started: RunStarted | None = None
    tiers: dict[str, TierCourse] = field(default_factory=dict)
    current: str = ""
    """The tier that is trained, or was last."""
    preparing: Preparing | None = None
    saved: Saved | None = None
    replies: deque[Replied] = field(default_factory=lambda: deque(maxlen=KEPT_REPLIES))
    replied: int = 0
    """How many replies there were in all."""
    notices: list[Notice] = field(default_factory=list)
    ended: RunEnded | None = None
    failed: Failed | None = None

    @property
    def is_over(self) -> bool:
        """Nothing more comes."""
        return self.ended is not None or self.failed is not None

    @property
    def steps(self) -> tuple[int, int]:
        """Steps done and all steps, of the tiers that are to be trained."""
        wanted = [tier for tier in self.tiers.values() if tier.standing != "cached"]
        done = sum(tier.steps if tier.standing == "done" else tier.step for tier in wanted)
        return done, sum(tier.steps for tier in wanted)

    def absorb(self, event: Event) -> None:
        """Add an event."""
        match event:
            case RunStarted():
                self._start(event)
            case Preparing():
                self.preparing = event
            case TierStarted():
                self._begin(event)
            case Stepped():
                self.preparing, self.current = None, event.tier
                self._tier(event.tier).stepped(event)
            case Evaluated():
                self._tier(event.tier).evaluations.append(event)
            case WorstDocuments():
                self._tier(event.tier).worst = event
            case Replied():
                self.replies.append(event)
                self.replied += 1
            case LevelLowered():
                self._tier(event.tier).level = event.level
                text = f"Memory ran out at step {event.step} of {event.tier}: it goes on with "
                self.notices.append(
                    Notice(f"{text}less, at checkpointing level {event.level}.", True)
                )
            case Saved():
                self.saved = event
            case TierEnded():
                self._end_tier(event)
            case Reported():
                self.notices.append(Notice(event.text))
            case Failed():
                self.failed, self.preparing = event, None
                self.notices.append(Notice(event.text, True))
            case RunEnded():
                self.ended, self.preparing = event, None

    def _start(self, event: RunStarted) -> None:
        self.started = event
        for planned in event.tiers:
            standing: Standing = "cached" if planned.cached else "waiting"
            self.tiers[planned.name] = TierCourse(
                planned, standing, step=planned.resumes_at, steps=planned.steps
            )

    def _begin(self, event: TierStarted) -> None:
        tier = self._tier(event.tier)
        tier.standing, tier.step, tier.steps = "running", event.step, event.steps
        tier.level = event.level
        self.current, self.preparing = event.tier, None

    def _end_tier(self, event: TierEnded) -> None:
        tier = self._tier(event.tier)
        tier.ended = event
        tier.standing = "cached" if event.cached else "done"

    def _tier(self, name: str) -> TierCourse:
        """Also one that was not planned: what is told is shown."""
        if name not in self.tiers:
            self.tiers[name] = TierCourse(PlannedTier(name, "", 0, 0, 0, 0, False))
        return self.tiers[name]

"""A run's events as lines for people, where there is no live view; each is safe on a terminal."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final

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
from shoritui.text import clean, command, counted, duration, size

INTERVAL: Final = 0.5
"""Seconds between two lines that only say how far it is."""
_SHOWN_WORST: Final = 3


class Lines:
    """Turns events into lines, and leaves out what comes too fast to be read."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, words: Sequence[str] = ()
    ) -> None:
        """Take a clock in seconds, and what follows `shoritui finetune` to begin the run again."""
        self._words = words
        self._clock = clock
        self._next = 0.0
        self._what = ""

    def of(self, event: Event) -> list[str]:
        """The lines that an event is worth, without their ends."""
        match event:
            case Preparing():
                lines = self._preparing(event)
            case Stepped():
                lines = self._stepped(event)
            case RunStarted():
                lines = _started(event)
            case RunEnded():
                lines = [_ended(event, self._words)]
            case _:
                lines = [_line(event)]
        return [" ".join(clean(line).split("\n")) for line in lines]

    def _preparing(self, event: Preparing) -> list[str]:
        is_news = event.what != self._what
        is_last = 0 < event.total <= event.done
        self._what = event.what
        is_time = self._is_time()
        if not (is_news or is_last or is_time):
            return []
        if not event.total:
            return [event.what]
        return [f"{event.what} {event.done:,} of {event.total:,}"]

    def _stepped(self, event: Stepped) -> list[str]:
        if event.step != event.steps and not self._is_time():
            return []
        speed = event.tokens / event.seconds if event.seconds else 0.0
        return [
            f"{event.tier} {event.step}/{event.steps}  epoch {event.epoch:.2f}  "
            f"loss {event.loss:.4f}{_preferred(event)}  rate {event.learning_rate:.3g}  "
            f"gradient {event.gradient_norm:.3g}  {speed:,.0f} tokens/s  "
            f"{size(event.memory)}  {duration(event.seconds_left)} left"
        ]

    def _is_time(self) -> bool:
        now = self._clock()
        if now < self._next:
            return False
        self._next = now + INTERVAL
        return True


def _started(event: RunStarted) -> list[str]:
    device = f" on {event.device}" if event.device else ""
    wide = max((len(tier.name) for tier in event.tiers), default=0)
    return [f"{event.config}: {event.base}{device}", *(_planned(t, wide) for t in event.tiers)]


def _planned(tier: PlannedTier, wide: int) -> str:
    if tier.same_as:
        state = f"the same as {tier.same_as}"
    elif tier.cached:
        state = "trained already"
    elif tier.resumes_at:
        state = f"goes on from step {tier.resumes_at}"
    else:
        state = "to train"
    read = counted(tier.conversations, tier.kind)
    if tier.kind == "preference":
        read += f" in {counted(tier.pairs, 'pair')}"
    figures = (
        read,
        counted(tier.tokens, "token"),
        counted(tier.packs, "pack"),
        counted(tier.steps, "step"),
    )
    return f"  {tier.name:{wide}}  {', '.join(figures)}: {state}"


def _line(event: Event) -> str:
    match event:
        case TierStarted():
            begins = f"goes on from step {event.step} of" if event.step else "trains"
            return (
                f"{event.tier} {begins} {event.steps:,} steps at checkpointing level {event.level}"
            )
        case Evaluated():
            best = ", the best so far" if event.is_best else ""
            loss = f"evaluation loss {event.loss:.4f}{_preferred(event)}"
            return f"{event.tier} {event.step}: {loss}{best}"
        case WorstDocuments():
            worst = (f"{one.source} ({one.loss:.2f})" for one in event.documents[:_SHOWN_WORST])
            return f"{event.tier} {event.step}: predicted worst are {', '.join(worst)}"
        case Replied():
            return f"{event.tier} {event.step}: reply to {event.prompt}: {event.text}"
        case LevelLowered():
            step = f"{event.tier} {event.step}"
            return f"{step}: memory ran out; it goes on at checkpointing level {event.level}"
        case Saved():
            return f"{event.tier} {event.step}: saved"
        case TierEnded():
            return _tier_ended(event)
        case Failed() | Reported():
            return event.text
        case _:
            return ""


def _preferred(event: Stepped | Evaluated) -> str:
    """What a tier of preferences has reached, after its loss."""
    if (found := event.preference) is None:
        return ""
    return (
        f"  margin {found.margin:.3f}  accuracy {found.accuracy:.0%}  "
        f"drift {found.chosen:+.2f} chosen, {found.rejected:+.2f} rejected"
    )


def _tier_ended(event: TierEnded) -> str:
    figures = [
        f"{name} {value:.4f}"
        for name, value in (("loss", event.loss), ("best evaluation loss", event.evaluation))
        if value is not None
    ]
    state = "is trained already" if event.cached else "is trained"
    shown = f" ({', '.join(figures)})" if figures else ""
    return f"{event.tier} {state}{shown}: {event.adapter}"


def _ended(event: RunEnded, words: Sequence[str]) -> str:
    if event.stopped:
        return f"Stopped. Next: `{command('finetune', *words)}` continues from what was saved."
    if not event.steps:
        return f"Nothing has changed, so nothing was trained: {event.adapter}"
    return f"Done: {counted(event.steps, 'step')} in {duration(event.seconds)}: {event.adapter}"

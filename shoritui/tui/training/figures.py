"""The words of a training run: its ladder, its figures, its summary.

Texts come with the names of their inks, safe to show: `[("● ", "accent"), ("mid", "title")]`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from rich.cells import cell_len

from shoritui.text import command, counted, duration, one_line, size
from shoritui.tui.training.plot import InkedText, figure
from shoritui.tui.training.run_state import Course, TierCourse
from shoritui.tui.widgets.wrap import fit

MARKS: Final = {
    "waiting": ("○", "faint"),
    "cached": ("✓", "info"),
    "running": ("●", "accent"),
    "done": ("✓", "dialogue"),
}
_METER = 8
_KEPT: Final = {
    "offload": "inputs (RAM)",
    "inputs": "inputs",
    "halves": "both inputs",
    "attention": "attention",
    "all": "all",
}
"""What each checkpointing level keeps of a layer until its backward pass."""


def standing(tier: TierCourse, *, is_over: bool = False) -> str:
    """Return how a tier stands, in a word or two."""
    match tier.standing:
        case "cached":
            return "cached"
        case "done":
            return f"{tier.steps:,} steps"
        case "running":
            return f"{tier.step:,}/{tier.steps:,}"
        case _:
            return f"{tier.step:,}/{tier.steps:,}" if tier.step else f"{tier.steps:,} steps"


def ladder(course: Course, chosen: str, width: int) -> list[tuple[str, InkedText]]:
    """Return the rows of the ladder, each with the name of its tier."""
    rows: list[tuple[str, InkedText]] = []
    above = ""
    for name, tier in course.tiers.items():
        after = tier.planned.after
        if after != above:
            text = fit(f"╰ after {one_line(after)}" if after else "╰ from the base", width)
            rows.append((name, [(text, "faint")]))
        rows.append((name, _ladder_row(tier, name == chosen, width)))
        if tier.standing == "running" and not course.is_over:
            rows.append((name, [("│ ", "faint"), *_meter(tier, max(4, width - 9))]))
        above = name
    return rows or [("", [("not known yet", "empty")])]


def _ladder_row(tier: TierCourse, is_chosen: bool, width: int) -> InkedText:
    mark, ink = MARKS[tier.standing]
    state = standing(tier)
    name = fit(one_line(tier.planned.name), max(3, width - cell_len(state) - 4))
    gap = max(1, width - cell_len(name) - cell_len(state) - 2)
    name_ink = "title" if is_chosen else "" if tier.standing == "running" else "info"
    return [(f"{mark} ", ink), (name, name_ink), (" " * gap, ""), (state, "info")]


def _meter(tier: TierCourse, cells: int) -> InkedText:
    share = min(1.0, tier.step / tier.steps) if tier.steps else 0.0
    filled = int(cells * share)
    bar: InkedText = [("▰" * filled, "accent"), ("▱" * (cells - filled), "faint")]
    return [*bar, (f" {100 * share:3.0f} %", "info")]


def ladder_line(course: Course, chosen: str, width: int) -> InkedText:
    """Return the ladder in one row, around the tier that is trained."""
    tiers = list(course.tiers.items())
    if not tiers:
        return [("tiers not known yet", "empty")]
    place = next((n for n, (name, _) in enumerate(tiers) if name == course.current), 0)
    parts = [_step(name, tier, chosen) for name, tier in tiers]
    cells = [sum(cell_len(text) for text, _ in part) + 3 for part in parts]
    first = last = place
    while True:
        used = sum(cells[first : last + 1]) - 3
        if last + 1 < len(parts) and used + cells[last + 1] <= width:
            last += 1
        elif first and used + cells[first - 1] <= width:
            first -= 1
        else:
            break
    words: InkedText = []
    for number in range(first, last + 1):
        words += [(" › ", "faint")] if number > first else []
        words += parts[number]
    return words


def _step(name: str, tier: TierCourse, chosen: str) -> InkedText:
    mark, ink = MARKS[tier.standing]
    text = one_line(name)
    count = f" {standing(tier)}" if tier.standing == "running" else ""
    return [(f"{mark} ", ink), (text, "title" if name == chosen else ""), (count, "info")]


def shown_figures(course: Course, chosen: str) -> tuple[tuple[str, str], ...]:
    """Return names and values, as far as known: of the shown tier, then of the run."""
    tier = course.tiers.get(chosen)
    return (*(_tier_figures(tier) if tier is not None else ()), *_run_figures(course))


def _tier_figures(tier: TierCourse) -> Iterator[tuple[str, str]]:
    if tier.smooth.kept:
        yield "loss", figure(tier.losses.kept[-1][1])
        yield "smoothed", figure(tier.smooth.kept[-1][1])
    if tier.evaluations:
        yield "evaluation", figure(tier.evaluations[-1].loss)
    if (best := tier.best) is not None:
        yield "best", f"{figure(best.loss)} at {best.step:,}"
    yield from _preferred(tier)
    if (last := tier.last) is not None:
        yield "tokens/s", f"{tier.tokens_per_second:,.0f}"
        yield "memory", size(last.memory)
    if tier.level:
        yield "layers keep", _KEPT.get(tier.level, one_line(tier.level))
    if last is not None:
        yield "learning rate", f"{last.learning_rate:.3g}"
        yield "gradient", f"{last.gradient_norm:.3g}"
        yield "epoch", f"{last.epoch:.2f}"
    if tier.last is None:
        planned = tier.planned
        yield f"{one_line(planned.kind)}s", f"{planned.conversations:,}"
        if planned.pairs:
            yield "pairs", f"{planned.pairs:,}"
        yield "tokens", f"{planned.tokens:,}"
        yield "packs", f"{planned.packs:,}"


def _preferred(tier: TierCourse) -> Iterator[tuple[str, str]]:
    """What a tier of preferences has reached: on held-out pairs, until then on those it learns."""
    held = tier.evaluations[-1].preference if tier.evaluations else None
    found = held or (tier.last.preference if tier.last is not None else None)
    if found is not None:
        yield "accuracy", f"{found.accuracy:.0%}"
        yield "margin", f"{found.margin:.3f}"
        yield "drift", f"{found.chosen:+.2f} / {found.rejected:+.2f}"


def _run_figures(course: Course) -> Iterator[tuple[str, str]]:
    current = course.tiers.get(course.current)
    if current is not None and current.last is not None and not course.is_over:
        yield "time left", duration(current.last.seconds_left)
    if course.saved is not None:
        yield "saved", f"{one_line(course.saved.tier)} {course.saved.step:,}"


def summary(course: Course, words: Sequence[str]) -> list[str]:
    """Return how a run ended and what comes next; `words` are what follows `shoritui finetune`."""
    lines = [_ending(course), *_next(course, words)]
    names = [one_line(name) for name in course.tiers]
    column = max((cell_len(name) for name in names), default=0)
    for name, tier in zip(names, course.tiers.values(), strict=True):
        told = ", ".join(_tier_summary(tier))
        lines.append(f"  {MARKS[tier.standing][0]} {name}{' ' * (column - cell_len(name))}  {told}")
    return lines


def _next(course: Course, words: Sequence[str]) -> Iterator[str]:
    ended = course.ended
    if ended is None:
        return
    if ended.stopped:
        yield f"Next: `{command('finetune', *words)}` continues from what was saved."
        return
    yield f"Next: `{command('finetune', 'export', *words)}` writes it as one file."
    if ended.adapter:
        yield f"In `shoritui chat`: /adapter {one_line(ended.adapter)}"


def _ending(course: Course) -> str:
    if course.failed is not None:
        return one_line(course.failed.text)
    ended = course.ended
    if ended is None:
        return "The run was left before it ended."
    took = f"{counted(ended.steps, 'step')} in {duration(ended.seconds)}"
    if ended.stopped:
        return f"Stopped: {took}."
    if not ended.steps:
        return "Nothing has changed: nothing was trained."
    done = sum(tier.standing == "done" for tier in course.tiers.values())
    return f"Trained {counted(done, 'tier')}: {took}."


def _tier_summary(tier: TierCourse) -> Iterator[str]:
    match tier.standing:
        case "cached":
            yield "as it was trained"
        case "done":
            yield counted(tier.losses.count, "step")
        case _:
            yield f"step {tier.step:,} of {tier.steps:,}" if tier.step else "not begun"
    if tier.smooth.kept:
        yield f"loss {figure(tier.smooth.kept[-1][1])}"
    if (best := tier.best) is not None:
        yield f"evaluation {figure(best.loss)}"

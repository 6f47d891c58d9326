"""How long a model's replies are under each hint, with the length guide and without it.

One reply is one step: it is in the model's table at once, so a measurement that was stopped goes on
where it was. The guide's aims follow from the replies that it led so far.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import quantiles
from typing import Any, Final

from shoritui.blockml import LENGTHS, Length, token_range
from shoritui.director import LengthTable, near_share
from shoritui.engine import EngineOptions, Preset
from shoritui.errors import UserError
from shoritui.eval.replies import Results, Stage, Subject
from shoritui.eval.statistics import spearman
from shoritui.eval.stories import Place, Story, Task, places
from shoritui.files import why
from shoritui.text import table

_PLACES: Final = 3
"""In each story there are so many, the opening first."""
_SEEDS: Final = 1000


@dataclass(frozen=True, slots=True)
class LengthPlan:
    """What is measured."""

    samples: int
    """Replies under each hint."""
    anew: bool = False
    """Whether what is known already does not count."""
    guide: bool = False
    """Whether replies are led, too, where the model keeps to hints by itself."""


async def measure_lengths(
    subject: Subject,
    stories: Sequence[Story],
    plan: LengthPlan,
    options: EngineOptions,
    presets: dict[str, Preset],
    report: Callable[[str], None],
    found: list[LengthTable],
) -> None:
    """Have the model write under each hint; `found` gets its table first, which then fills.

    Raises:
        UserError: The model cannot be loaded, cannot write, or its table cannot be kept.
    """
    report(f"{subject.name}: loading")
    async with Stage.open(subject, options, presets) as stage:
        known = None if plan.anew else LengthTable.read(stage.info)
        lengths = known or LengthTable(model=stage.description)
        found.append(lengths)
        for is_led in (False, True):
            if is_led and (not stage.info.leads_end or (lengths.obeys and not plan.guide)):
                return
            await _fill(stage, lengths, is_led, stories, plan.samples, report)


async def _fill(
    stage: Stage,
    lengths: LengthTable,
    is_led: bool,
    stories: Sequence[Story],
    samples: int,
    report: Callable[[str], None],
) -> None:
    tokens = lengths.led if is_led else lengths.free
    done = {hint: len(tokens.get(hint, ())) for hint in LENGTHS}
    everywhere = list(_places(stories))
    words = "replies that are led" if is_led else "replies"
    for number in range(min(done.values()), samples):
        for index, hint in enumerate(LENGTHS):
            if done[hint] > number:
                continue
            at = number * len(LENGTHS) + index
            report(f"{words}, {at + 1} of {samples * len(LENGTHS)}")
            # One place for all hints: its prompt is read once.
            place = everywhere[number % len(everywhere)]
            task = Task(place, hint, _SEEDS + at, guide="on" if is_led else "off")
            results = Results(stage.subject, replies=[[]])
            await stage.reply(task, results)
            [[reply]] = results.replies
            if is_led:
                lengths.add_led(hint, reply.tokens)
            else:
                lengths.free.setdefault(hint, []).append(reply.tokens)
            try:
                lengths.write(stage.info)
            except OSError as error:
                raise UserError(f"The lengths cannot be kept: {why(error)}.") from None


def _places(stories: Sequence[Story]) -> Iterator[Place]:
    """Yield a place of each story, by turns its opening and one in its middle."""
    for number, story in enumerate(stories):
        found = places(story, _PLACES)
        yield found[number % 2 if len(found) == _PLACES else 0]


def rank(tokens: dict[Length, list[int]]) -> float | None:
    """Return the rank correlation of hints and tokens; None if there is none."""
    pairs = [(LENGTHS.index(hint), float(each)) for hint in tokens for each in tokens[hint]]
    return spearman(pairs)


def table_of_lengths(lengths: LengthTable) -> Iterator[str]:
    """Yield what is known of a model's lengths, for people."""
    head = ("hint", "means", "by itself", "with the guide")
    rows = [
        (
            hint,
            "{} to {}".format(*token_range(hint)),
            _shown(lengths.free.get(hint, [])),
            _shown(lengths.led.get(hint, [])),
        )
        for hint in LENGTHS
    ]
    shares = [_percent(near_share(each)) for each in (lengths.free, lengths.led)]
    ranks = ["-" if r is None else f"{r:.2f}" for r in map(rank, (lengths.free, lengths.led))]
    yield from table(
        [head, *rows, ("", "", "", ""), ("within one hint", "", *shares), ("rank", "", *ranks)]
    )


def facts_of_lengths(lengths: LengthTable) -> dict[str, Any]:
    """Return the same for a script."""
    return {
        "model": lengths.model,
        "obeys": lengths.obeys,
        "hints": {
            hint: {
                "means": token_range(hint),
                "by_itself": lengths.free.get(hint, []),
                "with_the_guide": lengths.led.get(hint, []),
                "aim": lengths.aim(hint),
            }
            for hint in LENGTHS
        },
        "within_one_hint": {
            "by_itself": near_share(lengths.free),
            "with_the_guide": near_share(lengths.led),
        },
        "rank": {"by_itself": rank(lengths.free), "with_the_guide": rank(lengths.led)},
    }


def _shown(tokens: Sequence[int]) -> str:
    """Return the middle of some lengths, and where four in five of them lie."""
    if len(tokens) < 2:
        return str(tokens[0]) if tokens else "-"
    tenths = quantiles(tokens, n=10, method="inclusive")
    return f"{tenths[4]:.0f} ({tenths[0]:.0f} to {tenths[8]:.0f})"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.0%}"

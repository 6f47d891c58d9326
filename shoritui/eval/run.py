"""One run of `shoritui eval`: every model in turn, the story's replies first, then its surprises.

What is known so far is in the results at any time, so a run that is interrupted has a report.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import groupby

from shoritui.engine import EngineOptions, Preset
from shoritui.eval.kept import Kept, KeptPlace, KeptReply, files_of, key_of, text_of
from shoritui.eval.replies import (
    CONTEXTS,
    Context,
    NextSpeaker,
    Results,
    Stage,
    Subject,
    Surprise,
)
from shoritui.eval.stories import Place, Plan, Reply, Story, Task, tasks


async def evaluate(
    subjects: Sequence[Subject],
    stories: Sequence[Story],
    plan: Plan,
    seed: int,
    options: EngineOptions,
    presets: dict[str, Preset],
    results: list[Results],
    report: Callable[[str], None],
    kept: Kept | None = None,
) -> None:
    """Fill `results`, one for each subject; a model that several presets draw from loads once.

    What is in `kept` is not measured again.

    Raises:
        UserError: A model cannot be loaded, or cannot write a reply.
    """
    groups = tasks(stories, plan, seed)
    for _, same in groupby(subjects, key=lambda each: (each.model, each.adapters)):
        found = [Results(subject) for subject in same]
        results += found
        report(f"{found[0].subject.name}: loading")
        async with Stage.open(found[0].subject, options, presets) as stage:
            known = _Known(stage, kept or Kept(None), (options.n_ctx, *files_of(found[0].subject)))
            await _perform(known, groups, stories, plan.read, found, report)


class _Known:
    """A stage that is asked only for what is not kept."""

    def __init__(self, stage: Stage, kept: Kept, model: tuple[object, ...]) -> None:
        self._stage = stage
        self._kept = kept
        self._model = model
        self.description = stage.description

    async def reply(self, task: Task, results: Results) -> None:
        """Add one reply to the results."""
        place, hint, sampling = task.place, task.hint, results.subject.preset.sampling
        led = self._stage.led_by(task)
        key = key_of(
            *(self._model, sampling, place.prompt, place.speaker, hint, task.seed, task.most),
            *([led] if led else []),
        )
        known = self._kept.find(key, KeptReply)
        if known is None:
            measured = len(results.decode_rates)
            await self._stage.reply(task, results)
            new, rates = results.replies[-1][-1], results.decode_rates[measured:]
            self._kept.add(key, KeptReply(new.text, new.raw, new.tokens, new.stop, rates))
            return
        results.replies[-1].append(
            Reply(place, known.text, known.raw, hint, known.tokens, known.stop, task.seed)
        )
        results.decode_rates += known.rates

    async def read(self, place: Place, results: Results) -> bool:
        """Add who is held to speak next; False if the story does not fit."""
        key = key_of(self._model, place.prompt, place.speaker)
        known = self._kept.find(key, KeptPlace)
        if known is None:
            measured, asked = len(results.prompt_rates), len(results.speakers)
            fits = await self._stage.read(place, results)
            held = [each.held for each in results.speakers[asked:]]
            self._kept.add(key, KeptPlace(fits, held, results.prompt_rates[measured:]))
            return fits
        results.speakers += [NextSpeaker(place, held) for held in known.held]
        results.prompt_rates += known.rates
        return known.fits

    async def surprises(
        self, story: Story, context: Context, other: Story, most: int
    ) -> list[Surprise]:
        """Return how unlikely each message of a story is."""
        key = key_of(self._model, text_of(story), context, text_of(other), most)
        known = self._kept.find(key, list[Surprise])
        if known is None:
            known = await self._stage.surprises(story, context, other, most)
            self._kept.add(key, known)
        return known


async def _perform(
    stage: _Known,
    groups: Sequence[Sequence[Task]],
    stories: Sequence[Story],
    read: int,
    found: Sequence[Results],
    report: Callable[[str], None],
) -> None:
    """Judge one model, with each preset that it is to draw by."""
    first, *rest = found
    for each in found:
        each.description = stage.description
    for each in rest:  # what does not depend on the preset
        each.surprises, each.speakers = first.surprises, first.speakers
        each.prompt_rates = first.prompt_rates
    name = first.subject.name
    done, total = 0, sum(map(len, groups)) * len(found)
    for group in groups:
        if not await stage.read(group[0].place, first):
            total -= len(group) * len(found)
            for each in found:
                each.skipped += 1
            continue
        for each in found:
            each.replies.append([])
            for task in group:
                done += 1
                report(f"{name}: reply {done} of {total}")
                await stage.reply(replace(task, guide=each.subject.guide), each)
    for number, story in enumerate(stories, 1):
        report(f"{name}: what people wrote, story {number} of {len(stories)}")
        other = stories[number % len(stories)]
        for context in CONTEXTS:
            first.surprises += await stage.surprises(story, context, other, read)

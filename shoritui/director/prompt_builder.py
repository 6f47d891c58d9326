"""Fit a story into the context: which entries are read, in what document, and which go.

    header (scene)   entries with the lore that fires at them     open block   kept free
    ├──────────────┼──────────────────────────────────────────────┼────────────┼─────────┤
                   └ old entries go first, in big steps                         n_ctx

Pure: token counts are passed in, so nothing here needs an engine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from shoritui.blockml import Length, token_range
from shoritui.cards import Card, Lore
from shoritui.director.prompt_layout import (
    entry_text,
    example_segments,
    header_segments,
    lore_text,
    story_segments,
)
from shoritui.engine import Segment
from shoritui.errors import UserError
from shoritui.story import Entry, Firing, Form, everybody, fire, is_summary, outlasts

TRIM_TO = 0.75
"""The share of the room that stays filled when old messages are dropped: a big step, so that
the prompt's beginning, and with it the cache, stays the same for many turns."""
EXAMPLES_TO = 1 / 8
"""The share of the context that example messages may take at most."""
STAYS_TO = 0.5
"""The share of the room that pinned messages and summaries of what has gone may take at most."""


@dataclass(frozen=True, slots=True)
class PromptInput:
    """What a prompt is made of: the scene, the story, and the block that is open at its end."""

    scene: Card
    user: str
    entries: Sequence[Entry]
    opened: Segment
    opened_tokens: int
    length: Length | None
    """The hint of the reply that there must be room for."""
    context_size: int
    """The tokens that the context holds."""
    reader: str | None = None
    """Who will write; None is somebody who knows everything."""
    passed: int = 0
    """How much of the story comes before these entries."""
    gone: Sequence[Entry] = ()
    """What of that is read all the same."""
    form: Form = Form()  # noqa: RUF009  (frozen)
    beginning: int = 0
    """The tokens that a document begins with beside those of its texts."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """The segments of one prompt, and the place of the first entry that is in it."""

    segments: list[Segment]
    first: int
    firing: Firing
    """Which lore is in it, and why."""


@dataclass(frozen=True, slots=True)
class _Draft:
    """A prompt from some entry on, to be measured."""

    header: list[Segment]
    story: list[list[Segment]]
    """The segments of each entry, with what stands around it."""
    firing: Firing


@dataclass(frozen=True, slots=True)
class StoryBudget:
    """How many tokens a story may take in the context."""

    now: int
    """Beside the scene's blocks, the open block and a reply; less than 0 if these do not fit."""
    ahead: int
    """With another message besides: where a story is larger, its oldest messages go in idle
    time, so that the next turn need not wait for it."""
    soon: int
    """With two more: where a story is larger, there is time to write a summary of those."""


class PromptBuilder:
    """Builds prompts that fit a context."""

    def __init__(self, max_tokens: int, lore_budget: int = 0) -> None:
        """A reply has at most `max_tokens` tokens.

        Lore with keys takes at most `lore_budget`, or a third of the context where that is 0.
        """
        self._max_tokens = max_tokens
        self._lore_budget = lore_budget
        self._rendered: tuple[object, ...] | None = None
        self._drafts: dict[int, _Draft] = {}
        """What was rendered last, by its first entry: nothing is rendered twice while typing."""

    def texts(self, given: PromptInput) -> list[str]:
        """Return the texts whose tokens must be counted before a prompt can be built."""
        scene, entries, form = given.scene, given.entries, given.form
        called = fire(scene.lore, entries, passed=given.passed)
        story = story_segments(scene, entries, form, called, given.gone)
        everywhere = replace(given, scene=everybody(scene))
        groups = [self._header(everywhere, ()), self._header(given, given.gone), *story]
        texts = [segment.text for group in groups for segment in group]
        # Whether the one who enters is described there depends on what has gone.
        alone = [*given.gone, *(entry for entry in entries if entry.kind == "enter")]
        return [*texts, *map(lore_text, called.called), *(entry_text(e, form) for e in alone)]

    def build(
        self,
        given: PromptInput,
        tokens: Mapping[str, int],
        planned: int | None = None,
        *,
        going_on: bool = False,
    ) -> Prompt:
        """Build a prompt with room for a reply; old messages go if they must.

        Args:
            given: What it is made of.
            tokens: The tokens of each of the `texts`.
            planned: The entry to begin with if not all fit, by its id.
            going_on: Whether the open block is a reply that has filled the context: then little
                more of it need fit, and at worst every entry may go.

        Raises:
            UserError: The scene alone, or the last entry with it, does not fit.
        """
        # Where the last entry is so long that a usual reply has no room, one begins in little room.
        for little in (True,) if going_on else (False, True):
            budget = partial(self._budget, given, tokens, going_on=little)
            prompt = self._fitting(given, tokens, budget, planned)
            if prompt.first < len(given.entries) or not given.entries or going_on:
                return prompt
        draft = self._draft(given, len(given.entries) - 1, tokens)
        room = self._budget(given, tokens, draft.header, going_on=True).now
        [last] = draft.story
        lore = " with its lore" if len(last) > 1 else ""
        raise UserError(
            f"The last message{lore} takes {_total(last, tokens):,} tokens, but only {room:,} are "
            "free: shorten it, or choose a larger n_ctx."
        )

    def build_ahead(
        self,
        given: PromptInput,
        tokens: Mapping[str, int],
        planned: int | None = None,
        *,
        soon: bool = False,
    ) -> Prompt | None:
        """Build the prompt without the oldest messages, if it is time for them to go, or `soon`."""
        budget = partial(self._budget, given, tokens)
        prompt = self._fitting(given, tokens, budget, planned, "soon" if soon else "ahead")
        return prompt if 0 < prompt.first < len(given.entries) else None

    def _fitting(
        self,
        given: PromptInput,
        tokens: Mapping[str, int],
        budget: Callable[[list[Segment]], StoryBudget],
        planned: int | None,
        when: Literal["now", "ahead", "soon"] = "now",
    ) -> Prompt:
        """Build the prompt of which the story fits into what its header leaves of the `budget`."""
        ids = [entry.id for entry in given.entries]
        then = ids.index(planned) if planned in ids else 0
        start = 0
        # Lore may fire elsewhere, and notes may stand elsewhere, once an entry has gone, so what is
        # left is measured anew.
        while True:
            draft = self._draft(given, start, tokens)
            left = budget(draft.header)
            room = {"now": left.now, "ahead": left.ahead, "soon": left.soon}[when]
            sizes = [_total(group, tokens) for group in draft.story]
            if not (gone := first_to_keep(sizes, room)):
                break
            start = then if then and not start else start + gone
        told = (segment for group in draft.story for segment in group)
        return Prompt([*draft.header, *told, given.opened], start, draft.firing)

    def _budget(
        self,
        given: PromptInput,
        tokens: Mapping[str, int],
        header: list[Segment],
        *,
        going_on: bool = False,
    ) -> StoryBudget:
        size = given.context_size
        scene = given.beginning + _total(header, tokens)
        reserve = self.reserve(given.length, size, going_on=going_on)
        if scene + reserve > size:
            raise UserError(
                f"The scene's own blocks take {scene:,} of the context's {size:,} tokens: "
                "shorten descriptions or lore, or choose a larger n_ctx."
            )
        budget = story_budget(size, scene + given.opened_tokens, reserve)
        if budget.now < 0:
            raise UserError(
                f"The message being written takes {given.opened_tokens:,} tokens, and beside the "
                f"scene there is no room for more of it in a context of {size:,}: let "
                "another one begin, or choose a larger n_ctx."
            )
        return budget

    def reserve(self, length: Length | None, size: int, *, going_on: bool = False) -> int:
        """Return the tokens kept free for a reply: twice the most that its hint stands for."""
        expected = 2 * token_range(length or "medium")[1]
        return min(expected, self._max_tokens, size // (16 if going_on else 4))

    def _header(
        self, given: PromptInput, gone: Sequence[Entry], tokens: Mapping[str, int] | None = None
    ) -> list[Segment]:
        """Return the part before the story; with `tokens`, only with examples that have room."""
        examples = None if tokens is None else self._examples(given, gone, tokens)
        return header_segments(given.scene, given.user, given.form, gone, examples)

    def _examples(
        self, given: PromptInput, gone: Sequence[Entry], tokens: Mapping[str, int]
    ) -> int:
        """Return how many example messages there are room for, with the notes before them."""
        if not given.form.reads_examples:
            return 0
        total = fitting = 0
        segments = example_segments(given.scene, given.user, gone)
        for count, segment in enumerate(segments, 1):
            total += tokens[segment.text]
            if total > given.context_size * EXAMPLES_TO:
                break
            fitting = count if segment.source != "examples" else fitting
        return fitting

    def _staying(self, given: PromptInput, start: int, tokens: Mapping[str, int]) -> list[Entry]:
        """Return what is read of the entries before this one; of too much, old summaries go.

        Raises:
            UserError: Pinned messages alone take too much.
        """
        gone = _gone(given, start)
        sizes = {
            entry.id: tokens[entry_text(entry, given.form)]
            for entry in gone
            if entry.pinned or is_summary(entry)
        }
        if not sizes:
            return gone
        header = _total(self._header(given, (), tokens), tokens)
        room = int(
            STAYS_TO
            * max(0, given.context_size - header - self.reserve(given.length, given.context_size))
        )
        for entry in gone:
            if sum(sizes.values()) > room and is_summary(entry) and not entry.pinned:
                del sizes[entry.id]
        if (total := sum(sizes.values())) > room:
            raise UserError(
                f"The pinned messages take {total:,} tokens, but may take {room:,} of the "
                f"context's {given.context_size:,}: unpin some, or choose a larger n_ctx."
            )
        return [e for e in gone if e.id in sizes or not (e.pinned or is_summary(e))]

    def _draft(self, given: PromptInput, start: int, tokens: Mapping[str, int]) -> _Draft:
        """Return the prompt from this entry on, with the lore that fires in it."""
        entries, size = tuple(given.entries), given.context_size
        key = (given.scene, given.user, entries, tuple(given.gone), given.passed, size, given.form)
        if self._rendered != key:
            self._rendered, self._drafts = key, {}
        if start not in self._drafts:
            budget = self._lore_budget or size // 3

            def cost(lore: Lore) -> int:
                # What was never called before may be once other entries have gone: not now.
                return tokens.get(lore_text(lore), budget + 1)

            scene, gone = given.scene, self._staying(given, start, tokens)
            passed = given.passed + start
            firing = fire(scene.lore, entries[start:], passed=passed, budget=budget, cost=cost)
            story = list(story_segments(scene, entries[start:], given.form, firing, gone))
            self._drafts[start] = _Draft(self._header(given, gone, tokens), story, firing)
        return self._drafts[start]


def story_budget(context_size: int, fixed: int, reserve: int) -> StoryBudget:
    """Return the room beside the blocks that always stay and the tokens kept for a reply."""
    now = context_size - fixed - reserve
    # What is said before the reply takes room too, however short replies are.
    message = max(0, min(max(reserve, context_size // 16), now // 4))
    return StoryBudget(now, now - message, now - 2 * message)


def first_to_keep(sizes: Sequence[int], room: int) -> int:
    """Return the first of the entries that the model goes on reading.

    Args:
        sizes: The tokens of each entry with its lore, oldest first.
        room: The tokens there are for entries.

    Returns:
        0 while everything fits; else the first entry from which on the sizes take at most
        `TRIM_TO` of the room, or the last one if it fits at all; `len(sizes)` if it does not.
    """
    total = sum(sizes)
    if total <= room:
        return 0
    start = 0
    while start < len(sizes) - 1 and total > room * TRIM_TO:
        total -= sizes[start]
        start += 1
    return start if total <= room else len(sizes)


def _gone(given: PromptInput, start: int) -> list[Entry]:
    """Return what is read of the entries before this one."""
    return [*given.gone, *filter(outlasts, given.entries[:start])]


def _total(segments: Sequence[Segment], tokens: Mapping[str, int]) -> int:
    return sum(tokens[segment.text] for segment in segments)

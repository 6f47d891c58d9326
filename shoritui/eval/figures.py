"""All measures of all models, each with its confidence interval, as lines of a table.

what                            people        1
end by themselves, %                          97 (93..100)
quotes and marks closed, %      99 (98..100)  96 (91..100)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any, Final

from shoritui.eval import grounding, measures
from shoritui.eval.replies import (
    Context,
    NextSpeaker,
    Results,
    Surprise,
    bits_per_character,
    perplexity,
)
from shoritui.eval.statistics import Count, Estimate, estimate, estimate_share, spearman
from shoritui.eval.stories import Reply
from shoritui.text import counted, table

Better = str
"""`+` where more is better, `-` where less is, empty where neither is."""


@dataclass(frozen=True, slots=True)
class Line:
    """One measure: what it is called, and what was found for people and for each model."""

    key: str
    label: str
    better: Better
    unit: str
    people: Estimate | None
    models: tuple[Estimate | None, ...]


@dataclass(frozen=True, slots=True)
class _OfText:
    """A measure of single replies."""

    key: str
    label: str
    of: Callable[[Reply], Count | None]
    better: Better = "+"
    unit: str = "%"
    of_people: bool = True


_FORM: Final = (
    _OfText("ended", "end by themselves", measures.ended, of_people=False),
    _OfText("looped", "cut, since they only repeat themselves", measures.looped, "-", "%", False),
    _OfText(
        "foreign_lines_as_written",
        "hold another speaker's message, as written",
        measures.foreign_lines_as_written,
        "-",
    ),
    _OfText(
        "foreign_lines",
        "the same, as the director leaves them",
        measures.foreign_lines_as_read,
        "-",
    ),
    _OfText("foreign_acts", "let another character act or speak", measures.foreign_acts, "-"),
    _OfText("closed", "have every quote and mark closed", measures.closed),
    _OfText("third_person", "narrate in the third person", measures.third_person),
    _OfText("past_tense", "narrate in the past tense", measures.past_tense),
)
_LENGTH: Final = (
    _OfText("in_range", "have the length asked for", measures.in_range, of_people=False),
    _OfText("near_range", "have it, or the next one", measures.near_range, of_people=False),
)
_GROUNDING: Final = (
    _OfText("known_names", "words like names that the prompt has", grounding.known_names),
    _OfText("known_things", "uncommon words that the prompt has", grounding.known_things, ""),
    _OfText("uses_names", "use a name of the prompt", grounding.uses_names, ""),
    _OfText("answers", "take up a name or thing of the last messages", grounding.answers),
    _OfText("denied", "deny a fact of the cards", grounding.denied, "-"),
)
_REPETITION: Final = (
    _OfText("distinct", "distinct four-word phrases in a reply", measures.distinct),
    _OfText("loop_words", "longest loop in a reply, words", measures.loop_words, "-", "n"),
    _OfText("echoed", "five-word phrases copied from the prompt", measures.echoed, "-"),
    _OfText("stock", "stock phrases in 1,000 words", measures.stock, "-", "n"),
)


_WORTH: Final[dict[Context, str]] = {
    "no hints": "perplexity without hints / with hints",
    "other cast": "perplexity with another story's cast / its own",
    "other scene": "perplexity with all another story's cards / its own",
}
"""What it is worth to a model to read the true context."""


def lines(people: Sequence[Reply], results: Sequence[Results], seed: int = 0) -> list[Line]:
    """Return every line for which anything is known."""
    every = [
        *_of_texts(_FORM, people, results, seed),
        _rank_line(results, seed),
        *_of_texts(_LENGTH, people, results, seed),
        *_of_texts(_GROUNDING, people, results, seed),
        *_of_texts(_REPETITION, people, results, seed),
        _shared_line(people, results, seed),
        *_verdict_lines(results, seed),
        *_speaker_lines(results, seed),
        *_surprise_lines(results, seed),
        _rate_line("prompt_rate", "prompt, tokens a second", [r.prompt_rates for r in results]),
        _rate_line("decode_rate", "writing, tokens a second", [r.decode_rates for r in results]),
    ]
    return [line for line in every if any(line.models) or line.people is not None]


def _of_texts(
    those: Sequence[_OfText], people: Sequence[Reply], results: Sequence[Results], seed: int
) -> Iterator[Line]:
    by_people = [[reply] for reply in people]
    for each in those:
        theirs = _estimated(by_people, each.of, seed) if each.of_people else None
        models = tuple(_estimated(found.replies, each.of, seed) for found in results)
        yield Line(each.key, each.label, each.better, each.unit, theirs, models)


def _estimated(
    groups: Sequence[Sequence[Reply]], of: Callable[[Reply], Count | None], seed: int
) -> Estimate | None:
    counts = [[count for reply in group if (count := of(reply)) is not None] for group in groups]
    return estimate_share(counts, seed)


def _rank_line(results: Sequence[Results], seed: int) -> Line:
    def found(result: Results) -> Estimate | None:
        groups = [
            [pair for reply in group if (pair := measures.hint_and_tokens(reply)) is not None]
            for group in result.replies
        ]
        return estimate(groups, spearman, seed)

    label = "hint and tokens, rank correlation"
    return Line("rank", label, "+", "n", None, tuple(map(found, results)))


def _shared_line(people: Sequence[Reply], results: Sequence[Results], seed: int) -> Line:
    def found(groups: Sequence[Sequence[Reply]]) -> Estimate | None:
        counts = iter(measures.shared_phrases([reply for group in groups for reply in group]))
        return estimate_share([[next(counts) for _ in group] for group in groups], seed)

    label = "five-word phrases that another story's replies have"
    models = tuple(found(result.replies) for result in results)
    return Line("shared", label, "-", "%", found([[reply] for reply in people]), models)


def _verdict_lines(results: Sequence[Results], seed: int) -> Iterator[Line]:
    names = dict.fromkeys(n for r in results for g in r.verdicts for v in g for n in v)
    for name in names:
        models = tuple(
            estimate_share([[Count(v[name]) for v in g if name in v] for g in r.verdicts], seed)
            for r in results
        )
        yield Line(f"judge_{name}", f"the judge: {name}, 1 to 10", "+", "n", None, models)


def _speaker_lines(results: Sequence[Results], seed: int) -> Iterator[Line]:
    def of(found: Callable[[NextSpeaker], float]) -> tuple[Estimate | None, ...]:
        return tuple(
            estimate_share([[Count(found(each))] for each in r.speakers], seed) for r in results
        )

    right = of(lambda each: each.held["model"] == each.true)
    yield Line("next_speaker", "next speaker known, by the model", "+", "%", None, right)
    by_address = of(lambda each: each.held["natural"] == each.true)
    yield Line("next_speaker_natural", "the same by address and silence", "", "%", None, by_address)
    in_turn = of(lambda each: each.held["in-turn"] == each.true)
    yield Line("next_speaker_in_turn", "the same in turn", "", "%", None, in_turn)
    by_chance = of(lambda each: 1 / len(each.place.story.cast))
    yield Line("next_speaker_chance", "the same by chance", "", "%", None, by_chance)


def _surprise_lines(results: Sequence[Results], seed: int) -> Iterator[Line]:
    def of(
        context: Context, figure: Callable[[Sequence[Surprise]], float | None]
    ) -> tuple[Estimate | None, ...]:
        return tuple(
            estimate([[s] for s in r.surprises if s.context == context], figure, seed)
            for r in results
        )

    label = "perplexity of people's messages"
    yield Line("perplexity", label, "-", "n", None, of("true", perplexity))
    label = "the same in bits a character"
    yield Line("bits", label, "-", "n", None, of("true", bits_per_character))
    for context, words in _WORTH.items():
        ratios = tuple(_ratio(_of(r, context), _of(r, "true"), seed) for r in results)
        yield Line(f"ratio_{context.replace(' ', '_')}", words, "", "n", None, ratios)
    if len(results) > 1:
        *others, last = (_of(r, "true") for r in results)
        beside = tuple(
            _ratio(each, last, seed) if _tokens(each) == _tokens(last) else None for each in others
        )
        words = f"perplexity / that of {len(results)}"
        yield Line("ratio_last", words, "-", "n", None, (*beside, None))


def _of(result: Results, context: Context) -> list[Surprise]:
    return [each for each in result.surprises if each.context == context]


def _tokens(surprises: Sequence[Surprise]) -> list[int]:
    """Return the tokens of each message: perplexities of other tokens cannot be compared."""
    return [each.tokens for each in surprises]


def _ratio(those: Sequence[Surprise], beside: Sequence[Surprise], seed: int) -> Estimate | None:
    """The ratio of the perplexities of those messages that were read both times."""
    known = {(s.story, s.number): s for s in beside}
    pairs = [[(s, known[key])] for s in those if (key := (s.story, s.number)) in known]

    def figure(drawn: Sequence[tuple[Surprise, Surprise]]) -> float | None:
        there, here = perplexity([a for a, _ in drawn]), perplexity([b for _, b in drawn])
        return there / here if there is not None and here is not None else None

    return estimate(pairs, figure, seed)


def _rate_line(key: str, label: str, rates: Sequence[Sequence[float]]) -> Line:
    models = tuple(
        Estimate(fmean(each), min(each), max(each), len(each)) if each else None for each in rates
    )
    return Line(key, label, "+", "n", None, models)


def table_of(those: Sequence[Line], results: Sequence[Results]) -> Iterator[str]:
    """Yield the lines of the table, and below it which model is which."""
    head = ("", "", "people", *(str(number) for number in range(1, len(results) + 1)))
    rows = [
        (
            _labelled(line),
            line.better,
            shown(line.people, line.unit),
            *(shown(each, line.unit) for each in line.models),
        )
        for line in those
    ]
    yield from table([head, *rows])
    yield ""
    for number, found in enumerate(results, 1):
        yield f"{number}  {found.subject.name}{skipped_words(found)}"
    yield "+ more is better, - less is better; in brackets the 95 % confidence interval."


def skipped_words(found: Results) -> str:
    """Return what is to be said of places that the model could not read."""
    if not found.skipped:
        return ""
    return f" (without {counted(found.skipped, 'place')} whose story does not fit its context)"


def _labelled(line: Line) -> str:
    return f"{line.label}, %" if line.unit == "%" else line.label


def shown(found: Estimate | None, unit: str) -> str:
    """Return a figure and its interval as people read it."""
    if found is None:
        return "-"
    value, low, high = (_number(each, unit) for each in (found.value, found.low, found.high))
    return f"{value} ({low}..{high})"


def _number(value: float, unit: str) -> str:
    if unit == "%":
        return f"{100 * value:.1f}".removesuffix(".0")
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def facts_of(those: Sequence[Line], results: Sequence[Results]) -> dict[str, Any]:
    """Return the figures and every reply, for a script."""
    return {
        "people": {line.key: asdict(line.people) for line in those if line.people is not None},
        "models": [
            {
                "name": found.subject.name,
                "model": str(found.subject.model),
                "adapters": [str(each.path) for each in found.subject.adapters],
                "preset": found.subject.preset.name,
                "length_guide": found.subject.guide,
                "description": found.description,
                "skipped_places": found.skipped,
                "figures": {
                    line.key: asdict(each)
                    for line in those
                    if (each := line.models[number]) is not None
                },
                "replies": [_facts(reply) for group in found.replies for reply in group],
            }
            for number, found in enumerate(results)
        ],
    }


def _facts(reply: Reply) -> dict[str, Any]:
    return {
        "story": reply.place.story.name,
        "entry": reply.place.at,
        "speaker": reply.place.speaker,
        "hint": reply.hint,
        "seed": reply.seed,
        "tokens": reply.tokens,
        "stop": reply.stop,
        "text": reply.text,
        **({"as_written": reply.raw} if reply.raw.strip() != reply.text.strip() else {}),
        "denied": grounding.contradictions(reply),
    }

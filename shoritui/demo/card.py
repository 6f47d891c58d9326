"""The card beside the demo model: what it is and what it can do, in figures measured from the file.

`python -m shoritui.demo.card` measures and writes it; it knows nothing of training.
"""

from __future__ import annotations

import argparse
import sys
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from pathlib import Path
from typing import Any

from shoritui.blockml import LENGTHS
from shoritui.demo import model_path
from shoritui.demo.beats import corpus_beats
from shoritui.demo.measure import CARD_MAIN, GENTLE, Figures, Reader, Sampler, judge, sample
from shoritui.demo.reading import Count

CARD = """\
# ShoriTUI demo

A very small model that writes BlockML scenes, so that ShoriTUI can be tried and tested with
nothing from outside. It is an ordinary llama of {parameters:.1f} million parameters
({size:.1f} MB as Q8_0, context {context}), trained from nothing on text of the project's own:
{beats:,} hand-written beats (sentences with slots), put together into scenes by a seeded
generator.

It knows one kind of story: a few people, a few things, a few places, and something that must
still happen. It reads who is there and what lies about from the prompt and carries it through a
fluent, cheerful nonsense. It does not understand what you tell it, does not reason, and knows
nothing of the world. For stories that answer you, give ShoriTUI a real model.

| training | |
|---|---|
| tokens seen | {tokens:.1f} million, in {minutes:.0f} minutes on two CPU cores |
| vocabulary | {vocabulary:,} SentencePiece pieces; `▀`, `▄` and the newline are one each |
| held-out loss | {loss:.3f} nats a token, on messages with unseen names, things and places |

{replies} replies, each to a scene whose cast, things and places training never saw:

| | gentle | card-main |
|---|---|---|
{rows}

Gentle: temperature {gentle.temperature}, min-p {gentle.min_p}. Card-main: temperature
{main.temperature}, min-p {main.min_p}, presence penalty {main.presence_penalty}. Names, things and
places are looked for in the slots of the beats that a reply is made of; name-like words are all
its capital words that the corpus itself does not use. Each length is asked for equally often.

Mean tokens by length hint, gentle: {lengths}.

Limits: it was trained too briefly. A reply that does not end by itself nearly always stammers, one
piece or phrase over and over; a reply is a string of beats, each good alone, in no deeper order.

Made by `python -m shoritui.demo.build`, measured by `python -m shoritui.demo.card`. The run behind
this file was taken up again several times while the recipe was still changing (landmark heads at
2.7, heavier things at 5.9, stammered rows at 6.3 million tokens); the build now has these from the
start, so a fresh run will give another model, not this one to the byte. All audiences.
Licence: Apache-2.0, like the project.
"""


def write_card(model: Path, out: Path, replies: int) -> None:
    """Measure the model and write its card."""
    with ProcessPoolExecutor(2) as pool:
        gentle, main = pool.map(_figures, repeat(model), repeat(replies), (GENTLE, CARD_MAIN))
    reader = Reader(model)
    known: dict[str, Any] = reader.llama.metadata
    means = (f"{length} {gentle.mean_tokens[length]:.0f}" for length in LENGTHS)
    out.write_text(
        CARD.format(
            parameters=int(known["general.parameter_count"]) / 1e6,
            size=model.stat().st_size / 1e6,
            context=known["llama.context_length"],
            beats=len(corpus_beats()[0]),
            tokens=int(known["shoritui.training.tokens"]) / 1e6,
            minutes=float(known["shoritui.training.seconds"]) / 60,
            vocabulary=reader.llama.n_vocab(),
            loss=reader.loss(scenes=24),
            replies=replies,
            rows="\n".join(map(_row, _rows(gentle), _rows(main))),
            gentle=GENTLE,
            main=CARD_MAIN,
            lengths=", ".join(means),
        ),
        encoding="utf-8",
    )


def _figures(model: Path, replies: int, sampler: Sampler) -> Figures:
    return judge(sample(Reader(model), replies, sampler))


def _rows(figures: Figures) -> list[tuple[str, str]]:
    hits = figures.hits
    return [
        ("end by themselves", f"{figures.ended:.1%}"),
        ("stay with the speaker", f"{figures.kept_speaker:.1%}"),
        ("close every quote and mark", f"{figures.closed:.1%}"),
        ("have exactly the length asked for", f"{figures.landed:.1%}"),
        ("name-like words that are names of the prompt", _counted(hits.name_words)),
        ("names in slots that stand in the prompt", _counted(hits.names)),
        ("things in slots that stand in the prompt", _counted(hits.props)),
        ("places in slots that stand in the prompt", _counted(hits.places)),
    ]


def _row(gentle: tuple[str, str], main: tuple[str, str]) -> str:
    return f"| {gentle[0]} | {gentle[1]} | {main[1]} |"


def _counted(count: Count) -> str:
    return f"{count.share:.1%} of {count.all}"


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m shoritui.demo.card", description="Measure the demo model; write its card."
    )
    parser.add_argument("model", nargs="?", type=Path, default=model_path())
    parser.add_argument("--replies", type=int, default=300, help="for each sampler (300)")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("MODEL_CARD.md"))
    options: Any = parser.parse_args()
    write_card(options.model, options.out, options.replies)
    return 0


if __name__ == "__main__":
    sys.exit(main())

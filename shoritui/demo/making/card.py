"""The card beside the demo model: what it is and what it can do, in figures measured from the file.

`python -m shoritui.demo.making.card` measures and writes it.
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
from shoritui.demo.making.beats import corpus_beats
from shoritui.demo.making.measure import (
    CARD_MAIN,
    GENTLE,
    Figures,
    Reader,
    Sampler,
    judge,
    sample,
)
from shoritui.text import size

CARD = """\
# ShoriTUI demo

A very small model that writes BlockML scenes, so that ShoriTUI can be tried and tested without
a download. It is an ordinary llama of {parameters:.1f} million parameters
({size} as Q8_0, context {context}), trained from scratch on text written for this project:
{beats:,} hand-written beats (sentences with slots), assembled into scenes by a seeded
generator.

It knows one kind of story: a few people, a few things, a few places, and something that must
still happen. It picks these up from the prompt and weaves them into fluent, cheerful nonsense. It
does not understand what you tell it, does not reason, and knows nothing about the world. For
stories that respond to you, give ShoriTUI a real model.

| training | |
|---|---|
| tokens seen | {tokens:.1f} million, in {minutes:.0f} minutes on two CPU cores |
| vocabulary | {vocabulary:,} SentencePiece pieces; `▀`, `▄` and the newline are one token each |
| held-out loss | {loss:.3f} nats per token, on messages with unseen names, things and places |

{replies} replies, each to a scene whose cast, things and places were not in the training data:

| | gentle | card-main |
|---|---|---|
{rows}

Gentle: temperature {gentle.temperature}, min-p {gentle.min_p}. Card-main: temperature
{main.temperature}, min-p {main.min_p}, presence penalty {main.presence_penalty}. Names, things and
places are looked up in the slots of a reply's beats; name-like words are all capitalised words that
the corpus does not use. Each length is requested equally often.

Mean tokens by length hint, gentle: {lengths}.

Limits: it was trained too briefly. A reply that does not end by itself nearly always repeats one
word or phrase over and over; a reply is a string of beats, each good alone, in no particular order.

Made by `python -m shoritui.demo.making.build`, measured by
`python -m shoritui.demo.making.card`: both are in the repository, not in the installed package.
The run behind this file was resumed several times while the recipe was still changing (landmark
heads at 2.7, heavier things at 5.9, stammered rows at 6.3 million tokens); the build now has these
from the start, so a new run makes a slightly different model. Suitable for all audiences.
Licence: Apache-2.0, like the project.
"""


def write_card(model: Path, out: Path, replies: int) -> None:
    """Measure the model and write its card."""
    with ProcessPoolExecutor(2) as pool:
        gentle, main = pool.map(_figures, repeat(model), repeat(replies), (GENTLE, CARD_MAIN))
    reader = Reader(model)
    known: dict[str, Any] = reader.llama.metadata
    pairs = zip(_rows(gentle), _rows(main), strict=True)
    rows = (f"| {name} | {one} | {other} |" for (name, one), (_, other) in pairs)
    means = (f"{length} {gentle.mean_tokens[length]:.0f}" for length in LENGTHS)
    out.write_text(
        CARD.format(
            parameters=int(known["general.parameter_count"]) / 1e6,
            size=size(model.stat().st_size),
            context=known["llama.context_length"],
            beats=len(corpus_beats()[0]),
            tokens=int(known["shoritui.training.tokens"]) / 1e6,
            minutes=float(known["shoritui.training.seconds"]) / 60,
            vocabulary=reader.llama.n_vocab(),
            loss=reader.loss(scenes=24),
            replies=replies,
            rows="\n".join(rows),
            gentle=GENTLE,
            main=CARD_MAIN,
            lengths=", ".join(means),
        ),
        encoding="utf-8",
    )


def _figures(model: Path, replies: int, sampler: Sampler) -> Figures:
    return judge(sample(Reader(model), replies, sampler))


def _rows(figures: Figures) -> list[tuple[str, str]]:
    hits = {subject: f"{count.share:.1%} of {count.all}" for subject, count in figures.hits.items()}
    return [
        ("end by themselves", f"{figures.ended:.1%}"),
        ("stay with the speaker", f"{figures.kept_speaker:.1%}"),
        ("close every quote and mark", f"{figures.closed:.1%}"),
        ("have exactly the length asked for", f"{figures.landed:.1%}"),
        ("name-like words that are names from the prompt", hits["name words"]),
        ("names in slots that are in the prompt", hits["names"]),
        ("things in slots that are in the prompt", hits["props"]),
        ("places in slots that are in the prompt", hits["places"]),
    ]


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m shoritui.demo.making.card",
        description="Measure the demo model; write its card.",
    )
    parser.add_argument("model", nargs="?", type=Path, default=model_path())
    parser.add_argument("--replies", type=int, default=300, help="for each sampler (300)")
    parser.add_argument("--out", type=Path, default=model_path().with_name("MODEL_CARD.md"))
    options: Any = parser.parse_args()
    write_card(options.model, options.out, options.replies)
    return 0


if __name__ == "__main__":
    sys.exit(main())

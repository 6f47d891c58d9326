"""Tokens a second: our streaming path against llama.cpp alone and against the high-level API."""

from __future__ import annotations

from statistics import median
from typing import Final

from shoritui.bench import peers, scenes
from shoritui.bench.lab import SAMPLING, SMALL, Lab, streamed
from shoritui.bench.peers import Peer
from shoritui.benchmark import Aim, Figure, Unmeasurable, benchmark
from shoritui.engine import Engine, Sampling, Segment, changed

_N_CTX: Final = 2048
_PROMPT: Final = 100
"""About so many tokens stand before the reply."""
_TOKENS: Final = 128
_FEWEST: Final = 24
_TRIES: Final = 20
"""Replies that end before they say anything about speed are written anew, so often at most."""
_PAIRS: Final = 4
"""Of so many pairs the fastest counts on each side: a busy machine then slows both alike."""
_NO_PRESET: Final = "neutral"
"""It draws from all tokens, which nobody does who plays: told, and not counted."""
_BIAS: Final = 100.0
"""Added to the scores of the words that a reply of a given length is made of."""
_WORDS: Final = ("the", "a", "and", "to", "of", "in", "it", "was", "is", "on", "you", "that")


@benchmark(Aim("decode_vs_c", "ratio", ">= 0.98"))
async def decode_vs_c(lab: Lab) -> dict[str, Figure]:
    """Our stream / decode and sample in a C program, same threads, prompt and samplers."""
    ratios: list[float] = []
    counts: list[int] = []
    async with lab.engine(n_ctx=_N_CTX, kv_type="f16") as engine:
        assert engine.info is not None
        async with peers.decode_loop(engine.info, lab.options.n_batch, _N_CTX) as loop:
            for round_ in lab.rounds(6, 3.0, least=2):
                pairs = [
                    await _natural_pair(engine, loop, f"{round_} {number}", counts)
                    for number in range(_PAIRS)
                ]
                ratios.append(max(ours for ours, _ in pairs) / max(theirs for _, theirs in pairs))
            name = loop.name
    return {"decode_vs_c": Figure(ratios, f"{name}; replies of {median(counts):.0f} tokens")}


@benchmark(Aim("own_ms_per_token", "ms", "<= 0.25"))
async def own_time(lab: Lab) -> dict[str, Figure]:
    """What a token costs beside its evaluation, under each shipped preset; the median of them."""
    async with lab.engine(n_ctx=_N_CTX, kv_type="f16") as engine:
        assert engine.info is not None
        info = engine.info
    found = await peers.own_time(info, lab.options.n_batch, _N_CTX)
    card = {name: value for name, value in found.items() if name != _NO_PRESET}
    each = ", ".join(f"{name} {value:.3f}" for name, value in found.items())
    return {"own_ms_per_token": Figure(list(card.values()), f"{info.n_vocab:,} words: {each}")}


@benchmark(
    Aim("decode_vs_high_level_300", "ratio", ">= 1.4"),
    Aim("decode_vs_high_level_1200", "ratio", ">= 2"),
)
async def decode_vs_high_level(lab: Lab) -> dict[str, Figure]:
    """Our stream / `Llama.create_completion(stream=True)`, replies of so many tokens."""
    async with lab.engine(n_ctx=_N_CTX, kv_type="f16") as engine:
        assert engine.info is not None
        sampling = await _unending(engine)
        async with peers.high_level(engine.info, lab.options.n_batch, _N_CTX) as peer:
            await peer.rate(await engine.tokens(await _document(engine, "first")), 2)
            return {
                f"decode_vs_high_level_{tokens}": _beside(
                    [
                        await _pair(engine, peer, f"{tokens} {round_}", tokens, sampling)
                        for round_ in lab.rounds(rounds, 2.0)
                    ],
                    small=engine.info.n_params <= SMALL,
                )
                for tokens, rounds in ((300, 4), (1200, 2))
            }


def _beside(pairs: list[tuple[float, float]], *, small: bool) -> Figure:
    ours, theirs = (max(rates) for rates in zip(*pairs, strict=True))
    note = f"{ours:.0f} against {theirs:.0f} tokens/s"
    if not small:
        note += "; with a model this large the time is llama.cpp's own: no aim"
    return Figure([a / b for a, b in pairs], note, aim=None if small else "")


async def _pair(
    engine: Engine, peer: Peer, tag: str, tokens: int, sampling: Sampling
) -> tuple[float, float]:
    """Return both rates after the same prompt, of equally long replies."""
    document = await _document(engine, tag)
    ours = await streamed(engine, document, tokens, sampling)
    return ours.rate, await peer.rate(await engine.tokens(document), tokens)


async def _natural_pair(
    engine: Engine, peer: Peer, tag: str, counts: list[int]
) -> tuple[float, float]:
    """Return both rates after the same prompt, of a reply as long as ours turned out to be."""
    for try_ in range(_TRIES):
        document = await _document(engine, f"{tag} {try_}")
        ours = await streamed(engine, document, _TOKENS)
        count = ours.outcome.generated_tokens
        if count >= _FEWEST:
            counts.append(count)
            return ours.rate, await peer.rate(await engine.tokens(document), count)
    raise Unmeasurable(f"The model wrote no reply of {_FEWEST} tokens.")


async def _document(engine: Engine, tag: str) -> list[Segment]:
    head = [Segment(f"▀title\nThe ferry, {tag}▄\n")]
    opened = scenes.opened(0, "enormous")
    room = _PROMPT - sum(await engine.count([opened.text]))
    size = 0
    for segment in scenes.messages(tag):
        size += sum(await engine.count([segment.text]))
        head.append(segment)
        if size >= room:
            return [*head, opened]
    raise AssertionError("the messages never end")


async def _unending(engine: Engine) -> Sampling:
    """Return a sampling that never draws anything but a few words."""
    sizes = await engine.count([form for word in _WORDS for form in (word, f" {word}")])
    one_token = [1, 1]
    words = [
        word
        for word, *both in zip(_WORDS, sizes[::2], sizes[1::2], strict=True)
        if both == one_token
    ]
    if not words:
        raise Unmeasurable("The vocabulary has none of the words that a reply is made of here.")
    return changed(SAMPLING, {"logit_bias": [(word, _BIAS) for word in words]})

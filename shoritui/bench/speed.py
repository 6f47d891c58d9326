"""Tokens a second: our streaming path against llama.cpp alone and against the high-level API."""

from __future__ import annotations

from typing import Final

from shoritui.bench import peers, scenes
from shoritui.bench.frame import Aim, Figure, Unmeasurable, benchmark
from shoritui.bench.lab import SAMPLING, SMALL, Lab, streamed
from shoritui.bench.peers import Peer
from shoritui.engine import SETTINGS, Engine, Sampling, Segment, changed

_N_CTX: Final = 2048
_PROMPT: Final = 100
"""About so many tokens stand before the reply."""
_TOKENS: Final = 128
_PAIRS: Final = 4
"""Of so many pairs the fastest counts on each side: a busy machine then slows both alike."""
_WORDS: Final = ("the", "a", "and", "to", "of", "in", "it", "was", "is", "on", "you", "that")


@benchmark(Aim("decode_vs_c", "ratio", ">= 0.98"))
async def decode_vs_c(lab: Lab) -> dict[str, Figure]:
    """Our stream / decode and sample in a C program, same threads, prompt and samplers."""
    ratios = []
    async with lab.engine(n_ctx=_N_CTX) as engine:
        assert engine.info is not None
        words, sampling = await _unending(engine)
        async with peers.decode_loop(engine.info, lab.options.n_batch, _N_CTX, words) as loop:
            for round_ in lab.rounds(6, 6.0, least=2):
                pairs = [
                    await _pair(engine, loop, f"{round_} {number}", _TOKENS, sampling)
                    for number in range(_PAIRS)
                ]
                ratios.append(max(ours for ours, _ in pairs) / max(theirs for _, theirs in pairs))
            name = loop.name
    return {"decode_vs_c": Figure(ratios, f"against {name}, {_TOKENS} tokens a reply")}


@benchmark(Aim("decode_vs_high_level_300", "ratio", ">= 1.4"))
async def decode_vs_high_level_300(lab: Lab) -> dict[str, Figure]:
    """Our stream / `Llama.create_completion(stream=True)`, replies of 300 tokens."""
    return {"decode_vs_high_level_300": await _against_high_level(lab, 300, 4)}


@benchmark(Aim("decode_vs_high_level_1200", "ratio", ">= 2"))
async def decode_vs_high_level_1200(lab: Lab) -> dict[str, Figure]:
    """The same, replies of 1,200 tokens."""
    return {"decode_vs_high_level_1200": await _against_high_level(lab, 1200, 2)}


async def _against_high_level(lab: Lab, tokens: int, rounds: int) -> Figure:
    async with lab.engine(n_ctx=_N_CTX) as engine:
        assert engine.info is not None
        _, sampling = await _unending(engine)
        async with peers.high_level(engine.info, lab.options.n_batch, _N_CTX) as peer:
            pairs = [
                await _pair(engine, peer, f"{tokens} {round_}", tokens, sampling)
                for round_ in lab.rounds(rounds, 7.0)
            ]
        small = engine.info.n_params <= SMALL
    ours, theirs = (max(rates) for rates in zip(*pairs, strict=True))
    note = f"{ours:.0f} against {theirs:.0f} tokens/s"
    if not small:
        note += "; with a model this large the time is llama.cpp's own: no aim"
    return Figure([a / b for a, b in pairs], note, aim=None if small else "")


async def _pair(
    engine: Engine, peer: Peer, tag: str, tokens: int, sampling: Sampling
) -> tuple[float, float]:
    """Both rates after the same prompt, of equally long replies."""
    document = await _document(engine, tag)
    ours = await streamed(engine, document, tokens, sampling)
    return ours.rate, await peer.rate(await engine.tokens(document), tokens)


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


async def _unending(engine: Engine) -> tuple[list[int], Sampling]:
    """The ids of words that a reply can do with, and a sampling that never draws anything else."""
    if "logit_bias" not in SETTINGS:
        raise Unmeasurable("The engine has no logit bias, without which a reply may end early.")
    sizes = await engine.count([form for word in _WORDS for form in (word, f" {word}")])
    words = [
        word for word, *both in zip(_WORDS, sizes[::2], sizes[1::2], strict=True) if both == [1, 1]
    ]
    ids = await engine.tokens([Segment(f"\n{word}\n {word}") for word in words])
    newlines = set(await engine.tokens([Segment("\n")]))
    biases = [(word, peers.BIAS) for word in words]
    return [id_ for id_ in ids if id_ not in newlines], changed(SAMPLING, {"logit_bias": biases})

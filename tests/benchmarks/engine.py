"""The engine: its streaming path against llama.cpp alone, and how fast it lets go."""

from __future__ import annotations

import asyncio
import ctypes
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

from shoritui.demo import model_path
from shoritui.engine import Engine, Evaluated, Finished, Sampling, Segment, Text
from tests.benchmarks import Aim, Samples, benchmark

SAMPLING = Sampling(min_p=0.05, seed=1)
HEADER = Segment("▀message (length: enormous)\nAda:")
TOKENS = 256
ROUNDS = 30
SAMPLES = 7
TURNS = 4
"""Of so many turns the fastest counts on each side: a busy machine then slows both alike."""


@benchmark(Aim("decode_vs_bare", "ratio", ">= 0.95"))
def decode_vs_bare() -> Samples:
    """Tokens a second of a streamed message / of the bare low-level loop, taken in turns."""
    return {"decode_vs_bare": asyncio.run(_decode_vs_bare(model_path()))}


async def _decode_vs_bare(model: Path) -> list[float]:
    engine = Engine()
    info = await engine.open(model)
    bare = BareLoop(model, info.n_ctx, info.n_threads)
    ratios = []
    for sample in range(SAMPLES):
        rates = []
        for turn in range(TURNS):
            document = [*_scene(4, f"evening {sample * TURNS + turn}"), HEADER]
            prompt = await engine.tokens(document)
            count, ours = await _streamed(engine, document)
            rates.append((ours, bare.rate(prompt, count)))
        ratios.append(max(ours for ours, _ in rates) / max(bare for _, bare in rates))
    await engine.close()
    return ratios


async def _streamed(engine: Engine, document: list[Segment]) -> tuple[int, float]:
    """How many tokens were streamed to this process, and their rate as the status line shows it."""
    async for event in engine.generate(document, SAMPLING, max_tokens=TOKENS):
        if isinstance(event, Finished):
            return event.outcome.generated_tokens, event.outcome.tokens_per_second
    raise AssertionError("a generation ends with Finished")


class BareLoop:
    """llama.cpp's own decode and sample calls, and nothing else."""

    def __init__(self, model: Path, n_ctx: int, n_threads: int) -> None:
        from shoritui.engine import library

        library.start(lambda level, text: None)
        self.api: Any = library.L
        self.model = self.api.llama_model_load_from_file(
            str(model).encode(), self.api.llama_model_default_params()
        )
        params = self.api.llama_context_default_params()
        params.n_ctx = n_ctx
        params.n_threads = params.n_threads_batch = n_threads
        self.context = self.api.llama_init_from_model(self.model, params)
        self.chain = self.api.llama_sampler_chain_init(
            self.api.llama_sampler_chain_default_params()
        )
        for sampler in (
            self.api.llama_sampler_init_min_p(SAMPLING.min_p, 1),
            self.api.llama_sampler_init_dist(SAMPLING.seed),
        ):
            self.api.llama_sampler_chain_add(self.chain, sampler)

    def rate(self, prompt: list[int], count: int) -> float:
        """Tokens a second over `count` tokens after the prompt."""
        api, context, chain = self.api, self.context, self.chain
        api.llama_memory_clear(api.llama_get_memory(context), True)
        ids = (ctypes.c_int32 * len(prompt))(*prompt)
        assert api.llama_decode(context, api.llama_batch_get_one(ids, len(prompt))) == 0
        one = (ctypes.c_int32 * 1)(api.llama_sampler_sample(chain, context, -1))
        batch = api.llama_batch_get_one(one, 1)
        began = perf_counter()
        for _ in range(count):
            api.llama_decode(context, batch)
            one[0] = api.llama_sampler_sample(chain, context, -1)
        return count / (perf_counter() - began)


@benchmark(Aim("cancel_prompt_ms", "ms", "<= 50"), Aim("cancel_message_ms", "ms", "<= 50"))
def cancel_ms() -> Samples:
    """From the cancel to the last event, while the prompt is evaluated and while text streams."""
    return asyncio.run(_cancel_ms(model_path()))


async def _cancel_ms(model: Path) -> Samples:
    engine = Engine()
    await engine.open(model)
    prompt = []
    message = []
    for round_ in range(ROUNDS):
        long = [*_scene(40, f"morning {round_}"), HEADER]
        prompt.append(await _cancelled(engine, long, lambda event: isinstance(event, Evaluated)))
        short = [*_scene(4, f"night {round_}"), HEADER]
        message.append(await _cancelled(engine, short, lambda event: isinstance(event, Text)))
    await engine.close()
    return {"cancel_prompt_ms": prompt, "cancel_message_ms": message}


async def _cancelled(
    engine: Engine, document: list[Segment], moment: Callable[[object], bool]
) -> float:
    cancelled = 0.0
    async for event in engine.generate(document, SAMPLING, max_tokens=TOKENS):
        if moment(event) and not cancelled:
            cancelled = perf_counter()
            await engine.cancel()
    return 1000 * (perf_counter() - cancelled)


def _scene(messages: int, title: str) -> list[Segment]:
    blocks = [f"▀title\nThe ferry, {title}▄\n", "▀description\n**Name:** Ada\nA ferrywoman.▄\n"]
    blocks += [
        f'▀message (length: short)\nAda: "Boat {n} is late," she said, and looked at the water.▄\n'
        for n in range(messages)
    ]
    return [Segment(block) for block in blocks]

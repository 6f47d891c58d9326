"""The programs that the stream is measured against, each in a process of its own.

    python -m shoritui.bench.peer_programs loop|high-level|own-time|llama-server MODEL ... SEED

`loop` is that of `decode_loop.c` in Python, for machines without a C compiler; `high-level` is
llama-cpp-python's own streaming completion, as other programs use it. Arguments, and the lines of
standard input, are those of `decode_loop.c`. `own-time` prints what a token costs this engine
beside its evaluation. `llama-server` is llama.cpp's server, as `xllamacpp` brings it; it prints its
address and runs until its input ends. A block mark ends no reply in `high-level`: that
package would add a logit bias against it in Python, which is slow.
"""

from __future__ import annotations

import ctypes
import math
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import Any

import msgspec

from shoritui.bench import scenes
from shoritui.engine import Sampling
from shoritui.host.amx import without_amx

_TRIES = 20
_CACHE_REUSE = 32
"""llama-server then shifts up what it holds, in pieces of at least so many tokens."""
_OWN_ROUNDS = 6
_OWN_TOKENS = 128
_OWN_FEWEST = 24
"""A reply that ends sooner says little."""
_NEVER = "▀message (length: never)"
"""A stop text, for the package's search for it, at which nothing ever stops."""


class Arguments(msgspec.Struct, frozen=True, array_like=True):
    """What follows the kind of program on the command line, in this order."""

    model: str
    n_ctx: int
    n_batch: int
    n_threads: int
    n_gpu_layers: int
    window: int
    presence: float
    min_p: float
    seed: int


Reply = Callable[[list[int], int], float]
"""Takes a prompt and a count of tokens; gives the seconds from the first of them to the last."""


def main(arguments: list[str]) -> None:
    """Answer each line of a count and a prompt with the seconds its reply took."""
    kind, *values = arguments
    given = msgspec.convert(values, Arguments, strict=False)
    if kind in _OTHERS:
        _OTHERS[kind](given)
        return
    reply = loop(given) if kind == "loop" else high_level(given)
    for line in sys.stdin:
        count, *prompt = map(int, line.split())
        print(reply(prompt, count), flush=True)


def loop(given: Arguments) -> Reply:
    """Open the model with llama.cpp's calls and no more."""
    from llama_cpp import llama_cpp as api

    without_amx(api)

    api.llama_backend_init()
    model_params = api.llama_model_default_params()
    model_params.n_gpu_layers = given.n_gpu_layers
    model = api.llama_model_load_from_file(given.model.encode(), model_params)
    params = api.llama_context_default_params()
    params.n_ctx, params.n_batch, params.n_ubatch = given.n_ctx, given.n_batch, given.n_batch
    params.n_threads = params.n_threads_batch = given.n_threads
    context = api.llama_init_from_model(model, params)
    n_vocab = api.llama_vocab_n_tokens(api.llama_model_get_vocab(model))
    chain = api.llama_sampler_chain_init(api.llama_sampler_chain_default_params())
    for sampler in (
        api.llama_sampler_init_penalties(n_vocab, given.window, 1.0, 0.0, given.presence),
        api.llama_sampler_init_min_p(given.min_p, 1),
        api.llama_sampler_init_dist(given.seed),
    ):
        api.llama_sampler_chain_add(chain, sampler)
    return lambda prompt, count: _looped(api, context, chain, prompt, count, given.n_batch)


def _looped(
    api: Any, context: Any, chain: Any, prompt: list[int], count: int, n_batch: int
) -> float:
    api.llama_memory_clear(api.llama_get_memory(context), True)
    api.llama_sampler_reset(chain)
    for begin in range(0, len(prompt), n_batch):
        part = prompt[begin : begin + n_batch]
        ids = (ctypes.c_int32 * len(part))(*part)
        if api.llama_decode(context, api.llama_batch_get_one(ids, len(part))):
            raise RuntimeError("llama_decode failed")
    one = (ctypes.c_int32 * 1)(api.llama_sampler_sample(chain, context, -1))
    batch = api.llama_batch_get_one(one, 1)
    began = perf_counter()
    for _ in range(count - 1):
        api.llama_decode(context, batch)
        one[0] = api.llama_sampler_sample(chain, context, -1)
    return perf_counter() - began


def high_level(given: Arguments) -> Reply:
    """Open the model as `Llama`."""
    from llama_cpp import Llama, llama_cpp

    without_amx(llama_cpp)

    llama = Llama(
        given.model,
        n_ctx=given.n_ctx,
        n_batch=given.n_batch,
        n_ubatch=given.n_batch,
        n_threads=given.n_threads,
        n_threads_batch=given.n_threads,
        n_gpu_layers=given.n_gpu_layers,
        last_n_tokens_size=given.window,
        flash_attn=True,  # the engine has it where it helps
        verbose=False,
    )
    values = {"presence_penalty": given.presence, "min_p": given.min_p}

    def reply(prompt: list[int], count: int) -> float:
        for number in range(_TRIES):  # a seed whose reply ends early says nothing of the count
            seconds = _streamed(llama, prompt, count, seed=given.seed + number, **values)
            if seconds is not None:
                return seconds
        raise RuntimeError(f"the model wrote no {count} tokens")

    return reply


def _streamed(llama: Any, prompt: list[int], count: int, **values: Any) -> float | None:
    first = last = 0.0
    reason = None
    for chunk in llama.create_completion(
        prompt,
        max_tokens=count,
        stream=True,
        stop=[_NEVER],
        temperature=1.0,
        top_k=0,
        top_p=1.0,
        repeat_penalty=1.0,
        **values,
    ):
        last = perf_counter()
        first = first or last
        reason = chunk["choices"][0]["finish_reason"] or reason
    return last - first if reason == "length" else None


def llama_server(given: Arguments) -> None:
    """Run llama.cpp's server with the settings that serve long chats best."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = given.model
    params.n_ctx, params.n_batch, params.n_ubatch = given.n_ctx, given.n_batch, given.n_batch
    params.n_gpu_layers = given.n_gpu_layers
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = given.n_threads
    params.n_parallel, params.hostnames, params.port = 1, ["127.0.0.1"], 0
    params.n_cache_reuse = _CACHE_REUSE
    params.ui, params.fit_params, params.verbosity = False, False, -1
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)
    sys.stdin.read()


def own_time(given: Arguments) -> None:
    """Print, for each shipped preset, the milliseconds of a token that are not its evaluation."""
    from shoritui.engine import presets
    from shoritui.engine.llama import library

    library.start(lambda level, text: None)
    writer = _Writer(given)
    shipped, _ = presets(None)
    found = {name: writer.own_ms(preset.sampling) for name, preset in shipped.items()}
    print(msgspec.json.encode(found).decode(), flush=True)


class _Writer:
    """The engine's own rooms in this process, where what llama.cpp takes can be told apart."""

    def __init__(self, given: Arguments) -> None:
        from shoritui.engine.cache.kv_cache import KVCache
        from shoritui.engine.cache.token_cache import TokenCache, TokenStore
        from shoritui.engine.llama.context import AbortFlag, Context
        from shoritui.engine.llama.model import Model
        from shoritui.engine.sampling.sampler import Sampler

        abort = AbortFlag()
        self._model = Model(Path(given.model), n_gpu_layers=given.n_gpu_layers)
        self._context = Context(
            self._model,
            n_cells=given.n_ctx,
            n_batch=given.n_batch,
            n_threads=given.n_threads,
            abort=abort,
        )
        self._cache = KVCache(self._context, abort, n_ctx=given.n_ctx)
        self._cache.on_generated = self._evaluated
        self._tokens = TokenCache(self._model, TokenStore(None, b""))
        self._sampler = Sampler(self._model, self._tokens)
        self._seconds, self._steps = 0.0, 0

    def _evaluated(self, seconds: float, held: int) -> None:
        began = perf_counter()
        self._context.synchronize()  # a GPU is still at it
        self._seconds += seconds + perf_counter() - began
        self._steps += 1

    def own_ms(self, sampling: Sampling) -> float:
        """Milliseconds a token: the lowest of a few replies."""
        return min(self._own_ms(replace(sampling, seed=seed)) for seed in range(1, _OWN_ROUNDS + 1))

    def _own_ms(self, sampling: Sampling) -> float:
        from shoritui.engine.sampling.sampler import ChainRequest
        from shoritui.engine.worker.generation import Generation

        document = [*scenes.header("own time"), *islice(scenes.messages("own time"), 4)]
        texts = [segment.text for segment in [*document, scenes.opened(4, "enormous")]]
        bodies = [scenes.prose(36, f"own time {number}") for number in range(4)]
        chain = self._sampler.begin(ChainRequest(sampling, texts, bodies, scenes.NAMES))
        generation = Generation(self._model, self._cache)
        self._seconds, self._steps = 0.0, 0
        prompt = self._tokens.document(texts)
        outcome = generation.write(prompt, chain, _OWN_TOKENS, lambda event: None)
        if self._steps < _OWN_FEWEST:
            return math.inf
        return 1000 * (1 / outcome.tokens_per_second - self._seconds / self._steps)


_OTHERS = {"llama-server": llama_server, "own-time": own_time}

if __name__ == "__main__":
    main(sys.argv[1:])

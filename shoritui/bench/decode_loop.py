"""The loop of `decode_loop.c` in Python, for machines without a C compiler.

It runs in a process of its own and knows nothing of the engine: llama.cpp's calls and no more.
"""

from __future__ import annotations

import ctypes
import sys
from time import perf_counter
from typing import Any


def main(arguments: list[str]) -> None:
    """Take the arguments and the lines that `decode_loop.c` takes."""
    from llama_cpp import llama_cpp as api

    model_path, *numbers = arguments
    n_ctx, n_batch, n_threads, n_gpu_layers, window = map(int, numbers[:5])
    presence, min_p, seed = float(numbers[5]), float(numbers[6]), int(numbers[7])
    api.llama_backend_init()
    model_params = api.llama_model_default_params()
    model_params.n_gpu_layers = n_gpu_layers
    model = api.llama_model_load_from_file(model_path.encode(), model_params)
    params = api.llama_context_default_params()
    params.n_ctx, params.n_batch, params.n_ubatch = n_ctx, n_batch, n_batch
    params.n_threads = params.n_threads_batch = n_threads
    context = api.llama_init_from_model(model, params)
    n_vocab = api.llama_vocab_n_tokens(api.llama_model_get_vocab(model))
    chain = api.llama_sampler_chain_init(api.llama_sampler_chain_default_params())
    for sampler in (
        api.llama_sampler_init_penalties(n_vocab, window, 1.0, 0.0, presence),
        api.llama_sampler_init_min_p(min_p, 1),
        api.llama_sampler_init_dist(seed),
    ):
        api.llama_sampler_chain_add(chain, sampler)
    for line in sys.stdin:
        count, *prompt = map(int, line.split())
        print(_seconds(api, context, chain, prompt, count, n_batch), flush=True)


def _seconds(
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


if __name__ == "__main__":
    main(sys.argv[1:])

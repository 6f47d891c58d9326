"""llama-cpp-python's own streaming completion, as other programs use it.

It runs in a process of its own, with the arguments and the lines of `decode_loop.c`. A block mark
ends no reply here: this package would add a logit bias against it in Python, which is slow.
"""

from __future__ import annotations

import sys
from time import perf_counter
from typing import Any

_TRIES = 20
_NEVER = "▀message (length: never)"
"""A stop text, for the package's search for it, at which nothing ever stops."""


def main(arguments: list[str]) -> None:
    """Answer each line with the seconds between the first and the last piece of the reply."""
    from llama_cpp import Llama

    model, *numbers = arguments
    n_ctx, n_batch, n_threads, n_gpu_layers, window = map(int, numbers[:5])
    llama = Llama(
        model,
        n_ctx=n_ctx,
        n_batch=n_batch,
        n_ubatch=n_batch,
        n_threads=n_threads,
        n_threads_batch=n_threads,
        n_gpu_layers=n_gpu_layers,
        last_n_tokens_size=window,
        flash_attn=True,  # the engine has it where it helps
        verbose=False,
    )
    values = {"presence_penalty": float(numbers[5]), "min_p": float(numbers[6])}
    seed = int(numbers[7])
    for line in sys.stdin:
        count, *prompt = map(int, line.split())
        seconds = None
        for number in range(_TRIES):  # a seed whose reply ends early says nothing of the count
            seconds = _seconds(llama, prompt, count, seed=seed + number, **values)
            if seconds is not None:
                break
        else:
            raise RuntimeError(f"the model wrote no {count} tokens")
        print(seconds, flush=True)


def _seconds(llama: Any, prompt: list[int], count: int, **values: Any) -> float | None:
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


if __name__ == "__main__":
    main(sys.argv[1:])

"""What probably ended a training process, and what helps; each the end of a sentence."""

from __future__ import annotations

from typing import Final

from shoritui.host.crash_causes import Causes

EXTRA: Final = (
    *("torch", "transformers", "peft", "bitsandbytes", "accelerate", "sentencepiece"),
    *("gguf", "safetensors", "numpy", "matplotlib", "google", "tokenizers"),
)
"""The top packages that come with the `finetune` extra."""

_LESS: Final = 'set rung = "offload" under [watch], or a smaller sequence_len'
_ON_CPU: Final = 'device = "cpu" under [watch] does without the GPU'

_PATTERNS: Final = (
    (
        r"driver version is insufficient|driver on your system is too old"
        r"|no kernel image is available|forward compatibility was attempted",
        f"the GPU or its driver is too old for this torch; update the driver; {_ON_CPU}",
    ),
    (
        r"cuda out of memory|hip out of memory|cuda error: out of memory"
        r"|CUBLAS_STATUS_(ALLOC_FAILED|NOT_INITIALIZED)",
        f"the GPU's memory ran out; {_LESS}",
    ),
    (
        r"DefaultCPUAllocator|\bMemoryError\b|cannot allocate memory|bad_alloc",
        f"memory ran out; {_LESS}",
    ),
    (r"no space left on device", "the disk is full; make room and run it again"),
    (
        r"cuda error: |hip error: |CUBLAS_STATUS|unspecified launch failure",
        f"the GPU failed ({{line}}); run it again, or {_ON_CPU}",
    ),
)
_SIGNALS: Final = {
    "SIGKILL": f"it was killed from outside, most likely because memory ran out; {_LESS}",
    "SIGTERM": "it was ended from outside",
    "SIGILL": "torch or bitsandbytes is built for another processor; install them again",
    "SIGBUS": "the disk could not be read, or memory ran out; see that the disk is not full",
}
_CAUSES: Final = Causes(
    _PATTERNS, _SIGNALS, f"a library crashed ({{name}}); if it happens again, {_LESS}"
)


def likely_cause(status: int, log: str) -> str:
    """Return why a process ended without a word, from its exit status and its log's end."""
    return _CAUSES.of_exit(status, log)


def cause_of(error: BaseException) -> str:
    """Return why the run failed by an exception that nothing in it expected."""
    if isinstance(error, ModuleNotFoundError):
        package = (error.name or "").partition(".")[0]
        if package in EXTRA:
            return f"{package} is not installed; pip install 'shoritui[finetune]' brings it"
    line = str(error).partition("\n")[0]
    kind = type(error).__name__
    return _CAUSES.of_text(f"{kind}: {line}" if line else kind)

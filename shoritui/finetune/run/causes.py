"""What probably ended a training process, and what helps: from an exit status, a log, an exception.

It does not know processes; each answer is the end of a sentence, without its full stop.
"""

from __future__ import annotations

import re
import signal
from typing import Final

from shoritui.blockml import clean

EXTRA: Final = (
    *("torch", "transformers", "peft", "bitsandbytes", "accelerate", "sentencepiece"),
    *("gguf", "safetensors", "numpy", "google", "tokenizers"),
)
"""The top packages that come with the `finetune` extra."""

_LONGEST: Final = 200
_LESS: Final = 'set rung = "offload" under [watch], or a smaller sequence_len'
_ON_CPU: Final = 'device = "cpu" under [watch] does without the GPU'

_CAUSES: Final = tuple(
    (re.compile(pattern, re.IGNORECASE), cause)
    for pattern, cause in (
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
)
_SIGNALS: Final = {
    "SIGKILL": f"it was killed from outside, most likely because memory ran out; {_LESS}",
    "SIGTERM": "it was ended from outside",
    "SIGILL": "torch or bitsandbytes is built for another processor; install them again",
    "SIGBUS": "the disk could not be read, or memory ran out; see that the disk is not full",
}


def likely_cause(status: int, log: str) -> str:
    """Of a process that ended without a word, from its exit status and its log's end."""
    lines = [line for line in (_plain(line) for line in log.splitlines()) if line]
    for pattern, cause in _CAUSES:
        for line in reversed(lines):
            if pattern.search(line):
                return cause.format(line=_short(line))
    if status < 0:
        return _signal(-status)
    return _short(lines[-1]) if lines else f"exit status {status}"


def cause_of(error: BaseException) -> str:
    """Of an exception that nothing in the run expected."""
    if isinstance(error, ModuleNotFoundError):
        package = (error.name or "").partition(".")[0]
        if package in EXTRA:
            return f"{package} is not installed; pip install 'shoritui[finetune]' brings it"
    line = _plain(str(error).partition("\n")[0])
    said = f"{type(error).__name__}: {line}" if line else type(error).__name__
    for pattern, cause in _CAUSES:
        if pattern.search(said):
            return cause.format(line=_short(said))
    return _short(said)


def _signal(number: int) -> str:
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = f"signal {number}"
    return _SIGNALS.get(name, f"a library crashed ({name}); if it happens again, {_LESS}")


def _plain(line: str) -> str:
    """A line without what a terminal would take for a command."""
    return " ".join(clean(line).split())


def _short(line: str) -> str:
    """The line, no longer than a reader bears."""
    return (line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…").rstrip(". ")

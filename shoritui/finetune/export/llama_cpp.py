"""K-quants, which llama.cpp makes of a GGUF."""

from __future__ import annotations

import ctypes
import multiprocessing
import signal
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final, Literal

from shoritui.errors import UserError
from shoritui.gguf.llama_cpp import LlamaFile, library
from shoritui.gguf.write import ByteProgress
from shoritui.host.process import at_parents_end
from shoritui.text import printable

__all__ = ["BITS", "LlamaFile", "Quant", "quantize"]

Quant = Literal["q6_k", "q5_k_m", "q4_k_m"]

BITS: Final[Mapping[Quant, float]] = {"q6_k": 6.6, "q5_k_m": 5.7, "q4_k_m": 4.9}
"""About as many for each weight."""
_ERROR_LEVEL: Final = 4
_SECONDS: Final = 0.1
_WORDS_SHOWN: Final = 200


def quantize(source: Path, target: Path, quant: Quant, report: ByteProgress | None = None) -> None:
    """Make `target` of a GGUF in F16 or F32, in a process of its own that can be ended.

    `report` is told the bytes written and about how many there will be.

    Raises:
        UserError: llama.cpp could not.
    """
    total = int(source.stat().st_size / 16 * BITS[quant])
    spawn = multiprocessing.get_context("spawn")
    heard, say = spawn.Pipe(duplex=False)
    process = spawn.Process(
        target=_quantize, args=(str(source), str(target), quant, say), daemon=True
    )
    process.start()
    say.close()
    try:
        while not heard.poll(_SECONDS):
            if report:
                report(min(_size(target), total), total)
        problem = _heard(heard)
    finally:
        process.kill()
        process.join()
    if problem:
        raise UserError(f"llama.cpp could not make {quant}: {problem}.")
    if report:
        report(total, total)


def _heard(connection: Connection) -> str:
    """Return what went wrong; empty for nothing."""
    try:
        words: str = connection.recv()
    except EOFError:
        return "its process ended, perhaps for want of memory"
    return printable(words.strip()[-_WORDS_SHOWN:])


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _quantize(source: str, target: str, quant: Quant, say: Connection) -> None:
    """Quantise, in a process of its own; say what llama.cpp calls errors, or nothing."""
    at_parents_end(getattr(signal, "SIGKILL", 0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever waits ends this process
    loaded = library()
    errors: list[str] = []

    def hear(level: int, text: bytes, data: Any) -> None:
        if level == _ERROR_LEVEL:
            errors.append(text.decode(errors="replace"))

    heard = loaded.llama_log_callback(hear)
    loaded.llama_log_set(heard, None)
    parameters = loaded.llama_model_quantize_default_params()
    parameters.ftype = getattr(loaded, f"LLAMA_FTYPE_MOSTLY_{quant.upper()}")
    code = loaded.llama_model_quantize(source.encode(), target.encode(), ctypes.byref(parameters))
    say.send(" ".join(errors) or f"error {code}" if code else "")

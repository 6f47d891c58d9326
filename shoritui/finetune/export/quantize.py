"""K-quants, made by llama.cpp out of a GGUF in F16: in a process of its own, which is silent.

It does not know what is in the file.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import signal
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final, Literal

from shoritui.blockml import clean
from shoritui.errors import UserError
from shoritui.finetune.export.llama import library

Quant = Literal["q6_k", "q5_k_m", "q4_k_m"]
Report = Callable[[int, int], None]

BITS: Final[Mapping[Quant, float]] = {"q6_k": 6.6, "q5_k_m": 5.7, "q4_k_m": 4.9}
"""About as many for each weight."""
_FILE_TYPES: Final[Mapping[Quant, str]] = {
    "q6_k": "LLAMA_FTYPE_MOSTLY_Q6_K",
    "q5_k_m": "LLAMA_FTYPE_MOSTLY_Q5_K_M",
    "q4_k_m": "LLAMA_FTYPE_MOSTLY_Q4_K_M",
}
_ERROR_LEVEL: Final = 4
_SECONDS: Final = 0.1
_WORDS_SHOWN: Final = 200


def quantize(source: Path, target: Path, quant: Quant, report: Report | None = None) -> None:
    """Make `target` of a GGUF in F16 or F32.

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
    """What went wrong; empty for nothing."""
    try:
        words: str = connection.recv()
    except EOFError:
        return "its process ended, perhaps for want of memory"
    return clean(words).strip()[-_WORDS_SHOWN:]


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _quantize(source: str, target: str, quant: Quant, say: Connection) -> None:
    """The process; it says what llama.cpp calls errors, or nothing."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever waits ends this process
    loaded = library()
    errors: list[str] = []

    def hear(level: int, text: bytes, data: Any) -> None:
        if level == _ERROR_LEVEL:
            errors.append(text.decode(errors="replace"))

    heard = loaded.llama_log_callback(hear)
    loaded.llama_log_set(heard, None)
    parameters = loaded.llama_model_quantize_default_params()
    parameters.ftype = getattr(loaded, _FILE_TYPES[quant])
    code = loaded.llama_model_quantize(source.encode(), target.encode(), ctypes.byref(parameters))
    say.send(" ".join(errors) or f"error {code}" if code else "")

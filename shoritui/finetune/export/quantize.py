"""K-quants, made by llama.cpp out of a GGUF in F16: in a process of its own, which is silent.

It does not know what is in the file.
"""

from __future__ import annotations

import ctypes
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Literal

from shoritui.blockml import clean
from shoritui.errors import UserError

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
    command = [sys.executable, "-m", __name__, str(source), str(target), quant]
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    try:
        words = _awaited(process, lambda: report and report(_size(target), total))
    finally:
        process.kill()
        process.wait()
    if process.returncode:
        why = clean(words.decode(errors="replace")).strip().splitlines() or ["it ended"]
        raise UserError(
            f"llama.cpp could not make {quant} of {source.name}: {why[-1][:_WORDS_SHOWN]}."
        )
    if report:
        report(total, total)


def _awaited(process: subprocess.Popen[bytes], look: Callable[[], object]) -> bytes:
    while True:
        try:
            return process.communicate(timeout=_SECONDS)[1]
        except subprocess.TimeoutExpired:
            look()


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def main(source: str, target: str, quant: Quant) -> int:
    """The process: prints what llama.cpp calls errors, and nothing else."""
    from shoritui.finetune.export.llama import library

    loaded = library()

    def hear(level: int, text: bytes, data: Any) -> None:
        if level == _ERROR_LEVEL:
            sys.stderr.buffer.write(text)

    heard = loaded.llama_log_callback(hear)
    loaded.llama_log_set(heard, None)
    parameters = loaded.llama_model_quantize_default_params()
    parameters.ftype = getattr(loaded, _FILE_TYPES[quant])
    return int(
        loaded.llama_model_quantize(source.encode(), target.encode(), ctypes.byref(parameters))
    )


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))  # type: ignore[arg-type]

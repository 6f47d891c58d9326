"""Keep llama.cpp off a CPU's AMX units, where its code for them may end the process."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from pathlib import Path
from typing import Any, Final

_CPU: Final = Path("/proc/cpuinfo")
_MADE: Final[list[Callable[[], Any]]] = []


def without_amx(llama_cpp: Any) -> Any:
    """Return the module `llama_cpp.llama_cpp`, whose default parameters now leave AMX alone.

    GCC before 13 declares that `_tile_loadconfig` reads 8 of the 64 bytes of a tile configuration
    (`amxtileintrin.h`), so it may put off writing the others, and llama.cpp compiled by it dies of
    an illegal instruction at the first evaluation. Which compiler it was cannot be asked. AMX, and
    weights laid out anew while they are loaded, are the "extra buffers"; weights stay as they are
    in the file without. Elsewhere nothing changes.
    """
    default = llama_cpp.llama_model_default_params
    if default in _MADE or not _built_for_amx(llama_cpp):
        return llama_cpp

    @wraps(default)
    def params() -> Any:
        value = default()
        value.use_extra_bufts = False
        return value

    params.argtypes = default.argtypes  # type: ignore[attr-defined]
    _MADE.append(params)
    llama_cpp.llama_model_default_params = params
    return llama_cpp


def _built_for_amx(llama_cpp: Any) -> bool:
    if not sys.platform.startswith("linux"):
        return False
    with suppress(OSError):
        # Asked first: llama.cpp's own answer makes it look for GPUs.
        return "amx_int8" in _CPU.read_text() and b"AMX_INT8 = 1" in (
            llama_cpp.llama_print_system_info()
        )
    return False

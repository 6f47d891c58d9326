"""Keep libraries from writing on the screen: their bars, their logs and their warnings.

To be called before they are imported.
"""

from __future__ import annotations

import importlib
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from shoritui.host.hub import hub_address

_LIBRARIES: Final = (
    *("accelerate", "bitsandbytes", "filelock", "huggingface_hub", "httpx", "httpx2", "peft"),
    *("safetensors", "torch", "transformers"),
)
_VARIABLES: Final = {
    "BITSANDBYTES_NOWELCOME": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TRANSFORMERS_NO_ADVISORY_WARNINGS": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "USE_HUB_KERNELS": "0",
}


def quieten() -> None:
    """Make the libraries of training silent in this process; errors are still raised.

    `kernels` is kept from being imported: with it, importing bitsandbytes may download.

    Raises:
        UserError: HF_ENDPOINT is no address, so that they cannot be imported.
    """
    hub_address()
    for name, value in _VARIABLES.items():
        os.environ.setdefault(name, value)
    for name in _LIBRARIES:
        logging.getLogger(name).setLevel(logging.CRITICAL)
        warnings.filterwarnings("ignore", module=rf"{name}(\.|$)")
    sys.modules.setdefault("kernels", None)  # type: ignore[arg-type]
    for name in ("transformers", "huggingface_hub"):
        if name in sys.modules:  # imported before: the variables come too late for it
            _bars_off(name)


@contextmanager
def without_compiling() -> Iterator[None]:
    """Leave functions that are decorated with `torch.compile` as they are.

    bitsandbytes has four of them. On a CPU they would want a C++ compiler and half a minute in the
    first steps, and importing what compiles takes seconds.
    """
    torch: Any = importlib.import_module("torch")  # `quieten` is for rooms without it, too
    compile_ = torch.compile

    def plain(function: Any = None, **options: Any) -> Any:
        return function if function is not None else lambda each: each

    torch.compile = plain
    try:
        yield
    finally:
        vars(torch)["compile"] = compile_


def _bars_off(library: str) -> None:
    module: Any = importlib.import_module(f"{library}.utils")
    off = getattr(module, "disable_progress_bars", None) or module.logging.disable_progress_bar
    off()

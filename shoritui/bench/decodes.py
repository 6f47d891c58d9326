"""The engine's worker, which leaves one byte in a file for every call of `llama_decode`.

It is run as `python -m shoritui.bench.decodes FILE`, in place of the worker; it knows nothing of
what is evaluated.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from shoritui.engine import process


@contextmanager
def counted(file: Path) -> Generator[None, None, None]:
    """Engines that are opened meanwhile count their decodes in this file, by its size."""
    usual = process.COMMAND
    command = (sys.executable, "-P", "-m", __name__, str(file))
    vars(process)["COMMAND"] = command
    try:
        yield
    finally:
        vars(process)["COMMAND"] = usual


def main() -> None:
    """Serve as ever, counting."""
    from shoritui.engine import library, worker

    decode = library.L.llama_decode
    file = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def llama_decode(*arguments: Any) -> Any:
        os.write(file, b".")
        return decode(*arguments)

    llama_decode.argtypes = decode.argtypes  # type: ignore[attr-defined]  # looked at by the worker
    library.L.llama_decode = llama_decode
    worker.main()


if __name__ == "__main__":
    main()

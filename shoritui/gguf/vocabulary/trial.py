"""Whether llama.cpp survives a vocabulary, which is tried in a process that it may end.

Files that are damaged, or mean harm, fail its assertions: `abort()`, and no error to catch.
"""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

from shoritui.errors import UserError
from shoritui.gguf.llama_cpp import LlamaFile
from shoritui.host.process import environment, python_command

_PATIENCE: Final = 60.0
_TEXTS: Final = (*map(chr, range(256)), "▀▄", "🙂", "A word, and another.\n\n")


def check_vocabulary(path: Path) -> None:
    """Raise a `UserError` if llama.cpp would end the process that loads a GGUF's vocabulary."""
    try:
        done = subprocess.run(
            (*python_command(__name__), path),
            env=environment() | {"GGML_NO_BACKTRACE": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        pass
    else:
        if not done.returncode:
            return
    raise UserError(f"{path}: its vocabulary is damaged: take another file.")


def _try(path: Path) -> None:
    with (
        suppress(UserError),
        LlamaFile(path, vocabulary_only=True) as file,
    ):  # whoever loads it says
        file.many(_TEXTS if file.size else ())
        for token in range(file.size):
            file.piece(token)


if __name__ == "__main__":
    _try(Path(os.fsdecode(sys.argv[1])))

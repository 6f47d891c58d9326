"""Model files, as far as they can be judged without a library.

It does not know what is inside beyond the first bytes.
"""

from __future__ import annotations

from pathlib import Path

from shoritui.errors import UserError


def check_model_file(path: Path) -> None:
    """`UserError` unless `path` is a readable GGUF file."""
    try:
        with path.open("rb") as file:
            magic = file.read(4)
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such model file.") from None
    except IsADirectoryError:
        raise UserError(f"{path} is a folder: expected a GGUF file.") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from None
    if magic != b"GGUF":
        raise UserError(f"{path} is not a GGUF file: expected a model in llama.cpp's format.")

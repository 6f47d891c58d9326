"""Writing a .safetensors file tensor by tensor, none of which need be in memory as a whole.

It does not know models; the format is https://github.com/huggingface/safetensors.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any, Final, Literal

import numpy.typing as npt

Dtype = Literal["F32", "F16", "BF16"]
WIDTHS: Final[Mapping[Dtype, int]] = {"F32": 4, "F16": 2, "BF16": 2}
_ALIGNMENT: Final = 8


@dataclass(frozen=True, slots=True)
class Stored:
    """How a tensor stands in the file."""

    dtype: Dtype
    shape: tuple[int, ...]

    @property
    def size_bytes(self) -> int:
        """Its bytes."""
        return math.prod(self.shape) * WIDTHS[self.dtype]


def write_safetensors(
    path: Path,
    tensors: Mapping[str, Stored],
    data: Callable[[str], Iterable[npt.NDArray[Any]]],
    report: Callable[[int, int], None] | None = None,
) -> None:
    """Write the file; `data` gives a tensor's bytes in pieces, by its name.

    `report` is told the bytes done and of all. `OSError` if it cannot be written.
    """
    total = sum(tensor.size_bytes for tensor in tensors.values())
    done = 0
    with path.open("wb") as file:
        file.write(_header(tensors))
        for name, tensor in tensors.items():
            start = done
            for piece in data(name):
                done += file.write(piece.tobytes())
                if report:
                    report(done, total)
            assert done - start == tensor.size_bytes, name


def _header(tensors: Mapping[str, Stored]) -> bytes:
    ends = list(accumulate((tensor.size_bytes for tensor in tensors.values()), initial=0))
    entries: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    for (name, tensor), start, end in zip(tensors.items(), ends, ends[1:], strict=False):
        entries[name] = {
            "dtype": tensor.dtype,
            "shape": tensor.shape,
            "data_offsets": [start, end],
        }
    text = json.dumps(entries).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    return len(text).to_bytes(8, "little") + text

"""The names of quantisations: by the number in a file's metadata, or out of a file's name."""

from __future__ import annotations

import re
from typing import Final

_FILE_TYPES: Final = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1",
    10: "Q2_K", 11: "Q3_K_S", 12: "Q3_K_M", 13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M",
    16: "Q5_K_S", 17: "Q5_K_M", 18: "Q6_K", 19: "IQ2_XXS", 20: "IQ2_XS", 21: "Q2_K_S",
    22: "IQ3_XS", 23: "IQ3_XXS", 24: "IQ1_S", 25: "IQ4_NL", 26: "IQ3_S", 27: "IQ3_M",
    28: "IQ2_S", 29: "IQ2_M", 30: "IQ4_XS", 31: "IQ1_M", 32: "BF16", 36: "TQ1_0",
    37: "TQ2_0", 38: "MXFP4", 39: "NVFP4", 40: "Q1_0", 41: "Q2_0",
}  # fmt: skip
"""llama.cpp's `LLAMA_FTYPE_*`."""
_GUESSED: Final = 1024
"""llama.cpp sets this bit when it was not told."""
_IN_NAMES: Final = re.compile(
    r"""(?<![A-Za-z0-9])
    ( I?Q[1-8]_(?: [01](?:_[48]_[48])? | K(?:_(?:XL|S|M|L))? | XXS | XS | NL | S | M )
    | TQ[12]_0 | BF16 | FP?16 | FP?32 | MXFP4 | NVFP4 )
    (?![A-Za-z0-9])""",
    re.IGNORECASE | re.VERBOSE,
)
UNQUANTISED: Final = frozenset({"F32", "F16", "BF16"})


def by_file_type(number: int | None) -> str:
    """Return what `general.file_type` says, "" if that is no known number."""
    return "" if number is None else _FILE_TYPES.get(number & ~_GUESSED, "")


def by_name(name: str) -> str:
    """Return the quantisation that a file's name tells, in capital letters, "" if it tells none."""
    found = _IN_NAMES.findall(name)
    label: str = found[-1].upper() if found else ""
    return f"F{label[2:]}" if label.startswith("FP") else label

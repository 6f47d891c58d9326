"""What a file is, told by samples of its bytes: quick for weights of any size.

It does not know what the file holds.
"""

from __future__ import annotations

from hashlib import blake2b
from pathlib import Path
from typing import Final

_HEAD: Final = 1 << 20
_SAMPLE: Final = 1 << 16
_SAMPLES: Final = 32


def fingerprint(path: Path) -> bytes:
    """32 bytes that differ between files of different content, as far as any weights go.

    The size, the first mebibyte (a GGUF's metadata) and samples from everywhere are looked at:
    a training or a quantisation changes all of a model's weights, never only some between them.
    """
    size = path.stat().st_size
    digest = blake2b(size.to_bytes(8, "little"), digest_size=32)
    with path.open("rb") as file:
        digest.update(file.read(_HEAD))
        for index in range(1, _SAMPLES + 1):
            file.seek(max(size * index // _SAMPLES - _SAMPLE, 0))
            digest.update(file.read(_SAMPLE))
    return digest.digest()

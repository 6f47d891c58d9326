"""The small model that ships with ShoriTUI: where it lies.

How it is made is in `shoritui.demo.build`; nothing of that is imported here.
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["model_path"]


def model_path() -> Path:
    """The GGUF file of the model that ships; it may be missing in an unbuilt checkout."""
    return Path(__file__).with_name("shori-demo.gguf")

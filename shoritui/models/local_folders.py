"""Where model files lie on this machine: the folders of ShoriTUI and of other programs."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from shoritui.bounded import read_json
from shoritui.files import content_of
from shoritui.folders import user_path

_SUFFIX: Final = ".gguf"
_OLLAMA_MODEL: Final = "application/vnd.ollama.image.model"
_OLLAMA_SYSTEM: Final = Path("/usr/share/ollama/.ollama/models")
_OLLAMA_HOST: Final = "registry.ollama.ai"
_OLLAMA_OWNER: Final = "library"
_DIGEST: Final = re.compile(r"sha256:([0-9a-f]{64})")
_MOST_MANIFEST: Final = 2**20


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A file that may be a model."""

    path: Path
    name: str
    """What a user calls it."""
    source: str
    """Whose folder it lies in, in words."""


def gguf_files(folder: Path, source: str) -> Iterator[ModelFile]:
    """Yield the GGUF files in a folder and below, by their paths; links are followed."""
    for path in sorted(_walk(folder)):
        yield ModelFile(path, path.stem, source)


def hugging_face() -> Iterator[ModelFile]:
    """Yield what lies in the Hugging Face cache, by the names that the repositories gave."""
    for repo in _entries(_hugging_face_cache()):
        if repo.name.startswith("models--"):
            owner_and_name = repo.name.removeprefix("models--").replace("--", "/")
            yield from gguf_files(repo / "snapshots", f"Hugging Face cache: {owner_and_name}")


def lm_studio() -> Iterator[ModelFile]:
    """Yield what LM Studio has downloaded, in its folder of today and of earlier versions."""
    for folder in (".lmstudio/models", ".cache/lm-studio/models"):
        yield from gguf_files(Path.home() / folder, "LM Studio")


def ollama() -> Iterator[ModelFile]:
    """Yield what Ollama has pulled, by the names that it lists."""
    own = os.environ.get("OLLAMA_MODELS")
    for folder in [Path(own)] if own else [Path.home() / ".ollama/models", _OLLAMA_SYSTEM]:
        manifests = folder / "manifests"
        for path in sorted(_walk(manifests, suffix="")):
            for digest in _ollama_models(path):
                name = _ollama_name(path.relative_to(manifests))
                yield ModelFile(folder / "blobs" / f"sha256-{digest}", name, "Ollama")


def _ollama_models(manifest: Path) -> list[str]:
    """The digests of the models that a manifest names; none if it cannot be understood."""
    try:
        if manifest.stat().st_size > _MOST_MANIFEST:
            return []
        content: Any = read_json(content_of(manifest))
        layers = content["layers"]
        digests = [
            _DIGEST.fullmatch(layer["digest"])
            for layer in layers
            if layer["mediaType"] == _OLLAMA_MODEL
        ]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return [digest[1] for digest in digests if digest]


def _ollama_name(path: Path) -> str:
    """`llama3.2:3b` for registry.ollama.ai/library/llama3.2/3b, longer for other hosts."""
    *place, tag = path.parts
    if place[:1] == [_OLLAMA_HOST]:
        place = place[1:]
        if place[:1] == [_OLLAMA_OWNER]:
            place = place[1:]
    return f"{'/'.join(place)}:{tag}"


def _hugging_face_cache() -> Path:
    """The folder that huggingface_hub uses, told by the same variables."""
    variables = os.environ
    cache = variables.get("XDG_CACHE_HOME") or "~/.cache"
    home = variables.get("HF_HOME") or f"{cache}/huggingface"
    older = variables.get("HUGGINGFACE_HUB_CACHE") or f"{home}/hub"
    folder = variables.get("HF_HUB_CACHE") or older
    return user_path(os.path.expandvars(folder))


def _walk(folder: Path, suffix: str = _SUFFIX) -> Iterator[Path]:
    """The files below a folder; a folder is entered once, however many links lead to it."""
    entered: set[tuple[int, int]] = set()
    for at, folders, files in os.walk(folder, followlinks=True):
        try:
            status = Path(at).stat()
        except OSError:
            folders.clear()
            continue
        if (status.st_dev, status.st_ino) in entered:
            folders.clear()
            continue
        entered.add((status.st_dev, status.st_ino))
        yield from (Path(at, name) for name in files if name.lower().endswith(suffix))


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []

"""Models and adapters in llama.cpp's format: their headers as they are listed, used and trained."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Final
from zlib import crc32

import numpy as np

from shoritui.demo import STORIES
from shoritui.gguf.architectures import architecture_of, hyperparameters
from shoritui.gguf.shape import Shape, config_of
from shoritui.gguf.vocabulary import SentencePieceVocabulary, gguf_vocabulary
from shoritui.gguf.write import About, Tensor, Value, tensor_of, write_gguf
from tests.fuzz.run import Input
from tests.fuzz.world import World

_SLOW: Final = "transformers.models.mistral.modeling_mistral"
"""Takes seconds to import, for which no input is to blame: it is there before the first one."""
_RARELY: Final = 8
_CARD = """\
[[character]]
name = "Mara"
description = "A pilot."
"""
_CONFIG = """\
base = "model.gguf"
[train]
sequence_len = 256
[data]
evaluation = 0
[[tier]]
name = "low"
data = ["a.txt"]
"""
_HIDDEN, _INNER = 32, 32


def seeds() -> Iterator[Input]:
    """A model of a few thousand numbers, its vocabulary alone, an adapter."""
    import_module(_SLOW)
    pieces = ("<unk>", "<s>", "</s>", "▀", "▄", *(f"<0x{n:02X}>" for n in range(256)), "▁a", "b")
    kinds = (2, 3, 3, 4, 4, *[6] * 256, 1, 1)
    scores = tuple(-float(n) for n in range(len(pieces)))
    tokens = SentencePieceVocabulary(pieces, scores, kinds, bos=1, eos=2, unk=0)
    config = config_of(Shape(_HIDDEN, _INNER, 1, 1, 1, 32, len(pieces)))
    metadata = hyperparameters(config, architecture_of(config, ""), "") | gguf_vocabulary(tokens)
    about = About("Tiny", "A model that knows nothing.", "apache-2.0", {"general.file_type": 1})
    yield Input("model.gguf", _file(about.metadata | metadata, _tensors(len(pieces))))
    yield Input("model.gguf", _file(metadata, []))
    lora: dict[str, Value] = {
        **{"general.architecture": "llama", "general.type": "adapter"},
        **{"adapter.type": "lora", "adapter.lora.alpha": 4.0},
    }
    pair = [
        _tensor(f"blk.0.attn_q.weight.lora_{n}", (4, 32) if n == "a" else (32, 4)) for n in "ab"
    ]
    yield Input("adapter.gguf", _file(lora, pair))


def _tensors(vocabulary: int) -> list[Tensor]:
    layer = {"attn_q": 32, "attn_k": 32, "attn_v": 32, "attn_output": 32}
    layer |= {"ffn_gate": _INNER, "ffn_up": _INNER, "ffn_down": _HIDDEN}
    return [
        _tensor("token_embd.weight", (vocabulary, _HIDDEN)),
        _tensor("output_norm.weight", (_HIDDEN,)),
        _tensor("output.weight", (vocabulary, _HIDDEN)),
        *(_tensor(f"blk.0.{name}_norm.weight", (_HIDDEN,)) for name in ("attn", "ffn")),
        *(_tensor(f"blk.0.{name}.weight", (rows, _HIDDEN)) for name, rows in layer.items()),
    ]


def _tensor(name: str, shape: tuple[int, ...]) -> Tensor:
    values = np.random.default_rng(len(name)).normal(0, 0.1, shape).astype(np.float32)
    return tensor_of(
        name, shape, "Q8_0" if len(shape) > 1 and shape[1] == 32 else "F32", lambda: values
    )


def _file(metadata: dict[str, Value], tensors: list[Tensor]) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.gguf"
        write_gguf(path, metadata, tensors)
        return path.read_bytes()


@cache
def _story() -> str:
    return min(STORIES.glob("low/*.txt"), key=lambda path: path.stat().st_size).read_text("utf-8")


def play(world: World, path: Path) -> None:
    """List it, train on it, and now and then load it, which starts a process."""
    mine = world.home / "data" / "models"
    mine.mkdir(parents=True)
    shutil.copy(path, mine / path.name)
    world.door("models")
    world.door("models", "--json", codes=(0,))
    training = world.home / "training"
    training.mkdir()
    shutil.copy(path, training / "model.gguf")
    (training / "finetune.toml").write_text(_CONFIG, encoding="utf-8")
    (training / "a.txt").write_text(_story(), encoding="utf-8")
    world.door("finetune", "stats", training)
    if crc32(path.read_bytes()) % _RARELY == 0:
        card = world.home / "quay.toml"
        card.write_text(_CARD, encoding="utf-8")
        if path.stem == "adapter":
            (world.home / "config").mkdir()
            settings = f"adapters = [{{path = '{mine / path.name}'}}]\nmax_tokens = 4\n"
            (world.home / "config" / "settings.toml").write_text(settings, encoding="utf-8")
            world.door("prompt", card, "--tokens")
        else:
            world.door("models", "use", path)
            world.door("prompt", card, "--model", path, "--tokens")

"""A base of a few thousand numbers with the shipped vocabulary, and three tiers to train it on."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

from shoritui.finetune.config.model import Base, Config, Data, Lora, Tier, Train, Watch
from shoritui.finetune.data.tokenizer import open_tokenizer
from shoritui.finetune.events import Event, Stepped
from shoritui.finetune.run.train import train
from shoritui.gguf.shape import Shape
from tests.gguf.vocabularies import shipped, write_pieces

NAMES = ("low", "high", "top")


def make_base(folder: Path) -> Path:
    """A llama's folder with random weights."""
    write_pieces(folder, shipped())
    vocabulary = open_tokenizer(folder).vocabulary
    shape = Shape(64, 96, 2, 4, 2, 16, vocabulary, is_tied=True)
    draws = np.random.default_rng(1)
    sizes: dict[str, tuple[int, ...]] = {
        "model.embed_tokens.weight": (vocabulary, shape.hidden),
        **{f"{name}.weight": size for name, size in shape.linears.items()},
    }
    weights = {
        name: (draws.standard_normal(size) * 0.1).astype(np.float32) for name, size in sizes.items()
    }
    norms = [
        f"model.layers.{layer}.{name}.weight"
        for layer in range(shape.layers)
        for name in ("input_layernorm", "post_attention_layernorm")
    ]
    weights |= {name: np.ones(shape.hidden, np.float32) for name in ("model.norm.weight", *norms)}
    save_file(weights, folder / "model.safetensors")
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": shape.hidden,
        "intermediate_size": shape.intermediate,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads,
        "head_dim": shape.head_size,
        "vocab_size": vocabulary,
        "rms_norm_eps": shape.norm_epsilon,
        "rope_theta": shape.rope_theta,
        "tie_word_embeddings": True,
        "hidden_act": "silu",
    }
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def write_data(folder: Path) -> None:
    """Ten short conversations for each tier."""
    for name in NAMES:
        for number in range(10):
            text = "".join(
                f"▀message\n{speaker}: In {name} {number}, {speaker} took "
                f"{(number * 7 + turn * 3) % 10} lamps {'and waited ' * (number % 4)}.▄\n"
                for turn, speaker in enumerate(("Mara", "Tobin") * 2)
            )
            path = folder / "data" / name / f"{number}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"▀title\nThe {name} lamps, {number}▄\n{text}", encoding="utf-8")


def write_swipes(folder: Path, rows: int = 24) -> None:
    """Players who like it short: of two messages in one place, the one of fewer words."""
    lines = []
    for number in range(rows):
        speaker, other = ("Mara", "Tobin") if number % 2 else ("Tobin", "Mara")
        context = f"▀title\nThe lamps▄\n▀message\n{other}: Are there {number} lamps?▄\n"
        short = f"{speaker} nodded."
        long = f"{speaker} counted {number} lamps, and waited, and counted them once more."
        blocks = [f"▀message\n{speaker}: {body}▄\n" for body in (short, long)]
        row = {"context": context, "chosen": blocks[0], "rejected": blocks[1:], "because": "kept"}
        lines.append(json.dumps(row, ensure_ascii=False))
    (folder / "swipes.jsonl").write_text("\n".join(lines), encoding="utf-8")


QUICK = Train(
    learning_rate=2e-3,
    epochs=1,
    sequence_len=160,
    accumulation=2,
    optimizer="adamw",
    precision="fp32",
)


def make_config(folder: Path, base: Path, train: Train = QUICK, **watch: Any) -> Config:
    """Three tiers, each after the one before."""
    data = Data(evaluation=0.1)
    tiers = tuple(
        Tier(name, (f"data/{name}/*.txt",), after=after, train=train, data=data)
        for name, after in zip(NAMES, ("", *NAMES), strict=False)
    )
    settings = {"evaluate_every": 2, "save_every": 2, "reply_every": 0, "device": "cpu", **watch}
    return Config(
        path=folder / "finetune.toml",
        tiers=tiers,
        base=Base(str(base), quantize="none"),
        lora=Lora(r=4, alpha=8.0, dropout=0.1),
        watch=Watch(**settings),
    )


def with_train(config: Config, name: str, **changes: Any) -> Config:
    """The same, but one tier is trained otherwise."""
    return replace(
        config,
        tiers=tuple(
            replace(tier, train=replace(tier.train, **changes)) if tier.name == name else tier
            for tier in config.tiers
        ),
    )


class Heard(list[Event]):
    """What a run told."""

    def of(self, kind: type) -> Sequence[Any]:
        """The events of one kind."""
        return [event for event in self if isinstance(event, kind)]


def run(config: Config, stop: Callable[[], bool] = lambda: False) -> Heard:
    """A run to its end; what it told."""
    heard = Heard()
    train(config, heard.append, stop)
    return heard


def steps_of(heard: Heard) -> list[tuple[str, int]]:
    """The steps that were taken."""
    return [(step.tier, step.step) for step in heard.of(Stepped)]


def adapter_of(config: Config, tier: str) -> dict[str, bytes]:
    """A trained adapter's tensors, bit for bit."""
    tensors = load_file(config.path.parent / config.output / tier / "adapter_model.safetensors")
    return {name: tensor.tobytes() for name, tensor in tensors.items()}


def adapters_of(config: Config) -> dict[str, dict[str, bytes]]:
    """All trained adapters."""
    return {tier.name: adapter_of(config, tier.name) for tier in config.tiers}

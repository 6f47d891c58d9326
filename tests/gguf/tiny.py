"""A llama of a few thousand numbers, saved by transformers, with the vocabulary that ships."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from transformers import AutoConfig, LlamaConfig, LlamaForCausalLM

from shoritui.finetune.export.reference import class_of
from shoritui.gguf.architectures import architecture_of, hyperparameters
from shoritui.gguf.converted import model_of_folder
from shoritui.gguf.llama_cpp import LlamaFile
from shoritui.gguf.model import Model
from shoritui.gguf.read import Floats
from shoritui.gguf.shape import Shape, config_of, read_config
from shoritui.gguf.vocabulary import BpeVocabulary, SentencePieceVocabulary, gguf_vocabulary
from shoritui.gguf.write import write_gguf
from tests.gguf.vocabularies import shipped, write_pieces

VOCABULARY = 4000
DOCUMENTS = [
    np.arange(1, 60, dtype=np.int32),
    np.random.default_rng(2).integers(3, VOCABULARY, 90).astype(np.int32),
]


def make_folder(folder: Path, **changes: Any) -> Path:
    """The folder, as transformers writes it, with a tokenizer.model."""
    sizes: dict[str, Any] = {
        "vocab_size": VOCABULARY,
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 32,
        "max_position_embeddings": 512,
        "initializer_range": 0.2,
        "rms_norm_eps": 1e-5,
        "rope_parameters": {"rope_type": "default", "rope_theta": 1e6},
        "tie_word_embeddings": False,
    }
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(**(sizes | changes)))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name:
                parameter.add_(torch.randn_like(parameter), alpha=0.1)
    model.save_pretrained(folder)
    write_pieces(folder, shipped())
    return folder


def model_in(folder: Path) -> Model:
    """The model of a folder, as a GGUF holds it."""
    return model_of_folder(folder, read_config(folder))


def write_alone(path: Path, tokens: SentencePieceVocabulary | BpeVocabulary) -> Path:
    """A GGUF that holds nothing else."""
    size = len(tokens.pieces if isinstance(tokens, SentencePieceVocabulary) else tokens.tokens)
    config = config_of(Shape(64, 64, 64, 1, 1, 64, size))
    metadata = hyperparameters(config, architecture_of(config, ""), "")
    write_gguf(path, metadata | gguf_vocabulary(tokens), [])
    return path


def transformers_logits(
    folder: Path, documents: Sequence[npt.NDArray[np.int32]] = DOCUMENTS
) -> list[Floats]:
    """What transformers answers in fp32."""
    return logits_of(loaded(folder), documents)


def loaded(folder: Path) -> Any:
    """The model as transformers has it, in fp32."""
    classes = class_of(AutoConfig.from_pretrained(folder))
    return classes.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")


@torch.no_grad()
def logits_of(model: Any, documents: Sequence[npt.NDArray[np.int32]] = DOCUMENTS) -> list[Floats]:
    """What a model of PyTorch answers."""
    given = (torch.from_numpy(ids.astype(np.int64))[None] for ids in documents)
    return [model.eval()(input_ids=ids, use_cache=False).logits[0].numpy() for ids in given]


def llama_logits(path: Path, adapter: Path | None = None) -> list[Floats]:
    """What llama.cpp answers, exactly."""
    with LlamaFile(path) as file:
        return file.logits(DOCUMENTS, adapter, threads=1)


def error(found: Sequence[Floats], wanted: Sequence[Floats]) -> float:
    """The relative error over all."""
    difference = [a - b for a, b in zip(found, wanted, strict=True)]
    return float(
        np.linalg.norm(np.concatenate(difference)) / np.linalg.norm(np.concatenate(wanted))
    )

"""The same model as transformers and PEFT compute it: the measure that the network is held against.

It takes the network's own frozen bytes and its adapter's values, so that nothing is in memory twice
and both learn the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from shoritui.finetune.config.model import Lora
from shoritui.finetune.data.packs import Pack
from shoritui.finetune.model.weights import Dense, Frozen, Nf4, Weights
from shoritui.finetune.quiet_libraries import quieten
from shoritui.gguf.shape import PROJECTIONS, Shape


class Reference:
    """A transformers model with a PEFT adapter, trained as most people would."""

    def __init__(
        self,
        shape: Shape,
        weights: Weights,
        adapter: Mapping[str, Tensor],
        lora: Lora,
        stream: torch.dtype,
    ) -> None:
        quieten()
        peft: Any = import_module("peft")
        self.device = weights.embedding.device
        self.stream = stream
        model = _model(shape, weights, stream)
        config = peft.LoraConfig(
            r=lora.r,
            lora_alpha=lora.alpha,
            lora_dropout=lora.dropout,
            use_rslora=lora.rslora,
            target_modules=list(lora.targets or PROJECTIONS),
            task_type="CAUSAL_LM",
        )
        self.model: Any = peft.get_peft_model(model, config)
        self.model.enable_input_require_grads()
        self.model.gradient_checkpointing_enable(
            gradient_checkpointing_kwargs={"use_reentrant": False}
        )
        self.adapter: dict[str, nn.Parameter] = {
            name.replace(".default.", "."): parameter
            for name, parameter in self.model.named_parameters()
            if parameter.requires_grad
        }
        with torch.no_grad():
            for name, values in adapter.items():
                self.adapter[name].copy_(values)
        self.model.train()

    def loss(self, pack: Pack) -> Tensor:
        """The summed loss of a pack's learnt tokens; with a gradient."""
        ids = torch.from_numpy(pack.ids).long().to(self.device)
        learn = torch.from_numpy(pack.learn).to(self.device)
        positions = torch.cat([torch.arange(end - start) for start, end in pairwise(pack.starts)])
        mixed = self.stream != torch.float32
        with torch.autocast(self.device.type, torch.bfloat16, enabled=mixed):
            mean: Tensor = self.model(
                input_ids=ids[None],
                position_ids=positions[None].to(self.device),
                labels=torch.where(learn, ids, -100)[None],
                use_cache=False,  # else transformers lets one document see another
            ).loss
        return mean * int(pack.learn.sum())

    def stepper(self, pack: Pack) -> Callable[[], None]:
        """Return what steps there and back."""
        return lambda: self.loss(pack).backward()  # type: ignore[no-untyped-call]


def _model(shape: Shape, weights: Weights, stream: torch.dtype) -> Any:
    mistral: Any = import_module("transformers.models.mistral.modeling_mistral")
    config = mistral.MistralConfig(
        vocab_size=shape.vocabulary,
        hidden_size=shape.hidden,
        intermediate_size=shape.intermediate,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        head_dim=shape.head_size,
        max_position_embeddings=1 << 20,
        rms_norm_eps=shape.norm_epsilon,
        rope_parameters={"rope_type": "default", "rope_theta": shape.rope_theta},
        sliding_window=shape.window or None,
        tie_word_embeddings=shape.is_tied,
        use_cache=False,
        attn_implementation="sdpa",
    )
    with torch.device("meta"):
        model: Any = mistral.MistralForCausalLM(config)
    inner = model.model
    inner.rotary_emb = mistral.MistralRotaryEmbedding(config).to(weights.embedding.device)
    _put(inner.embed_tokens, weights.embedding, stream)
    _put(inner.norm, weights.norm, stream)
    _put(model.lm_head, weights.head, stream)
    for layer, ours in zip(inner.layers, weights.layers, strict=True):
        _put(layer.input_layernorm, ours.attention_norm, stream)
        _put(layer.post_attention_layernorm, ours.mlp_norm, stream)
        for name, frozen in ours.projections.items():
            block = layer.self_attn if hasattr(layer.self_attn, name) else layer.mlp
            setattr(block, name, _linear(shape.sizes(name), frozen, stream))
    model.is_loaded_in_4bit = isinstance(ours.projections["q_proj"], Nf4)
    return model


def _put(module: nn.Module, values: Tensor, dtype: torch.dtype) -> None:
    module.weight = nn.Parameter(values.to(dtype), requires_grad=False)


def _linear(sizes: tuple[int, int], frozen: Frozen, stream: torch.dtype) -> Any:
    bnb: Any = import_module("bitsandbytes")
    outputs, inputs = sizes
    with torch.device("meta"):
        if isinstance(frozen, Dense):
            linear = nn.Linear(inputs, outputs, bias=False)
            _put(linear, frozen.weight, stream)
            return linear
        packed: Any = bnb.nn.Linear4bit(inputs, outputs, bias=False, compute_dtype=stream)
    assert isinstance(frozen, Nf4)
    state = frozen.state(stream)
    state.code = bnb.functional.get_4bit_type("nf4", device=frozen.packed.device)
    packed.weight = bnb.nn.Params4bit(
        frozen.packed,
        requires_grad=False,
        quant_state=state,
        quant_type="nf4",
        bnb_quantized=True,
        module=packed,
    )
    return packed

"""Any architecture that transformers knows, with PEFT's adapter on it: slower, and right.

Documents go through it one by one, so that none can see another whatever the architecture mixes
tokens with.
"""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.hooks import RemovableHandle

from shoritui.errors import UserError
from shoritui.finetune.config.model import Base, Config, Lora, Train
from shoritui.finetune.data.packs import Ids, LearnMask, Pack
from shoritui.finetune.events import Preparing, Report, Reported
from shoritui.finetune.model import adapter
from shoritui.finetune.model.interface import Draw, Level, Loss
from shoritui.finetune.model.precision import TYPES
from shoritui.finetune.quiet_libraries import quieten
from shoritui.text import clean

_PEFT_NAME: Final = ".default."


class Generic:
    """A model of transformers with an adapter of PEFT: `interface.Trainable`.

    Dropout comes from PyTorch's own generator, which is seeded from the draw for each document
    and put back afterwards. So the same draw gives the same masks, also after a resume and in what
    is computed again for the backward pass; but they are other masks than the fast network's, and
    differ between a CPU and a GPU and, possibly, between releases of PyTorch.
    """

    is_fast = False

    def __init__(self, model: Any, device: torch.device, neftune: float) -> None:
        """`model` is one of PEFT, whose parameters that are trained are the adapter's alone."""
        self._model = model
        self.device = device
        self.neftune = neftune
        self.adapter: Mapping[str, nn.Parameter] = {
            name.replace(_PEFT_NAME, "."): parameter
            for name, parameter in model.named_parameters()
            if parameter.requires_grad
        }
        self._offloads: bool | None = None

    def loss(self, pack: Pack, draw: Draw | None, level: Level) -> Loss:
        """The loss of a pack; without a draw nothing is random and no gradient is kept.

        Each layer's input is kept for the backward pass, at the lowest level in main memory.
        """
        self._checkpoint(level)
        losses = []
        for document, (start, end) in enumerate(zip(pack.starts, pack.starts[1:], strict=False)):
            with self._mode(draw, document):
                losses.append(self._document(pack.ids[start:end], pack.learn[start:end]))
        return Loss(torch.stack(losses))

    def logits(self, ids: Ids) -> Tensor:
        """(tokens, vocabulary), fp32, on the device: of one document, without gradient."""
        with self._mode(None, 0):
            found: Tensor = self._run(ids)[0].float()
        return found

    def reading(self, room: int) -> _Rereading:
        """A document that is read from its beginning each time it has grown."""
        return _Rereading(self)

    def _document(self, ids: Ids, learn: LearnMask) -> Tensor:
        places = learn.nonzero()[0]
        if not len(places):
            return torch.zeros((), dtype=torch.float64, device=self.device)
        rows = torch.from_numpy(places - 1).to(self.device)
        targets = torch.from_numpy(ids[places]).to(self.device, torch.int64)
        logits = self._run(ids, logits_to_keep=rows)[0]
        losses = functional.cross_entropy(logits.float(), targets, reduction="none")
        return losses.sum(dtype=torch.float64)

    def _run(self, ids: Ids, **options: Any) -> Any:
        # without a cache and a mask it is one document, whatever the model's own settings are
        tokens = torch.from_numpy(ids).to(self.device, torch.int64)[None]
        return self._model(input_ids=tokens, use_cache=False, **options).logits

    @contextmanager
    def _mode(self, draw: Draw | None, document: int) -> Iterator[None]:
        """Training with what this draw gives to this document, or evaluation."""
        if draw is None:
            self._model.eval()
            with torch.no_grad():
                yield
            return
        self._model.train()
        noise = self._noise() if self.neftune else None
        devices = [self.device] if self.device.type == "cuda" else []
        with torch.random.fork_rng(devices):
            torch.manual_seed(_seed(draw, document))
            try:
                yield
            finally:
                if noise:
                    noise.remove()

    def _noise(self) -> RemovableHandle:
        """NEFTune's noise on the embeddings of a document."""

        def noised(_module: nn.Module, _inputs: object, output: Tensor) -> Tensor:
            most = self.neftune / (output.shape[-2] * output.shape[-1]) ** 0.5
            return output + torch.empty_like(output).uniform_(-most, most)

        embedding: nn.Module = self._model.get_input_embeddings()
        return embedding.register_forward_hook(noised)

    def _checkpoint(self, level: Level) -> None:
        offloads = level == Level.OFFLOAD and self.device.type == "cuda"
        base = self._model.get_base_model()
        if offloads != self._offloads and base.supports_gradient_checkpointing:
            base.activation_checkpointing_enable({"use_reentrant": False}, offload=offloads)
        self._offloads = offloads


class _Rereading:
    """What architectures cache differs too much; sample replies are short."""

    def __init__(self, model: Generic) -> None:
        self._model = model
        self._ids = np.empty(0, np.int32)

    def read(self, ids: Ids) -> Tensor:
        """Read on; (vocabulary,), fp32."""
        self._ids = np.concatenate([self._ids, ids])
        return self._model.logits(self._ids)[-1]


def open_generic(
    config: Config, train: Train, folder: Path, device: torch.device, report: Report
) -> Generic:
    """A base of any architecture, ready to be trained with a fresh adapter.

    Raises:
        UserError: transformers cannot load it, or the config does not fit it.
    """
    quieten()
    report(Preparing("loading the base", 0, 0))
    base = _loaded(config.base, train, folder, device)
    base.config.use_cache = False
    linears, left = linears_of(base)
    if not linears:
        raise UserError(f"{folder}: this base has no linear layers that an adapter could be for.")
    if left:
        names = ", ".join(left)
        report(Reported(f"This base's {names} stay as they are: PEFT has no adapter for them."))
    fresh = adapter.fresh(linears, config.lora, train.seed)
    model = _adapted(base, config.lora, linears)
    generic = Generic(model, device, train.neftune)
    for name, parameter in generic.adapter.items():
        parameter.data = fresh[name].to(parameter.device)  # fp32, whatever PEFT made it
    if config.base.quantize != "none":
        _check_four_bits(generic, folder)
    return generic


def _check_four_bits(generic: Generic, folder: Path) -> None:
    """Check that no part of the architecture reads past the layers what it takes for a matrix."""
    try:
        generic.logits(np.zeros(2, np.int32))
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        raise UserError(
            f"{folder}: this base does not compute in four bits ({_reason(error)}): set "
            'quantize = "none" in [base].'
        ) from None


def linears_of(base: Any) -> tuple[dict[str, tuple[int, int]], list[str]]:
    """The linear layers that an adapter can be for, with (outputs, inputs), and what stays without.

    They are those of a model of transformers that read text, but its output head.
    """
    head, reading = base.get_output_embeddings(), {id(one) for one in base.get_decoder().modules()}
    sizes = {
        name: size
        for name, module in base.named_modules()
        if id(module) in reading and module is not head and (size := _size(module))
    }
    taken = _taken_by_peft(base, sizes)
    left = {adapter.kind_of(name) for name in sizes if name not in taken}
    if any("experts." in name and one.ndim > 2 for name, one in base.named_parameters()):
        left.add("experts")  # they are stacked, not linear layers
    return {name: size for name, size in sizes.items() if name in taken}, sorted(left)


def _size(module: nn.Module) -> tuple[int, int] | None:
    """(outputs, inputs) of a linear layer; None for all else."""
    conv1d: Any = importlib.import_module("transformers.pytorch_utils").Conv1D
    if isinstance(module, conv1d):  # the linear layer of GPT-2, which is stored transposed
        return module.weight.shape[1], module.weight.shape[0]
    if not isinstance(module, nn.Linear) or _is_router(module):
        return None
    return module.out_features, module.in_features


def _is_router(module: nn.Linear) -> bool:
    """Whether it gives more than one result, as that of Llama 4 does."""
    if type(module).__module__.startswith(("torch.", "bitsandbytes.")):
        return False
    weight = module.weight
    one = torch.zeros(1, module.in_features, dtype=weight.dtype, device=weight.device)
    return not isinstance(module(one), Tensor)


def _taken_by_peft(base: Any, names: Iterable[str]) -> set[str]:
    """Those of these linear layers which PEFT adapts, and under their own names."""
    peft: Any = importlib.import_module("peft")
    tuners: Any = importlib.import_module("peft.tuners.tuners_utils")
    conversion: Any = importlib.import_module("peft.utils.transformers_weight_conversion")
    config = peft.LoraConfig(target_modules=list(names))
    # Names that experts had before they were stacked, it would take for the stacks.
    conversion.convert_peft_config_for_transformers(config, base, None)

    def is_read(name: str) -> bool:
        try:  # where states are computed, some weights are read past an adapter
            tuners._check_lora_target_modules_mamba(config, base, adapter.kind_of(name))
        except ValueError:
            return False
        return True

    return set(filter(is_read, config.target_modules))


def _loaded(base: Base, train: Train, folder: Path, device: torch.device) -> Any:
    transformers: Any = importlib.import_module("transformers")
    dtype = TYPES[train.precision]
    quantised = transformers.BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=base.double_quant,
        bnb_4bit_compute_dtype=dtype,
    )
    options = {"quantization_config": quantised} if base.quantize == "nf4" else {}
    try:
        kind = type(transformers.AutoConfig.from_pretrained(folder, local_files_only=True))
        writes_text = kind in transformers.MODEL_FOR_CAUSAL_LM_MAPPING
        # What also sees pictures goes by another name, and reads text alone as well.
        auto = "AutoModelForCausalLM" if writes_text else "AutoModelForImageTextToText"
        model, about = getattr(transformers, auto).from_pretrained(
            folder,
            dtype=dtype,
            device_map={"": device},
            local_files_only=True,
            trust_remote_code=False,
            output_loading_info=True,
            **options,
        )
    except torch.OutOfMemoryError:
        raise
    except (OSError, ValueError, KeyError, TypeError, ImportError, RuntimeError) as error:
        raise UserError(
            f"{folder}: transformers cannot load this base ({_reason(error)})."
        ) from None
    if about["missing_keys"]:  # it would go on with random numbers in its place
        missing = min(about["missing_keys"])
        raise UserError(f"{folder} is not complete: the weights have no {missing}.")
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            # else one evaluation on such a processor repacks the weights, without a way back
            module.support_avx512bf16_for_cpu = False
    return model


def _adapted(base: Any, lora: Lora, linears: Mapping[str, tuple[int, int]]) -> Any:
    peft: Any = importlib.import_module("peft")
    config = peft.LoraConfig(
        r=lora.r,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        use_rslora=lora.rslora,
        target_modules=list(adapter.targeted(linears, lora)),
        task_type="CAUSAL_LM",
    )
    try:
        return peft.get_peft_model(base, config)
    except ValueError as error:
        raise UserError(
            f"[lora] targets: PEFT has no adapter for all of this base ({_reason(error)}): name "
            "other layers, such as q_proj and v_proj."
        ) from None


def _reason(error: Exception) -> str:
    return clean(str(error).strip().partition("\n")[0])[:200] or type(error).__name__


def _seed(draw: Draw, document: int) -> int:
    text = f"{draw.seed} {draw.step} {draw.pack} {document}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")

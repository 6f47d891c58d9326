"""The fast network: a llama or mistral base, frozen, with an adapter on all of its linear layers.

It does not know files; weights and factors are given to it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from shoritui.errors import UserError
from shoritui.finetune.config.model import Lora
from shoritui.finetune.data.sample import Ids, Pack
from shoritui.finetune.model.adapter import names_of, shapes_of
from shoritui.finetune.model.dropout import key_of, noise_of
from shoritui.finetune.model.interface import Draw, Loss, Rung
from shoritui.finetune.model.layer import Attention, Layer
from shoritui.finetune.model.loss import Head, LossSum, summed, targets_of
from shoritui.finetune.model.micro import MicroStep
from shoritui.finetune.model.mlp import Mlp
from shoritui.finetune.model.offload import Parking
from shoritui.finetune.model.projection import Factors, Fan
from shoritui.finetune.model.reading import Reader
from shoritui.finetune.model.rope import rotation_of
from shoritui.finetune.model.shape import Shape
from shoritui.finetune.model.tuning import Tuning, tuning_for
from shoritui.finetune.model.weights import Weights, random_weights

_EMBEDDING = -1


class Network:
    """A frozen base and an adapter: `interface.Trainable`, with every step of the maths its own."""

    is_fast = True

    def __init__(
        self,
        shape: Shape,
        weights: Weights,
        adapter: Mapping[str, nn.Parameter],
        lora: Lora,
        dtype: torch.dtype = torch.bfloat16,
        neftune: float = 0.0,
    ) -> None:
        self.shape = shape
        self.weights = weights
        self.adapter = adapter
        self.lora = lora
        self.dtype = dtype
        """What passes from layer to layer."""
        self.neftune = neftune
        self.device = weights.embedding.device
        self.tuned: Tuning | None = None
        """Set to compute as on another device, or in other chunks."""
        self.parking: Callable[[torch.device], Parking] = Parking
        """Where layers' inputs wait on the lowest rung."""
        self.layers = [self._layer(index) for index in range(shape.layers)]

    @classmethod
    def random(
        cls,
        shape: Shape,
        lora: Lora,
        device: torch.device,
        dtype: torch.dtype = torch.bfloat16,
        is_nf4: bool = True,
        is_double: bool = True,
    ) -> Network:
        """One of noise, for measuring and for tracing; its adapter does something."""
        adapter = {
            name: nn.Parameter(torch.randn(size, device=device).mul_(0.1 * size[1] ** -0.5))
            for name, size in shapes_of(shape.linears, lora).items()
        }
        weights = random_weights(shape, device, dtype, is_nf4, is_double)
        return cls(shape, weights, adapter, lora, dtype)

    @property
    def tuning(self) -> Tuning:
        """How it computes."""
        return self.tuned or tuning_for(self.device.type, self.dtype)

    def loss(self, pack: Pack, draw: Draw | None, rung: Rung) -> Loss:
        """The loss of a pack; without a draw nothing is random and no gradient is kept."""
        self._check(pack.starts)
        micro = self.micro(pack.starts, draw, rung)
        head, targets = self.head(), targets_of(pack, self.device)
        with torch.set_grad_enabled(draw is not None):
            x = self._through(self.embedded(pack.ids, micro), micro)
            if draw is None:
                by_document = summed(head.losses(x, targets, micro.precision, None), targets)
                return Loss(by_document.sum(), by_document)
            total, by_document = LossSum.apply(x, head, targets, micro.precision)  # type: ignore[no-untyped-call]
            return Loss(total, by_document.detach())

    def logits(self, ids: Ids) -> Tensor:
        """(tokens, vocabulary), fp32, on the device: of one document, without gradient."""
        self._check((0, len(ids)))
        micro = self.micro((0, len(ids)))
        with torch.no_grad():
            x = self._through(self.embedded(ids, micro), micro)
            return self.head().logits(x, micro.precision)

    def reading(self, room: int) -> Reader:
        """A document of at most so many tokens, read as it grows."""
        return Reader(self, room)

    def embedded(self, ids: Ids, micro: MicroStep) -> Tensor:
        """(tokens, hidden), in the stream's type, and what a draw adds to it."""
        places = torch.from_numpy(ids).to(self.device)
        x = functional.embedding(places, self.weights.embedding).to(self.dtype)
        if micro.draw is None or self.neftune == 0:
            return x
        return self._noised(x, micro, micro.draw)

    def micro(
        self,
        starts: tuple[int, ...],
        draw: Draw | None = None,
        rung: Rung = Rung.INPUTS,
        first: int = 0,
    ) -> MicroStep:
        """What layers are told about documents, whose first tokens are at this place of each."""
        tuning = self.tuning
        parks = draw is not None and rung == Rung.OFFLOAD
        return MicroStep(
            starts=starts,
            rotation=rotation_of(starts, self.shape, self.device, first),
            draw=draw,
            rung=rung,
            precision=tuning.precision,
            device=self.device,
            chunk=tuning.chunk,
            mask_type=tuning.mask,
            parking=self.parking(self.device) if parks else None,
        )

    def head(self) -> Head:
        """The end of the network."""
        chunk = self.tuning.loss_chunk
        return Head(self.weights.norm, self.shape.norm_epsilon, self.weights.head, chunk)

    def _through(self, x: Tensor, micro: MicroStep) -> Tensor:
        for layer in self.layers:
            x = layer.forward(x, micro)
        return x

    def _noised(self, x: Tensor, micro: MicroStep, draw: Draw) -> Tensor:
        """With NEFTune's noise, the weaker the longer a document is."""
        noise = noise_of(key_of(draw, _EMBEDDING, 0), x.shape[0], x.shape[1], self.device)
        for start, end in pairwise(micro.starts):
            noise[start:end] *= self.neftune / ((end - start) * x.shape[1]) ** 0.5
        return (x + noise).to(x.dtype)

    def _check(self, starts: tuple[int, ...]) -> None:
        window = self.shape.window
        longest = max(end - start for start, end in pairwise(starts))
        if window and longest > window:
            raise UserError(
                f"This base looks back {window} tokens (sliding_window), and a document has "
                f"{longest}; set sequence_len to {window} or less."
            )

    def _layer(self, index: int) -> Layer:
        weights, shape = self.weights.layers[index], self.shape
        attention = Attention(
            index,
            weights.attention_norm,
            shape,
            self._fan(index, "q_proj", "k_proj", "v_proj"),
            self._fan(index, "o_proj"),
        )
        mlp = Mlp(
            index,
            weights.mlp_norm,
            shape.norm_epsilon,
            self._fan(index, "gate_proj", "up_proj"),
            self._fan(index, "down_proj"),
        )
        return Layer(index, attention, mlp)

    def _fan(self, index: int, *projections: str) -> Fan:
        held = self.weights.layers[index].projections
        return Fan(
            weights=tuple(held[name] for name in projections),
            factors=tuple(self._factors(index, name) for name in projections),
            scale=self.lora.scale,
            dropout=self.lora.dropout,
        )

    def _factors(self, index: int, projection: str) -> Factors | None:
        name_a, name_b = names_of(self.shape.path(index, projection))
        if name_a not in self.adapter:
            return None
        return Factors(self.adapter[name_a], self.adapter[name_b])

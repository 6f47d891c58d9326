"""A document that is read piece by piece gives the logits of one that is read at once."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from shoritui.errors import UserError
from shoritui.finetune.config.model import Lora
from shoritui.finetune.model.network import Network, Reader
from shoritui.finetune.model.shape import shape_named

CPU = torch.device("cpu")
IDS = np.arange(60, dtype=np.int32) * 37 % 320


def network() -> Network:
    torch.manual_seed(1)
    return Network.random(shape_named("tiny"), Lora(), CPU, torch.float32)


@pytest.mark.parametrize("pieces", [(60,), (40, 1, 1, 18), (1, 59), (10, 30, 20)])
def test_pieces_give_the_logits_of_the_whole(pieces: tuple[int, ...]) -> None:
    made = network()
    expected = made.logits(IDS)
    reader = Reader(made, room=60)
    for piece in pieces:
        found = reader.read(IDS[reader.length : reader.length + piece])
        torch.testing.assert_close(found, expected[reader.length - 1], rtol=1e-4, atol=1e-5)


def test_what_does_not_fit_is_told() -> None:
    made = network()
    reader = Reader(made, room=10)
    reader.read(IDS[:10])
    with pytest.raises(UserError, match="10 tokens"):
        reader.read(IDS[10:11])

"""In a process of its own, where everything is imported anew, no library says a word."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.finetune.model.test_generic import GEMMA, saved

pytestmark = pytest.mark.slow

SCRIPT = """
import sys
from pathlib import Path
import numpy as np, torch
from shoritui.finetune.config.model import Base, Config, Tier, Train
from shoritui.finetune.data.packs import Sample, pack_of
from shoritui.finetune.model.interface import Draw, Level
from shoritui.finetune.model.load import open_model
from shoritui.finetune.model.optimizer import make_optimizer

torch.set_num_threads(1)
train = Train(precision="fp32")
config = Config(Path("finetune.toml"), (Tier("low", ("*",), train=train),), Base("x"))
model = open_model(config, Path(sys.argv[1]), torch.device("cpu"), lambda event: None)
assert not model.is_fast
optimizer = make_optimizer(model.adapter, config.lora, train)
learn = np.arange(20) > 0
pack = pack_of((Sample(np.arange(20, dtype=np.int32), learn, "file:1"),))
model.loss(pack, Draw(1, 0, 0), Level.INPUTS).total.backward()
optimizer.step()
model.logits(pack.ids)
assert sys.modules["kernels"] is None
"""


def test_training_is_silent(tmp_path: Path) -> None:
    folder = saved(tmp_path, "Gemma2", GEMMA)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(folder)], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)

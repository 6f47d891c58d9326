"""Training configs, their data, and axolotl's YAML."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from shoritui.demo import STORIES
from tests.fuzz.run import Input
from tests.fuzz.targets.interop import seeds as chats
from tests.fuzz.world import World

_CONFIG = """\
base = "demo"
output = "adapters"
[lora]
r = 4
alpha = 8
dropout = 0.1
[train]
sequence_len = 512
epochs = 1
weight_decay = 0.05
[watch]
evaluate_every = 10
[[prompt]]
name = "cup"
text = "▀title\\nTea▄\\n"
speaker = "Pearl"
length = "short"
[data]
evaluation = 0.15
hint_limits = [8, 16, 32, 64, 128, 256, 512, 1024]
[[tier]]
name = "low"
data = ["data/*.txt", "data/*.json*"]
learning_rate = 5e-3
where = "not (eerie or calm)"
[[tier]]
name = "taste"
kind = "preference"
data = ["data/*.prefs"]
after = "low"
[[source]]
files = ["data/*.json"]
format = "auto"
names = { human = "Mara", gpt = "Ilse" }
system = "instruction"
tags = ["quiet"]
"""
_PLAIN = """\
base = "demo"
[train]
sequence_len = 256
[data]
evaluation = 0
[[tier]]
name = "low"
data = ["data/*"]
"""
_AXOLOTL = """\
base_model: org/model-7B
model_type: AutoModelForCausalLM
load_in_4bit: true
adapter: qlora
lora_r: 20
lora_alpha: 16
lora_dropout: 0.1
lora_target_modules: [q_proj, v_proj]
lora_target_linear: true
datasets:
  - path: data/low.jsonl
    type: completion
    field: text
sequence_len: 4096
sample_packing: true
num_epochs: 2
micro_batch_size: 1
gradient_accumulation_steps: 4
learning_rate: 0.0001
lr_scheduler: constant
optimizer: adamw_bnb_8bit
output_dir: ./out/low
val_set_size: 0.02
"""


def seeds() -> Iterator[Input]:
    """A config, axolotl's, a story, and conversations of others."""
    yield Input("finetune.toml", _CONFIG.encode())
    yield Input("axolotl.yml", _AXOLOTL.encode())
    for path in sorted((STORIES / "low").glob("*.txt"))[:2]:
        yield Input("data.txt", path.read_bytes())
    for each in chats():
        if each.name.startswith("chat"):
            yield Input(each.name.replace("chat", "data"), each.content)


def play(world: World, path: Path) -> None:
    """Make a folder to train in of it, and go through the doors before a training."""
    mine = world.home / "mine"
    if path.stem == "axolotl":
        if world.door("finetune", "import-axolotl", path, "--to", mine / "finetune.toml").code:
            return
    else:
        (mine / "data").mkdir(parents=True)
        if path.stem == "data":
            shutil.copy(path, mine / "data" / path.name)
            (mine / "finetune.toml").write_text(_PLAIN, encoding="utf-8")
        else:
            shutil.copy(path, mine / "finetune.toml")
            shutil.copy(sorted((STORIES / "low").glob("*.txt"))[0], mine / "data" / "a.txt")
    world.door("finetune", "check", mine)
    world.door("finetune", "check", mine, "--json", "--show", "1")
    world.door("finetune", "check", mine, "--repair", world.out / "mended")
    world.door("finetune", "stats", mine)
    world.door("finetune", "export-axolotl", mine, "--to", world.out / "axolotl")

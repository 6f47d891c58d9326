"""`shoritui finetune`: conversations to an adapter."""

from typing import Final

DESCRIPTION: Final = """\
Train an adapter on folders of conversations, tier by tier, as
ShoriRP's model card describes: QLoRA on a frozen base. `init` writes a config
and folders to start with. What has not changed since the last run is not
trained again, and an interrupted run continues where it stopped.
"""

COMMANDS: Final = {
    "run": "train what has changed (the default)",
    "init": "write a commented config, and folders for the data",
    "plan": "show what a run would train, and the memory and time it needs",
    "stats": "count the conversations, messages and tokens of each tier",
    "check": "find faults in the data, and score each conversation",
    "export": "write an adapter or a merged model for chat",
    "bench": "compare the training step with transformers and PEFT",
    "import-axolotl": "make a config from axolotl's YAML files",
    "export-axolotl": "write a config as axolotl's YAML files",
}

EXAMPLES: Final = """\
examples:
  shoritui finetune --demo                train the model that ships, on the CPU
  shoritui finetune init mine             set up your own in the folder mine
  shoritui finetune plan mine/finetune.toml --cap-gib 24
  shoritui finetune mine/finetune.toml    train; Ctrl+C saves and stops
  shoritui finetune export mine/finetune.toml --to noir.gguf
  shoritui help training                  read the guide's page about training
"""

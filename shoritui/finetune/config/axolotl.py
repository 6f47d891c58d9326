"""What axolotl calls the settings, and what it takes where one is not given.

It does not know files. The names are those of axolotl's own schema and trainer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from shoritui.finetune.config.fields import TableName
from shoritui.finetune.config.model import Data, Optimizer, Schedule

Yaml = Mapping[str, Any]

ALL_LEARNT: Final = Data().learn
NO_WARMUP: Final = 1e-9
"""A `warmup_ratio` that gives no step: axolotl takes 3 % of the steps where it is 0 or unset."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A setting that means the same in both."""

    theirs: str
    table: TableName
    ours: str
    unset: object
    """What axolotl takes if it is not given."""


PAIRS: Final = (
    Pair("lora_r", "lora", "r", 8),
    Pair("lora_alpha", "lora", "alpha", 8),
    Pair("lora_dropout", "lora", "dropout", 0.0),
    Pair("peft_use_rslora", "lora", "rslora", False),
    Pair("loraplus_lr_ratio", "lora", "plus", 1.0),
    Pair("revision_of_model", "base", "revision", ""),
    Pair("learning_rate", "train", "learning_rate", None),
    Pair("num_epochs", "train", "epochs", 1),
    Pair("sequence_len", "train", "sequence_len", 512),
    Pair("sample_packing", "train", "packing", False),
    Pair("gradient_accumulation_steps", "train", "accumulation", 1),
    Pair("micro_batch_size", "train", "micro_batch", 1),
    Pair("weight_decay", "train", "weight_decay", 0.0),
    Pair("adam_beta1", "train", "beta1", 0.9),
    Pair("adam_beta2", "train", "beta2", 0.999),
    Pair("adam_epsilon", "train", "epsilon", 1e-8),
    Pair("max_grad_norm", "train", "max_grad_norm", 1.0),
    Pair("tf32", "train", "tf32", False),
    Pair("neftune_noise_alpha", "train", "neftune", 0.0),
    Pair("seed", "train", "seed", 42),
    Pair("val_set_size", "data", "evaluation", 0.0),
    Pair("eval_steps", "watch", "evaluate_every", 0),
    Pair("save_steps", "watch", "save_every", 10),
)

OPTIMIZERS: Final[dict[str, Optimizer]] = {
    "adamw_bnb_8bit": "adamw8bit",
    "adamw_8bit": "adamw8bit",
    "paged_adamw_8bit": "adamw8bit",
    "adamw_torch": "adamw",
    "adamw_torch_fused": "adamw",
    "adamw_hf": "adamw",
    "adamw_bnb_32bit": "adamw",
    "paged_adamw_32bit": "adamw",
}
"""The first of each is what is written for ours."""
SCHEDULES: Final[dict[str, Schedule]] = {
    "constant": "constant",
    "constant_with_warmup": "constant",
    "linear": "linear",
    "cosine": "cosine",
}
UNSET_OPTIMIZER: Final = "adamw_torch_fused"
UNSET_SCHEDULE: Final = "cosine"

READ_APART: Final = frozenset(
    {
        *("base_model", "load_in_4bit", "adapter", "bnb_config_kwargs"),
        *("lora_target_linear", "lora_target_modules", "lora_model_dir"),
        *("optimizer", "lr_scheduler", "warmup_steps", "warmup_ratio"),
        *("bf16", "fp16", "float32", "bfloat16", "train_on_inputs", "datasets", "output_dir"),
    }
)
"""Keys that no pair holds, and that are understood all the same."""

_MEMORY: Final = "how memory is saved is chosen by the plan here, and changes no result"
_ATTENTION: Final = "attention is always document by document here"
_LOGS: Final = "figures are always kept here, and go to the boards that are installed"
_TOKENS: Final = "the base's own tokenizer is always taken"
_PADDING: Final = "packs are never padded here"

REASONS: Final[dict[str, str]] = {
    **dict.fromkeys(
        ("gradient_checkpointing", "gradient_checkpointing_kwargs", "activation_offloading"),
        _MEMORY,
    ),
    **dict.fromkeys(
        ("flash_attention", "sdp_attention", "xformers_attention", "flex_attention"), _ATTENTION
    ),
    **dict.fromkeys(("sdpa_varlen", "attn_implementation", "eager_attention"), _ATTENTION),
    **dict.fromkeys(("logging_steps", "use_tensorboard", "use_wandb", "wandb_project"), _LOGS),
    **dict.fromkeys(("wandb_entity", "wandb_watch", "wandb_name", "wandb_log_model"), _LOGS),
    **dict.fromkeys(("tokenizer_type", "tokenizer_config", "special_tokens", "tokens"), _TOKENS),
    **dict.fromkeys(("model_type", "is_mistral_derived_model", "trust_remote_code"), _TOKENS),
    **dict.fromkeys(("pad_to_sequence_len", "eval_sample_packing"), _PADDING),
    "eval_batch_size": "evaluation reads one pack at a time here; its loss is the same",
    "load_in_8bit": "the base is held in 4 bits or as it is",
    "group_by_length": "the order of packs is drawn from the seed",
    "dataset_prepared_path": "what was tokenised is remembered here by content, in the cache",
    "save_total_limit": "one state to go on from is kept for each tier",
    "saves_per_epoch": "say after how many steps to save, as save_every of [watch]",
    "evals_per_epoch": "say after how many steps to evaluate, as evaluate_every of [watch]",
    "chat_template": "conversations are BlockML, which has no template",
    "max_steps": "a tier always trains whole epochs",
    "deepspeed": "several GPUs are used through torchrun",
    "fsdp": "several GPUs are used through torchrun; see sharding of [watch]",
    "fsdp_config": "several GPUs are used through torchrun; see sharding of [watch]",
    "strict": "every key is always checked here",
    "resume_from_checkpoint": "an interrupted run always goes on from its last saved step",
    "auto_resume_from_checkpoints": "an interrupted run always goes on from its last saved step",
    "lora_modules_to_save": "only linear layers are trained; BlockML needs no new tokens",
    "peft_use_dora": "DoRA is not known here",
    "test_datasets": "what is held out is a share of the data, as evaluation of [data]",
}

"""axolotl's keys: those that mean the same here, those that cannot, and why."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from shoritui.finetune.config.fields import TableName
from shoritui.finetune.config.model import Optimizer, Schedule


@dataclass(frozen=True, slots=True)
class Pair:
    """A setting that means the same in both."""

    theirs: str
    table: TableName
    ours: str
    unset: object
    """What axolotl takes if it is not given; None if it must be."""


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
    Pair("rl_beta", "preference", "beta", 0.1),
    Pair("dpo_label_smoothing", "preference", "label_smoothing", 0.0),
    Pair("dpo_norm_loss", "preference", "length_normalised", False),
    Pair("eval_steps", "watch", "evaluate_every", 0),
    Pair("save_steps", "watch", "save_every", 10),
)
PAIRED: Final = {pair.theirs: pair for pair in PAIRS}
FORMER_NAMES: Final = {"noisy_embedding_alpha": "neftune_noise_alpha"}
"""What axolotl called a key before, and still takes."""

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
PLAIN: Final = re.compile(r"[\w.-]+")
"""The name of a layer or the end of it, and no regular expression."""
BUILDERS: Final = {"json", "text", "csv", "parquet", "arrow"}
"""A dataset's path may be one of these kinds, and its data_files say where it is."""

READ_APART: Final = frozenset(
    {
        *("base_model", "load_in_4bit", "adapter", "bnb_config_kwargs"),
        *("lora_target_linear", "lora_target_modules", "lora_model_dir"),
        *("optimizer", "lr_scheduler", "warmup_steps", "warmup_ratio", "batch_size"),
        *("bf16", "fp16", "bfloat16", "float16", "float32"),
        *("rl", "train_on_inputs", "datasets", "output_dir", "excess_length_strategy", "plugins"),
        *FORMER_NAMES,
    }
)
"""Keys that no pair holds, and that are understood all the same."""

_REWARD: Final = "a model that judges is trained by it"
_LISA: Final = "LISA trains layers of the model itself"
_RELORA: Final = "ReLoRA merges adapters into the model while it trains"
_DISTILLED: Final = "distillation learns from another model's probabilities"
_OTHER_LOSS: Final = "it learns by another loss"
REFUSED: Final[dict[str, str]] = {
    "reward_model": _REWARD,
    "process_reward_model": _REWARD,
    "num_labels": _REWARD,
    **dict.fromkeys(("lisa_n_layers", "lisa_step_interval", "lisa_layers_attribute"), _LISA),
    "unfrozen_parameters": "parts of the model itself are trained by it",
    "pretraining_dataset": "pretraining reads raw text without an end",
    **dict.fromkeys(("relora", "relora_steps", "jagged_restart_steps"), _RELORA),
    **dict.fromkeys(("kd_trainer", "kd_ce_alpha", "kd_alpha"), _DISTILLED),
    **dict.fromkeys(("use_eaft", "ebft", "diffusion", "orpo_alpha", "rpo_alpha"), _OTHER_LOSS),
    "dpo_use_weighting": _OTHER_LOSS,
    "trainer_cls": "a trainer of its own is asked for",
    "use_pose": "PoSE trains at positions that are skipped",
    "qat": "weights are rounded while they are trained",
    "gptq": "a base that is quantised by GPTQ cannot be read here",
}
"""Another kind of training than a LoRA adapter's on text: what would be made is something else."""
REFUSED_PLUGINS: Final = {
    "kd": _DISTILLED,
    "diffusion": _OTHER_LOSS,
    "nemo_gym": "preferences and rewards are learnt by it",
    "grokfast": "gradients are filtered by it",
}
"""By the part of the plugin's path after `integrations`."""
QUIET_PLUGINS: Final = {"cut_cross_entropy", "liger", "lm_eval", "swanlab"}
"""They save memory or time, or measure, and change no result."""

_MEMORY: Final = "how memory is saved is chosen by the plan here, and changes no result"
_SPEED: Final = "how it is computed is chosen here, and changes no result"
_ATTENTION: Final = "attention is always document by document here"
_LOGS: Final = "figures are always kept here, and go to the boards that are installed"
_TOKENS: Final = "the base's own tokenizer is always taken"
_NO_NEW_TOKENS: Final = "no token is added to the vocabulary here"
_TEMPLATE: Final = "conversations are BlockML, which has no template"
_PADDING: Final = "packs are never padded here"
_GPUS: Final = "several GPUs are used through torchrun; see sharding of [watch]"
_RESUMED: Final = "an interrupted run always goes on from its last saved step"
_WHOLE_BASE: Final = "the base is taken as its own config says"
_CACHED: Final = "what was tokenised is remembered here by content, in the cache"
_LIST_SHUFFLED: Final = "the order of packs is drawn from the seed"
_PER_EPOCH: Final = "say after how many steps, as {} of [watch]"
_SAVES: Final = _PER_EPOCH.format("save_every")
_EVALUATIONS: Final = _PER_EPOCH.format("evaluate_every")
_ALL_LAYERS: Final = "every layer that is targeted gets it here; a pattern in targets can say fewer"

_REASONS: Final[dict[str, str]] = {
    **dict.fromkeys(
        (
            *("gradient_checkpointing", "gradient_checkpointing_kwargs", "activation_offloading"),
            *("selective_checkpointing", "layer_offloading", "low_cpu_mem_usage", "lora_on_cpu"),
            *("max_memory", "gpu_memory_limit", "gc_steps", "torch_empty_cache_steps"),
        ),
        _MEMORY,
    ),
    **dict.fromkeys(
        (
            *("flash_attention", "sdp_attention", "xformers_attention", "flex_attention"),
            *("sdpa_varlen", "attn_implementation", "eager_attention", "sage_attention"),
        ),
        _ATTENTION,
    ),
    **dict.fromkeys(
        (
            *("lora_mlp_kernel", "lora_qkv_kernel", "lora_o_kernel", "lora_embedding_kernel"),
            *("torch_compile", "torch_compile_backend", "torch_compile_mode", "cut_cross_entropy"),
            *("chunked_cross_entropy", "tiled_mlp", "use_kernels", "flash_attn_cross_entropy"),
            *("flash_attn_rms_norm", "flash_attn_fuse_mlp", "flash_attn_fuse_qkv"),
            *("dataloader_num_workers", "dataloader_pin_memory", "dataloader_prefetch_factor"),
            *("dataset_processes", "dataset_num_proc", "sample_packing_bin_size"),
            *("sample_packing_group_size", "sample_packing_eff_est", "total_num_tokens"),
            *("dpo_padding_free", "dpo_use_logits_to_keep", "dpo_use_liger_kernel"),
            *("precompute_ref_log_probs", "dpo_generate_during_eval"),
        ),
        _SPEED,
    ),
    **dict.fromkeys(("logging_steps", "use_tensorboard", "include_tokens_per_second"), _LOGS),
    **dict.fromkeys(
        (
            *("tokenizer_type", "tokenizer_config", "special_tokens", "tokenizer_use_fast"),
            *("tokenizer_legacy", "trust_remote_code", "tokenizer_use_mistral_common"),
        ),
        _TOKENS,
    ),
    **dict.fromkeys(
        (
            *("tokens", "added_tokens_overrides", "resize_token_embeddings_to_32x"),
            *("fix_untrained_tokens", "shrink_embeddings"),
        ),
        _NO_NEW_TOKENS,
    ),
    **dict.fromkeys(
        (
            *("model_type", "type_of_model", "base_model_config", "is_mistral_derived_model"),
            *("is_llama_derived_model", "is_falcon_derived_model", "is_qwen_derived_model"),
            *("rope_scaling", "overrides_of_model_config", "overrides_of_model_kwargs"),
        ),
        _WHOLE_BASE,
    ),
    **dict.fromkeys(
        (
            *("chat_template", "chat_template_jinja", "default_system_message", "eot_tokens"),
            "chat_template_kwargs",
        ),
        _TEMPLATE,
    ),
    **dict.fromkeys(("pad_to_sequence_len", "eval_sample_packing", "pad_to_multiple_of"), _PADDING),
    **dict.fromkeys(("dataset_prepared_path", "skip_prepare_dataset"), _CACHED),
    **dict.fromkeys(("group_by_length", "shuffle_merged_datasets"), _LIST_SHUFFLED),
    **dict.fromkeys(("saves_per_epoch", "save_strategy"), _SAVES),
    **dict.fromkeys(("evals_per_epoch", "eval_strategy", "evaluation_strategy"), _EVALUATIONS),
    **dict.fromkeys(("deepspeed", "fsdp", "fsdp_config", "fsdp_version"), _GPUS),
    **dict.fromkeys(("ddp", "ddp_timeout", "ddp_find_unused_parameters", "local_rank"), _GPUS),
    **dict.fromkeys(("resume_from_checkpoint", "auto_resume_from_checkpoints"), _RESUMED),
    **dict.fromkeys(
        ("peft_layers_to_transform", "lora_layers_to_transform", "peft_layers_pattern"),
        _ALL_LAYERS,
    ),
    "rl_adapter_ref_model": "the reference is what the tier goes on from; it takes no memory",
    "eval_batch_size": "evaluation reads one pack at a time here; its loss is the same",
    "load_in_8bit": "the base is held in 4 bits or as it is",
    "save_total_limit": "one state to go on from is kept for each tier",
    "max_steps": "a tier always trains whole epochs",
    "strict": "every key is always checked here",
    "lora_modules_to_save": "only linear layers are trained; BlockML needs no new tokens",
    "lora_fan_in_fan_out": "layers are read as they are saved",
    "peft_use_dora": "DoRA is not known here",
    "peft_init_lora_weights": "A begins at random and B at 0, as PEFT has it by itself",
    "early_stopping_patience": "a tier always trains whole epochs; keep of [train] can be best",
    "load_best_model_at_end": "say so as keep of [train]",
    "cosine_min_lr_ratio": "the cosine falls to 0 here",
    "cosine_constant_lr_ratio": "the cosine falls to 0 here",
    "test_datasets": "what is held out is a part of the data, as evaluation of [data]",
}
_FAMILIES: Final = {
    **dict.fromkeys(("wandb_", "use_wandb", "mlflow_", "use_mlflow", "comet_", "use_comet"), _LOGS),
    "liger_": _SPEED,
    "hub_": "nothing is ever sent from here",
}
"""By what a key begins with."""


def reason(key: str) -> str:
    """Return why a key has no counterpart, or empty."""
    families = (text for start, text in _FAMILIES.items() if key.startswith(start))
    return _REASONS.get(key) or next(families, "")

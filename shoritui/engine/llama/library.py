"""The llama.cpp library: loading it, checking that it fits, its log, its version, its GPUs.

Importing it takes its time and may end the process on a broken installation: only the worker
imports it.
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.metadata
import importlib.util
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from shoritui.errors import UserError
from shoritui.host.amx import without_amx

ERROR_LEVEL: Final = 4
"""llama.cpp's log level of an error."""
_GPU_KINDS: Final = (1, 2)
"""ggml's device types of a GPU with its own memory and of one inside the processor.

Where there are both, llama.cpp takes the first kind alone.
"""


def _preload_cuda() -> None:
    """CUDA builds look for the CUDA runtime where pip's nvidia wheels don't put it."""
    spec = importlib.util.find_spec("nvidia")
    for folder in spec.submodule_search_locations or () if spec else ():
        for name in ("libcudart.so.*", "libcublasLt.so.*", "libcublas.so.*"):
            for library in sorted(Path(folder).glob(f"*/lib/{name}")):
                with suppress(OSError):
                    ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)


def _load_library() -> Any:
    _preload_cuda()
    try:
        return without_amx(importlib.import_module("llama_cpp.llama_cpp"))
    except (ImportError, OSError, RuntimeError, AttributeError) as error:
        raise UserError(
            f"llama-cpp-python cannot be loaded ({error}): install it again, "
            "with CUDA also nvidia-cuda-runtime and nvidia-cublas for its version."
        ) from error


L: Final = _load_library()

_ARGUMENTS: Final = {
    "llama_adapter_lora_init": 2,
    "llama_backend_init": 0,
    "llama_batch_free": 1,
    "llama_batch_init": 3,
    "llama_context_default_params": 0,
    "llama_decode": 2,
    "llama_free": 1,
    "llama_ftype_name": 1,
    "llama_get_logits_ith": 2,
    "llama_get_memory": 1,
    "llama_init_from_model": 2,
    "llama_log_set": 2,
    "llama_memory_can_shift": 1,
    "llama_memory_seq_add": 5,
    "llama_memory_seq_cp": 5,
    "llama_memory_seq_pos_max": 2,
    "llama_memory_seq_rm": 4,
    "llama_model_default_params": 0,
    "llama_model_free": 1,
    "llama_model_get_vocab": 1,
    "llama_model_is_hybrid": 1,
    "llama_model_is_recurrent": 1,
    "llama_model_load_from_file": 2,
    "llama_model_meta_val_str": 4,
    "llama_model_n_params": 1,
    "llama_model_size": 1,
    "llama_n_ctx": 1,
    "llama_print_system_info": 0,
    "llama_sampler_accept": 2,
    "llama_sampler_apply": 2,
    "llama_sampler_chain_add": 2,
    "llama_sampler_chain_default_params": 0,
    "llama_sampler_chain_init": 1,
    "llama_sampler_chain_n": 1,
    "llama_sampler_chain_remove": 2,
    "llama_sampler_clone": 1,
    "llama_sampler_free": 1,
    "llama_sampler_init_dist": 1,
    "llama_sampler_init_dry": 7,
    "llama_sampler_init_greedy": 0,
    "llama_sampler_init_logit_bias": 3,
    "llama_sampler_init_min_p": 2,
    "llama_sampler_init_penalties": 5,
    "llama_sampler_init_temp": 1,
    "llama_sampler_init_temp_ext": 3,
    "llama_sampler_init_top_k": 1,
    "llama_sampler_init_top_n_sigma": 1,
    "llama_sampler_init_top_p": 2,
    "llama_sampler_init_typical": 2,
    "llama_sampler_init_xtc": 4,
    "llama_sampler_sample": 3,
    "llama_set_abort_callback": 3,
    "llama_set_adapters_lora": 4,
    "llama_set_n_threads": 3,
    "llama_state_seq_get_data": 4,
    "llama_state_seq_get_size": 2,
    "llama_state_seq_set_data": 4,
    "llama_synchronize": 1,
    "llama_token_to_piece": 6,
    "llama_tokenize": 7,
    "llama_version": 0,
    "llama_vocab_bos": 1,
    "llama_vocab_get_add_bos": 1,
    "llama_vocab_is_eog": 2,
    "llama_vocab_n_tokens": 1,
}
_FIELDS: Final = {
    "llama_model_params": {"n_gpu_layers", "progress_callback", "kv_overrides", "vocab_only"},
    "llama_context_params": {
        "n_ctx",
        "n_batch",
        "n_ubatch",
        "n_seq_max",
        "n_threads",
        "n_threads_batch",
        "type_k",
        "type_v",
        "kv_unified",
    },
    "llama_logit_bias": {"token", "bias"},
    "llama_batch": {"n_tokens", "token", "pos", "n_seq_id", "seq_id", "logits"},
    "llama_model_kv_override": {"tag", "key", "value"},
    "llama_token_data": {"id", "logit", "p"},
    "llama_token_data_array": {"data", "size", "selected", "sorted"},
}


def self_test() -> None:
    """Check that the library is the one that this module was written for, else `UserError`.

    A struct or a signature that moved would not fail: it would read and write the wrong memory.
    """
    wrong = [
        name
        for name, count in _ARGUMENTS.items()
        if len(getattr(getattr(L, name, None), "argtypes", None) or ()) != count
        or not hasattr(L, name)
    ]
    wrong += [
        name
        for name, names in _FIELDS.items()
        if not names <= {field[0] for field in getattr(getattr(L, name, None), "_fields_", ())}
    ]
    if not wrong:
        model, context = L.llama_model_default_params(), L.llama_context_default_params()
        if (model.n_gpu_layers, model.vocab_only) != (-1, False):
            wrong.append("llama_model_params")
        if (context.n_batch, context.n_ubatch, context.flash_attn_type) != (2048, 512, -1):
            wrong.append("llama_context_params")
    if wrong:
        raise UserError(
            f"llama-cpp-python {package_version()} does not fit ({', '.join(wrong[:3])}): "
            'install "llama-cpp-python>=0.3.36,<0.4".'
        )


def package_version() -> str:
    """The version of llama-cpp-python."""
    return importlib.metadata.version("llama-cpp-python")


def library_version() -> str:
    """The version of llama.cpp."""
    return text(L.llama_version())


def system_info() -> str:
    """llama.cpp's line about the processor features it was built for."""
    return text(L.llama_print_system_info()).strip()


def start(log: Callable[[int, str], None]) -> None:
    """Initialise the library; its log lines go to `log(level, text)` from now on."""
    global _log_callback
    _log_callback = L.llama_log_callback(lambda level, line, _: log(level, text(line)))
    L.llama_log_set(_log_callback, None)
    L.llama_backend_init()


_log_callback: Any = None  # C calls it at any time: it must live as long as the process


@dataclass(frozen=True, slots=True)
class Device:
    """A device that llama.cpp found; memory in bytes."""

    name: str
    free: int
    total: int


def gpus() -> list[Device]:
    """The GPUs that layers can be offloaded to; none in a CPU build."""
    found = devices()
    for wanted in _GPU_KINDS:
        if of_this_kind := [device for kind, device in found if kind == wanted]:
            return of_this_kind
    return []


def devices() -> list[tuple[int, Device]]:
    """Everything that llama.cpp can compute on, with its kind: 0 is a CPU, 1 and 2 are GPUs."""
    ggml = importlib.import_module("llama_cpp._ggml").libggml  # the rest of it binds no devices
    ggml.ggml_backend_dev_count.restype = ctypes.c_size_t
    ggml.ggml_backend_dev_get.restype = ctypes.c_void_p
    ggml.ggml_backend_dev_description.restype = ctypes.c_char_p
    found = []
    for index in range(ggml.ggml_backend_dev_count()):
        device = ctypes.c_void_p(ggml.ggml_backend_dev_get(ctypes.c_size_t(index)))
        free, total = ctypes.c_size_t(), ctypes.c_size_t()
        ggml.ggml_backend_dev_memory(device, ctypes.byref(free), ctypes.byref(total))
        name = text(ggml.ggml_backend_dev_description(device))
        found.append((ggml.ggml_backend_dev_type(device), Device(name, free.value, total.value)))
    return found


def text(value: bytes) -> str:
    """A string of the library."""
    return value.decode("utf-8", "replace")

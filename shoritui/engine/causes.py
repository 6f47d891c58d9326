"""What probably ended a worker, from its exit status and the end of its log, and what helps.

It does not know processes; each answer is the end of a sentence, without its full stop.
"""

from __future__ import annotations

import re
import signal
from typing import Final

_LONGEST: Final = 160

_LESS_ON_GPU: Final = 'set a smaller n_ctx, kv_type = "q8_0" or fewer n_gpu_layers'
_LESS: Final = 'set a smaller n_ctx or kv_type = "q8_0", or take a smaller model'
_ON_CPU: Final = "n_gpu_layers = 0 does without the GPU"
_NEWER: Final = (
    f"update the driver, or install a llama-cpp-python built for an older CUDA; {_ON_CPU}"
)

_HARMLESS: Final = re.compile(r"pinned memory", re.IGNORECASE)
"""llama.cpp goes on with ordinary memory."""

_CAUSES: Final = tuple(
    (re.compile(pattern, re.IGNORECASE), cause)
    for pattern, cause in (
        (
            r"driver version is insufficient|forward compatibility was attempted"
            r"|unsupported toolchain|unsupported PTX",
            f"the GPU's driver is too old for this build; {_NEWER}",
        ),
        (
            r"no kernel image is available|kernel image is invalid|invalid device function",
            "this build of llama-cpp-python has no code for your GPU; "
            f"install one that was made for it; {_ON_CPU}",
        ),
        (
            r"lib(cudart|cublas|cublasLt|cuda|nvrtc|hipblas|rocblas|amdhip64|vulkan)\S*: "
            r"cannot open|(cudart|cublas|nvcuda|vulkan-1)\S*\.dll",
            "a library of the GPU is missing; install nvidia-cuda-runtime and nvidia-cublas for "
            "its version, or a llama-cpp-python without GPU support",
        ),
        (
            r"(cuda|rocm|hip|musa) error: out of memory|(cuda|hip|musa)malloc\w* failed"
            r"|(cublas|rocblas)_status_(alloc_failed|not_initialized)"
            r"|failed to allocate (cuda|rocm|vulkan|metal|mtl|sycl)\w* (buffer|compute)"
            r"|(kv buffer|unable to allocate) (cuda|rocm|vulkan|metal|mtl|sycl)\w* buffer"
            r"|ErrorOutOfDeviceMemory|VK_ERROR_OUT_OF_DEVICE_MEMORY|vk::OutOfDeviceMemory"
            r"|ggml_vulkan: device memory allocation|requested buffer size exceeds"
            r"|CallbackErrorOutOfMemory|ggml_metal\w*: .*(failed to allocate|out of memory)",
            f"the GPU's memory ran out; {_LESS_ON_GPU}",
        ),
        (
            r"out of memory|failed to allocate|insufficient memory|bad_alloc|bad_array_new_length"
            r"|cannot allocate memory|\bMemoryError\b|ErrorOutOfHostMemory|std::length_error",
            f"memory ran out; {_LESS}",
        ),
        (
            r"DeviceLost|VK_ERROR_DEVICE_LOST|(cuda|rocm|hip|musa) error: "
            r"|ggml_metal\w*: .*command buffer \d+ failed|CUBLAS_STATUS|unspecified launch failure",
            f"the GPU failed ({{line}}); update its driver, or set fewer n_gpu_layers; {_ON_CPU}",
        ),
        (
            r"gguf_init\w*: |invalid magic|tensor data is not within|wrong number of tensors"
            r"|missing tensor|unknown model architecture|error loading model",
            "the model file cannot be read ({line}); fetch it again, "
            "or take a newer llama-cpp-python",
        ),
        (
            r"(gguf|unicode|llama-(model|vocab|hparams|arch|mmap)\S*)\.\w+:\d+: .*"
            r"(GGML_ASSERT|GGML_ABORT|fatal error)",
            "the model file seems damaged ({line}); fetch it again",
        ),
        (
            r"GGML_ASSERT|GGML_ABORT|fatal error",
            f"llama.cpp gave up ({{line}}); if it happens again, {_LESS_ON_GPU}",
        ),
        (r"llama_decode returned -?\d+", f"llama.cpp could not go on ({{line}}); {_LESS_ON_GPU}"),
    )
)

_REINSTALL: Final = (
    "llama-cpp-python is built for another processor; "
    "install it from source with --no-binary llama-cpp-python"
)
_CRASHED: Final = f"llama.cpp crashed ({{name}}); if it happens again, {_LESS_ON_GPU}"
_SIGNALS: Final = {
    "SIGILL": _REINSTALL,
    "SIGKILL": f"it was killed from outside, perhaps because memory ran out; {_LESS}",
    "SIGTERM": "it was ended from outside",
    "SIGINT": "it was ended from outside",
    "SIGBUS": "the model file or the disk could not be read, or memory ran out; "
    "see that nothing writes to the file and that the disk is not full",
}
_WINDOWS: Final = {
    0xC0000005: _CRASHED.format(name="access violation"),
    0xC000001D: _REINSTALL,
    0xC0000135: "a library that llama.cpp needs is missing; install llama-cpp-python again",
    0xC0000409: _CRASHED.format(name="it ended itself"),
    0xC00000FD: _CRASHED.format(name="stack overflow"),
}


def likely_cause(status: int, log: str) -> str:
    """What probably ended a worker and what to do, from its exit status and its log's end."""
    lines = [line for line in map(_plain, log.splitlines()) if line]
    telling = [line for line in lines if not _HARMLESS.search(line)]
    for pattern, cause in _CAUSES if status else ():
        for line in reversed(telling):
            if pattern.search(line):
                return cause.format(line=_short(line))
    if status < 0:
        return _signal(-status)
    if known := _WINDOWS.get(status & 0xFFFFFFFF):
        return known
    return _short(lines[-1]) if status and lines else f"exit status {status}"


def _signal(number: int) -> str:
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = f"signal {number}"
    return _SIGNALS.get(name, _CRASHED.format(name=name))


def _plain(line: str) -> str:
    """A log's line without what a terminal would take for a command."""
    return "".join(c if c.isprintable() else " " for c in line).strip()


def _short(line: str) -> str:
    """The line without folders, and no longer than a reader bears."""
    line = re.sub(r"(?:[A-Za-z]:)?(?:[\\/][^\\/\s:()]+)*[\\/](?=[^\\/\s]+:\d+)", "", line)
    return (line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…").rstrip(". ")

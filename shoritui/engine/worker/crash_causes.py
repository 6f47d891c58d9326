"""What probably ended a worker, and what helps: llama.cpp's own words, signals, Windows' codes."""

from __future__ import annotations

from typing import Final

from shoritui.host.crash_causes import Causes

_LESS_ON_GPU: Final = 'set a smaller n_ctx, kv_type = "q8_0" or fewer n_gpu_layers'
_LESS: Final = 'set a smaller n_ctx or kv_type = "q8_0", or take a smaller model'
_ON_CPU: Final = "n_gpu_layers = 0 does without the GPU"
_NEWER: Final = (
    f"update the driver, or install a llama-cpp-python built for an older CUDA; {_ON_CPU}"
)

_HARMLESS: Final = "pinned memory"
"""llama.cpp goes on with ordinary memory."""

_PATTERNS: Final = (
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
        "the model file cannot be read ({line}); fetch it again, or take a newer llama-cpp-python",
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

likely_cause: Final = Causes(
    _PATTERNS, _SIGNALS, _CRASHED, windows=_WINDOWS, harmless=_HARMLESS
).of_exit
"""What probably ended a worker and what to do, from its status and its log's end."""

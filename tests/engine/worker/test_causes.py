"""Why a worker ended, in one sentence with what to do, from logs as llama.cpp writes them."""

from __future__ import annotations

import signal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoritui.engine.worker.crash_causes import likely_cause

ABRT, KILL, SEGV, ILL, BUS = (
    -getattr(signal, name, 0) for name in ("SIGABRT", "SIGKILL", "SIGSEGV", "SIGILL", "SIGBUS")
)
GPU_MEMORY = (
    'the GPU\'s memory ran out; set a smaller n_ctx, kv_type = "q8_0" or fewer n_gpu_layers'
)
MEMORY = 'memory ran out; set a smaller n_ctx or kv_type = "q8_0", or take a smaller model'

CUDA_LOAD = """\
load_tensors: loading model tensors, this can take a while... (mmap = true, direct_io = false)
ggml_backend_cuda_buffer_type_alloc_buffer: allocating 144817.04 MiB on device 0: \
cudaMalloc failed: out of memory
alloc_tensor_range: failed to allocate CUDA0 buffer of size 151851674624
llama_model_load: error loading model: unable to allocate CUDA0 buffer
"""
CUDA_COMPUTE = """\
ggml_gallocr_reserve_n: failed to allocate CUDA1 buffer of size 10345253120
llama_kv_cache_update_impl: failed to allocate compute buffers
/home/me/llama.cpp/ggml/src/ggml-backend.cpp:1484: GGML_ASSERT(n_inputs < 10) failed
"""
CUDA_POOL = """\
ggml_cuda_compute_forward: MUL_MAT failed
CUDA error: out of memory
  current device: 0, in function alloc at /src/ggml/src/ggml-cuda/ggml-cuda.cu:233
  cuMemCreate(&handle, reserve_size, &prop, 0)
/src/ggml/src/ggml-cuda/ggml-cuda.cu:96: CUDA error
"""
ROCM = "ROCm error: out of memory\n  current device: 0, in function alloc at ggml-cuda.cu:450\n"
VULKAN = """\
ggml_vulkan: Device memory allocation of size 118497280 failed.
ggml_vulkan: vk::Device::allocateMemory: ErrorOutOfDeviceMemory
double free or corruption (out)
"""
VULKAN_LOST = """\
terminate called after throwing an instance of 'vk::DeviceLostError'
  what():  vk::Device::waitForFences: ErrorDeviceLost
"""
METAL = """\
ggml_metal_synchronize: error: command buffer 0 failed with status 5
/Users/me/llama.cpp/ggml/src/ggml-metal/ggml-metal-context.m:235: fatal error
error: Insufficient Memory (00000008:kIOGPUCommandBufferCallbackErrorOutOfMemory)
"""
HOST = """\
ggml_backend_cpu_buffer_type_alloc_buffer: failed to allocate buffer of size 137438953504
llama_kv_cache_init: failed to allocate buffer for kv cache
"""
BAD_ALLOC = "terminate called after throwing an instance of 'std::bad_alloc'\n  what(): bad_alloc\n"
ASSERTED = "/src/llama-cpp/vendor/llama.cpp/src/llama-context.cpp:1619: GGML_ASSERT(n > 0) failed\n"
OLD_DRIVER = "ggml_cuda_init: CUDA driver version is insufficient for CUDA runtime version\n"
NO_KERNEL = """\
CUDA error: no kernel image is available for execution on the device
  current device: 0, in function ggml_cuda_compute_forward at ggml-cuda.cu:2338
"""
NO_LIBRARY = "OSError: libcudart.so.12: cannot open shared object file: No such file or directory\n"
ILLEGAL = "CUDA error: an illegal memory access was encountered\n  current device: 0\n"
BROKEN = "gguf_init_from_file_impl: invalid magic characters: 'abcd', expected 'GGUF'\n"
PINNED = (
    "ggml_cuda_host_malloc: failed to allocate 1900.00 MiB of pinned memory: invalid argument\n"
)
DECODE = "Traceback (most recent call last):\nRuntimeError: llama_decode returned -3\n"


@pytest.mark.parametrize(
    ("status", "log", "cause"),
    [
        (ABRT, CUDA_LOAD, GPU_MEMORY),
        (ABRT, CUDA_COMPUTE, GPU_MEMORY),
        (ABRT, CUDA_POOL, GPU_MEMORY),
        (ABRT, ROCM, GPU_MEMORY),
        (ABRT, VULKAN, GPU_MEMORY),
        (ABRT, METAL, GPU_MEMORY),
        (ABRT, "CUBLAS_STATUS_NOT_INITIALIZED\n", GPU_MEMORY),
        (ABRT, HOST, MEMORY),
        (ABRT, BAD_ALLOC, MEMORY),
        (1, "Traceback (most recent call last):\nMemoryError\n", MEMORY),
        (KILL, "", f"it was killed from outside, perhaps because {MEMORY}"),
        (ABRT, VULKAN_LOST, "the GPU failed (what(): vk::Device::waitForFences: ErrorDeviceLost)"),
        (ABRT, ILLEGAL, "the GPU failed (CUDA error: an illegal memory access was encountered); "),
        (ABRT, OLD_DRIVER, "the GPU's driver is too old for this build; update the driver"),
        (ABRT, NO_KERNEL, "this build of llama-cpp-python has no code for your GPU; install"),
        (1, NO_LIBRARY, "a library of the GPU is missing; install nvidia-cuda-runtime"),
        (ABRT, ASSERTED, "llama.cpp gave up (llama-context.cpp:1619: GGML_ASSERT(n > 0) failed);"),
        (ABRT, BROKEN, "the model file cannot be read (gguf_init_from_file_impl: invalid magic"),
        (1, DECODE, "llama.cpp could not go on (RuntimeError: llama_decode returned -3); set a"),
        (
            SEGV,
            "loading\n",
            "llama.cpp crashed (SIGSEGV); if it happens again, set a smaller n_ctx",
        ),
        (SEGV, PINNED, "llama.cpp crashed (SIGSEGV)"),
        (ABRT, "", "llama.cpp crashed (SIGABRT)"),
        (BUS, "", "the model file or the disk could not be read"),
        (ILL, "", "llama-cpp-python is built for another processor; install it from source"),
        (-signal.SIGTERM, "", "it was ended from outside"),
        (-64, "", "llama.cpp crashed ("),
        (0xC0000005, "", "llama.cpp crashed (access violation)"),
        (1, "Traceback\nValueError: 3.\n", "ValueError: 3"),
        (3, "", "exit status 3"),
        (3, "...\n", "exit status 3"),
        (0, HOST, "exit status 0"),
    ],
)
def test_the_end_of_a_worker_has_a_likely_cause_and_a_cure(
    status: int, log: str, cause: str
) -> None:
    assert likely_cause(status, log).startswith(cause)


@given(st.integers(-70, 300), st.text(max_size=300))
def test_whatever_the_log_holds_it_is_one_plain_sentence(status: int, log: str) -> None:
    for text in (log, f"{log} GGML_ASSERT {log}", f"{{line}} CUDA error: {log}"):
        cause = likely_cause(status, text)
        assert cause and cause.isprintable() and len(cause) < 400
        assert not cause.endswith(".")

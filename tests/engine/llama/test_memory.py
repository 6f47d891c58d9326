"""The estimate of memory, and the sentence where it cannot suffice."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoritui.engine.interface import KVType
from shoritui.engine.llama.memory_estimate import (
    GIB,
    GPU_RUNTIME,
    AvailableMemory,
    LoadPlan,
    ModelSizes,
    divides,
    estimate,
    fits,
    largest_context,
    most_gpu_layers,
    need,
    shiftable,
    shortage,
)

MISTRAL_7B = ModelSizes(
    size_bytes=4_370_000_000,
    n_layer=32,
    n_embd=4096,
    kv_heads=32 * 8,
    n_ff=14336,
    n_vocab=32000,
    key_length=128,
    value_length=128,
)
ON_CPU = LoadPlan(n_ctx=16384)
ON_GPU = LoadPlan(n_ctx=16384, gpu_layers=33)


def gpu(gib: float) -> AvailableMemory:
    return AvailableMemory(total=32 * GIB, free=24 * GIB, gpu_free=int(gib * GIB))


@pytest.mark.parametrize(
    ("kv_type", "cells", "gib"),
    [("f16", 16384, 2.0), ("q8_0", 16384, 1.0625), ("q4_0", 16384, 0.5625), ("f16", 32768, 4.0)],
)
def test_mistral_7b_takes_its_cache(kv_type: KVType, cells: int, gib: float) -> None:
    assert estimate(MISTRAL_7B, cells, 512, kv_type).kv_cache == gib * GIB


def test_attention_takes_little_beside_the_weights() -> None:
    flash = estimate(MISTRAL_7B, 16384, 512)
    assert 0.05 * GIB < flash.compute < 0.2 * GIB
    assert flash.total == pytest.approx(6.2 * GIB, rel=0.05)


def test_what_fits_is_not_refused() -> None:
    assert shortage(MISTRAL_7B, ON_CPU, AvailableMemory(total=8 * GIB, free=3 * GIB)) == ""
    assert shortage(MISTRAL_7B, ON_CPU, AvailableMemory(None, None)) == ""
    assert shortage(MISTRAL_7B, ON_GPU, gpu(8)) == ""


def test_what_cannot_fit_is_told_with_its_numbers_and_what_would() -> None:
    assert shortage(MISTRAL_7B, ON_GPU, gpu(6)) == (
        "The model needs about 6.7 GiB on the GPU (weights 4.1 GiB, context 2.0 GiB, "
        'work 644 MiB), but only 6.0 GiB are free there: set kv_type = "q8_0", or n_ctx = 10496, '
        "or n_gpu_layers = 28."
    )
    small = AvailableMemory(total=5 * GIB, free=5 * GIB)
    packed = replace(ON_CPU, kv_type="q8_0")
    assert shortage(MISTRAL_7B, packed, small).endswith(
        " this machine has 5.0 GiB: set n_ctx = 12288."
    )
    busy = AvailableMemory(total=64 * GIB, free=GIB)
    assert "but only 1.0 GiB are free: set n_ctx = " in shortage(MISTRAL_7B, ON_CPU, busy)
    nothing = AvailableMemory(total=2 * GIB, free=GIB)
    assert shortage(MISTRAL_7B, ON_CPU, nothing).endswith(
        ": take a smaller model, or one with fewer bits per weight."
    )


def test_several_changes_are_advised_where_one_is_not_enough() -> None:
    load = replace(ON_CPU, contexts=2)
    assert shortage(MISTRAL_7B, load, AvailableMemory(64 * GIB, int(1.3 * GIB))).endswith(
        'are free: set context_mode = "shift" and kv_type = "q8_0", or n_ctx = 4608.'
    )
    assert shortage(MISTRAL_7B, load, AvailableMemory(64 * GIB, int(0.3 * GIB))).endswith(
        'are free: set context_mode = "shift" and kv_type = "q8_0" and n_ctx = 2816.'
    )


sizes_of_models = st.builds(
    ModelSizes,
    size_bytes=st.integers(0, 100 * GIB),
    n_layer=st.integers(0, 120),
    n_embd=st.integers(1, 16384),
    kv_heads=st.integers(0, 8192),
    n_ff=st.integers(0, 65536),
    n_vocab=st.integers(1, 300_000),
    key_length=st.integers(1, 512),
    value_length=st.integers(1, 512),
)
loads = st.builds(
    LoadPlan,
    n_ctx=st.integers(0, 262_144),
    contexts=st.integers(1, 2),
    n_batch=st.integers(1, 2048),
    kv_type=st.sampled_from(("f16", "q8_0", "q4_0")),
    gpu_layers=st.integers(0, 130),
)
memory = st.none() | st.integers(0, 200 * GIB)
memories = st.builds(AvailableMemory, memory, memory, memory, st.integers(1, 8))


@given(sizes_of_models, loads, memories)
def test_advice_is_given_exactly_where_it_is_needed_and_holds(
    sizes: ModelSizes, load: LoadPlan, memory: AvailableMemory
) -> None:
    sentence = shortage(sizes, load, memory)
    assert (sentence == "") == fits(sizes, load, memory)
    assert "\n" not in sentence and sentence[-1:] in ("", ".")
    n_ctx = largest_context(sizes, load, memory)
    assert 0 <= n_ctx <= load.n_ctx
    assert not n_ctx or fits(sizes, replace(load, n_ctx=n_ctx), memory)
    layers = most_gpu_layers(sizes, load, memory)
    assert not layers or fits(sizes, replace(load, gpu_layers=layers), memory)
    if 'set kv_type = "q8_0"' in sentence:
        assert fits(sizes, replace(load, kv_type="q8_0"), memory)


@given(sizes_of_models, loads)
def test_layers_on_the_gpu_take_nothing_away(sizes: ModelSizes, load: LoadPlan) -> None:
    cpu = need(sizes, replace(load, gpu_layers=0))
    shared = need(sizes, load)
    assert cpu.gpu.total == 0
    assert shared.host.weights + shared.gpu.weights == cpu.host.weights
    assert shared.host.kv_cache + shared.gpu.kv_cache == cpu.host.kv_cache
    assert not load.gpu_layers or shared.gpu.compute >= GPU_RUNTIME


@pytest.mark.parametrize(
    ("head", "kv_type", "stored", "shifted"),
    [
        (128, "q8_0", True, True),
        (64, "q4_0", True, True),
        (96, "q8_0", True, False),
        (32, "q4_0", True, False),
        (80, "q8_0", False, False),
        (80, "f16", True, True),
    ],
)
def test_the_head_size_decides_what_a_quantised_cache_can(
    head: int, kv_type: KVType, stored: bool, shifted: bool
) -> None:
    sizes = replace(MISTRAL_7B, key_length=head, value_length=head)
    assert divides(sizes, kv_type) is stored
    assert shiftable(sizes, kv_type) is shifted


LOGGED = """
import sys
from pathlib import Path
from shoritui.engine.llama import library
from shoritui.engine.llama.library import L
library.start(lambda level, line: sys.stdout.write(line))
model = L.llama_model_load_from_file(sys.argv[1].encode(), L.llama_model_default_params())

def resident():
    status = Path("/proc/self/status").read_text()
    return int(status.partition("RssAnon:")[2].split()[0])

params = L.llama_context_default_params()
params.n_ctx, params.n_batch, params.n_ubatch = map(int, sys.argv[2:5])
params.n_batch = params.n_ubatch
params.n_threads = params.n_threads_batch = 1
params.type_k = params.type_v = int(sys.argv[5])
params.kv_unified, params.n_seq_max = True, 16
before = resident()
context = L.llama_init_from_model(model, params)
ids = (L.llama_token * params.n_batch)(*[5] * params.n_batch)
L.llama_decode(context, L.llama_batch_get_one(ids, params.n_batch))
print("resident =", (resident() - before) / 1024, "MiB")
"""


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="memory is read in /proc")
@pytest.mark.parametrize(
    ("cells", "n_batch", "kv_type"),
    [(2048, 128, "f16"), (16384, 512, "f16"), (16384, 128, "q8_0"), (8192, 512, "q4_0")],
)
def test_the_estimate_agrees_with_what_llama_cpp_logs_and_takes(
    model: Path, cells: int, n_batch: int, kv_type: KVType
) -> None:
    number = {"f16": 1, "q8_0": 8, "q4_0": 2}[kv_type]
    arguments = (cells, n_batch, n_batch, number)
    log = subprocess.run(
        [sys.executable, "-c", LOGGED, str(model), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    def logged(what: str) -> float:
        return sum(float(size) for size in re.findall(rf"{what} += +([\d.]+) ?MiB", log)) * 2**20

    demo = ModelSizes(4_580_864, 5, 256, 20, 512, 4000, 64, 64)
    need = estimate(demo, cells, n_batch, kv_type)
    assert need.kv_cache == pytest.approx(logged("KV buffer size"), rel=0.01)
    assert 0.97 < need.compute / logged("compute buffer size") < 1.35
    assert 0.6 < need.fixed / logged("resident") < 1.5

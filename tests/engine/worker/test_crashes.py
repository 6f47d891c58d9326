"""A worker that really crashes, and model files that are cut off or lie: the app goes on."""

from __future__ import annotations

import asyncio
import struct
import sys
from pathlib import Path

import pytest

from shoritui.engine import Engine, Sampling, Segment, WorkerDied
from shoritui.engine.worker import process
from shoritui.errors import UserError
from tests.engine.conftest import HEADER, SCENE, write

pytestmark = pytest.mark.slow

SABOTAGE = """
import ctypes, os, sys
from shoritui.engine.worker import protocol
from shoritui.engine.worker import __main__ as worker
from shoritui.engine.llama.library import L
from shoritui.engine.worker.server import WorkerServer

def assertion():
    model = L.llama_model_load_from_file(sys.argv[2].encode(), L.llama_model_default_params())
    context = L.llama_init_from_model(model, L.llama_context_default_params())
    L.llama_sampler_sample(L.llama_sampler_init_greedy(), context, 5000)

def memory():
    raise MemoryError

def refusal():
    raise RuntimeError("llama_decode returned -3")

def silence():
    os._exit(7)

crashes = {
    "assert": assertion,
    "segfault": lambda: ctypes.string_at(8),
    "abort": os.abort,
    "memory": memory,
    "refusal": refusal,
    "silence": silence,
}
answer = WorkerServer.answer

def sabotaged(self, request):
    if isinstance(request, protocol.Generate):
        crashes[sys.argv[1]]()
    answer(self, request)

WorkerServer.answer = sabotaged
worker.main()
"""
FIX = r"set a smaller n_ctx, kv_type = \"q8_0\" or fewer n_gpu_layers\.$"


@pytest.mark.skipif(sys.platform == "win32", reason="a crash has other names there")
@pytest.mark.parametrize(
    ("how", "cause"),
    [
        ("assert", r"llama\.cpp gave up \(.*GGML_ASSERT\(.*\) failed\); .*" + FIX),
        ("segfault", r"llama\.cpp crashed \(SIGSEGV\); .*" + FIX),
        ("abort", r"llama\.cpp crashed \(SIGABRT\); .*" + FIX),
        ("memory", r"memory ran out; set a smaller n_ctx or kv_type = \"q8_0\""),
        ("refusal", r"could not go on \(RuntimeError: llama_decode returned -3\); .*" + FIX),
        ("silence", r"process ended: .*\.$"),
    ],
)
async def test_a_crash_is_one_sentence_and_the_chat_goes_on(
    model: Path, monkeypatch: pytest.MonkeyPatch, how: str, cause: str
) -> None:
    command = (sys.executable, "-P", "-c", SABOTAGE, how, str(model))
    phases: list[str] = []
    engine = Engine(lambda state: phases.append(state.phase))
    with monkeypatch.context() as sabotaged:
        sabotaged.setattr(process, "COMMAND", command)
        await engine.open(model)
    with pytest.raises(WorkerDied, match=cause) as caught:
        await write(engine, [*SCENE, HEADER])
    assert str(caught.value).isprintable()
    assert "restarting" in phases
    assert (await write(engine, [*SCENE, HEADER])).generated_tokens > 0
    await engine.close()


async def opening(path: Path) -> str:
    """What the app tells of a file: one sentence, or "" if it works as a model."""
    engine = Engine()
    try:
        await engine.open(path)
        async for _ in engine.generate([Segment("▀title\nT")], Sampling(), max_tokens=2):
            pass
    except UserError as error:
        return str(error)
    finally:
        await engine.close()
    return ""


@pytest.mark.parametrize(
    "share", [0.0, 1e-6, 3e-6, 5e-6, 1e-4, 0.01, 0.015, 0.02, 0.5, 0.99, 0.999999]
)
async def test_a_file_cut_anywhere_is_told_in_one_sentence(
    model: Path, tmp_path: Path, share: float
) -> None:
    data = model.read_bytes()
    path = tmp_path / "model.gguf"
    path.write_bytes(data[: int(len(data) * share)])
    sentence = await opening(path)
    assert sentence.startswith(str(path)) and sentence.endswith(".")
    assert sentence.isprintable()
    assert await opening(model) == ""


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("llama.block_count", 0, "its sizes contradict its tensors"),
        ("llama.block_count", 2**31 - 1, "its sizes contradict its tensors"),
        ("llama.embedding_length", 2**31 - 1, "its sizes contradict its tensors"),
        ("llama.attention.key_length", 2**32 - 1, "its sizes contradict its tensors"),
        ("llama.attention.head_count_kv", 2**32 - 1, "its sizes contradict its tensors"),
        ("llama.feed_forward_length", 2**32 - 1, "its sizes contradict its tensors"),
        ("llama.attention.head_count", 2**31 - 1, "may be damaged"),
        ("llama.attention.head_count", 0, "may be damaged"),
        ("llama.rope.dimension_count", 7, "may be damaged"),
        ("llama.context_length", 2**32 - 1, ""),
        ("llama.context_length", 0, ""),
    ],
)
async def test_a_file_with_absurd_sizes_is_told_in_one_sentence(
    model: Path, tmp_path: Path, key: str, value: int, told: str
) -> None:
    data = bytearray(model.read_bytes())
    name = struct.pack("<Q", len(key)) + key.encode()
    struct.pack_into("<I", data, data.index(name) + len(name) + 4, value)
    path = tmp_path / "model.gguf"
    path.write_bytes(data)
    sentence = await opening(path)
    assert told in sentence and bool(told) == bool(sentence)
    assert sentence.isprintable() or not sentence


@pytest.mark.parametrize("offset", [8, 16, 24])
async def test_a_file_with_absurd_counts_is_told_in_one_sentence(
    model: Path, tmp_path: Path, offset: int
) -> None:
    data = bytearray(model.read_bytes())
    struct.pack_into("<Q", data, offset, 2**63 - 1)
    path = tmp_path / "model.gguf"
    path.write_bytes(data)
    assert str(path) in await asyncio.wait_for(opening(path), 60)

"""Models on disk: what a header says, whatever it holds, and what lies where."""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoritui.demo import model_path
from shoritui.engine import inspect_model
from shoritui.errors import UserError
from shoritui.gguf.header import BLOCKS, read_header
from shoritui.models import Models, describe, describe_file, found_models
from shoritui.models.quantisation import by_file_type, by_name
from shoritui.text import printable
from tests.models.gguf_files import Raw, gguf, model, string, strings, write

SHIPPED = model_path()
HEADER = SHIPPED.read_bytes()[: 2**17]
HUGE_TENSOR = (
    b"GGUF"
    + struct.pack("<IQQ", 3, 1, 0)
    + string("t")
    + struct.pack("<IQQIQ", 2, 2**63, 2**63, 0, 0)
)
REPO = "hub/models--lemonilia--ShoriRP-v0.75d"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without any model."""
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SHORITUI_HOME", str(tmp_path))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("OLLAMA_MODELS", str(tmp_path / "ollama"))
    return tmp_path


def names(models: Models) -> list[str]:
    return [model.name for model in models.all]


def test_the_header_says_what_llama_cpp_says() -> None:
    ours, theirs = describe_file(SHIPPED), inspect_model(SHIPPED)
    assert ours.kind == "model"
    assert ours.n_params == theirs.n_params
    assert ours.n_ctx_train == theirs.n_ctx_train
    assert ours.block_tokens is theirs.block_tokens is True
    assert ours.architecture in theirs.description and ours.quantisation in theirs.description


def test_a_long_vocabulary_is_passed_with_all_that_follows(tmp_path: Path) -> None:
    words = ["x" * (index % 70) for index in range(20_000)]
    kept = model(tokenizer__ggml__merges=strings(words), general__file_type=18)
    header = read_header(write(tmp_path / "a.gguf", gguf(kept | {"last": "word"})))
    assert header.text("last") == "word" and header.n_params == 32
    longer = model(tokenizer__ggml__tokens=strings([*words, "▀", "y" * 3_000_000, "▄"]))
    header = read_header(write(tmp_path / "b.gguf", gguf(longer | {"last": "word"})))
    assert header.text("last") == "word" and header.has_token("▄".encode())


def test_a_byte_level_vocabulary_writes_the_marks_its_own_way(tmp_path: Path) -> None:
    for index, (tokens, expected) in enumerate(
        [(["âĸĢ", "âĸĦ"], True), (["âĸĢâĸĢ", "âĸĦ"], False), (["▀", "▄"], False)]
    ):
        content = model(tokenizer__ggml__model="gpt2", tokenizer__ggml__tokens=strings(tokens))
        path = write(tmp_path / f"{index}.gguf", gguf(content))
        assert describe_file(path).block_tokens is expected


@given(
    st.integers(0, len(HEADER)), st.lists(st.tuples(st.integers(0, 3000), st.binary(max_size=9)))
)
def test_a_damaged_header_gives_a_header_or_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, end: int, damage: list[tuple[int, bytes]]
) -> None:
    content = bytearray(HEADER[:end])
    for at, data in damage:
        content[at : at + len(data)] = data
    path = write(tmp_path_factory.getbasetemp() / "damaged.gguf", bytes(content))
    try:
        header = read_header(path)
    except UserError as error:
        assert str(path) in str(error) and "\n" not in str(error)
    else:
        assert all(text.isprintable() for text in map(str, header.metadata.values()))


@given(st.binary(max_size=200), st.sampled_from([2, 3]))
def test_random_bytes_give_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, tail: bytes, version: int
) -> None:
    content = b"GGUF" + struct.pack("<I", version) + tail
    path = write(tmp_path_factory.getbasetemp() / "random.gguf", content)
    try:
        read_header(path)
    except UserError as error:
        assert str(error).count(str(path)) == 1


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is not a GGUF file"),
        (b"GGML" + bytes(100), "is not a GGUF file"),
        (b"GGUF" + struct.pack("<I", 1) + bytes(100), "version 1"),
        (b"GGUF" + struct.pack(">I", 3) + bytes(100), "little-endian"),
        (b"GGUF" + struct.pack("<IQQ", 3, 2**60, 1), "counts more"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + struct.pack("<Q", 2**63), "ends after"),
        (gguf({"a": Raw(struct.pack("<I", 99))}), "unknown type 99"),
        (gguf({"a": Raw(struct.pack("<IIQ", 9, 9, 1))}), "list of the unknown type"),
        (gguf({"a": Raw(struct.pack("<IIQ", 9, 8, 2**40))}), "counts more"),
        (gguf({"a": Raw(struct.pack("<IIQ", 9, 0, 2**62))}), "ends after"),
        (gguf({"a": Raw(struct.pack("<IIQQ", 9, 8, 1, 2**64 - 1))}), "ends after"),
        (HUGE_TENSOR, "counts more"),
        (gguf(model(), ((4, 8), (4, 8)), missing=128), "not copied to its end"),
        (gguf(model(), missing=1), "not copied to its end"),
    ],
)
def test_what_is_wrong_is_told(content: bytes, sentence: str, tmp_path: Path) -> None:
    path = write(tmp_path / "model.gguf", content)
    with pytest.raises(UserError, match=sentence) as error:
        describe_file(path)
    assert str(error.value).startswith(str(path))


def test_hostile_texts_are_made_printable(home: Path) -> None:
    content = model(general__architecture="\x1b]0;x\x07ll\u202eama", general__type="a\x9bd")
    write(home / "data/models" / "a\x1b[31mb\nc.gguf", gguf(content))
    write(home / "data/models" / "d\udcff.gguf", gguf(content))
    found = found_models()
    assert names(found) == ["a�[31mb�c", SHIPPED.stem]
    assert "the name is not UTF-8" in found.problems[0] and found.problems[0].isprintable()
    description = describe(found.all[0])
    shown = f"{found.all[0].name}{description}"
    assert shown.isprintable() and "\x1b" not in shown
    assert printable("x" * 300, 10) == "x" * 9 + "…"


def test_the_programs_folders_are_found(home: Path) -> None:
    blob = write(home / "hf" / REPO / "blobs" / "0a1b", gguf(model(general__file_type=18)))
    for commit in ("aaa", "bbb"):
        link = home / "hf" / REPO / "snapshots" / commit / "ShoriRP.v075d.q6_k.gguf"
        link.parent.mkdir(parents=True)
        link.symlink_to(Path("../..") / "blobs" / blob.name)
    write(home / ".lmstudio/models/someone/thing-GGUF/thing-Q4_K_M.gguf", gguf(model()))
    write(home / ".cache/lm-studio/models/old/older.Q5_0.GGUF", gguf({}))
    digest = "ab" * 32
    ollama_manifest(home, "registry.ollama.ai/library/llama3.2/3b", digest)
    ollama_manifest(home, "hf.co/someone/thing/Q8_0", "cd" * 32)
    write(home / f"ollama/blobs/sha256-{digest}", gguf(model(general__file_type=2)))
    os.link(home / f"ollama/blobs/sha256-{digest}", home / f"ollama/blobs/sha256-{'cd' * 32}")
    found = found_models()
    assert names(found) == [
        "ShoriRP.v075d.q6_k",
        "thing-Q4_K_M",
        "older.Q5_0",
        "hf.co/someone/thing:Q8_0",
        SHIPPED.stem,
    ], "the other snapshot and Ollama's other name are the same file"
    assert found.problems == ()
    assert "lemonilia/ShoriRP-v0.75d" in found.all[0].source
    assert describe(found.all[0]).quantisation == "Q6_K"
    assert describe(found.all[2]).quantisation == "Q5_0", "told by its name"


def ollama_manifest(home: Path, name: str, digest: str) -> None:
    layers = [
        {"mediaType": "application/vnd.ollama.image.template", "digest": f"sha256:{'e' * 64}"},
        {"mediaType": "application/vnd.ollama.image.model", "digest": f"sha256:{digest}"},
    ]
    content = json.dumps({"schemaVersion": 2, "layers": layers}).encode()
    write(home / "ollama" / "manifests" / name, content)


@pytest.mark.parametrize(
    "manifest",
    [b"", b"[]", b"[" * 100_000, b'{"layers": 3}', b'{"layers": [{"digest": 1}]}', b"\xff\xfe"],
)
def test_a_manifest_that_means_nothing_is_passed_over(home: Path, manifest: bytes) -> None:
    write(home / "ollama/manifests/registry.ollama.ai/library/x/latest", manifest)
    assert names(found_models()) == [SHIPPED.stem]


def test_a_manifest_leads_nowhere_else(home: Path) -> None:
    write(home / "secret", gguf(model()))
    ollama_manifest(home, "registry.ollama.ai/library/x/latest", "../../secret")
    assert names(found_models()) == [SHIPPED.stem]


def test_a_split_model_counts_once(home: Path) -> None:
    split: dict[str, object] = {"split.no": 1, "split.count": 2}
    write(home / "data/models/big-Q4_K_M-00001-of-00002.gguf", gguf(model(), ()))
    second = write(home / "data/models/big-Q4_K_M-00002-of-00002.gguf", gguf(split))
    write(home / "data/models/torn-00001-of-00003.gguf", gguf(model()))
    found = found_models()
    assert names(found) == ["big-Q4_K_M", SHIPPED.stem]
    assert found.all[0].size_bytes == sum(part.stat().st_size for part in found.all[0].parts)
    description = describe(found.all[0])
    assert (description.kind, description.n_params) == ("model", 32)
    assert "only 1 of its 3 parts" in found.problems[0]
    with pytest.raises(UserError, match=r"is a part: name .*00001-of-00002"):
        describe_file(second)


@pytest.mark.parametrize(
    ("metadata", "tensors", "kind"),
    [
        (model(general__type="adapter"), 1, "adapter"),
        (model(general__type="mmproj"), 1, "projector"),
        ({"general.architecture": "clip"}, 1, "projector"),
        (model(), 0, "vocabulary"),
        ({"general.type": "imatrix"}, 1, "other"),
        (model(general__type="model"), 1, "model"),
    ],
)
def test_what_is_no_model_is_known(
    metadata: dict[str, object], tensors: int, kind: str, tmp_path: Path
) -> None:
    path = write(tmp_path / "file.gguf", gguf(metadata, ((4, 8),) * tensors))
    assert describe_file(path).kind == kind


def test_links_in_a_circle_and_odd_files_do_no_harm(home: Path) -> None:
    write(home / "data/models/a/model.gguf", gguf(model()))
    (home / "data/models/a/again").symlink_to(home / "data/models")
    (home / "data/models/gone.gguf").symlink_to(home / "nowhere")
    (home / "data/models/folder.gguf").mkdir()
    os.mkfifo(home / "data/models/pipe.gguf")
    found = found_models(home / "data/models/a/model.gguf")
    assert names(found) == ["model", SHIPPED.stem]
    assert len(found.problems) == 2


def test_a_model_is_found_by_its_name(home: Path) -> None:
    write(home / "data/models/Night.Q4_K_M.gguf", gguf(model()))
    models = found_models()
    for name in ("Night.Q4_K_M", "night.q4_k_m", "night.q4_k_m.gguf"):
        assert models.find(name) is models.all[0]
    assert models.find("night") is None
    write(home / ".lmstudio/models/x/y/night.q4_K_M.gguf", gguf(model()))
    with pytest.raises(UserError, match="Several models"):
        found_models().find("night.q4_k_m")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ShoriRP.v075d.q6_k", "Q6_K"),
        ("shorirp-merged-v0.60.Q3_K_S", "Q3_K_S"),
        ("Llama-3.2-3B-Instruct-IQ4_XS", "IQ4_XS"),
        ("model-UD-Q4_K_XL", "Q4_K_XL"),
        ("model.fp16", "F16"),
        ("model-NVFP4", "NVFP4"),
        ("gpt-oss-MXFP4_MOE", "MXFP4"),
        ("Q4_0/model-q8_0", "Q8_0"),
        ("faq2_kids", ""),
        ("model", ""),
    ],
)
def test_a_name_tells_the_quantisation(name: str, expected: str) -> None:
    assert by_name(name) == expected


def test_the_numbers_of_quantisations_are_llama_cpps() -> None:
    from llama_cpp import llama_cpp

    for number in range(64):
        name = by_file_type(number)
        constant = f"LLAMA_FTYPE_{'ALL' if name == 'F32' else 'MOSTLY'}_{name}"
        if name and hasattr(llama_cpp, constant):
            assert getattr(llama_cpp, constant) == number
    assert by_file_type(1024 + 15) == "Q4_K_M" and by_file_type(None) == ""


def test_the_sizes_of_tensors_are_ggmls() -> None:
    from gguf.constants import GGML_QUANT_SIZES

    theirs = {int(kind): sizes for kind, sizes in GGML_QUANT_SIZES.items()}
    assert {kind: theirs[kind] for kind in BLOCKS} == BLOCKS


def test_an_unreadable_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="the file is gone"):
        describe_file(tmp_path / "nowhere.gguf")
    with pytest.raises(UserError, match="no such model file"):
        read_header(tmp_path / "nowhere.gguf")
    assert string("a") == b"\x01" + bytes(7) + b"a"

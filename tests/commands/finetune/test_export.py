"""`finetune export`, as it is typed."""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from shoritui import cli
from shoritui.demo import model_path
from shoritui.finetune.base_model import folder_of
from shoritui.finetune.config.model import Base
from shoritui.finetune.export.export import FORMS
from shoritui.gguf.model import write_model
from shoritui.gguf.read import GgufFile
from shoritui.gguf.write import About, Tensor, Value, write_gguf
from tests.finetune.export.trained import Trained, as_config, make_trained
from tests.gguf.tiny import error, llama_logits, model_in


def run(*words: object) -> int:
    return cli.main(["finetune", "export", *map(str, words)])


@pytest.fixture
def config(trained: Trained, tmp_path: Path) -> Path:
    return as_config(trained, tmp_path, str(trained.base))


def test_the_usual_export_is_an_adapter_beside_the_trained_one(
    config: Path, trained: Trained, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(config, "--tier", "low", "--verify") == 0
    out = capsys.readouterr().out
    target = config.parent / "out" / "low.lora.gguf"
    assert str(target) in out and f"/adapter {target}" in out and "Verified" in out
    base = config.parent / "base.gguf"
    write_model(base, model_in(trained.base), "f32", About("base"))
    assert error(llama_logits(base, target), trained.logits) < 1e-5
    assert sorted(path.name for path in target.parent.iterdir()) == ["low", "low.lora.gguf"]


@pytest.mark.parametrize("form", ["f32", "q8_0", "q4_k_m"])
def test_a_merged_model_is_told_as_json(
    config: Path, form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    target = config.parent / "models" / "mine.gguf"
    assert run(config, "--tier", "low", "--as", form, "--to", target, "--verify", "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["path"] == str(target) and facts["bytes"] == target.stat().st_size
    verified = facts["verified"]
    assert verified["logits_error"] <= verified["tolerance"] and verified["texts"] == 5
    assert [path.name for path in target.parent.iterdir()] == ["mine.gguf"]


def test_a_peft_folder_is_a_copy(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = config.parent / "copy"
    for _ in range(2):
        assert run(config, "--tier", "low", "--as", "peft", "--to", target) == 0
    source = config.parent / "out" / "low"
    for path in target.iterdir():
        assert path.read_bytes() == (source / path.name).read_bytes()
    assert {path.name for path in target.iterdir()} == {
        "adapter_config.json",
        "adapter_model.safetensors",
    }


def test_the_shipped_base_is_proved_on_its_own_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trained = make_trained(folder_of(Base("demo"), lambda event: None), tmp_path / "adapter")
    config = as_config(trained, tmp_path, "demo")
    assert run(config, "--tier", "low", "--verify", "--json") == 0
    assert json.loads(capsys.readouterr().out)["verified"]["logits_error"] < 1e-5


def test_a_merged_model_keeps_all_that_stood_in_its_base(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its vocabulary, its template, its own words: as they are, whatever their types."""
    source = GgufFile(model_path())
    own: dict[str, Value] = {
        "tokenizer.chat_template": "{{ it }}",
        "llama.odd": (1.5, 2.5),
        "odd.flag": True,
    }
    tensors = [
        Tensor(name, place.shape, "Q8_0" if place.kind == 8 else "F32", _rows(source, name))
        for name, place in source.tensors.items()
    ]
    write_gguf(tmp_path / "base.gguf", {**source.verbatim(""), **own}, tensors)
    folder = folder_of(Base(str(tmp_path / "base.gguf")), lambda event: None)
    config = as_config(make_trained(folder, tmp_path / "adapter"), tmp_path, "base.gguf")
    assert (
        run(config, "--tier", "low", "--as", "bf16", "--to", tmp_path / "out.gguf", "--verify") == 0
    )
    before, after = (GgufFile(tmp_path / f"{name}.gguf").verbatim("") for name in ("base", "out"))
    assert capsys.readouterr().err == ""
    changed = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
    assert changed == {"general.name", "general.description", "general.file_type"}
    assert before["tokenizer.chat_template"] == after["tokenizer.chat_template"]


def _rows(file: GgufFile, name: str) -> Callable[[], Iterable[npt.NDArray[np.uint8]]]:
    return lambda: file.raw_rows(name)


def test_what_fails_its_proof_is_not_kept(
    config: Path, tiny: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    target = config.parent / "mine.gguf"
    target.write_bytes(b"an older one")
    corrupt = "shoritui.gguf.lora.orders.rows_for_gguf"
    monkeypatch.setattr(corrupt, lambda heads, rows: range(rows))
    assert run(config, "--tier", "low", "--as", "f32", "--to", target, "--verify") == 1
    assert "does not agree with the trained model" in capsys.readouterr().err
    assert target.read_bytes() == b"an older one"
    assert not [path for path in config.parent.iterdir() if path.name.startswith(".")]


def test_what_was_left_unfinished_is_removed(config: Path) -> None:
    gone = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True
    )
    left = config.parent / f".mine.gguf.{int(gone.stdout)}-{'0' * 16}.tmp"
    left.mkdir()
    (left / "f16.gguf").write_bytes(bytes(10))
    assert run(config, "--tier", "low", "--to", config.parent / "mine.gguf") == 0
    assert not left.exists()


@contextmanager
def full_disk(room: int) -> Iterator[None]:
    """No file grows beyond so many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize(
    ("form", "room"), [("lora", 1 << 12), ("f32", 1 << 20), ("f32", 0), ("q6_k", 1 << 20)]
)
def test_a_full_disk_is_told_and_leaves_nothing(
    config: Path, form: str, room: int, capsys: pytest.CaptureFixture[str]
) -> None:
    target = config.parent / "full" / "mine.gguf"
    with full_disk(room):
        assert run(config, "--tier", "low", "--as", form, "--to", target) == 1
    told = capsys.readouterr()
    assert told.out == "" and told.err.count("\n") == 1
    assert "cannot be written" in told.err
    assert not list(target.parent.iterdir())


def test_help_names_every_form(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["finetune", "export", "--help"])
    told = " ".join(capsys.readouterr().out.split())
    assert f"{', '.join(FORMS[3:-1])} or {FORMS[-1]}" in told


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--tier", "low", "--as", "q4_k"], "did you mean q4_k_m?"),
        (["--tier", "mid"], "it has low, high"),
        (["--tier", "m\x1b[2J"], "There is no tier"),
        ([], "'high' is not trained yet"),
        (["--tier", "low", "--as", "peft", "--verify"], "leave --verify out"),
        (["--tier", "low", "--as", "peft", "--to", "{folder}/out/low"], "the adapter itself"),
        (["--tier", "low", "--as", "peft", "--to", "{folder}"], "holds no adapter"),
        (["--tier", "low", "--to", "{folder}/low.txt/x.gguf"], "cannot be written"),
    ],
)
def test_what_cannot_be_is_told_in_a_sentence(
    config: Path, words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [word.format(folder=config.parent) for word in words]
    assert run(config, *given) == 1
    told = capsys.readouterr()
    assert sentence in told.err and told.out == ""
    assert "\x1b" not in told.err and told.err.count("\n") == 1


def test_the_base_itself_is_never_written_over(
    trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = tmp_path / "base.gguf"
    write_model(base, model_in(trained.base), "f16", About("base"))
    before = base.read_bytes()
    config = as_config(trained, tmp_path, "base.gguf")
    assert run(config, "--tier", "low", "--as", "f16", "--to", base) == 1
    assert "is the base itself" in capsys.readouterr().err
    assert base.read_bytes() == before


def test_an_adapter_needs_no_vocabulary_that_gguf_can_hold(
    trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = tmp_path / "base"
    shutil.copytree(trained.base, base)
    (base / "tokenizer.model").unlink()
    pieces = {chr(code): code for code in range(3, 256)} | {"▀": 0, "▄": 1, "🙂": 2}
    words = Tokenizer(models.WordLevel(pieces, unk_token="x"))
    words.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    words.save(str(base / "tokenizer.json"))
    config = as_config(trained, tmp_path, str(base))
    assert run(config, "--tier", "low", "--verify") == 0
    assert "Verified: logits of" in capsys.readouterr().out
    assert (tmp_path / "out" / "low.lora.gguf").is_file()
    assert run(config, "--tier", "low", "--as", "f16") == 1
    assert "of which no GGUF is made here" in capsys.readouterr().err

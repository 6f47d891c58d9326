from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from shoritui.errors import UserError
from shoritui.finetune.cache.tiers import TierStore

KEY = "ab" * 32


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SHORITUI_HOME", str(tmp_path))
    return tmp_path


def files(**texts: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        for name, text in texts.items():
            (folder / name).write_text(text)

    return write


def trained() -> TierStore:
    store = TierStore(KEY)
    store.finish(files(adapter="weights", optimizer="state"), {"loss": 2.5})
    return store


def test_nothing_is_trained_at_first_and_nothing_is_made_by_asking(home: Path) -> None:
    store = TierStore(KEY)
    assert (store.trained(), store.saved(), store.is_damaged) == (None, None, False)
    assert not list(home.iterdir())


def test_a_trained_tier_is_found_with_its_facts() -> None:
    trained()
    found = TierStore(KEY).trained()
    assert found is not None
    assert found.facts == {"loss": 2.5}
    assert (found.folder / "adapter").read_text() == "weights"


def test_the_newest_state_stays_with_its_best_adapter() -> None:
    store = TierStore(KEY)
    store.keep_best(10, files(adapter="ten"))
    store.save(10, 10, files(adapter="ten"), {})
    store.keep_best(20, files(adapter="twenty"))
    assert store.best(10) is not None, "the state at 10 still speaks of it"
    store.save(20, 20, files(adapter="twenty"), {"level": "inputs"})
    found, best = store.saved(), store.best(20)
    assert found is not None and best is not None
    assert found.facts == {"level": "inputs", "step": 20}
    assert store.best(10) is None
    assert [path.name for path in store.folder.glob("state-*")] == ["state-00000020"]


def test_a_finished_tier_keeps_no_states() -> None:
    store = TierStore(KEY)
    store.keep_best(1, files(adapter="a"))
    store.save(1, 1, files(adapter="a"), {})
    store.finish(files(adapter="a"), {})
    assert [path.name for path in store.folder.iterdir()] == ["trained"]


def _cut(folder: Path) -> None:
    (folder / "adapter").write_text("weigh")


def _another_of_the_same_size(folder: Path) -> None:
    (folder / "adapter").write_text("Weights")


def _lost(folder: Path) -> None:
    (folder / "optimizer").unlink()


def _one_too_many(folder: Path) -> None:
    (folder / "more").write_text("")


def _no_seal(folder: Path) -> None:
    (folder / "meta.json").unlink()


def _torn_seal(folder: Path) -> None:
    seal = folder / "meta.json"
    seal.write_text(seal.read_text()[:-20])


def _strange_seal(folder: Path) -> None:
    (folder / "meta.json").write_text("[1, 2]")


def _of_another_tier(folder: Path) -> None:
    seal = folder / "meta.json"
    seal.write_text(seal.read_text().replace(KEY, "cd" * 32))


DAMAGES = (
    *(_cut, _another_of_the_same_size, _lost, _one_too_many),
    *(_no_seal, _torn_seal, _strange_seal, _of_another_tier),
)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_or_foreign_tier_is_never_used(damage: Callable[[Path], None]) -> None:
    found = trained().trained()
    assert found is not None
    damage(found.folder)
    store = TierStore(KEY)
    assert store.trained() is None
    assert store.is_damaged
    store.finish(files(adapter="anew", optimizer=""), {})
    again = store.trained()
    assert again is not None and (again.folder / "adapter").read_text() == "anew"


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_state_is_never_gone_on_from(damage: Callable[[Path], None]) -> None:
    store = TierStore(KEY)
    store.save(5, 0, files(adapter="weights", optimizer="state"), {})
    found = store.saved()
    assert found is not None
    damage(found.folder)
    assert TierStore(KEY).saved() is None


def test_two_runs_do_not_train_one_tier() -> None:
    with (
        TierStore(KEY).lock("low"),
        pytest.raises(UserError, match=rf"tier low: another run \(process {os.getpid()}\)"),
        TierStore(KEY).lock("low"),
    ):
        pass
    with TierStore(KEY).lock("low"):
        pass


def test_a_disk_that_takes_nothing_is_told_in_a_sentence(home: Path) -> None:
    (home / "cache").write_text("in the way")
    with pytest.raises(UserError, match="cannot be written"), TierStore(KEY).lock("low"):
        pass
    with pytest.raises(UserError, match="cannot be written"):
        TierStore(KEY).save(1, 0, files(), {})


SAVES_FOREVER = """
import itertools, sys
from shoritui.finetune.cache.tiers import TierStore

store = TierStore(sys.argv[1])
with store.lock("low"):
    for step in itertools.count(1):
        def write(folder, step=step):
            for name in ("adapter", "optimizer"):
                (folder / name).write_text(f"{name} at {step} " * 20_000)
        store.save(step, 0, write, {"note": step})
        print(step, flush=True)
"""


@pytest.mark.parametrize("saves", [1, 2, 5])
def test_killed_while_it_saves_a_state_is_whole_or_the_one_before_is(saves: int) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SAVES_FOREVER, KEY], stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        for _ in range(saves):
            told = int(child.stdout.readline())
        child.send_signal(signal.SIGKILL)
        rest = child.stdout.read().split()
    last = int(rest[-1]) if rest else told
    store = TierStore(KEY)
    found = store.saved()
    assert found is not None
    step = found.facts["step"]
    assert step in (last, last + 1)
    assert (found.folder / "adapter").read_text().startswith(f"adapter at {step} ")
    with store.lock("low"):
        assert not list(store.folder.glob(".*.tmp"))

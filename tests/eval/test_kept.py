"""A run that was stopped goes on from what is kept; pairs without names, and their key."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from shoritui.demo import model_path
from shoritui.engine import EngineOptions, presets
from shoritui.errors import UserError
from shoritui.eval.blind import blind_pairs
from shoritui.eval.kept import Kept
from shoritui.eval.replies import Results, Stage, Subject
from shoritui.eval.run import evaluate
from shoritui.eval.stories import Place, Plan, Story, Task
from tests.eval.stories import BELL, LOCK, story

pytestmark = pytest.mark.slow

PRESETS = presets(None)[0]
SUBJECTS = [
    Subject(name, model_path(), (), PRESETS[name]) for name in ("card-main", "card-alternative-1")
]
PLAN = Plan(0, 2, 1, ("nano", "micro"), 256, 12)
STORIES = [story(LOCK, "lock"), story(BELL, "bell")]


class Asked(list[str]):
    """What the model was asked for; after so much, the machine is switched off."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.most = 1000
        reply, read, surprises = Stage.reply, Stage.read, Stage.surprises

        async def counted_reply(stage: Stage, task: Task, results: Results) -> None:
            self.note("reply")
            await reply(stage, task, results)

        async def counted_read(stage: Stage, place: Place, results: Results) -> bool:
            self.note("read")
            return await read(stage, place, results)

        async def counted_surprises(stage: Stage, one: Story, *more: object) -> object:
            self.note("surprises")
            return await surprises(stage, one, *more)  # type: ignore[arg-type]

        monkeypatch.setattr(Stage, "reply", counted_reply)
        monkeypatch.setattr(Stage, "read", counted_read)
        monkeypatch.setattr(Stage, "surprises", counted_surprises)

    def note(self, what: str) -> None:
        if len(self) >= self.most:
            raise InterruptedError
        self.append(what)


async def run(path: Path | None, subjects: list[Subject] = SUBJECTS) -> list[Results]:
    results: list[Results] = []
    options = EngineOptions(n_ctx=2048, n_threads=1)
    kept = Kept(path)
    await evaluate(subjects, STORIES, PLAN, 1, options, PRESETS, results, lambda _: None, kept)
    return results


async def test_a_run_that_was_stopped_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, asked = tmp_path / "kept.jsonl", Asked(monkeypatch)
    asked.most = 5
    with pytest.raises(InterruptedError):
        await run(path)
    with path.open("ab") as file:
        file.write(b'\n["cut off in the mid')
    asked.most = 1000
    first = await run(path)
    assert len(asked) == 4 + 2 * 4 + 2 * 4  # what was read, written and scored, and nothing twice
    asked.clear()
    again = await run(path)
    assert not asked
    for one, other in zip(first, again, strict=True):
        assert one == other and len(one.replies) == 4 and one.surprises and one.prompt_rates
    await run(path, [replace(SUBJECTS[0], preset=PRESETS["neutral"])])
    assert asked == ["reply"] * 4
    pairs, key = blind_pairs(first[0], first[1], 3, most=3)
    sides = json.loads(key)
    assert len(re.findall(r"^\d+\. \w+ answers \(", pairs, re.M)) == 3
    assert "card-" not in pairs and pairs.count("\nA:\n") == pairs.count("\nB:\n") == 3
    for number in "123":
        assert {sides["A"][number], sides["B"][number]} == {"card-main", "card-alternative-1"}
    assert (pairs, key) == blind_pairs(first[0], first[1], 3, most=3)


def test_a_file_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        Kept(tmp_path)
    with pytest.raises(UserError, match="cannot be written"):
        Kept(tmp_path / "none" / "kept.jsonl").add("key", 1)

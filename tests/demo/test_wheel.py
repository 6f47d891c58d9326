"""What made the small model stays out of the wheel; the model and its stories are in it."""

from __future__ import annotations

import tomllib
from pathlib import Path

from pathspec import GitIgnoreSpec  # what hatchling reads its patterns with

ROOT = Path(__file__).parents[2]


def test_the_making_is_left_out_and_nothing_else() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    left_out = GitIgnoreSpec.from_lines(wheel["exclude"])
    paths = [path for path in (ROOT / "shoritui").rglob("*") if path.is_file()]
    names = {path.relative_to(ROOT).as_posix() for path in paths}
    making = {name for name in names if name.startswith("shoritui/demo/making/")}
    assert making and making == set(left_out.match_files(names))

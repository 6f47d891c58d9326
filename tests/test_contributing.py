"""What CONTRIBUTING and the workflow name is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
PAGES = (".github/CONTRIBUTING.md", ".github/CHANGELOG.md")
_PATH = re.compile(r"`((?:shoritui|tests|\.github|\.ci)[\w./-]*|[\w-]+\.(?:toml|md))`")


@pytest.mark.parametrize("page", PAGES)
def test_every_path_named_is_there(page: str) -> None:
    paths = _PATH.findall((ROOT / page).read_text(encoding="utf-8"))
    examples = {"settings.toml"}
    missing = {path for path in paths if not (ROOT / path).exists()} - examples
    assert not missing
    assert any(path.endswith(".py") for path in paths) or page.endswith("CHANGELOG.md")


def test_every_room_is_in_the_table() -> None:
    text = (ROOT / ".github/CONTRIBUTING.md").read_text(encoding="utf-8")
    rooms = {path.parent.name for path in (ROOT / "shoritui").glob("*/__init__.py")}
    untold = {room for room in rooms if f"`shoritui/{room}/`" not in text}
    assert untold <= {"guide", "bench"}, "the guide is pages, and bench is told among the checks"


def test_the_workflow_runs_the_readmes_command_and_hooks_fetch_nothing() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))
    steps = workflow["jobs"]["test"]["steps"]
    assert steps[-1] == {"run": ".ci/run"} and "secrets" not in str(workflow)
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    assert [repo["repo"] for repo in hooks["repos"]] == ["local"]

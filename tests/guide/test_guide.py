"""The guide says what the code says, and so does the README."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

import shoritui.guide
from shoritui.cards import load_cards
from shoritui.cli import main
from shoritui.commands import COMMANDS
from shoritui.commands.chats import COMMANDS as CHATS
from shoritui.commands.finetune import COMMANDS as FINETUNE
from shoritui.errors import UserError
from shoritui.files import replace_text
from shoritui.folders import HOME_VARIABLE, settings_path
from shoritui.guide import text, topics
from shoritui.settings import Settings, load_settings
from tests.guide.tables import generated

FOLDER = Path(shoritui.guide.__file__).parent
ROOT = FOLDER.parent.parent
NAMES = [topic.name for topic in topics()]
PAGES = sorted(FOLDER.glob("*.md"))
READ = [*PAGES, ROOT / "README.md", *(ROOT / ".github").glob("*.md")]


def test_every_page_is_a_topic() -> None:
    assert set(NAMES) == {page.stem for page in PAGES}


@pytest.mark.parametrize("name", NAMES)
def test_a_page_begins_with_its_title_and_shows_no_marker(name: str) -> None:
    page = text(name)
    assert page.startswith("# ") and "<!--" not in page
    assert text(f"{name.upper()}.md") == page, "as a link between pages names it"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_tables_are_those_of_the_code(page: Path) -> None:
    written = page.read_text(encoding="utf-8")
    assert written == generated(written), "run `python -m tests.guide`"


@pytest.mark.parametrize("page", READ, ids=lambda page: page.stem)
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8")):
        assert link.startswith("https://") or (page.parent / link).exists(), link


@pytest.mark.parametrize("page", READ, ids=lambda page: page.stem)
def test_every_command_exists(page: Path) -> None:
    written = page.read_text(encoding="utf-8")
    for command in re.findall(r"^shoritui ([a-z]+)|`shoritui ([a-z]+)", written, re.MULTILINE):
        assert "".join(command) in COMMANDS
    for word in re.findall(r"shoritui finetune ([a-z][a-z-]*)(?= |`|$)", written, re.MULTILINE):
        assert word in FINETUNE
    for word in re.findall(r"shoritui chats ([a-z]+)(?= |`|$)", written, re.MULTILINE):
        assert word in CHATS


def test_the_readme_leads_to_every_page() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert all(f"(shoritui/guide/{name}.md)" in readme for name in NAMES)


def test_an_unknown_topic_gets_the_nearest_one() -> None:
    with pytest.raises(UserError, match="did you mean samplers"):
        text("sampler")
    with pytest.raises(UserError, match="expected one of playing, "):
        text("zzz")


@pytest.mark.parametrize("page", READ, ids=lambda page: page.stem)
def test_every_path_exists(page: Path) -> None:
    written = page.read_text(encoding="utf-8")
    paths = set(re.findall(r"(?<![\w./])(?:[\w-]+/)+[\w-]+\.py", written))
    if page.stem in ("architecture", "CONTRIBUTING"):
        paths |= set(re.findall(r"`((?:[\w.-]+/)+|[\w/]+\.py)`", written))
    roots = (ROOT, ROOT / "shoritui")
    assert {path for path in paths if not any((root / path).exists() for root in roots)} == set()


@pytest.mark.parametrize("page", ["README.md", "shoritui/guide/cards.md"])
def test_the_cards_it_shows_begin_a_story(page: str, tmp_path: Path) -> None:
    shown = re.findall(r"```toml\n(.*?)```", (ROOT / page).read_text("utf-8"), re.DOTALL)
    for number, card in enumerate(shown):
        file = tmp_path / f"{number}.toml"
        file.write_text(card, encoding="utf-8")
        assert len(load_cards([file]).characters) == (1 if number else 2)
    assert shown


def test_the_prompt_it_shows_is_what_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    page = text("prompt")
    [command] = re.findall(r"^shoritui (prompt .* --say .*)$", page, re.MULTILINE)
    main(shlex.split(command))
    printed = capsys.readouterr().out
    shown = "\n".join(re.findall(r"^    (.*)$", page, re.MULTILINE))
    pieces = [re.escape(piece) for piece in re.split(r"\s*\.\.\.\s*", shown)]
    assert re.fullmatch(r".*?".join(pieces), printed, re.DOTALL)


@pytest.mark.parametrize("page", [*PAGES, ROOT / "README.md"], ids=lambda page: page.stem)
def test_dialogue_keeps_its_quote_marks_in_a_shell(page: Path) -> None:
    written = page.read_text(encoding="utf-8")
    for command in re.findall(r"^shoritui (say .*|prompt .*--say .*)$", written, re.MULTILINE):
        assert any('"' in word for word in shlex.split(command, comments=True)), command


def test_the_settings_it_shows_are_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path))
    for page in ("settings", "keys", "servers"):
        for shown in re.findall(r"```toml\n(.*?)```", text(page), re.DOTALL):
            replace_text(settings_path(), shown)
            assert load_settings() != Settings()

"""`shoritui help`: the guide in a terminal and in a pipe."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from shoritui.guide import text, topics
from tests.commands.process import shoritui
from tests.e2e.terminal import Terminal


def test_without_a_topic_all_are_listed(tmp_path: Path) -> None:
    result = shoritui("help", home=tmp_path)
    assert result.returncode == 0
    assert all(topic.name in result.stdout and topic.title in result.stdout for topic in topics())


def test_a_pipe_gets_the_page_as_it_is_written(tmp_path: Path) -> None:
    assert shoritui("help", "cards", home=tmp_path).stdout == f"{text('cards')}\n"


def test_a_terminal_gets_the_page_laid_out(tmp_path: Path) -> None:
    command = (sys.executable, "-m", "shoritui", "help", "cards")
    with Terminal(command, rows=500, env={"PAGER": "cat"}) as screen:
        assert screen.wait_until_ended() == 0
        assert "Scenes and characters" in screen.text
        assert "# Scenes" not in screen.text and "|---" not in screen.text


def test_a_page_is_laid_out_wherever_the_keys_come_from(tmp_path: Path) -> None:
    command = (sys.executable, "-m", "shoritui", "help", "cards")
    with Terminal(("sh", "-c", f"{shlex.join(command)} < /dev/null"), rows=500) as screen:
        assert screen.wait_until_ended() == 0
        assert "Scenes and characters" in screen.text
        assert "# Scenes" not in screen.text and "|---" not in screen.text


def test_a_word_that_is_no_topic_is_one_sentence(tmp_path: Path) -> None:
    for word, hint in [("sampler", "did you mean samplers?"), ("say", "shoritui say --help")]:
        result = shoritui("help", word, home=tmp_path)
        assert result.returncode == 1 and hint in result.stderr
        assert result.stderr.count("\n") == 1

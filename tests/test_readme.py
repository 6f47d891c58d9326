"""The README says what the code says."""

from __future__ import annotations

import re

from tests.readme import README, generated


def test_the_tables_are_those_of_the_code() -> None:
    text = README.read_text(encoding="utf-8")
    assert text == generated(text), "run `python -m tests.readme`"


def test_every_command_it_names_exists() -> None:
    from shoritui.cli import parser

    text = README.read_text(encoding="utf-8")
    shown = parser().format_help()
    commands = set(re.findall(r"^shoritui (\w+)", text, re.MULTILINE))
    assert commands and all(re.search(rf"^\s+{name}\s", shown, re.MULTILINE) for name in commands)

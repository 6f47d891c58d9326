"""A card with a picture in a real terminal that answers what it can draw, or never does."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from PIL import Image

from tests.e2e.terminal import Terminal

pytestmark = pytest.mark.slow

ASKED = b"\x1b[16t\x1b[c"
SIXEL = "\x1b[6;20;10t\x1b[?62;4;22c"
NO_SIXEL = "\x1b[6;20;10t\x1b[?62;22c"
CARD = """
title = "The Ferry"
[[character]]
name = "Mira"
description = "Mira keeps the ferry."
[[character]]
name = "Tom"
user = true
[[message]]
speaker = "Mira"
text = '"Last crossing," said Mira.'
"""


def ferry(home: Path, **env: str) -> Terminal:
    card = home / "ferry.toml"
    card.write_text(CARD, encoding="utf-8")
    image = Image.new("RGB", (200, 300), (20, 120, 90))
    image.paste((240, 200, 160), (50, 50, 150, 200))
    image.save(home / "ferry.png")
    return Terminal(
        (sys.executable, "-m", "shoritui", "chat", str(card)),
        env={"SHORITUI_HOME": str(home), "TEXTUAL_ANIMATIONS": "none", **env},
    )


def test_sixel_is_drawn_where_the_terminal_says_it_can(tmp_path: Path) -> None:
    with ferry(tmp_path) as screen:
        screen.wait_for("Last crossing")
        screen.wait_for(lambda _: ASKED in screen.output)
        screen.press("now", SIXEL, "then")
        screen.wait_for(lambda _: b'\x1bP0;0;0q"1;1;' in screen.output)
        screen.wait_for("nowthen")
        assert "62;4" not in screen.text


def test_elsewhere_it_is_drawn_in_blocks_and_late_answers_are_never_typed(tmp_path: Path) -> None:
    with ferry(tmp_path) as screen:
        screen.wait_for("Last crossing")
        screen.wait_for("▀▀▀")
        screen.press("now", NO_SIXEL, "then", *NO_SIXEL, "too")
        screen.wait_for("nowthentoo")
        assert b"\x1bP" not in screen.output and b"\x1b_G" not in screen.output


def test_kitty_is_sent_the_picture_once_and_told_to_forget_it(tmp_path: Path) -> None:
    with ferry(tmp_path, TERM="xterm-kitty") as screen:
        screen.wait_for("Last crossing")
        screen.wait_for(lambda _: "\U0010eeee".encode() in screen.output)
        screen.press("ctrl+q")
        assert screen.wait_until_ended() == 0
        (number,) = re.findall(rb"\x1b_Ga=T[^;]*,i=(\d+),", bytes(screen.output))
        after = screen.output[screen.output.index(b"\x1b_Ga=T") :]
        assert b"\x1b_Ga=d,d=I,q=2,i=" + number in after


def test_without_colours_there_are_no_pictures(tmp_path: Path) -> None:
    with ferry(tmp_path, NO_COLOR="1", TERM="xterm-kitty") as screen:
        screen.wait_for("Last crossing")
        screen.wait_for("Mira keeps the ferry")
        screen.press("now")
        screen.wait_for("now")
        assert "▀" not in screen.text and b"\x1b_G" not in screen.output

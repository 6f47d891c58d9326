"""Any byte from the terminal, in a paste and elsewhere."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual._xterm_parser import XTermParser
from textual.drivers import linux_driver
from textual.events import Key, Paste

from shoritui.demo import model_path
from shoritui.tui.terminal_input import any_input
from tests.e2e.terminal import Terminal
from tests.e2e.test_story import CHAT, story

START, END = "\x1b[200~", "\x1b[201~"
PIECES = st.sampled_from(
    [
        "a",
        " ",
        "\r",
        "\n",
        "\x1b",
        "\x1b[31m",
        "\x1b\x1b",
        "\x11",
        "\x07",
        "\x1b[A",
        "[20",
        "0~",
        "/quit",
    ]
)


@given(
    pasted=st.lists(PIECES, max_size=12).map("".join),
    cuts=st.lists(st.integers(1, 80), max_size=8),
)
def test_a_paste_is_one_event_whatever_is_in_it_and_however_it_comes(
    pasted: str, cuts: list[int]
) -> None:
    any_input(linux_driver.LinuxDriver)
    parser: XTermParser = vars(linux_driver)["XTermParser"]()
    typed = f"x{START}{pasted}{END}y{START}{END}z"
    places = sorted({0, len(typed), *(cut for cut in cuts if cut < len(typed))})
    pieces = [typed[one:other] for one, other in pairwise(places)]
    events = [event for piece in pieces for event in parser.feed(piece)]
    said = [
        each.text if isinstance(each, Paste) else (each.key,)
        for each in events
        if isinstance(each, Paste | Key)
    ]
    assert said == [("x",), pasted, ("y",), "", ("z",)]


@pytest.mark.slow
def test_no_byte_ends_the_app_and_no_paste_is_sent(tmp_path: Path) -> None:
    command = (*CHAT, "gannet-rock", "--model", str(model_path()))
    with Terminal(command, env={"SHORITUI_HOME": str(tmp_path)}) as screen:
        screen.wait_for("as Wren")
        before = len(story(tmp_path))
        screen.send(b"\xff\x9b\xe2\x80A")
        screen.send(b'\x1b[200~ "Hello" \x1b[31m red\rtwo\r/quit \x11 end\x1b[201~')
        screen.wait_for("end")
        screen.wait_for('A "Hello" ')
        assert len(story(tmp_path)) == before
        screen.press("ctrl+q")
        assert screen.wait_until_ended() == 0

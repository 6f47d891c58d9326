"""The one exit: what people read is harmless everywhere, documents are exact where nobody looks."""

from __future__ import annotations

import io
import json
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoritui.commands.output import print_error, print_json, print_story
from shoritui.terminal import harmless_exits, unfiltered
from shoritui.text import as_json, harmless
from tests.hostile import ALL, UNCLEAN

TEXTS = st.text(st.characters() | st.sampled_from("\x1b\x9b\x9d\x07\t\r\n\u202e\u2066\ufeff\ud800"))


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@given(TEXTS)
def test_harmless_text_stays_so_and_keeps_tabs_and_lines(text: str) -> None:
    shown = harmless(text)
    assert not UNCLEAN.search(shown) and harmless(shown) == shown
    assert shown.count("\t") == text.count("\t")


@given(TEXTS)
def test_json_is_exact_and_harmless(text: str) -> None:
    for indent in (None, 2):
        written = as_json({text: [text]}, indent)
        assert json.loads(written) == {text: [text]} and not UNCLEAN.search(written)
        assert harmless(written) == written


@pytest.mark.parametrize("stream", [Terminal, io.StringIO])
def test_who_prints_what(stream: type[io.StringIO], monkeypatch: pytest.MonkeyPatch) -> None:
    out, errors = stream(), stream()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", errors)
    with harmless_exits(), harmless_exits():  # a command may run another
        print_error(ALL)
        print(ALL)
        assert not UNCLEAN.search(out.getvalue() + errors.getvalue())
        before = len(out.getvalue())
        print_story(ALL)
        told = out.getvalue()[before:]
        assert told == (harmless(ALL) if out.isatty() else ALL)
        out.truncate(0)
        print_json({"text": ALL}, on_one_line=True)
        assert json.loads(out.getvalue().lstrip("\0")) == {"text": ALL}
        print("\r50 %\x1b[K", end="", file=unfiltered(sys.stderr))
        assert errors.getvalue().endswith("\r50 %\x1b[K")
    assert sys.stdout is out and sys.stderr is errors

"""Writing a text as a TOML string."""

from __future__ import annotations

import tomli
from hypothesis import given
from hypothesis import strategies as st

from shoritui.toml import quoted

texts = st.text(st.characters(exclude_categories=["Cs"])) | st.text('"\\\n\r\t\x1b\x7fé ')


@given(texts, st.booleans())
def test_what_is_written_is_read_again(text: str, tall: bool) -> None:
    assert tomli.loads(f"x = {quoted(text, tall=tall)}")["x"] == text


def test_only_quotes_that_must_be_are_escaped() -> None:
    assert quoted('"No," she said.\nA """fence""" "', tall=True) == (
        '"""\n"No," she said.\nA \\"""fence\\""" \\""""'
    )

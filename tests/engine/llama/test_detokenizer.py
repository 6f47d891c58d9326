"""Text comes in whole characters, whatever the tokens' bytes are."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shoritui.engine.llama.detokenizer import Detokenizer

unmarked = st.text(st.characters(exclude_characters="▀▄", exclude_categories=["Cs"]))


@given(text=unmarked, sizes=st.lists(st.integers(1, 5), min_size=1))
def test_bytes_cut_anywhere_give_the_text_back(text: str, sizes: list[int]) -> None:
    prose, data, pieces = Detokenizer(), text.encode(), []
    while data:
        for size in sizes:
            pieces.append(prose.feed(data[:size]))
            data = data[size:]
    assert "".join(pieces) == prose.text == text
    assert all("�" not in piece for piece in pieces) or "�" in text


@given(noise=st.binary(max_size=12))
def test_invalid_bytes_hold_nothing_back(noise: bytes) -> None:
    prose = Detokenizer()
    prose.feed(noise)
    if not prose.ended:
        assert prose.feed(b"then").endswith("then")


@given(before=unmarked, mark=st.sampled_from("▀▄"), after=st.text("ab▀▄"))
def test_a_block_mark_ends_the_text_and_is_never_in_it(before: str, mark: str, after: str) -> None:
    prose = Detokenizer()
    for byte in (before + mark + after).encode():
        prose.feed(bytes([byte]))
        if prose.ended:
            break
    assert prose.ended
    assert prose.text == before


def test_an_unfinished_character_waits() -> None:
    prose = Detokenizer()
    assert prose.feed("é".encode()[:1]) == ""
    assert prose.feed("é".encode()[1:]) == "é"

"""Server-sent events, by any cut of the bytes."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoritui.engine.remote.sse import LONGEST, EventReader, NotEvents

LINES = st.text(st.characters(blacklist_characters="\r\n", codec="utf-8"), min_size=1)
ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])


@given(st.lists(LINES, max_size=6), ENDS, st.lists(st.integers(0, 400)), st.booleans())
def test_events_are_the_same_however_the_bytes_are_cut(
    texts: list[str], end: bytes, cuts: list[int], chatty: bool
) -> None:
    data = b"".join(
        (b": ping" + end + end if chatty else b"") + b"data: " + text.encode() + end + end
        for text in texts
    )
    reader, events = EventReader(), list[str]()
    borders = [0, *sorted(cut for cut in cuts if cut < len(data)), len(data)]
    for start, stop in pairwise(borders):
        events += reader.feed(data[start:stop])
    assert events + reader.finish() == texts


def test_what_is_no_data_is_no_event() -> None:
    reader = EventReader()
    assert reader.feed(b"event: x\nid: 1\nretry: 5\n\n:\n\n\n\ndata:a\ndata: b\n\n") == ["a\nb"]
    assert reader.feed(b"error: broken\n\n") == ["broken"]
    assert reader.feed(b"data: last") == []
    assert reader.finish() == ["last"]


def test_a_line_without_an_end_is_no_event_stream() -> None:
    with pytest.raises(NotEvents):
        EventReader().feed(b"x" * (LONGEST + 1))

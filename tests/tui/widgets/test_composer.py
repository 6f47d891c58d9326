"""The composer with a whole book in it."""

from __future__ import annotations

import pytest
from textual.document._wrapped_document import WrappedDocument
from textual.events import Paste

from tests.tui.conftest import running, until

LINES = 2_000


async def test_a_pasted_book_is_wrapped_anew_only_where_its_width_has_changed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    widths = []
    wrap = WrappedDocument.wrap

    def counted(document: WrappedDocument, width: int, tab_width: int | None = None) -> None:
        if document.document.line_count > LINES:
            widths.append(width)
        wrap(document, width, tab_width)

    monkeypatch.setattr(WrappedDocument, "wrap", counted)
    async with running(with_model=False, size=(80, 30)) as (app, pilot):
        composer = app.main.composer
        app.post_message(Paste("nine keys and ten rooms\n" * LINES))
        await until(pilot, lambda: composer.show_vertical_scrollbar)
        await pilot.press(*"abc")
        assert len(composer.text) == 24 * LINES + 3
        assert widths == [composer.wrap_width]
        await pilot.resize_terminal(24, 30)
        await until(pilot, lambda: composer.wrapped_document.height > 2 * LINES)
        assert len(set(widths)) == len(widths)

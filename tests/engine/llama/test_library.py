"""The library is checked before it is trusted, and says what it can compute on."""

from __future__ import annotations

import pytest

from shoritui.engine.llama import library
from shoritui.errors import UserError


def test_the_installed_library_is_the_one_expected() -> None:
    library.self_test()


@pytest.mark.parametrize(
    ("table", "name", "value"),
    [
        ("_ARGUMENTS", "llama_decode", 3),
        ("_ARGUMENTS", "llama_no_more", 1),
        ("_FIELDS", "llama_context_params", {"n_context"}),
    ],
)
def test_a_library_that_moved_is_refused(
    monkeypatch: pytest.MonkeyPatch, table: str, name: str, value: object
) -> None:
    monkeypatch.setitem(getattr(library, table), name, value)
    with pytest.raises(UserError, match=rf"does not fit \({name}\): install"):
        library.self_test()


def test_the_processor_is_among_the_devices() -> None:
    (processor,) = [device for kind, device in library.devices() if kind == 0]
    assert processor.name
    assert processor.total > 1024**2

"""Where the hub is, and what is said where the variable is no address."""

from __future__ import annotations

import pytest

from shoritui.errors import UserError
from shoritui.host.hub import hub_address


@pytest.mark.parametrize(
    ("written", "address"),
    [
        (None, "https://huggingface.co"),
        (" ", "https://huggingface.co"),
        ("http://127.0.0.1:8080/", "http://127.0.0.1:8080"),
        ("https://mirror.example/hf/", "https://mirror.example/hf"),
        ("http://[::1]:80", "http://[::1]:80"),
    ],
)
def test_the_address_is_the_variables_or_the_hubs(
    written: str | None, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if written is None:
        monkeypatch.delenv("HF_ENDPOINT", raising=False)
    else:
        monkeypatch.setenv("HF_ENDPOINT", written)
    assert hub_address() == address


@pytest.mark.parametrize(
    "written",
    [
        *("ht!tp://", "huggingface.co", "https://", "http://a b", "http://[", "http://[x]"),
        *("http://a:99999", "ftp://a", "http://a/?token=hf_secret", "http://a\x1b]0;x\x07"),
        *("http://eve:hf_secret@a", "eve:hf_secret@a b", "http://a/#hf_secret"),
    ],
)
def test_what_is_no_address_is_one_sentence_without_a_secret(
    written: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", written)
    with pytest.raises(UserError, match=r"HF_ENDPOINT .*https://HOST") as error:
        hub_address()
    assert str(error.value).isprintable() and "hf_secret" not in str(error.value)

"""A tokenizer.json as the `tokenizers` library reads it, but for the space that it may put first.

"space_prefix": the document " Ada" begins with it, written by whoever begins the document
"no special":   </s> in a card is text, not the token that ends one
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from shoritui.bounded import read_json


class TokenizerJson:
    """What it says, and what the library makes of texts by it."""

    def __init__(self, text: str, settings: Mapping[str, Any]) -> None:
        """`settings` are those of tokenizer_config.json; the library has errors of its own."""
        from tokenizers import Tokenizer

        self.document: dict[str, Any] = read_json(text)
        self.space_prefix = _without_prefix(self.document)
        """Whether it was made to see a space before a document's first character."""
        self.text = json.dumps(self.document, sort_keys=True)
        """The document without that."""
        self._library = Tokenizer.from_str(self.text)
        self._library.no_padding()
        self._library.no_truncation()
        begun = self._library.encode("x").ids
        self._library.encode_special_tokens = True
        self.size: int = self._library.get_vocab_size()
        self.bos = self._begin(begun, settings)
        """What begins a document; None for nothing."""
        self.eos: int | None = self._library.token_to_id(_token(settings.get("eos_token")))

    def many(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the ids of each text, nothing added; all cores are used."""
        encoded = self._library.encode_batch(list(texts), add_special_tokens=False)
        return [each.ids for each in encoded]

    def decoded(self, ids: Sequence[int]) -> str:
        """Return the text of these ids; control tokens have none."""
        return str(self._library.decode(list(ids), skip_special_tokens=True))

    def _begin(self, begun: list[int], settings: Mapping[str, Any]) -> int | None:
        """Return what the library puts before a text, or would if its settings were heard."""
        plain = self.many(["x"])[0]
        if begun[:1] != plain[:1]:
            return begun[0]
        token: int | None = self._library.token_to_id(_token(settings.get("bos_token")))
        return token if settings.get("add_bos_token") else None


def _without_prefix(document: dict[str, Any]) -> bool:
    """Take the space prefix out of a tokenizer.json; return whether there was one."""
    normalizer = document.get("normalizer") or {}
    steps = normalizer.get("normalizers", [normalizer])
    kept = [step for step in steps if step.get("type") != "Prepend"]
    found = len(kept) < len(steps)
    if found:
        document["normalizer"] = {"type": "Sequence", "normalizers": kept} if kept else None
    splitter = document.get("pre_tokenizer") or {}
    for step in splitter.get("pretokenizers", [splitter]):
        if step.get("type") == "Metaspace" and step.get("prepend_scheme", "always") != "never":
            found, step["prepend_scheme"] = True, "never"
        if step.get("type") == "ByteLevel" and step.get("add_prefix_space"):
            found, step["add_prefix_space"] = True, False
    return found


def _token(entry: Any) -> str:
    """Return the text of a token in tokenizer_config.json, which tells it in two ways."""
    return str(entry.get("content") if isinstance(entry, dict) else entry)

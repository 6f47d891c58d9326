"""Conversations as others write them: one writer for each format."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from hypothesis import strategies as st

from shoritui.interop.log import log_name
from shoritui.text import clean, is_visible

Said: TypeAlias = tuple[str, str]
"""Who, and what."""
NAMES = ("Mara", "Ilse")

prose = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\u2028\u2029{<(#-"),
    min_size=1,
    max_size=40,
)
texts = st.lists(prose, min_size=1, max_size=3).map("\n".join).map(clean)
plain = texts.filter(
    lambda text: (
        is_visible(text)
        and text == text.strip()
        and not any(log_name(line) for line in text.split("\n"))
        and not text.startswith(("[INST]", "---"))
    )
)
"""Texts in which nobody else seems to speak."""


def talks(least: int = 2) -> st.SearchStrategy[list[Said]]:
    """Conversations of two, who take turns."""
    return st.lists(plain, min_size=least, max_size=6).map(
        lambda texts: [(NAMES[place % 2], text) for place, text in enumerate(texts)]
    )


def _roles(said: Sequence[Said], user: str, char: str) -> list[tuple[str, str]]:
    return [(user if name == NAMES[0] else char, text) for name, text in said]


def sharegpt(said: Sequence[Said]) -> Any:
    rows = [{"from": role, "value": text} for role, text in _roles(said, "human", "gpt")]
    return {"id": "x", "conversations": rows}


def sharegpt_named(said: Sequence[Said]) -> Any:
    return {"conversations": [{"from": name, "value": text} for name, text in said]}


def sharegpt_in_texts(said: Sequence[Said]) -> Any:
    rows = _roles([(name, f"{name}: {text}") for name, text in said], "human", "gpt")
    return {"conversations": [{"from": role, "value": text} for role, text in rows]}


def messages(said: Sequence[Said]) -> Any:
    rows = _roles(said, "user", "assistant")
    return {"messages": [{"role": role, "content": text} for role, text in rows]}


def messages_named(said: Sequence[Said]) -> Any:
    return {
        "messages": [
            {"role": "user", "name": name, "content": [{"type": "text", "text": text}]}
            for name, text in said
        ]
    }


def alpaca(said: Sequence[Said]) -> Any:
    said = said[: len(said) // 2 * 2]
    pairs = [[said[at][1], said[at + 1][1]] for at in range(0, len(said), 2)]
    (asked, answered) = pairs.pop()
    return {"instruction": asked, "input": "", "output": answered, "history": pairs}


def limarp(said: Sequence[Said]) -> Any:
    return {
        "names": {"<FIRST>": NAMES[1], "<SECOND>": NAMES[0]},
        "personas": {"<FIRST>": "Strict.", "<SECOND>": "Late."},
        "scenario": "<SECOND> is late again.",
        "conversation": [
            {"name": role, "text": text} for role, text in _roles(said, "<SECOND>", "<FIRST>")
        ],
    }


def chatml(said: Sequence[Said]) -> str:
    rows = _roles(said, "user", "assistant")
    return "".join(f"<|im_start|>{role}\n{text}<|im_end|>\n" for role, text in rows)


def chatml_field(said: Sequence[Said]) -> Any:
    return {"text": chatml(said)}


def log(said: Sequence[Said]) -> str:
    return "\n".join(f"{name}: {text}" for name, text in said) + "\n"


def sillytavern(said: Sequence[Said]) -> str:
    rows: list[Any] = [{"user_name": NAMES[0], "character_name": NAMES[1], "chat_metadata": {}}]
    rows += [
        {
            "name": name,
            "is_user": name == NAMES[0],
            "mes": text,
            "swipes": ["another one", text],
            "swipe_id": 1,
        }
        for name, text in said
    ]
    return lines(rows)


def lines(rows: Sequence[Any]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


RECORDS: dict[str, Callable[[Sequence[Said]], Any]] = {
    each.__name__: each
    for each in (
        *(sharegpt, sharegpt_named, sharegpt_in_texts, messages, messages_named),
        *(alpaca, limarp, chatml_field),
    )
}

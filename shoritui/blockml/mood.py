"""Moods: one to three emoji before a message, a line of it, a speech or a thought.

😊 "You came!"            before the message
She sat. 😟 "Only now."    before a speech
😀😀😀😀 Ha.               too many: they are the text
"""

from __future__ import annotations

import re
from typing import Final

_PICTURE: Final = (
    "[\U0001f004\U0001f0cf\U0001f18e\U0001f191-\U0001f19a\U0001f201-\U0001f251\U0001f300-\U0001f3fa"
    "\U0001f400-\U0001f64f\U0001f680-\U0001f6ff\U0001f7e0-\U0001f7f0\U0001f900-\U0001f9ff"
    "\U0001fa70-\U0001faff⌚⌛⏩-⏬⏰⏳◽◾☔☕♈-♓♿⚓⚡⚪⚫⚽⚾⛄⛅⛎⛔⛪⛲⛳⛵⛺⛽✅✊✋✨❌❎❓-❕❗➕-➗➰➿⬛⬜⭐⭕]"
)
"""Characters that are emoji by themselves."""
_SIGN: Final = "[©®‼⁉™ℹ↔-↪⌨⏏-⏺Ⓜ▪-◼☀-➡⤴⤵⬅-⬇〰〽㊗㊙]"
"""Characters that are emoji with a variation selector behind them, or joined to another one."""
_TONE: Final = "[\U0001f3fb-\U0001f3ff]"
_JOINER: Final = "\u200d"
_EMOJI: Final = (
    "(?>[\U0001f1e6-\U0001f1ff]{2}"  # a flag
    f"|(?:{_PICTURE}\ufe0f?|{_SIGN}(?:\ufe0f|(?={_JOINER}|{_TONE}))){_TONE}?"
    "[\U000e0020-\U000e007f]*"  # the flag of a region
    f"(?:{_JOINER}(?:{_PICTURE}|{_SIGN})\ufe0f?{_TONE}?)*)"
)
_GOES_ON: Final = (
    f"{_JOINER}|{_TONE}|[\ufe0f\U000e0020-\U000e007f]|(?:{_SIGN}|[\U0001f1e6-\U0001f1ff])\\Z"
)
"""What belongs to the emoji before it, or may become one with what is written next."""
_RUN: Final = rf"{_EMOJI}(?:[ \t]*{_EMOJI}){{0,2}}+"
_MOOD: Final = re.compile(
    rf"^{_RUN}[ \t]*+(?=\S)(?!{_EMOJI}|{_GOES_ON})|(?<=[ \t]){_RUN}[ \t]*+(?=[\"“„«_])",
    re.MULTILINE,
)


_FIRST: Final = "‼"
"""Without this character, or one beyond it, a text has no emoji."""


def moods(text: str) -> list[tuple[int, int]]:
    """Return where moods stand in a message: where each begins, and what comes after it.

    Emoji that nothing follows are the text.
    """
    if text.isascii() or max(text) < _FIRST:  # most have none, and looking closely is slow
        return []
    return [found.span() for found in _MOOD.finditer(text)]

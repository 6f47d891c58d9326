"""The bytes that a terminal sends for a key, by the name that Textual has for it.

Escape, and a letter with Alt, are sent as in Kitty's protocol: else they may be the start of
another key, and only time tells.
"""

from __future__ import annotations

from typing import Final

_LETTERS: Final = {"up": "A", "down": "B", "right": "C", "left": "D", "home": "H", "end": "F"}
_NUMBERED: Final = {"insert": 2, "delete": 3, "pageup": 5, "pagedown": 6} | {
    f"f{number}": code
    for number, code in zip(
        range(1, 13), (11, 12, 13, 14, 15, 17, 18, 19, 20, 21, 23, 24), strict=True
    )
}
_PLAIN: Final = {
    **{"enter": "\r", "escape": "\x1b[27u", "tab": "\t", "backspace": "\x7f", "space": " "},
    **{"question_mark": "?", "slash": "/", "full_stop": ".", "comma": ",", "plus": "+"},
    **{"minus": "-", "at": "@", "number_sign": "#", "less_than_sign": "<"},
    **{"greater_than_sign": ">", "left_square_bracket": "[", "right_square_bracket": "]"},
    **{"f13": "\x1b[57376u", "f14": "\x1b[57377u"},
}


def bytes_of(key: str) -> str:
    """What the terminal sends; the text itself where it is no key's name."""
    *modifiers, name = key.split("+")
    if not modifiers and name in _PLAIN:
        return _PLAIN[name]
    strength = 1 + ("shift" in modifiers) + 2 * ("alt" in modifiers) + 4 * ("ctrl" in modifiers)
    if name in _LETTERS:
        return f"\x1b[1;{strength}{_LETTERS[name]}" if modifiers else f"\x1b[{_LETTERS[name]}"
    if name in _NUMBERED:
        return f"\x1b[{_NUMBERED[name]}" + (f";{strength}~" if modifiers else "~")
    if not modifiers:
        return key
    sent = _PLAIN.get(name, name)
    if "alt" in modifiers:
        return f"\x1b[{ord(sent)};{strength}u"
    return chr(ord(sent) & 31) if "ctrl" in modifiers else sent.upper()

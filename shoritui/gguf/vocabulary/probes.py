"""Texts that tell vocabularies apart, and the rules by which they split."""

from __future__ import annotations

from typing import Final

_FRAME: Final = '▀message (length: tiny)\nAda: _Oh,_ said Ada. "It\'s lit."▄\n'
PROBES: Final = (
    _FRAME, f"▀title\nThe lamp▄\n▀tags\none, two-three▄\n{_FRAME}{_FRAME}[INST] Write. [/INST]\n",
    "The quick brown fox jumps over the lazy dog, doesn't it? She'd've said: they're mine; I'll.",
    "IT'S WHAT YOU'VE DONE, I'M SURE WE'LL SEE. He'D he'RE don'T can'T 'tis rock'n'roll",
    "1 12 123 1234 12345 123456 1234567 12345678 123456789 1234567890 3.14159 1,000,000 0x1F 2nd",
    "In 1984, 15% of 300 cost $20.50 (or €18) -- see §12b & co. #7 @home ~5*x^2 = y_1/2 | <tag>",
    "camelCase CamelCase HTTPServer snake_case iPhone XMLHttpRequest AbcDEFghi a1b2c3 v1.2.3",
    " leading", "  two", "   three", "trailing ", "trailing  ", "a  b", "a   b    c     d", " ",
    "   ", "\n", "\n\n", "\n\n\n\n", " \n", "\n ", "a\nb", "a\n\nb", "a \n b", "a\n  b",
    "one.\n\nTwo", "\n\n x", "\t", "\ttab", "a\tb", "a\t\tb", "\t\n\t", "\r\n", "a\r\nb\r\n\r\nc",
    "if x:\n    y = 1\n\n\treturn", "...", "?!", "!!!", "wait... what?!", "(a)[b]{c}", "a/b\\c",
    "https://a.example/b?c=d&e=f#g",
    '"quoted" \'single\' “curly” ‘curled’ «angled» — dash – en … dots',
    "**bold** _it_ ***both*** ~~no~~", "/* c */ // x\n#!/bin/sh\n--flag=1;\n",
    "!abc .def -ghi 'jkl \"mno (pqr", "a.b,c;d:e", "#5 $5 %d &amp;",
    "naïve café, Zoë: Ærøskøbing; ÉTÉ Éclair ÀÉÎ straße ŒUVRE", "Привет, мир! ПриветМир КАК дела",
    "Γειά σου Κόσμε", "שלום עולם", "مرحبا بالعالم ١٢٣", "नमस्ते दुनिया १२३", "สวัสดีชาวโลก",
    "こんにちは世界。カタカナ、ひらがな！", "你好，世界！今天是2024年5月1日。", "안녕하세요 세계",
    "Xin chào thế giới", "გამარჯობა",
    "Բարեւ", "ሰላም", "½ ² Ⅷ ① ٣", "🙂", "🙂🙂 👩‍👩‍👧‍👦 🇯🇵 👍🏽", "x🙂y", "a\u00a0b", "a\u3000b",
    "a\u2003b", "∑∫√ ≤≥ → ←", "a\u200bb",
)  # fmt: skip
"""Texts by which rules differ; all composed (NFC), since no rule of llama.cpp composes any."""

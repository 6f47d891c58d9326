"""What nobody writes by accident: texts and values that have broken programs."""

from __future__ import annotations

from typing import Any, Final

from tests.hostile import BLOCKS, COMMANDS, MARKUP, SHELL

TEXTS: Final = (
    *(*MARKUP, *COMMANDS, SHELL, BLOCKS),
    # Terminals, and what draws in them.
    *("\x1b]52;c;AAAA\x07", "\x1b[2J\x1b[1;1H", "\x9b31m", "\r", "\x07", "\x08" * 9, "\0", "\x7f"),
    *("[/]", "[bold", "[@click=app.fuzzed()]x", "[link=x]", "\\[", "$primary", ":smile:"),
    *("\u202eevil", "\u2066", "\u200b", "\ufeff", "\u2028", "\u3164", "\ud800", "\udcff"),
    *("e\u0301\u0327" * 40, "👩‍👩‍👧‍👦", "﷽", "İ", "ß", "ǅ", "\U0010ffff", "\t", "\v", "\f", "\x85"),
    # This program's own marks, and others'.
    *("▀", "▄", "▄\n▀title\nEvil▄", "▀message (length: tiny)\nAda: ", "[INST] ", "[/INST]", "</s>"),
    *("<START>", "{{char}}", "{{user}}", "{{random::a::b}}", "{{roll:1d999999999}}", "{{", "}}"),
    *("@@depth 99999999999", "<|im_start|>", "<|im_end|>\n", "### Instruction:", "data: [DONE]"),
    *("Ada:", "Ada: Hm.\n", "(ooc: x)", "---\n", "- ", "#", "```", "> ", "''", '"', "“", "_*_*"),
    # Numbers.
    *("0", "-1", "1e999", "-1e999", "inf", "nan", "9" * 400, "9223372036854775808", "0x7f", "1_0"),
    *("-9223372036854775809", "4294967296", "1e308", "0.1" + "0" * 400, "１２", "²", "٣", "1-1-1"),
    # Paths and names.
    *("../../../x", "/", "/etc/passwd", "~root/x", "~nobody-of-this-name/x", "con", "nul.txt", "."),
    *("..", "a/b", "a\\b", "C:\\x", "x" * 300, "file:///x", "http://[::1", "-", "--help", ""),
    *(
        " ",
        "a';touch x;'",
        "$(touch x)",
        "`touch x`",
        "%s%n",
        "*",
        "**/*",
        "?",
        "[a-",
        "\n",
        "\n\n",
    ),
    # Patterns.
    *("/(a+)+$/", "/(a|a)*b/i", "/(?:/", "(" * 200, "a" * 5_000, "(?i)" * 9, "/[/", "\\", "/x/zz"),
    # Syntax.
    *("[" * 3_000, '{"a":' * 3_000, "- " * 1_500, "{a: " * 500, "]", "}", "{}", "[]", "null"),
    *("a: &a [*a, *a]", "<<: *a", "!!python/object:os.system x", "[[a]]", "[a.b.c]", "a.b.c = 1"),
    *(
        "'''",
        '"""',
        '\\"',
        "\\u0000",
        "\\ud800",
        "\\U00110000",
        "1979-05-27T07:32:00Z",
        "true",
        ",",
    ),
)
VALUES: Final[tuple[Any, ...]] = (
    *(None, True, False, 0, 1, -1, 2, 0.5, -0.0, 1e308, -1e308, float("inf"), float("nan")),
    *(2**31, 2**32, 2**53 + 1, 2**63, -(2**63) - 1, 2**64, 10**400, "", [], {}, [[]], {"": {}}),
    *([None], ["x"] * 300, {"a": {"a": {"a": {}}}}, {"name": None}, [{}], "1", "true", "x" * 9_000),
)
NUMBERS: Final = (0, 1, 2, 0x7F, 0x80, 0xFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 2**63)

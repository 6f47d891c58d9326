'''Write a text as a TOML string.

quoted('Say "no"')              "Say \\"no\\""
quoted('"No."\\n', tall=True)    """
                                "No."
                                """
'''

from __future__ import annotations

import re

from shoritui.text import as_json

_CLOSING = re.compile(r'"(?=""|\Z)')  # quotes that would end a string in three quotes


def quoted(text: str, *, tall: bool = False) -> str:
    """Return the text in double quotes; a tall one in three, and beginning on its own line."""
    # JSON's escapes are TOML's too.
    lines = [as_json(line)[1:-1] for line in text.split("\n")]
    if not tall:
        return '"' + "\\n".join(lines) + '"'
    body = "\n".join(lines).replace('\\"', '"')
    return '"""\n' + _CLOSING.sub('\\\\"', body) + '"""'

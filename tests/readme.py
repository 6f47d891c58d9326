"""Writes the README's tables anew from the code: `python -m tests.readme`."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable
from pathlib import Path

from shoritui import settings
from shoritui.blockml import LENGTHS, token_range

README = Path(__file__).parent.parent / "README.md"
_SECTION = re.compile(r"<!-- generated: (\w+) -->\n.*?<!-- end -->", re.DOTALL)


def generated(text: str) -> str:
    """The README's text with every generated section as the code says now."""

    def section(match: re.Match[str]) -> str:
        table = SECTIONS[match[1]]().strip()
        return f"<!-- generated: {match[1]} -->\n{table}\n<!-- end -->"

    return _SECTION.sub(section, text)


def lengths_table() -> str:
    rows = ["| hint | tokens of the message |", "|---|---|"]
    for length in LENGTHS:
        least, most = token_range(length)
        span = f"more than {least - 1}" if length == "enormous" else f"{least} to {most}"
        rows.append(f"| `{length}` | {span} |")
    return "\n".join(rows)


def settings_table() -> str:
    rows = ["| setting | default | meaning |", "|---|---|---|"]
    meanings = _attribute_docstrings(settings.Settings)
    defaults = settings.Settings()
    for name in settings.Settings.__struct_fields__:
        value = getattr(defaults, name)
        shown = f'"{value}"' if isinstance(value, str) else str(value).lower()
        rows.append(f"| `{name}` | `{shown}` | {meanings[name]} |")
    return "\n".join(rows)


def presets_table() -> str:
    from shoritui.engine import presets

    rows = ["| preset | what it is |", "|---|---|"]
    rows += [f"| `{name}` | {preset.title} |" for name, preset in presets(None)[0].items()]
    return "\n".join(rows)


def sampling_table() -> str:
    from shoritui.engine import SETTINGS, Sampling

    rows = ["| value | neutral | meaning |", "|---|---|---|"]
    meanings = _attribute_docstrings(Sampling)
    neutral = Sampling()
    for name in SETTINGS:
        value = getattr(neutral, name)
        shown = f"`{value!r}`" if isinstance(value, float | int) else "none"
        if value and isinstance(value, tuple):
            shown = "` " + " ` ` ".join(each.replace("\n", "\\n") for each in value) + " `"
        rows.append(f"| `{name}` | {shown} | {' '.join(meanings[name].split())} |")
    return "\n".join(rows)


def cards_table() -> str:
    from shoritui.cards import reference

    return reference()


def keys_table() -> str:
    from shoritui.tui.actions import reference

    return reference()


SECTIONS: dict[str, Callable[[], str]] = {
    "keys": keys_table,
    "lengths": lengths_table,
    "presets": presets_table,
    "sampling": sampling_table,
    "settings": settings_table,
    "cards": cards_table,
}


def _attribute_docstrings(of: type) -> dict[str, str]:
    body = ast.parse(inspect.getsource(of)).body[0]
    assert isinstance(body, ast.ClassDef)
    found = {}
    for field, text in zip(body.body, body.body[1:], strict=False):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(text, ast.Expr)
            and isinstance(text.value, ast.Constant)
        ):
            found[field.target.id] = str(text.value.value)
    return found


if __name__ == "__main__":
    README.write_text(generated(README.read_text(encoding="utf-8")), encoding="utf-8")

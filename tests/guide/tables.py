"""The guide's tables, made from the code."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from itertools import groupby
from typing import Final

from shoritui import settings
from shoritui.blockml import LENGTHS, token_range
from shoritui.toml import meanings_of
from shoritui.tui.action import AnyAction

_SECTION: Final = re.compile(r"<!-- generated: ([\w-]+) -->\n.*?<!-- end -->", re.DOTALL)


def generated(page: str) -> str:
    """Return a page with every generated section as the code says now."""

    def section(match: re.Match[str]) -> str:
        table = TABLES[match[1]]().strip()
        return f"<!-- generated: {match[1]} -->\n{table}\n<!-- end -->"

    return _SECTION.sub(section, page)


def lengths_table() -> str:
    rows = ["| hint | tokens of the message |", "|---|---|"]
    for length in LENGTHS:
        least, most = token_range(length)
        span = f"more than {least - 1}" if length == "enormous" else f"{least} to {most}"
        rows.append(f"| `{length}` | {span} |")
    return "\n".join(rows)


def settings_table() -> str:
    rows = ["| setting | default | meaning |", "|---|---|---|"]
    meanings = meanings_of(settings.Settings)
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
    meanings = meanings_of(Sampling)
    neutral = Sampling()
    for name in SETTINGS:
        value = getattr(neutral, name)
        shown = f"`{value!r}`" if isinstance(value, float | int) else "none"
        if value and isinstance(value, tuple):
            shown = "` " + " ` ` ".join(each.replace("\n", "\\n") for each in value) + " `"
        rows.append(f"| `{name}` | {shown} | {meanings[name]} |")
    return "\n".join(rows)


def cards_table() -> str:
    from shoritui.cards import reference

    return reference()


def keys_table() -> str:
    from shoritui.tui.chat.actions import ACTIONS

    return _actions_tables(ACTIONS)


def training_keys_table() -> str:
    from shoritui.tui.training.actions import ACTIONS

    return _actions_tables(ACTIONS)


def architectures_table() -> str:
    from shoritui.gguf.architectures import KINDS

    rows = ["| difference from PyTorch | `model_type` in config.json |", "|---|---|"]
    for most, why in ((1e-5, ""), (1e-4, ": long sums"), (3e-4, ": llama.cpp rounds GELU")):
        names = [f"`{name}`" for name in sorted(KINDS) if KINDS[name].difference == most]
        rows.append(f"| at most {most:.5f}{why} | {', '.join(names)} |")
    return "\n".join(rows)


TABLES: Final[dict[str, Callable[[], str]]] = {
    "keys": keys_table,
    "training-keys": training_keys_table,
    "lengths": lengths_table,
    "presets": presets_table,
    "sampling": sampling_table,
    "settings": settings_table,
    "cards": cards_table,
    "architectures": architectures_table,
}


def _actions_tables(actions: Iterable[AnyAction]) -> str:
    """A table for each group: `Story: Stop writing` is *Stop writing* in the group *Story*."""
    tables = []
    by_group = sorted(actions, key=lambda action: _first(action, actions))
    for group, members in groupby(by_group, key=lambda action: action.title.split(": ")[0]):
        rows = [f"### {group}", "", "| keys | command | what it does | id |", "|---|---|---|---|"]
        rows += [_action_row(action) for action in members]
        tables.append("\n".join(rows))
    return "\n\n".join(tables)


def _first(action: AnyAction, actions: Iterable[AnyAction]) -> int:
    """Where the first action of its group stands."""
    groups = [each.title.split(": ")[0] for each in actions]
    return groups.index(action.title.split(": ")[0])


def _action_row(action: AnyAction) -> str:
    keys = " ".join(f"`{_plain_key(key)}`" for key in action.keys.split(",") if key)
    if keys and action.where == "transcript":
        keys += " (reading)"
    slash = f"`/{action.slash} {action.argument}".rstrip() + "`" if action.slash else ""
    slash = slash.replace("|", "\\|")
    return f"| {keys} | {slash} | {action.help} | `{action.id}` |"


def _plain_key(key: str) -> str:
    *modifiers, last = key.split("+")
    names = {"pageup": "PgUp", "pagedown": "PgDn", "escape": "Esc", "question_mark": "?"}
    last = names.get(last, last if len(last) == 1 else last.capitalize())
    return "+".join([*(modifier.capitalize() for modifier in modifiers), last])

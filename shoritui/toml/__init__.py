"""TOML files that people write: read them, check them, and say what is wrong on which line.

Settings, cards, presets, themes and training configs all go one way:

    sheet = read_sheet(path, "card")                             file to values
    sheet.raise_first(problems(sheet.data, fields_of(Card)))     values to one sentence, or none
"""

from shoritui.toml.check import problems
from shoritui.toml.fields import (
    FILLED,
    Field,
    Fields,
    Rule,
    choices_of,
    expected,
    fields_of,
    item_of,
    meanings_of,
    type_parts,
)
from shoritui.toml.read import (
    LARGEST,
    Problem,
    Sheet,
    files_named,
    load_all,
    parse_text,
    read_sheet,
    read_text,
    toml_files,
)
from shoritui.toml.wording import file_error, nearest, shown
from shoritui.toml.write import quoted

__all__ = [
    "FILLED",
    "LARGEST",
    "Field",
    "Fields",
    "Problem",
    "Rule",
    "Sheet",
    "choices_of",
    "expected",
    "fields_of",
    "file_error",
    "files_named",
    "item_of",
    "load_all",
    "meanings_of",
    "nearest",
    "parse_text",
    "problems",
    "quoted",
    "read_sheet",
    "read_text",
    "shown",
    "toml_files",
    "type_parts",
]

"""Values that nobody means, in every field of every file that people write: one sentence each."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from shoritui.cards import load_cards
from shoritui.engine.presets import SHIPPED, load_preset
from shoritui.errors import UserError
from shoritui.finetune.config import starter
from shoritui.finetune.config.load import load
from shoritui.finetune.config.write import text_of
from shoritui.folders import HOME_VARIABLE, bundled_dir, settings_path
from shoritui.settings import Settings, load_settings
from shoritui.toml import quoted
from shoritui.tui.themes import load_theme

NASTY = (
    *("inf", "nan", "1e999", "-1", "18446744073709551616", "-9223372036854775809", "9" * 400),
    *("0x" + "f" * 5000, "1979-05-27", "1979-05-27T07:32:00Z", "07:32:00", '""', "true"),
    *("[" * 90 + "]" * 90, "{a = {b = {c = 1}}}", "[1, 'a', [2]]", "[{path = 1}]"),
    *('"\\u001b]52;c;x\\u0007"', '"' + "x" * 100_000 + '"'),
)
_ENTRY = re.compile(r"^([a-z_]+) = (?:[^\[\n\"].*|\"[^\"\n]*\"|\[[^\[\]\n]*\])$", re.MULTILINE)


def settings_text() -> str:
    values = msgspec.to_builtins(Settings())
    texts = {str: quoted, bool: lambda each: str(each).lower()}
    return "".join(
        f"{key} = {texts.get(type(value), str)(value)}\n" for key, value in values.items()
    )


def mutants(text: str) -> Iterator[str]:
    """Yield the text with one value of each key replaced by every nasty one."""
    seen: set[str] = set()
    for match in _ENTRY.finditer(text):
        table = text.rfind("\n[", 0, match.start())
        key = text[table + 1 : text.find("]", table)] + match[1]
        if key not in seen:
            seen.add(key)
            start, end = match.span()
            yield from (f"{text[:start]}{match[1]} = {value}{text[end:]}" for value in NASTY)


def shipped(folder: str, name: str) -> Callable[[], str]:
    return (bundled_dir(folder) / name).read_text


FILES: dict[str, tuple[Callable[[], str], Callable[[Path], object]]] = {
    "settings": (settings_text, lambda _: load_settings()),
    "card": (shipped("characters", "mudlark-inn.toml"), lambda path: load_cards([path])),
    "preset": ((SHIPPED / "card-main.toml").read_text, load_preset),
    "theme": (shipped("themes", "shori-dark.toml"), load_theme),
    "training config": (lambda: text_of(starter.shipped(Path("x"))), load),
}


@pytest.mark.parametrize("kind", FILES)
def test_a_value_that_nobody_means_is_one_sentence(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path))
    text_of, read = FILES[kind]
    path = settings_path() if kind == "settings" else tmp_path / "it.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    count = 0
    for text in mutants(text_of()):
        path.write_text(text, encoding="utf-8")
        try:
            read(path)
        except UserError as error:
            assert str(error).replace("\n", "").isprintable()
            assert all(len(line) < 600 for line in str(error).splitlines())
            count += 1
    assert count > 4 * len(NASTY)

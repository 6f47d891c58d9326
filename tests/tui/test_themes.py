"""Theme files: what ships is good, what is bad is told."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.color import Color

from shoritui.errors import UserError
from shoritui.settings import bundled_dir
from shoritui.tui.themes import find_themes, load_theme

SHIPPED = sorted(bundled_dir("themes").glob("*.toml"))
KINDS = ("narration", "dialogue", "thought", "sound", "emphasis", "loud", "quote", "cited")


def test_dark_light_and_high_contrast_ship() -> None:
    themes, problems = find_themes([bundled_dir("themes")])
    assert not problems
    assert {"shori-dark", "shori-light", "high-contrast", "terminal"} <= set(themes)
    assert len(themes) >= 5


def contrast(one: Color, other: Color) -> float:
    """The WCAG contrast ratio."""

    def luminance(colour: Color) -> float:
        parts = [
            part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4
            for part in colour.normalized
        ]
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


OWN_COLOURS = [path for path in SHIPPED if not load_theme(path).ansi]


@pytest.mark.parametrize("path", OWN_COLOURS, ids=lambda path: path.stem)
def test_every_word_can_be_read_on_its_ground(path: Path) -> None:
    theme = load_theme(path)
    least = 10 if path.stem == "high-contrast" else 4.5
    ground = Color.parse(theme.background or "")
    for name in [*(f"prose-{kind}" for kind in KINDS), *(f"speaker-{n}" for n in range(1, 9))]:
        assert contrast(Color.parse(theme.variables[name]), ground) >= least, name
    for surface in (theme.background, theme.surface):
        info = Color.parse(theme.variables["prose-info"])
        assert contrast(info, Color.parse(surface or "")) >= 3.5


GOOD = SHIPPED[0].read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("dialogue =", "dialog =", "[prose] has no field dialog; did you mean dialogue?"),
        ('loud = "', 'loud = "nonsense', "prose.loud is 'nonsense"),
        ("dark = true", 'dark = "yes"', "dark is 'yes'; it must be true or false."),
        ("[speakers]", "[loudspeakers]", "has no field loudspeakers; did you mean speakers?"),
        ("[prose]", "[prose", "can't be read"),
    ],
)
def test_a_bad_file_gets_one_sentence(tmp_path: Path, before: str, after: str, told: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(GOOD.replace(before, after, 1), encoding="utf-8")
    with pytest.raises(UserError) as error:
        load_theme(path)
    assert str(path) in str(error.value) and told in str(error.value)


def test_a_bad_file_hides_no_good_one_and_the_users_wins(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("title = 1", encoding="utf-8")
    mine = GOOD.replace(load_theme(SHIPPED[0]).primary, "#123456")
    (tmp_path / SHIPPED[0].name).write_text(mine, encoding="utf-8")
    themes, problems = find_themes([bundled_dir("themes"), tmp_path])
    assert len(problems) == 1 and "bad.toml" in problems[0]
    assert themes[SHIPPED[0].stem].primary == "#123456"

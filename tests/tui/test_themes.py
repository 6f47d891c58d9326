"""Theme files: what ships is good, what is bad is told."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.color import Color

from shoritui.errors import UserError
from shoritui.folders import bundled_dir
from shoritui.settings import Settings
from shoritui.tui.chat.app import ShoriTUI
from shoritui.tui.themes import find_themes, load_theme

SHIPPED = sorted(bundled_dir("themes").glob("*.toml"))
KINDS = ("narration", "dialogue", "thought", "sound", "emphasis", "loud", "quote", "cited")


def test_dark_light_and_high_contrast_ship() -> None:
    themes, problems = find_themes([bundled_dir("themes")])
    assert not problems
    assert {"shori-dark", "shori-light", "high-contrast", "terminal"} <= set(themes)
    assert len(themes) >= 5


def test_a_themes_name_commands_no_terminal() -> None:
    app = ShoriTUI(Settings(theme="\x1b]0;owned\x07"))
    [problem] = app.problems
    assert problem.startswith("There is no theme") and problem.isprintable()


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
        ("dialogue =", "dialog =", '"dialog" is not a field of [prose]; did you mean "dialogue"?'),
        (
            'loud = "',
            'loud = "nonsense',
            '"loud" of [prose] must be a colour such as "#e6b673", not "nonsense',
        ),
        ("dark = true", 'dark = "yes"', '"dark" must be true or false, not the text "yes"'),
        (
            "[speakers]",
            "[loudspeakers]",
            '"loudspeakers" is not a field at the top of the file; did you mean "speakers"?',
        ),
        ("[prose]", "[prose", "this is not TOML"),
        (
            '"]\n',
            '", "#ffffff"]\n',
            '"colours" of [speakers] must be 8 colours such as "#e6b673", not 9',
        ),
    ],
)
def test_a_bad_file_gets_one_sentence(tmp_path: Path, before: str, after: str, told: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(GOOD.replace(before, after, 1), encoding="utf-8")
    with pytest.raises(UserError) as error:
        load_theme(path)
    assert str(error.value).startswith(f"{path}: line ") and told in str(error.value)


def test_a_theme_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "Mine.TOML").write_text(GOOD, encoding="utf-8-sig")
    assert set(find_themes([tmp_path])[0]) == {"Mine"}


def test_a_bad_file_hides_no_good_one_and_the_users_wins(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("title = 1", encoding="utf-8")
    mine = GOOD.replace(load_theme(SHIPPED[0]).primary, "#123456")
    (tmp_path / SHIPPED[0].name).write_text(mine, encoding="utf-8")
    themes, problems = find_themes([bundled_dir("themes"), tmp_path])
    assert len(problems) == 1 and "bad.toml" in problems[0]
    assert themes[SHIPPED[0].stem].primary == "#123456"

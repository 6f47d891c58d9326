"""The settings file: defaults, changes, comments, mistakes."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from shoritui.errors import UserError
from shoritui.folders import settings_path
from shoritui.settings import AdapterFile, Settings, load_settings, save_settings
from tests.hostile import UNCLEAN


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SHORITUI_HOME", str(tmp_path))
    return tmp_path


def write(text: str) -> None:
    settings_path().parent.mkdir(parents=True, exist_ok=True)
    settings_path().write_text(text, encoding="utf-8")


def test_without_a_file_there_are_the_defaults() -> None:
    assert load_settings() == Settings()
    assert "safe conversation" in load_settings().instruction


def test_a_change_is_read_back_and_comments_stay() -> None:
    write("# mine\nlength = 'tiny' # short ones\n")
    assert save_settings(theme="shori-light").length == "tiny"
    assert load_settings().theme == "shori-light"
    text = settings_path().read_text(encoding="utf-8")
    assert "# mine" in text and "# short ones" in text


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("lenght = 'tiny'", 'did you mean "length"'),
        ("length = 'big'", 'line 1: "length" must be one of auto, model, nano, .*, not "big"'),
        ("n_ctx = -1", '"n_ctx" must be a whole number from 0 to 100,000,000, not -1'),
        ("# mine\nn_ctx = 'big'", 'line 2: "n_ctx" must be a whole number .*, not the text "big"'),
        ("n_ctx = x\n", "line 1"),
        (f"# mine\nn_ctx = {'9' * 6000}", "line 2: a number has thousands of digits.*needs$"),
        (f"# mine\nn_ctx = 0x{'f' * 6000}", "line 2: a number has thousands of digits"),
        ("n_ctx = 99999999999999999999", '"n_ctx" must be a whole number from 0 to 100,000,000'),
        ("kv_cache_gb = inf", '"kv_cache_gb" must be a number from 0 to 1,000,000, not inf'),
        ("kv_cache_gb = nan", "not nan"),
        ("version = 2", '"version" must be 1, not 2'),
        ("alternatives = '1'", 'one of auto, 0, 1, 2, not the text "1": write it without quotes'),
        ("n_ctx = '4096'", 'not the text "4096": write it without quotes'),
        ("show_marks = 'false'", 'not the text "false": write it without quotes'),
        ("n_ctx = '-1'", 'not the text "-1"$'),
        ("alternatives = 'atuo'", 'did you mean "auto"'),
        ("alternatives = true", '"alternatives" must be one of auto, 0, 1, 2, not true'),
        ("[keymap]\nsend = 3", 'line 2: "send" of .keymap. must be text in quotes, not 3'),
        ("adapters = 'x.gguf'", "write ..adapters.. in double brackets"),
        ("adapters = [{path = ''}]", '"path" of ..adapters.. must be text .*, but it is empty'),
        ("[[adapters]]\npath = 'x'\nscale = nan", 'line 3: "scale" of .*, not nan'),
        (
            "adapters = [{path = 'x', scale = inf}]",
            "a number from -1,000 to 1,000, not inf",
        ),
        ("n_ctx = -1\nlenght = 'tiny'\ntheme = 3", 'line 1: .*\n.*line 2: "lenght" .*\n.*line 3: '),
        ("lenght = 'tiny'", 'line 1: "lenght" is not a setting; did you mean'),
    ],
)
def test_a_mistake_names_the_file_and_the_setting(text: str, sentence: str) -> None:
    write(text)
    with pytest.raises(UserError, match=sentence) as error:
        load_settings()
    assert str(settings_path()) in str(error.value)


def test_a_byte_order_mark_and_windows_line_ends_change_nothing() -> None:
    settings_path().parent.mkdir(parents=True, exist_ok=True)
    settings_path().write_bytes(b"\xef\xbb\xbf# mine\r\nlength = 'tiny'\r\n")
    assert load_settings().length == "tiny"
    save_settings(theme="shori-light")
    assert load_settings() == Settings(length="tiny", theme="shori-light")
    assert "# mine" in settings_path().read_text(encoding="utf-8")


def test_no_value_is_written_as_what_a_terminal_obeys() -> None:
    name = "x\x9b31m\x1b]0;\u202e\x7f"
    write("# mine\t\n[keymap]\nsend = 'ctrl+s'\n")
    save_settings(theme=name)
    assert load_settings() == Settings(theme=name, keymap={"send": "ctrl+s"})
    text = settings_path().read_text(encoding="utf-8")
    assert not UNCLEAN.search(text) and text.startswith("# mine\t\n")


def test_a_text_in_single_quotes_stays_as_it_is() -> None:
    write("# mine\n[keymap]\nsend = 'ctrl+\u202e'\n")
    save_settings(theme="shori-light")
    assert load_settings().keymap == {"send": "ctrl+\u202e"}


def test_a_value_that_is_not_allowed_is_not_written() -> None:
    with pytest.raises(UserError, match="max_tokens"):
        save_settings(max_tokens=0)
    assert not settings_path().exists()


def test_adapters_are_kept_and_read_back() -> None:
    write("# mine\n[keymap]\nsend = 'ctrl+s'\n")
    save_settings(adapters=[{"path": "~/noir one.gguf", "scale": 0.5}])
    assert load_settings().adapters == [AdapterFile("~/noir one.gguf", 0.5)]
    assert load_settings().keymap == {"send": "ctrl+s"}
    assert save_settings(adapters=[]).adapters == []


@pytest.mark.parametrize("scale", [math.inf, -math.inf, math.nan, 1e39])
def test_an_adapters_scale_is_finite(scale: float) -> None:
    with pytest.raises(UserError, match='"scale" must be a number from -1,000 to 1,000, not'):
        AdapterFile("noir.gguf", scale)
    with pytest.raises(UserError, match=r'"scale" of \[\[adapters\]\] must be a number'):
        save_settings(adapters=[{"path": "noir.gguf", "scale": scale}])

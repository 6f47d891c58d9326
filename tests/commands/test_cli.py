"""The command line: errors in one sentence, exit codes, help."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

import shoritui as shoritui_package
from shoritui.cards import Card, Character
from shoritui.cli import main
from shoritui.commands import COMMANDS
from shoritui.commands.finetune import COMMANDS as FINETUNE
from shoritui.story import Library
from tests.commands.process import shoritui


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["say", "Hi", "{card}", "--speaker", "Mora"], "Did you mean Mara?"),
        (["say", "Hi", "{card}", "--preset", "cold"], "There is no preset cold"),
        (["say", "Hi", "{card}", "--as", "Bob"], "There is no 'Bob' in the cast"),
        (["say", "Hi", "nowhere.toml"], "nowhere.toml"),
        (["say", "Hi", "mudlark-in"], "mudlark-inn"),
        (["say", "Hi", "{card}", "--model", "nowhere.gguf"], "nowhere.gguf"),
        (["prompt", "{card}", "--model", "{card}"], "quay.toml"),
    ],
)
def test_a_users_error_is_one_sentence(
    arguments: list[str], sentence: str, card: Path, tmp_path: Path
) -> None:
    result = shoritui(*(a.replace("{card}", str(card)) for a in arguments), home=tmp_path)
    assert result.returncode == 1
    assert sentence in result.stderr and result.stderr.count("\n") == 1
    assert "Traceback" not in result.stderr and result.stdout == ""


@pytest.mark.parametrize(
    ("package", "is_damaged", "words"),
    [
        ("textual", False, ["doctor"]),
        ("textual", True, ["doctor"]),
        ("msgspec", False, ["chats"]),
    ],
)
def test_a_package_that_is_missing_is_no_fault_of_the_program(
    package: str, is_damaged: bool, words: list[str], tmp_path: Path
) -> None:
    packages = tmp_path / "packages"
    packages.mkdir()
    for installed in Path(msgspec.__file__).parents[1].iterdir():
        if installed.name != package:
            (packages / installed.name).symlink_to(installed)
    if is_damaged:
        (packages / package).mkdir()
    paths = os.pathsep.join([str(Path(shoritui_package.__file__).parents[1]), str(packages)])
    result = subprocess.run(
        [sys.executable, "-S", "-m", "shoritui", *words],
        env={**os.environ, "PYTHONPATH": paths, "SHORITUI_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1 and result.stderr.count("\n") == 1, result.stderr
    state = "is damaged, or of another version" if is_damaged else "is not installed"
    assert f"shoritui: {package}, which ShoriTUI needs, {state}: " in result.stderr
    assert f"-m pip install {'--force-reinstall --no-deps ' * is_damaged}" in result.stderr


def test_a_bad_settings_file_is_told(card: Path, tmp_path: Path) -> None:
    settings = tmp_path / "config" / "settings.toml"
    settings.parent.mkdir()
    settings.write_text("presett = 'neutral'\n", encoding="utf-8")
    result = shoritui("prompt", card, home=tmp_path)
    assert result.returncode == 1
    assert 'did you mean "preset"?' in result.stderr and str(settings) in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [["a" * 300], ["chat", "a" * 300], ["finetune", "a" * 300], ["chats", "show", "a\udcff"]],
)
def test_no_word_is_too_long_or_too_strange(
    arguments: list[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("SHORITUI_HOME", str(tmp_path))
    try:
        assert main(arguments) == 1
    except SystemExit as left:
        assert left.code == 2
    assert "shoritui: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("shell", "code", "said"),
    [
        ("{} presets --json | true", 0, ""),
        ("{} help keys | head -1", 0, ""),
        ("{} presets >&-", 0, ""),
        ("{} presets > /dev/full", 1, "cannot be written: No space left"),
        ("{} prompt gannet-rock > /dev/full", 1, "cannot be written: No space left"),
        ("{} help keys > /dev/full", 1, "cannot be written: No space left"),
        ("{} nothing 2> /dev/full", 1, ""),
    ],
)
def test_whoever_reads_no_further_is_told_of_nothing(
    tmp_path: Path, shell: str, code: int, said: str
) -> None:
    words = shell.format(f"{shlex.quote(sys.executable)} -m shoritui")
    done = subprocess.run(
        ["bash", "-c", f"{words}; exit ${{PIPESTATUS[0]}}"],
        env={**os.environ, "SHORITUI_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code and said in done.stderr
    assert done.stderr.count("\n") == bool(said)


def test_what_a_terminal_cannot_show_is_replaced(tmp_path: Path) -> None:
    with closing(Library(tmp_path / "data" / "library.db")) as library:
        library.create_chat(Card(characters=(Character(name="Ōta"),)), "Ōta", "Żubr 🦬")
    env = {**os.environ, "SHORITUI_HOME": str(tmp_path), "PYTHONIOENCODING": "ascii"}
    for words in (["chats"], ["chats", "show", "1"], ["chats", "export", "1", "--to", tmp_path]):
        command = [sys.executable, "-m", "shoritui", *map(str, words)]
        done = subprocess.run(command, env=env, capture_output=True, check=False)
        assert done.returncode == 0 and not done.stderr and b"?ubr" in done.stdout


def test_a_document_in_a_pipe_is_whole_whatever_a_terminal_could_show(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "shoritui", "prompt", "gannet-rock"]
    env = {**os.environ, "SHORITUI_HOME": str(tmp_path)}
    plain, wide = (
        subprocess.run(command, env={**env, "PYTHONIOENCODING": name}, capture_output=True).stdout
        for name in ("ascii", "utf-8")
    )
    assert plain == wide and "▀title\n".encode() in wide


@pytest.mark.parametrize("arguments", [["sya"], ["say"], ["say", "x", "y", "--length", "big"]])
def test_wrong_usage_exits_with_two(arguments: list[str], tmp_path: Path) -> None:
    result = shoritui(*arguments, home=tmp_path)
    assert result.returncode == 2 and "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["chatz"], "There is no command 'chatz': did you mean chat?"),
        (["xyzzy"], "There is no command 'xyzzy'."),
        (["{card}"], "`shoritui chat {card}` opens that card."),
        (["mudlark-inn"], "`shoritui chat mudlark-inn` opens that card."),
        (["models", "pul"], "There is no command 'pul': did you mean pull?"),
        (["finetune", "polan", "x.toml"], "There is no command 'polan': did you mean plan?"),
        (["say", "Hi", "x.toml", "--seed", "x"], "--seed must be a whole number, not 'x'."),
        (["finetune", "plan", "--cap-gib", "x"], "--cap-gib must be a number, not 'x'."),
        (["bench", "--quant", "q4"], "--quant must be one of q4_0, q8_0, not 'q4'."),
        (["say", "Hi", "x.toml", "--length", "big"], "--length must be one of nano, "),
        (["say", "Hi"], "Missing: CARD."),
        (["chats", "export", "--to"], "--to needs a value."),
        (["chat", "--model", "x", "--server", "y"], "cannot be used together."),
        (["doctor", "x"], "Not understood: x."),
    ],
)
def test_wrong_usage_is_told_in_plain_words(
    arguments: list[str], sentence: str, card: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([word.replace("{card}", str(card)) for word in arguments])
    assert ended.value.code == 2
    usage, _, told = capsys.readouterr().err.partition("\nshoritui: ")
    named = arguments[0] if arguments[0] in COMMANDS else ""
    assert usage.startswith(f"usage: shoritui {named}".rstrip())
    assert sentence.replace("{card}", str(card)) in told and told.count("\n") == 1


def test_help_fits_a_narrow_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    for command in ([], ["finetune"]):
        with pytest.raises(SystemExit):
            main([*command, "--help"])
        assert max(map(len, capsys.readouterr().out.splitlines())) <= 80


@pytest.mark.parametrize("command", [[], *([name] for name in COMMANDS)])
def test_every_help_explains_itself(command: list[str], tmp_path: Path) -> None:
    result = shoritui(*command, "--help", home=tmp_path)
    assert result.returncode == 0 and len(result.stdout) > 150


def test_no_help_waits_for_the_screen_or_a_model_library() -> None:
    words = [[name] for name in COMMANDS] + [["finetune", name] for name in FINETUNE]
    code = (
        "import contextlib, io, sys\n"
        "from shoritui.cli import main\n"
        f"for words in {words!r}:\n"
        "    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):\n"
        "        main([*words, '--help'])\n"
        "print(sorted({'textual', 'torch', 'transformers', 'llama_cpp'} & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout == "[]\n"

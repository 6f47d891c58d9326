"""`shoritui models`, as a user types it: another process, its output, its exit code."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from shoritui.demo import model_path
from tests.models.gguf_files import gguf, model, write
from tests.models.hub_server import Hub, serving

SHIPPED = model_path()
NAME = "someone/Night-GGUF"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def hub() -> Iterator[Hub]:
    with serving(Hub(NAME, {"night.q8_0.gguf": SHIPPED.read_bytes()})) as hub:
        yield hub


def environment(home: Path, hub: Hub | None = None) -> dict[str, str]:
    """A machine with no other program's models, and a hub, if any, that is not the real one."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith("HF_")}
    return {
        **kept,
        "HOME": str(home),
        "HF_HOME": str(home / "hf"),
        "OLLAMA_MODELS": str(home / "ollama"),
        "SHORITUI_HOME": str(home),
        "HF_ENDPOINT": hub.url if hub else "http://127.0.0.1:9",
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }


def shoritui(
    *arguments: object, home: Path, hub: Hub | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "shoritui", *map(str, arguments)],
        env=environment(home, hub),
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )


def test_the_list_shows_what_is_here(home: Path) -> None:
    write(home / "data/models/night.gguf", gguf(model()))
    write(home / "data/models/mood.gguf", gguf(model(general__type="adapter")))
    write(home / "data/models/torn.gguf", gguf(model(), missing=64))
    result = shoritui("models", home=home)
    assert (result.returncode, result.stderr) == (0, "")
    rows = result.stdout.splitlines()
    assert rows[0].split() == ["NAME", "SIZE", "QUANT", "MODEL", "CONTEXT", "▀", "▄", "FROM"]
    assert rows[1].split()[0] == "night" and rows[1].split()[3] == "Q4_K_M"
    assert rows[2].startswith("*") and rows[2].endswith("yes  ships with ShoriTUI")
    assert any("mood" in row and "an adapter" in row for row in rows)
    assert any("torn.gguf" in row and "not copied to its end" in row for row in rows)
    assert "lemonilia/ShoriRP-v0.75d" in result.stdout


def test_the_list_is_there_for_scripts(home: Path) -> None:
    write(home / "data/models/a\x1b[31m\x7f\x9b.gguf", gguf(model()))
    for arguments in (["models", "--json"], ["models", "list", "--json"]):
        result = shoritui(*arguments, home=home)
        facts = json.loads(result.stdout)
        assert all(c.isprintable() or c == "\n" for c in result.stdout)
    assert facts["problems"] == []
    night, shipped = facts["models"]
    assert Path(night["path"]).is_file(), "the true path, whatever it holds"
    assert (night["parameters"], night["trained_context"], night["in_use"]) == (32, 4096, False)
    assert shipped["in_use"] is True and shipped["block_tokens"] is True


def test_a_model_is_put_to_use_by_its_name_and_marked(home: Path) -> None:
    write(home / "data/models/Night.gguf", SHIPPED.read_bytes())
    used = shoritui("models", "use", "night", home=home)
    assert used.returncode == 0 and "Night.gguf" in used.stdout, used.stderr
    settings = home / "config/settings.toml"
    assert "Night.gguf" in settings.read_text(encoding="utf-8")
    facts = json.loads(shoritui("models", "--json", home=home).stdout)
    assert [m["name"] for m in facts["models"] if m["in_use"]] == ["Night"]
    shoritui("models", "use", SHIPPED.stem, home=home)
    assert 'model = ""' in settings.read_text(encoding="utf-8"), "the one that ships has no path"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["models", "use", "nihgt"], "Did you mean night?"),
        (["models", "use", "{home}/torn.gguf"], "not copied to its end"),
        (["models", "use", "{home}/odd.gguf"], "odd.gguf"),
        (["models", "use", "{home}/mood.gguf"], "is an adapter"),
        (["models", "use", "{home}"], "There is no model called"),
        (["prompt", "gannet-rock", "--model", "nihgt"], "Did you mean night?"),
        (["models", "pull", NAME], "cannot be reached"),
        (["models", "pull", "not a repo"], "expected a repository's name"),
    ],
)
def test_a_mistake_is_one_sentence(arguments: list[str], sentence: str, home: Path) -> None:
    write(home / "data/models/night.gguf", SHIPPED.read_bytes())
    write(home / "torn.gguf", SHIPPED.read_bytes()[:100_000])
    write(home / "odd.gguf", gguf(model(general__architecture="nonsense")))
    write(home / "mood.gguf", gguf(model(general__type="adapter")))
    result = shoritui(*(a.replace("{home}", str(home)) for a in arguments), home=home)
    assert (result.returncode, result.stdout) == (1, "")
    assert sentence in result.stderr and result.stderr.count("\n") == 1
    assert not (home / "config/settings.toml").exists()


def test_a_name_stands_for_its_file_everywhere(home: Path) -> None:
    write(home / "data/models/night.gguf", SHIPPED.read_bytes())
    facts = json.loads(shoritui("doctor", "--model", "Night", "--json", home=home).stdout)
    assert facts["model"]["path"] == str(home / "data/models/night.gguf")
    write(home / "config/settings.toml", b'model = "night"')
    facts = json.loads(shoritui("doctor", "--json", home=home).stdout)
    assert facts["model"]["path"] == str(home / "data/models/night.gguf")


def test_settings_that_name_no_model_do_not_stop_the_list(home: Path) -> None:
    write(home / "config/settings.toml", b'model = "gone"')
    result = shoritui("models", home=home)
    assert result.returncode == 0 and "There is no model called gone" in result.stdout
    assert SHIPPED.stem in result.stdout


def test_a_model_is_pulled_and_listed(home: Path, hub: Hub) -> None:
    result = shoritui("models", "pull", f"{NAME}:q8_0", home=home, hub=hub)
    assert result.returncode == 0, result.stderr
    assert "100 %" in result.stderr and "\x1b" not in result.stderr, "no bar off a terminal"
    assert all(" % " in line for line in result.stderr.splitlines()), "and nobody else's words"
    assert "shoritui models use night.q8_0" in result.stdout
    file = home / "data/models" / NAME / "night.q8_0.gguf"
    assert file.read_bytes() == SHIPPED.read_bytes()
    assert shoritui("models", "use", "night.q8_0", home=home).returncode == 0


def test_an_interrupted_pull_goes_on_with_the_rest(home: Path, hub: Hub) -> None:
    hub.break_after, hub.held = 1_000_000, threading.Event()
    process = subprocess.Popen(
        [sys.executable, "-m", "shoritui", "models", "pull", NAME],
        env=environment(home, hub),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    folder = home / "data/models" / NAME
    while not any(path.stat().st_size for path in folder.glob(".*.part")):
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate()
    hub.held.set()
    assert process.returncode == 130
    assert errors.splitlines()[-1].startswith("Stopped") and "Traceback" not in errors
    assert not list(folder.glob("*.gguf")), "nothing is in its place before it is whole"
    (part,) = folder.iterdir()
    kept = part.stat().st_size
    assert 0 < kept <= 1_000_000

    again = shoritui("models", "pull", NAME, home=home, hub=hub)
    assert again.returncode == 0, again.stderr
    assert [asked for _, asked in hub.sent] == ["", f"bytes={kept}-"]
    assert [path.name for path in folder.iterdir()] == ["night.q8_0.gguf"]
    assert (folder / "night.q8_0.gguf").read_bytes() == SHIPPED.read_bytes()


@pytest.mark.parametrize("action", [[], ["list"], ["pull"], ["use"]])
def test_every_help_explains_itself(action: list[str], home: Path) -> None:
    result = shoritui("models", *action, "--help", home=home)
    assert result.returncode == 0 and len(result.stdout) > 200


def test_listing_imports_neither_the_network_nor_the_model_library(home: Path) -> None:
    code = (
        "import sys; from shoritui.cli import main; main(['models'])\n"
        "heavy = {'huggingface_hub', 'llama_cpp', 'numpy', 'textual'}\n"
        "print(heavy & set(sys.modules))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], env=environment(home), capture_output=True, text=True
    )
    assert result.stdout.splitlines()[-1] == "set()", result.stderr

"""What a story leaves on the disk is for its owner alone, and no secret is anywhere but at home."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.commands.process import CARD
from tests.e2e.terminal import Terminal
from tests.finetune.run.small import make_base, write_data
from tests.test_files import mode

pytestmark = pytest.mark.slow

SECRET = "canary-4711"
SHORITUI = (sys.executable, "-m", "shoritui")
TRAINING = """
base = "base"
[train]
sequence_len = 160
precision = "fp32"
[watch]
device = "cpu"
[[prompt]]
name = "lamps"
speaker = "Mara"
length = "nano"
text = "▀title\\nThe lamps▄\\n"
[[tier]]
name = "low"
data = ["data/low/*.txt"]
"""
CHARACTER = {"spec": "chara_card_v2", "data": {"name": "Sera", "description": "A keeper."}}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A user's place: a home, what is temporary, and a folder to work in."""
    for name in ("home", "tmp", "work", "given"):
        (tmp_path / name).mkdir()
    return tmp_path


def variables(home: Path) -> dict[str, str]:
    return {
        "SHORITUI_HOME": str(home / "home"),
        "TMPDIR": str(home / "tmp"),
        "TEXTUAL_ANIMATIONS": "none",
    }


def run(home: Path, *words: object, **env: str) -> str:
    """All that a command says; whoever starts it lets everybody read and write everything."""
    done = subprocess.run(
        [*SHORITUI, *map(str, words)],
        env={**os.environ, **variables(home), **env},
        cwd=home / "work",
        input="Hello.\n/model\n/quit\n",
        capture_output=True,
        text=True,
        umask=0,
        timeout=300,
        check=False,
    )
    return done.stdout + done.stderr


def test_all_that_an_evening_leaves_is_for_its_owner_alone(home: Path) -> None:
    card, work, given = home / "work" / "card.toml", home / "work", home / "given"
    config = home / "home" / "config"
    for place in (home, config.parent, work, given):
        place.chmod(0o755)
    card.write_text(CARD, encoding="utf-8")
    (work / "sera.json").write_text(json.dumps(CHARACTER), encoding="utf-8")
    (work / "base").mkdir()
    make_base(work / "base")
    write_data(work)
    (work / "finetune.toml").write_text(TRAINING, encoding="utf-8")
    ours = set(home.rglob("*"))
    before = os.umask(0)
    try:
        with Terminal((*SHORITUI, "chat", str(card)), env=variables(home)) as screen:
            screen.wait_for("ready")
            screen.press("Hello.", "enter")
            screen.wait_for("Hello.")
            screen.press("/retheme", "escape", "a draft")
            screen.read(1.5)
            screen.press("ctrl+q")
            screen.wait_until_ended()
    finally:
        os.umask(before)
    told = [
        run(home, *words)
        for words in (
            ("chat", "--linear", card),
            ("say", "Hello.", card, "--length", "nano"),
            ("models", "use", "shori-demo"),
            ("import", work / "sera.json"),
            ("chats", "backup"),
            ("chats", "export", 1, "--to", given),
            *(("export", 1, "--as", form, "--to", given) for form in ("json", "html", "prose")),
            ("export", "sera", "--as", "png", "--to", given / "cards"),
            ("export", "--all", given / "all"),
            ("finetune", "stats", "--json"),
            ("finetune", "run", "--plain"),
            ("finetune", "export", "--tier", "low", "--to", given / "low.gguf"),
        )
    ]
    new = [path for path in home.rglob("*") if path not in ours and not path.is_symlink()]
    open_to_others = {
        f"{path.relative_to(home)} {mode(path):o}"
        for path in new
        if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)
    }
    assert not open_to_others
    names = {path.relative_to(home).as_posix() for path in new}
    for expected in (
        *("home/data/library.db", "home/config/settings.toml", "home/data/backups"),
        *("home/cache/kv", "home/config/characters/sera.toml", "given/all/stories"),
        *("given/low.gguf", "work/adapters/metrics.jsonl", "home/cache/finetune"),
    ):
        assert expected in names, "\n".join(told)


class Refusing(BaseHTTPRequestHandler):
    """A server that answers everything with what was sent to it."""

    def do_GET(self) -> None:
        heard = " ".join(f"{name}: {value}" for name, value in self.headers.items())
        body = json.dumps({"error": {"message": f"not you: {heard}"}}).encode()
        self.send_response(500 if "hub" in self.path else 401)
        self.send_header("X-Error-Message", heard)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def test_no_secret_is_said_or_written_anywhere(home: Path, port: int) -> None:
    card, config = home / "work" / "card.toml", home / "home" / "config"
    card.write_text(CARD, encoding="utf-8")
    config.mkdir()
    settings = config / "settings.toml"
    settings.write_text(f'server = "http://me:{SECRET}@127.0.0.1:{port}"\nserver_key = "THE_KEY"\n')
    secrets = {
        **{name: SECRET for name in ("THE_KEY", "HF_TOKEN", "SHORITUI_PASSWORD")},
        "HTTPS_PROXY": f"http://me:{SECRET}@127.0.0.1:1",
        "HF_ENDPOINT": f"https://me:{SECRET}@127.0.0.1:1",
    }
    bad = f"http://me:{SECRET}@127.0.0.1:x"
    told = [
        run(home, *words, **secrets)
        for words in (
            *(("doctor",), ("doctor", "--json"), ("doctor", "--server", bad)),
            *(("say", "Hello.", card), ("say", "Hello.", card, "--server", bad, "--json")),
            *(("prompt", card), ("models", "pull", "nobody/nothing"), ("models", "use", bad)),
            *(("chat", "--linear", card), ("chat", "--linear", "--server", bad)),
            *(("chats", "list"), ("serve", "--host", "nowhere.invalid")),
            ("export", 1, "--as", "json", "--to", home / "given"),
        )
    ]
    hub, far = f"http://127.0.0.1:{port}/hub", ("--server", "http://gpu.invalid")
    told += [
        run(home, "models", "pull", "nobody/nothing", HTTPS_PROXY=secrets["HTTPS_PROXY"]),
        run(home, "models", "pull", "nobody/nothing", HF_ENDPOINT=hub, HF_TOKEN=SECRET),
        run(home, "say", "Hello.", card, *far, THE_KEY=SECRET, HTTP_PROXY=f"odd://me:{SECRET}@h"),
        run(home, "say", "Hello.", card, *far, THE_KEY="k", HTTP_PROXY=f"http://me:{SECRET}@h:x"),
    ]
    with Terminal((*SHORITUI, "chat", str(card)), env={**variables(home), **secrets}) as screen:
        screen.wait_for("API key")
        screen.press("Hello.", "enter")
        screen.read(1)
        screen.press("ctrl+q")
        screen.wait_until_ended()
        told.append(screen.output.decode("utf-8", "replace"))
    settings.write_text(f'server = "http://me:{SECRET}@127.0.0.1\nserver_key = {SECRET}\n')
    told.append(run(home, "doctor"))
    for text in told:
        assert "A fault in" not in text
        assert SECRET not in text and "me:" not in text, text
    holding = [path for path in home.rglob("*") if path.is_file() and _holds(path)]
    assert holding == [settings]


def _holds(path: Path) -> bool:
    return SECRET.encode() in path.read_bytes()

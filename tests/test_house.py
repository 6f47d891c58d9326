"""The house rules that tools can hold: style, types, arrows between rooms, imports at start."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HEAVY = (
    *("llama_cpp", "torch", "transformers", "peft", "bitsandbytes", "numpy", "sentencepiece"),
    "httpx",
)


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    "command",
    [
        ("-m", "ruff", "check", "."),
        ("-m", "ruff", "format", "--check", "."),
        pytest.param(("-m", "mypy"), marks=pytest.mark.slow),
        ("-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"),
    ],
    ids=["lint", "format", "types", "arrows between rooms"],
)
def test_tool_finds_nothing(command: tuple[str, ...]) -> None:
    result = run(*command)
    assert result.returncode == 0, result.stdout + result.stderr


def modules_after(statement: str) -> set[str]:
    """The top-level modules and rooms that a fresh interpreter holds after a statement."""
    code = f"{statement}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    result = run("-c", code)
    assert result.returncode == 0, result.stderr
    return set(json.loads(result.stdout.splitlines()[-1]))


def test_help_imports_neither_the_screen_nor_the_engine() -> None:
    loaded = modules_after(
        "from shoritui.cli import main\n"
        "import contextlib, io\n"
        "with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):\n"
        "    main(['--help'])"
    )
    assert not loaded & {"textual", "rich", "msgspec", "sqlite3", "asyncio", *HEAVY}


def test_the_app_imports_no_model_library() -> None:
    loaded = modules_after("import shoritui.tui.chat.app, shoritui.director, shoritui.engine")
    assert not loaded & set(HEAVY)
    assert not {name for name in loaded if name.startswith("shoritui.demo.")}


def test_the_format_imports_only_the_standard_library() -> None:
    loaded = modules_after("import shoritui.blockml")
    rooms = {name for name in loaded if name.startswith("shoritui.")}
    assert all(name.startswith("shoritui.blockml") for name in rooms)
    assert not loaded & {"textual", "msgspec", *HEAVY}


def test_modules_stay_small() -> None:
    lines = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for folder in ("shoritui", "tests")
        for path in (ROOT / folder).rglob("*.py")
    }
    assert {path: count for path, count in lines.items() if count > 800} == {}


def test_no_command_is_suggested_with_a_word_that_no_shell_was_thought_of_for() -> None:
    """`text.command` and `text.shell_word` write such a word; names in a sentence need neither."""
    found = []
    for path in (ROOT / "shoritui").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.JoinedStr):
                continue
            pieces = [
                each.value if isinstance(each, ast.Constant) else "\0" for each in node.values
            ]
            if re.search(r"\bshoritui [a-z][^`,;:.]*\0", "".join(map(str, pieces))):
                found.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert found == []


def test_tests_lie_where_their_rooms_lie() -> None:
    without_a_room = {"benchmarks", "e2e", "faults", "fuzz", "kill"}
    folders = {path.parent.relative_to(ROOT / "tests") for path in ROOT.glob("tests/*/**/*.py")}
    rooms = {folder for folder in folders if folder.parts[0] not in without_a_room}
    assert {str(room) for room in rooms if not (ROOT / "shoritui" / room).is_dir()} == set()


def test_what_others_wrote_is_read_in_one_place() -> None:
    """JSON, YAML and TOML have bounds there: depth, numbers, references."""
    bare = re.compile(r"\bjson\.loads?\(|JSONDecoder\(|\byaml\.\w*load|\btoml(i|lib)\.loads?\(")
    places = {"shoritui/bounded.py", "shoritui/toml/line_numbers.py", "shoritui/toml/read.py"}
    found = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "shoritui").rglob("*.py")
        if "demo/making" not in path.as_posix() and bare.search(path.read_text(encoding="utf-8"))
    }
    assert found == places


OPENERS = {
    "shoritui/files.py": "is the door",
    "shoritui/engine/cache/kv_store.py": "follows no link either, and looks at what it opened",
    "shoritui/engine/cache/token_cache.py": "SQLite waits for nobody; the file is opened before",
    "shoritui/story/backups.py": "SQLite",
    "shoritui/story/database.py": "SQLite",
    "shoritui/story/presence.py": "SQLite",
    "shoritui/fault_log.py": "writes alone, and has its own door",
    "shoritui/gguf/checkpoint.py": "maps files whose header came through the door",
    "shoritui/gguf/read.py": "maps files whose header came through the door",
    "shoritui/finetune/export/reference.py": "opens weights that are files",
    "shoritui/finetune/run/tier.py": "reads what the kernel says",
    "shoritui/host/amx.py": "reads what the kernel says",
    "shoritui/host/machine.py": "reads what the kernel says",
    "shoritui/host/process.py": "opens /dev/null",
    "shoritui/cli.py": "opens /dev/null",
    **dict.fromkeys(
        (
            "shoritui/commands/finetune/init.py",
            "shoritui/demo/sample.py",
            "shoritui/eval/grounding.py",
            "shoritui/finetune/data/tier.py",
            "shoritui/guide/__init__.py",
            "shoritui/web/server.py",
        ),
        "reads what ships",
    ),
}
"""Who opens files past the door of `shoritui.files`, and why that holds nobody up."""


_OPENING = (
    *("open", "os.open", "safe_open", "sqlite3.connect", "zipfile.ZipFile", "Image.open"),
    *("np.load", "np.memmap", "np.fromfile", "torch.load"),
)


def opens_a_file(call: ast.Call) -> bool:
    """Whether a call opens a file by its path, to read it."""
    name, given = ast.unparse(call.func), [ast.unparse(each) for each in call.args]
    method = name.rpartition(".")[2]
    if name in _OPENING:
        return given[0] != "file" and "BytesIO(" not in given[0] and "'w'" not in given
    if method == "open":
        is_text = any(each.arg == "encoding" for each in call.keywords)
        return is_text or any(re.fullmatch(r"'[ra][bt+]*'", each) for each in given)
    return "." in name and method in ("read_text", "read_bytes")


def test_files_are_opened_through_one_door() -> None:
    """A pipe holds up whoever opens it otherwise; a device has no end."""
    found = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "shoritui").rglob("*.py")
        if "demo/making" not in path.as_posix()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and opens_a_file(node)
    }
    assert found == {*OPENERS}

"""Whatever a server does: `say` ends with a reply or a sentence, the app goes on, Esc ends it."""

from __future__ import annotations

import asyncio
import json
import random
from pathlib import Path

import pytest

from shoritui.cli import main
from shoritui.engine import Finished, RemoteEngine, Sampling, Segment, Server
from shoritui.errors import UserError
from shoritui.folders import HOME_VARIABLE
from tests.commands.process import CARD
from tests.engine.remote.door import be_impatient
from tests.engine.remote.hostile import BEHAVIOURS, COMPLETIONS, KEY, hostile
from tests.engine.remote.play import MOST_TOKENS, problem_of_say, write_settings
from tests.tui.conftest import enter, idle, running, until

DOCUMENT = [Segment("▀title\nA quay▄\n"), Segment("▀message\nMara:")]
SILENT = [
    *("never_reads", "never_answers", "never_begins_a_reply", "never_counts"),
    *("dribbles_its_head", "silence_after_the_head", "silence_after_a_token", "endless_comments"),
    *("endless_progress", "endless_words", "refuses_without_end", "tokens_without_end"),
]
STREAMS = sorted(name for name, each in BEHAVIOURS.items() if each.path == COMPLETIONS)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path))
    monkeypatch.setenv("HOSTILE_KEY", KEY)
    monkeypatch.setenv("TEXTUAL_ANIMATIONS", "none")
    be_impatient(monkeypatch.setattr)
    (tmp_path / "quay.toml").write_text(CARD, encoding="utf-8")
    return tmp_path


def say(url: str, home: Path) -> int:
    write_settings(home, url)
    return main(["say", "Hm.", str(home / "quay.toml"), "--json"])


@pytest.mark.slow
@pytest.mark.parametrize("name", BEHAVIOURS)
def test_say_ends_with_a_reply_or_a_sentence(
    name: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with hostile(name) as url:
        code = say(url, home)
    out, err = capsys.readouterr()
    assert problem_of_say(code, out, err) == ""


@pytest.mark.parametrize(
    ("name", "stop"),
    [
        ("endless_new_words", "token_limit"),
        ("one_token_and_then_slowly", "block_end"),
        ("finish_and_then_silence", "block_end"),
        ("more_after_the_finish", "block_end"),
        ("block_marks", "block_end"),
        ("usage_of_nonsense", "block_end"),
        ("answers_in_one_piece", "loop"),
    ],
)
def test_a_reply_is_no_longer_than_was_asked_for(
    name: str, stop: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with hostile(name) as url:
        assert say(url, home) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["stop"] == stop
    assert 0 < said["generated_tokens"] <= MOST_TOKENS
    if stop == "token_limit":
        assert said["generated_tokens"] == len(said["text"].split()) == MOST_TOKENS


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("silence_after_a_token", "Nothing of the reply has come"),
        ("endless_comments", "Nothing of the reply has come"),
        ("never_begins_a_reply", "Nothing of the reply has come"),
        ("never_counts", "did not answer within 1 s"),
        ("endless_line", "sends more than any answer needs"),
        ("line_of_15_megabytes", "sends more than any answer needs"),
        ("tokens_too_many", "(tokens: expected 1 to 20 for this text, not 500,000)"),
        ("tokens_none", "(tokens: expected 1 to 20 for this text, not 0)"),
        ("context_negative", "n_ctx: expected a whole number >= 0, not -4096)"),
        ("context_of_a_card", "(meta.n_ctx: expected a whole number or nothing, not text)"),
        ("settings_a_list", "settings: expected an object or nothing, not a list)"),
        ("models_of_wrong_types", "(data[0]: expected an object, not 5)"),
        ("text_of_wrong_types", "(choices[0].text: expected text or nothing, not 5)"),
        ("no_tls_behind_https", "does not speak https"),
        ("redirects_to_metadata", "redirects to http://169.254.169.254"),
        ("error_line", "could not go on"),
        ("error_of_no_size", "context (the context size is exceeded): shorten the scene"),
        ("answers_with_a_page", "something that is no JSON"),
    ],
)
def test_what_is_wrong_is_told(
    name: str, sentence: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with hostile(name) as url:
        assert say(url, home) == 1
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize("name", [each for each in sorted(BEHAVIOURS) if "the_key" in each])
async def test_the_key_is_shown_nowhere(name: str) -> None:
    engine = RemoteEngine()
    with hostile(name) as url:
        said = ""
        try:
            info = await engine.open(Server(url, key=KEY))
            said = f"{info.path} {info.description}"
            async for _ in engine.generate(DOCUMENT, Sampling(), max_tokens=9):
                pass
        except UserError as error:
            said += str(error)
        await engine.close()
    assert said and KEY not in said


@pytest.mark.parametrize("name", SILENT)
async def test_a_turn_ends_at_once_however_the_server_holds_it_up(name: str) -> None:
    """The program's own patience is that of real use here: minutes."""
    engine = RemoteEngine()
    with hostile(name) as url:
        opening = asyncio.create_task(engine.open(Server(url)))
        writing = asyncio.create_task(_written(engine, opening))
        await asyncio.wait([writing], timeout=0.3)
        await engine.cancel()
        ended = await asyncio.wait_for(writing, 10)
        await asyncio.wait_for(engine.close(), 10)
    assert ended in ("cancelled", "refused", "token_limit", "context_full")


async def _written(engine: RemoteEngine, opening: asyncio.Task[object]) -> str:
    try:
        await opening
        async for event in engine.generate(DOCUMENT, Sampling(), max_tokens=10**6):
            if isinstance(event, Finished):
                return event.outcome.stop
    except UserError:
        pass
    return "refused"


@pytest.mark.slow
@pytest.mark.parametrize("name", random.Random(4).sample(STREAMS, 4))
async def test_the_app_goes_on_and_takes_keys(name: str, home: Path) -> None:
    with hostile(name) as url:
        write_settings(home, url)
        async with running(cards=[home / "quay.toml"]) as (app, pilot):
            for text in ("Hm.", "And?"):
                await enter(app, pilot, text)
                await pilot.press("a", "b")
                await until(pilot, lambda: app.main.composer.text.endswith("ab"))
                await pilot.press("escape")
                await idle(app, pilot)
                app.main.composer.clear()
            assert app.is_running
            assert KEY not in "".join(toast.message for toast in app._notifications)

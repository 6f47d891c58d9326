"""How long replies are to be: whose hint, the hint that the model chooses, and the guide."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from shoritui.blockml import LENGTHS, Length, token_range
from shoritui.demo import lengths_path, model_path
from shoritui.director import Director, Disk, LengthTable, near_share, new_chat
from shoritui.director.length_guide import points
from shoritui.director.length_table import OBEDIENT, table_path
from shoritui.engine import (
    Engine,
    EngineOptions,
    Finished,
    LengthGuide,
    ModelInfo,
    Outcome,
    Segment,
    Text,
    presets,
)
from shoritui.engine import Event as EngineEvent
from shoritui.folders import HOME_VARIABLE
from shoritui.settings import Settings
from tests.director.conftest import SCENE, read

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Terse(Engine):
    """The real engine, but that it writes two words, and remembers by what it was led."""

    def __init__(self) -> None:
        super().__init__()
        self.guides: list[LengthGuide | None] = []
        self.headers: list[str] = []

    async def generate(
        self, document: Sequence[Segment], *args: Any, guide: LengthGuide | None = None, **kw: Any
    ) -> AsyncGenerator[EngineEvent, None]:
        self.guides.append(guide)
        self.headers.append(document[-1].text)
        yield Text(" So.", 2)
        yield Finished(Outcome("block_end", " So.", 10, 0, 10, 2, 1.0, 1.0))


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def engine() -> AsyncIterator[Terse]:
    engine = Terse()
    await engine.open(model_path(), EngineOptions(n_ctx=2048))
    yield engine
    await engine.close()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path))
    return tmp_path


async def opened(disk: Disk, engine: Engine, **settings: Any) -> Director:
    chat = await new_chat(disk, SCENE)
    return await Director.open(disk, chat, engine, Settings(**settings), presets(None)[0])


def info_of(engine: Engine) -> ModelInfo:
    assert engine.info is not None
    return engine.info


# Whose hint it is.


async def test_a_character_s_own_hint_is_followed(disk: Disk, engine: Terse) -> None:
    director = await opened(disk, engine, length="short")
    mara, *others = SCENE.characters
    scene = replace(SCENE, characters=(replace(mara, length="nano"), *others))
    await read(director.change_scene(scene))
    chat = director.chat
    assert (chat.length, chat.length_of("Mara"), chat.length_of("Tobin")) == (
        "short",
        "nano",
        "short",
    )
    await chat.choose_length("huge")
    await chat.choose_length("auto", "Tobin")
    for name in ("Mara", "Tobin", "Isolde"):
        await read(director.reply(name))
    assert engine.headers[-3:] == [
        "▀message (length: nano)\nMara:",
        "▀message\nTobin:",
        "▀message (length: huge)\nIsolde:",
    ]
    await chat.choose_length("micro", "Mara")
    assert (await opened_again(disk, director)).chat.length_of("Mara") == "micro"


async def opened_again(disk: Disk, director: Director) -> Director:
    chat = director.chat
    return await Director.open(disk, chat.record, director.engine, chat.settings, presets(None)[0])


async def test_the_model_chooses_a_hint_by_its_odds(disk: Disk, engine: Terse) -> None:
    director = await opened(disk, engine, length="model")
    drawn = []
    for seed in range(6):
        await director.chat.change_sampling(seed=seed)
        await read(director.reply("Mara"))
        await read(director.regenerate())
        drawn += engine.headers[-2:]
    hints = {header.split("(length: ")[1].split(")")[0] for header in drawn}
    assert hints <= set(LENGTHS) and len(hints) > 1
    assert director.chat.gives_hints


async def test_in_idle_time_it_is_drawn_ahead(disk: Disk, engine: Terse) -> None:
    director = await opened(disk, engine, length="model")
    director.look_ahead()
    await director.settled()
    drawn = director.chat.length
    assert drawn is not None
    before = (await engine.stats()).tokens
    await read(director.reply())
    assert f"(length: {drawn})" in engine.headers[-1]
    assert (await engine.stats()).tokens == before
    assert director.chat.length is None  # Another message is another draw.


# The guide.


async def test_it_leads_where_it_is_on(disk: Disk, engine: Terse) -> None:
    director = await opened(disk, engine, length_guide="on", length="tiny")
    await read(director.reply("Mara"))
    guide = engine.guides[-1]
    assert guide is not None
    least, most = token_range("tiny")
    assert guide.bias(least // 2) < 0 < guide.bias(least) < guide.bias(most)
    await read(director.continue_())
    assert engine.guides[-1] is None
    await read(director.ooc("Where are we?"))
    assert engine.guides[-1] is None
    await director.chat.choose_length(None)
    await read(director.reply("Tobin"))
    assert engine.guides[-1] is None
    await director.chat.choose_length("tiny")
    await director.chat.choose_length_guide("off")
    await read(director.reply("Mara"))
    assert engine.guides[-1] is None


@pytest.mark.parametrize(
    ("free", "expected"), [({}, False), ({"nano": [5, 300]}, True), ({"nano": [5, 20]}, False)]
)
async def test_by_itself_it_leads_a_model_known_not_to_obey(
    disk: Disk, engine: Terse, free: dict[Length, list[int]], expected: bool
) -> None:
    LengthTable(free=free, aims={"nano": 3}).write(info_of(engine))
    director = await opened(disk, engine, length="nano")
    assert director.guides.is_on is expected
    await read(director.reply("Mara"))
    guide = engine.guides[-1]
    assert guide is None if not expected else guide is not None and guide.points[1][0] == 3


async def test_nothing_is_known_of_a_model_that_nobody_measured(disk: Disk, engine: Terse) -> None:
    director = await opened(disk, engine)
    assert director.guides.table is None and not director.guides.is_on
    table_path(info_of(engine)).parent.mkdir(parents=True)
    table_path(info_of(engine)).write_text("{", encoding="utf-8")
    assert LengthTable.read(info_of(engine)) is None


@pytest.mark.parametrize("hint", LENGTHS)
@pytest.mark.parametrize("most", [1, 48, 300, 1024])
async def test_a_reply_is_held_then_led_then_sure_to_end(hint: Length, most: int) -> None:
    guide = LengthGuide(points(hint, token_range(hint)[0], most))
    at = [tokens for tokens, _ in guide.points]
    assert at == sorted(set(at)) and at[0] >= 0
    rising = [guide.bias(tokens) for tokens in range(0, 2000, 7)]
    assert rising == sorted(rising) and rising[-1] > 5
    if most >= 48:
        assert guide.bias(most) >= 9.9 or hint not in ("massive", "huge", "enormous")


async def test_the_aim_moves_towards_the_middle_of_the_range() -> None:
    table = LengthTable()
    for _ in range(4):
        table.add_led("short", 140)
    assert table.aim("short") < token_range("short")[0]
    late = LengthTable()
    for _ in range(4):
        late.add_led("short", 60)
    assert late.aims == {}


async def test_the_table_that_ships_says_that_the_storyteller_needs_it() -> None:
    table = LengthTable(**json.loads(lengths_path().read_text(encoding="utf-8")))
    assert not table.obeys
    assert (near_share(table.led) or 0) >= OBEDIENT


async def test_a_real_reply_is_led(disk: Disk) -> None:
    real = Engine()
    await real.open(model_path(), EngineOptions(n_ctx=2048))
    try:
        found = {}
        for hint in ("nano", "short"):
            director = await opened(disk, real, length=hint, length_guide="on", max_tokens=120)
            await director.chat.change_sampling(seed=5)
            async with aclosing(director.reply("Mara")) as events:
                async for _ in events:
                    pass
            found[hint] = director.chat.entries[-1].tokens
        assert found["nano"] <= 24 and 24 < found["short"] <= 120
    finally:
        await real.close()

"""What a chat's tree tells of taste, of stories that are played with the real director."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
import pytest_asyncio

from shoritui.blockml import Block, message_header, parse
from shoritui.cards import Card
from shoritui.demo import model_path
from shoritui.director import Director, Disk, Event, new_chat
from shoritui.engine import Engine, EngineOptions, Segment, presets
from shoritui.engine import Event as EngineEvent
from shoritui.interop import Preference, preferences_of
from shoritui.interop.sillytavern import chat_of_sillytavern
from shoritui.settings import Settings
from shoritui.story import Entry, Library, WholeChat, asked
from tests.director.conftest import SCENE

pytestmark = pytest.mark.asyncio(loop_scope="module")

SETTINGS = Settings(max_tokens=400, length="nano", alternatives=0)


class Noting(Engine):
    """The real engine; it notes what it read before each text."""

    def __init__(self) -> None:
        super().__init__()
        self.read: dict[str, str] = {}
        """The documents that were read, by their digests."""

    async def generate(
        self, document: Sequence[Segment], *args: Any, **kwargs: Any
    ) -> AsyncGenerator[EngineEvent, None]:
        text = "".join(segment.text for segment in document)
        self.read[asked([text], None, 0).document] = text
        async for event in super().generate(document, *args, **kwargs):
            yield event

    def context(self, entry: Entry) -> str:
        """What was read before a reply, without the header of its block."""
        given = entry.origin.asked
        assert given is not None
        document = self.read[given.document]
        header = message_header(entry.speaker, given.hint)
        assert document.endswith(header)
        return document.removesuffix(header)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def engine() -> AsyncIterator[Noting]:
    engine = Noting()
    await engine.open(model_path(), EngineOptions(n_ctx=1024, n_threads=1))
    yield engine
    await engine.close()


@pytest_asyncio.fixture(loop_scope="module")
async def disk(tmp_path: Path) -> AsyncIterator[Disk]:
    disk = await Disk.open(tmp_path / "library.db")
    yield disk
    await disk.close()


class Play:
    """One chat that is played."""

    def __init__(self, director: Director, disk: Disk) -> None:
        self.director = director
        self._disk = disk
        self._seeds = iter(range(200))
        self._texts = set[str]()

    @classmethod
    async def begin(
        cls, engine: Engine, disk: Disk, scene: Card = SCENE, settings: Settings = SETTINGS
    ) -> Play:
        chat = await new_chat(disk, scene)
        director = await Director.open(disk, chat, engine, settings, presets(None)[0])
        return cls(director, disk)

    @property
    def last(self) -> Entry:
        return self.director.chat.entries[-1]

    async def do(self, events: AsyncGenerator[Event]) -> Entry:
        async for _ in events:
            pass
        return self.last

    async def reply(self, speaker: str = "Mara") -> Entry:
        return await self._written(lambda: self.director.reply(speaker))

    async def swipe(self) -> Entry:
        return await self._written(self.director.regenerate)

    async def _written(self, write: Callable[[], AsyncGenerator[Event]]) -> Entry:
        """Have a text written that nobody has read; the small model likes to write the same."""
        for seed in self._seeds:
            await self.director.chat.change_sampling(seed=seed, temperature=1.5)
            entry = await self.do(write())
            if entry.text not in self._texts:
                self._texts.add(entry.text)
                return entry
            write = self.director.regenerate
        raise AssertionError

    async def say(self, text: str = '"And then?" Wren asked.') -> Entry:
        return await self.do(self.director.say(text))

    async def whole(self) -> WholeChat:
        return await self._disk.run(Library.whole_chat, self.director.chat.id)

    async def preferences(self, settings: Settings = SETTINGS) -> list[Preference]:
        return preferences_of(await self.whole(), settings)


def ids(found: Sequence[Preference]) -> list[tuple[str, int, list[int]]]:
    return [(each.because, each.chosen.id, [e.id for e in each.rejected]) for each in found]


async def test_the_reply_that_the_story_went_on_from_is_kept_over_those_swiped_away(
    engine: Noting, disk: Disk
) -> None:
    play = await Play.begin(engine, disk)
    await play.say()
    first, second, third = await play.reply(), await play.swipe(), await play.swipe()
    assert await play.preferences() == []  # nothing is decided yet
    await play.do(play.director.choose_version(third.id, second.id))
    await play.say()
    [found] = await play.preferences()
    assert ids([found]) == [("kept", second.id, [first.id, third.id])]
    assert found.is_exact and found.hint == "nano"
    row = json.loads(found.line(play.director.chat.record))
    assert list(row) == ["context", "chosen", "rejected", "because", "chat", "entry", "when"]
    for entry, block in ((second, row["chosen"]), (first, row["rejected"][0])):
        assert parse(block) == [Block("message", entry.text, "Mara", "nano")]
        assert row["context"] == engine.context(entry)


async def test_an_edit_is_preferred_to_what_the_model_wrote_and_that_to_what_was_left(
    engine: Noting, disk: Disk
) -> None:
    play = await Play.begin(engine, disk)
    await play.say()
    first, second = await play.reply(), await play.swipe()
    once = await play.do(play.director.edit(second.id, "Mara smiled."))
    assert ids(await play.preferences()) == [("edited", once.id, [second.id])]
    twice = await play.do(play.director.edit(once.id, "Mara smiled and said nothing."))
    await play.say()
    assert ids(await play.preferences()) == [
        ("kept", second.id, [first.id]),
        ("edited", twice.id, [second.id]),
    ]
    await play.do(play.director.undo())
    await play.do(play.director.undo())
    await play.do(play.director.undo())
    await play.say("Hm.")
    assert ids(await play.preferences()) == [("kept", second.id, [first.id])]


async def test_taken_back_and_asked_for_anew_is_left_too(engine: Noting, disk: Disk) -> None:
    play = await Play.begin(engine, disk)
    await play.say()
    first = await play.reply()
    await play.say("No.")
    await play.do(play.director.undo())
    await play.do(play.director.undo())
    second = await play.reply()
    assert await play.preferences() == []  # the newer one may still be taken back
    await play.say()
    assert await play.preferences() == []  # after either stands one message
    await play.reply("Tobin")
    assert ids(await play.preferences()) == [("kept", second.id, [first.id])]


async def test_what_was_not_written_from_the_same_is_not_compared(
    engine: Noting, disk: Disk
) -> None:
    play = await Play.begin(engine, disk)
    said = await play.say("One.")
    await play.reply()
    await play.do(play.director.edit(said.id, "Two."))
    await play.swipe()  # another context
    await play.director.chat.choose_length("micro")
    await play.swipe()  # another hint
    await play.do(play.director.note("Be brief."))
    await play.do(play.director.regenerate(play.director.chat.entries[-2].id))
    await play.do(play.director.continue_(play.director.chat.entries[-2].id))
    await play.reply("Tobin")
    await play.do(play.director.undo())
    await play.reply("Isolde")  # another speaker
    await play.say()
    assert await play.preferences() == []


async def test_branches_that_were_both_gone_on_with_are_both_kept(
    engine: Noting, disk: Disk
) -> None:
    play = await Play.begin(engine, disk)
    await play.say()
    first = await play.reply()
    second = await play.swipe()
    await play.say()
    await play.reply("Tobin")
    third = await play.do(play.director.regenerate(second.id, keep=False))
    await play.say()
    await play.reply("Tobin")
    assert ids(await play.preferences()) == [
        ("kept", second.id, [first.id]),
        ("kept", third.id, [first.id]),
    ]


async def test_what_was_marked_hidden_stopped_or_pieced_together_is_not_left(
    engine: Noting, disk: Disk
) -> None:
    play = await Play.begin(engine, disk, settings=Settings(max_tokens=4, alternatives=0))
    await play.say()
    assert (await play.reply()).status == "cut" and (await play.swipe()).status == "cut"
    await play.say()
    assert await play.preferences() == []
    marks: list[Callable[[Director, Entry], AsyncGenerator[Event]]] = [
        lambda director, entry: director.set_label(entry.id, "here"),
        lambda director, entry: director.pin(entry.id, True),
        lambda director, entry: director.hide(entry.id, True),
        lambda director, entry: director.delete(entry.id),
    ]
    for mark in marks:
        play = await Play.begin(engine, disk)
        await play.say()
        first, second = await play.reply(), await play.swipe()
        await play.do(play.director.choose_version(second.id, first.id))
        await play.do(mark(play.director, first))
        if play.director.chat.entry(first.id) is not None:
            await play.do(play.director.choose_version(first.id, second.id))
        await play.say()
        assert await play.preferences() == []
    play = await Play.begin(engine, disk)
    await play.say()
    reply = await play.reply()
    await play.do(play.director.split(reply.id, reply.text.index(" ")))
    await play.do(play.director.merge(play.director.chat.entries[-2].id))
    await play.say()
    assert await play.preferences() == []


async def test_each_reads_what_it_may_know_with_the_lore_that_fired(
    engine: Noting, disk: Disk
) -> None:
    play = await Play.begin(engine, disk)
    await play.do(play.director.say("The bell is yours.", heard=("Tobin",)))
    await play.reply("Mara")
    await play.swipe()
    await play.say("The bell!")
    await play.reply("Tobin")
    await play.swipe()
    await play.say()
    mara, tobin = await play.preferences()
    assert mara.is_exact and tobin.is_exact
    assert "is yours" not in mara.context and "clapper" not in mara.context
    assert "is yours" in tobin.context and "clapper" in tobin.context


async def test_where_the_settings_have_changed_it_is_what_would_be_read_today(
    engine: Noting, disk: Disk
) -> None:
    play = await Play.begin(engine, disk)
    await play.say()
    await play.reply()
    await play.swipe()
    await play.say()
    [was], [now] = await play.preferences(), await play.preferences(Settings(instruction="Rhyme."))
    assert was.is_exact and not now.is_exact
    assert "[INST] Rhyme. [/INST]" in now.context and ids([was]) == ids([now])


async def test_a_chat_of_elsewhere_tells_its_swipes_but_not_its_greetings(disk: Disk) -> None:
    header = {"user_name": "Wren", "character_name": "Mara", "chat_metadata": {}}
    lines = [
        {"name": "Mara", "is_user": False, "mes": "Hi!", "swipes": ["Hi!", "Yo!"], "swipe_id": 0},
        {"name": "Wren", "is_user": True, "mes": "Well?", "swipes": ["Well?", "And?"]},
        {"name": "Mara", "is_user": False, "mes": "B", "swipes": ["A", "B", "B."], "swipe_id": 1},
        {"name": "Wren", "is_user": True, "mes": "Aha."},
    ]
    text = "\n".join(map(json.dumps, [header, *lines]))
    whole = chat_of_sillytavern(text, "x", print)
    number = len(whole.entries)
    circle = [replace(whole.entries[-1], id=number + n, parent=number + 3 - n) for n in (1, 2)]
    whole = replace(whole, entries=(*whole.entries, *circle))
    [found] = preferences_of(whole, Settings(instruction=""))
    assert (found.chosen.text, [each.text for each in found.rejected]) == ("B", ["A"])
    assert found.hint is None and not found.is_exact
    assert [part.body for part in parse(found.context) if isinstance(part, Block)] == [
        "Hi!",
        "Well?",
    ]


class Player:
    """Somebody who does anything to a chat."""

    def __init__(self, play: Play, seed: int, *, is_rough: bool) -> None:
        self._play = play
        self._dice = Random(seed)
        self._is_rough = is_rough

    async def act(self) -> None:
        """Do one thing."""
        dice, director = self._dice, self._play.director
        entries = director.chat.entries
        any_one, speaker = dice.choice(entries), dice.choice(["Mara", "Tobin", "Isolde"])
        versions = [e.id for e in await director.chat.versions(any_one.id)]
        usual: list[tuple[int, Callable[[], AsyncGenerator[Event]]]] = [
            (4, lambda: director.say(f"Well, {dice.random()}?")),
            (1, lambda: director.say("The bell is yours.", heard=(speaker,))),
            (5, lambda: director.reply(speaker)),
            (6, director.regenerate),
            (2, lambda: director.regenerate(any_one.id)),
            (2, lambda: director.choose_version(any_one.id, dice.choice(versions))),
            (2, lambda: director.edit(any_one.id, f"{any_one.text} No {dice.random()}.")),
            (2, director.continue_),
            (1, lambda: director.go_on_from(any_one.id, "Aye")),
            (2, director.undo),
            (1, director.redo),
            (1, lambda: director.go_to(any_one.id, exactly=True)),
            (1, lambda: director.note("Be brief.")),
            (1, lambda: director.ooc("Back soon.", answer=False)),
            (1, lambda: director.set_label(any_one.id, dice.choice(["here", None]))),
        ]
        rough: list[tuple[int, Callable[[], AsyncGenerator[Event]]]] = [
            (1, lambda: director.hide(any_one.id, not any_one.hidden)),
            (1, lambda: director.delete(any_one.id)),
            (1, lambda: director.move(any_one.id, up=True)),
            (1, lambda: director.split(any_one.id, len(any_one.text) // 2)),
            (1, lambda: director.merge(any_one.id)),
        ]
        acts = [*usual, *(rough * self._is_rough)]
        [chosen] = dice.choices([act for _, act in acts], [often for often, _ in acts])
        await director.chat.change_sampling(seed=dice.randrange(1000), temperature=1.5)
        await self._play.do(chosen())


@pytest.mark.slow
@pytest.mark.parametrize("is_rough", [False, True])
@pytest.mark.parametrize("seed", range(3))
async def test_whatever_is_done_only_replies_to_the_same_are_compared(
    engine: Noting, disk: Disk, seed: int, is_rough: bool
) -> None:
    play = await Play.begin(engine, disk)
    player = Player(play, seed, is_rough=is_rough)
    compared = 0
    for turn in range(120):
        await player.act()
        if turn % 10:
            continue
        whole = await play.whole()
        entries = {entry.id: entry for entry in whole.entries}
        path = {entry.id for entry in whole.path()}
        found = preferences_of(whole, SETTINGS)
        for each in found:
            reply = each.chosen
            while reply.details.made is not None:
                assert each.because == "edited" and reply.details.made.how == "edited"
                reply = entries[reply.details.made.of]
            for entry in (reply, *each.rejected):
                assert entry.origin.by == "model" and entry.status == "complete"
                assert engine.context(entry) == engine.context(reply)
                assert entry.details.made is None and not entry.hidden
            assert not path & {entry.id for entry in each.rejected}
            texts = [entry.text.strip() for entry in (each.chosen, *each.rejected)]
            assert len(set(texts)) == len(texts) > 1
            assert each.is_exact == (each.context == engine.context(reply))
            assert each.is_exact or is_rough
        if not is_rough:
            assert missed(whole) <= {entry.id for each in found for entry in each.rejected}
        compared += len(found)
    assert compared or is_rough


def missed(whole: WholeChat) -> set[int]:
    """The replies of which it is plain that they were left: nothing ever followed them, nobody
    marked them, and a reply to the same, of another text, stands in the middle of the story."""
    entries, path = whole.entries, whole.path()
    parents = {entry.parent for entry in entries}
    made = {e.details.made.of for e in entries if e.details.made is not None}
    standing = {
        entry.origin.asked.document: entry
        for at, entry in enumerate(path)
        if entry.origin.asked is not None and entry.details.made is None and entry.kind == "message"
        if entry.status == "complete" and not entry.hidden
        if sum(each.kind == "message" for each in path[at + 1 :]) > 1
    }
    left = set[int]()
    for entry in entries:
        given = entry.origin.asked
        kept = standing.get(given.document) if given is not None else None
        if kept is None or entry.details.made is not None or entry.status != "complete":
            continue
        if entry.id in parents | made or entry.hidden or entry.pinned or entry.label:
            continue
        same = [e for e in entries if e.text.strip() == entry.text.strip() and e.id < entry.id]
        if entry.text.strip() != kept.text.strip() and not same:
            left.add(entry.id)
    return left

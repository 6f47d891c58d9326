"""Nothing is evaluated twice: sequences, shift, idle work, the KV store, adapters, scores."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final, Literal

import numpy as np
import pytest

from shoritui.engine import Adapter, Engine, EngineOptions, Sampling, Segment
from shoritui.engine.cache.kv_cache import KVCache
from shoritui.engine.llama import library
from shoritui.engine.llama.context import AbortFlag, Context
from shoritui.engine.llama.model import Model
from shoritui.errors import UserError
from tests.engine.adapter_file import write_adapter
from tests.engine.conftest import HEADER, SCENE, kill_worker, opened, write

pytestmark = pytest.mark.slow

LIKELIEST = Sampling(temperature=0)
WORDS = (' "', " She", " I", " Bram")
NOISE = 0.2
"""So little the logprobs of `WORDS` differ where a prompt is evaluated in other batches."""


def story(messages: int, title: str = "The long way") -> list[Segment]:
    blocks = [
        f'▀message (length: short)\nAda: "Boat {n} is late," she said, and looked up.▄\n'
        for n in range(messages)
    ]
    return [Segment(f"▀title\n{title}▄\n"), *SCENE[1:3], *map(Segment, blocks)]


def trimmed(document: list[Segment], dropped: int) -> list[Segment]:
    return [*document[:3], *document[3 + dropped :]]


def options(
    mode: Literal["exact", "shift"] = "exact", kv_store: Path | None = None
) -> EngineOptions:
    return EngineOptions(n_ctx=2048, n_threads=1, context_mode=mode, kv_store=kv_store)


async def at_rest(engine: Engine, folder: Path, blocks: int) -> None:
    """Wait until the KV store holds so many blocks."""
    for _ in range(600):
        if len(list(folder.glob("*.kv*"))) >= blocks:
            return
        await asyncio.sleep(0.05)
    pytest.fail(f"only {len(list(folder.iterdir()))} blocks were kept")


async def test_another_branch_and_back_costs_nothing(model: Path) -> None:
    async with opened(model, options()) as engine:
        one = [*story(10), Segment("▀message (length: short)\nBram: Left.▄\n"), HEADER]
        two = [*story(10), *story(6, "Elsewhere"), HEADER]
        first = await write(engine, one, LIKELIEST)
        await write(engine, two, LIKELIEST)
        again = await write(engine, one, LIKELIEST)
        assert again.evaluated_tokens == 0
        assert again.text == first.text


async def test_the_swipe_after_reading_ahead_costs_nothing(model: Path) -> None:
    async with opened(model, options()) as engine:
        first = await write(engine, [*SCENE, HEADER], LIKELIEST)
        written = Segment(HEADER.text + first.text + "▄\n")
        await engine.prefill([*SCENE, written, HEADER], idle=True)
        again = await write(engine, [*SCENE, HEADER], LIKELIEST)
        assert again.evaluated_tokens == 0
        assert again.text == first.text
        next_turn = await engine.prefill([*SCENE, written, HEADER])
        assert next_turn.evaluated <= 1


@pytest.mark.parametrize("length", [1, 8, 60])
async def test_the_swipe_of_a_reply_that_was_given_another_hint_costs_nothing(
    model: Path, length: int
) -> None:
    """However short it is, what is read next does not begin with the prompt that it was for."""
    async with opened(model, options()) as engine:
        first = await write(engine, [*SCENE, HEADER], LIKELIEST, length)
        written = Segment(f"▀message (length: nano)\nBram:{first.text}▄\n")
        for _ in range(2):
            await engine.prefill([*SCENE, written, HEADER], idle=True)
            again = await write(engine, [*SCENE, HEADER], LIKELIEST, length)
            assert again.evaluated_tokens == 0
            assert again.text == first.text
        assert (await engine.prefill([*SCENE, written, HEADER])).evaluated == 0


async def test_a_trimmed_document_is_built_beside_the_one_in_use(model: Path) -> None:
    async with opened(model, options("exact")) as engine:
        assert engine.info is not None
        assert engine.info.context_mode == "exact"
        whole = [*story(40), HEADER]
        await engine.prefill(whole)
        short = trimmed(whole, 12)
        built = await engine.prefill(short, idle=True)
        assert built.complete
        assert built.evaluated > 100
        assert (await engine.prefill(whole)).evaluated == 0
        assert (await write(engine, short)).evaluated_tokens == 0


async def test_a_trimmed_document_is_shifted_at_once(model: Path) -> None:
    async with opened(model, options("shift")) as engine:
        assert engine.info is not None
        assert engine.info.context_mode == "shift"
        whole = [*story(40), HEADER]
        first = await write(engine, whole)
        grown = Segment(HEADER.text + first.text + "▄\n")
        said = Segment("▀message (length: nano)\nBram: And now?▄\n")
        outcome = await write(engine, [*trimmed(whole[:-1], 12), grown, said, HEADER])
        new = sum(await engine.count(["▄\n", said.text, HEADER.text]))
        assert outcome.evaluated_tokens <= new + 1
        assert outcome.prompt_tokens == len(
            await engine.tokens([*trimmed(whole[:-1], 12), grown, said, HEADER])
        )


async def test_idle_work_gives_way_and_goes_on_where_it_was(model: Path) -> None:
    # In small steps however fast the machine is, so that there is something to come between.
    async with opened(model, replace(options(), n_batch=32)) as engine:
        document = [*story(45), HEADER]
        idle = asyncio.create_task(engine.prefill(document, idle=True))
        while engine.state.phase != "evaluating" and not idle.done():
            await asyncio.sleep(0)
        await engine.count(["Something else"])
        given_way = await idle
        assert not given_way.complete
        rest = await engine.prefill(document)
        assert rest.complete
        assert rest.reused >= given_way.evaluated > 0


async def test_a_reopened_chat_is_not_evaluated_again(model: Path, tmp_path: Path) -> None:
    async with opened(model, options(kv_store=tmp_path)) as engine:
        first = await write(engine, [*story(20), HEADER], LIKELIEST)
        written = Segment(HEADER.text + first.text + "▄\n")
        document = [*story(20), written, HEADER]
        await engine.prefill(document)
        before = await write(engine, document, LIKELIEST)
        await at_rest(engine, tmp_path, len(document) - 1)
    async with opened(model, options(kv_store=tmp_path)) as engine:
        after = await write(engine, document, LIKELIEST)
        assert after.evaluated_tokens <= 32
        assert after.text == before.text
        other = [*story(20, "Another title"), HEADER]
        assert (await write(engine, other)).reused_tokens < 10


async def test_the_open_end_of_a_prompt_comes_back_with_its_logits(
    model: Path, tmp_path: Path
) -> None:
    document = [*story(5), HEADER]
    async with opened(model, options(kv_store=tmp_path)) as engine:
        before = await write(engine, document, LIKELIEST)
        await at_rest(engine, tmp_path, len(document))
    async with opened(model, options(kv_store=tmp_path)) as engine:
        after = await write(engine, document, LIKELIEST)
        assert after.evaluated_tokens == 0
        assert after.text == before.text
        assert (await engine.stats()).decodes == after.generated_tokens - 1


async def test_a_killed_worker_goes_on_from_the_kv_store(model: Path, tmp_path: Path) -> None:
    async with opened(model, options(kv_store=tmp_path)) as engine:
        document = [*story(20), HEADER]
        before = await write(engine, document, LIKELIEST)
        await at_rest(engine, tmp_path, len(document) - 1)
        await kill_worker(engine)
        after = await write(engine, document, LIKELIEST)
        assert after.evaluated_tokens <= 32
        assert after.text == before.text


@pytest.mark.parametrize("damage", ["torn", "foreign", "empty"])
async def test_a_damaged_kv_store_only_costs_time(model: Path, tmp_path: Path, damage: str) -> None:
    async with opened(model, options(kv_store=tmp_path)) as engine:
        document = [*story(20), HEADER]
        await write(engine, document)
        await at_rest(engine, tmp_path, len(document) - 1)
        scores = await engine.score(document, WORDS)
    files = sorted(tmp_path.glob("*.kv*"))
    for file, other in zip(files, reversed(files), strict=True):
        data = file.read_bytes()
        content = {"torn": data[: len(data) // 2], "foreign": other.read_bytes(), "empty": b""}
        file.write_bytes(content[damage])
    async with opened(model, options(kv_store=tmp_path)) as engine:
        assert await engine.score(document, WORDS) == pytest.approx(scores, abs=NOISE)


def _flipped(place: float) -> Callable[[bytes], bytes]:
    def flipped(data: bytes) -> bytes:
        at = int(place * (len(data) - 1))
        return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]

    return flipped


DAMAGE: Final[dict[str, Callable[[bytes], bytes]]] = {
    "another magic": _flipped(0),
    "another version": lambda data: data[:8] + b"\xff" + data[9:],
    "another key": lambda data: data[:12] + bytes(32) + data[44:],
    "a count beyond all memory": lambda data: data[:52] + b"\xff" * 8 + data[60:],
    "other ids": lambda data: data[:68] + b"\1\2\3\4" + data[72:],
    "a byte of the state": _flipped(0.5),
    "the checksum": _flipped(1),
    "no header": lambda data: data[:10],
    "half of it": lambda data: data[: len(data) // 2],
    "no checksum": lambda data: data[:-4],
    "nothing": lambda data: b"",
    "zeros": lambda data: bytes(len(data)),
    "more behind it": lambda data: data + b"more",
}


@pytest.mark.parametrize("kinds", [["a byte of the state"], [*DAMAGE]])
async def test_all_but_damaged_blocks_is_used_and_they_are_replaced(
    model: Path, tmp_path: Path, kinds: list[str]
) -> None:
    document = [*story(24), HEADER]
    async with opened(model, options(kv_store=tmp_path)) as engine:
        await write(engine, document)
        await at_rest(engine, tmp_path, len(document))
        sizes = await engine.count([segment.text for segment in document])
        scores = await engine.score(document, WORDS)
    files = sorted(tmp_path.glob("*.kv*"))
    for file, kind in zip(files[::2], kinds, strict=False):
        file.write_bytes(DAMAGE[kind](file.read_bytes()))
    async with opened(model, options(kv_store=tmp_path)) as engine:
        evaluated = (await engine.prefill(document)).evaluated
        assert 0 < evaluated <= sum(sorted(sizes)[-len(kinds) :])
        assert await engine.score(document, WORDS) == pytest.approx(scores, abs=NOISE)
        await write(engine, document)
        await at_rest(engine, tmp_path, len(files))
    async with opened(model, options(kv_store=tmp_path)) as engine:
        assert (await engine.prefill(document)).evaluated == 0


async def test_shifted_blocks_never_serve_an_exact_context(model: Path, tmp_path: Path) -> None:
    document = [*story(40), HEADER]
    short = [*trimmed(document, 12)[:-1], Segment("▀message\nBram: Ah.▄\n"), HEADER]
    async with opened(model, options("shift", tmp_path)) as engine:
        await engine.prefill(document)
        await at_rest(engine, tmp_path, len(document))
        await engine.prefill(short)
        # All but the header's three are kept anew: they were shifted.
        await at_rest(engine, tmp_path, len(document) + len(short) - 3)
    async with opened(model, options("shift", tmp_path)) as engine:
        assert (await engine.prefill(short)).evaluated <= 32
    async with opened(model, options("exact", tmp_path)) as engine:
        header = sum(await engine.count([segment.text for segment in short[:3]]))
        assert (await engine.prefill(short)).reused <= header + 10


async def test_adapters_change_the_text_and_what_is_held_counts_again(
    model: Path, tmp_path: Path
) -> None:
    adapter = Adapter(write_adapter(tmp_path / "lora.gguf", model))
    async with opened(model, options()) as engine:
        document = [*story(5), HEADER]
        plain = await write(engine, document, LIKELIEST)
        info = await engine.adapt([adapter])
        assert info.adapters == (adapter,)
        adapted = await write(engine, document, LIKELIEST)
        assert adapted.text != plain.text
        assert adapted.reused_tokens == 0
        await engine.adapt([])
        back = await write(engine, document, LIKELIEST)
        assert back.text == plain.text
        assert back.evaluated_tokens == 0
        await engine.adapt([Adapter(adapter.path, 0.5), Adapter(adapter.path, 0.5)])
        assert (await write(engine, document, LIKELIEST)).reused_tokens == 0
        await engine.adapt([adapter])
        await kill_worker(engine)
        assert (await write(engine, document, LIKELIEST)).text == adapted.text


async def test_a_file_that_is_no_adapter_is_refused_and_nothing_changes(
    model: Path, tmp_path: Path
) -> None:
    async with opened(model, options()) as engine:
        before = await write(engine, [*SCENE, HEADER], LIKELIEST)
        with pytest.raises(UserError, match="is no adapter"):
            await engine.adapt([Adapter(model)])
        with pytest.raises(UserError, match="no such"):
            await engine.adapt([Adapter(tmp_path / "missing.gguf")])
        again = await write(engine, [*SCENE, HEADER], LIKELIEST)
        assert (again.text, again.evaluated_tokens) == (before.text, 0)


async def test_scores_of_names_that_begin_apart_cost_no_evaluation(model: Path) -> None:
    async with opened(model, options()) as engine:
        document = [*SCENE, Segment("▀message (length:")]
        await engine.prefill(document)
        before = await engine.stats()
        scores = await engine.score(document, [" nano", " tiny", " short", " long", " huge"])
        assert (await engine.stats()).decodes == before.decodes
        assert len(set(scores)) == 5


async def test_scores_of_names_that_begin_alike_take_one_batch(model: Path) -> None:
    names = [" Ada", " Adam", " Adamant", " Bram", " Bra", " Mo"]
    async with opened(model, options()) as engine:
        document = [*SCENE, Segment("▀message (length: short)\n")]
        plain = [name.strip() for name in names]
        await engine.prefill(document)
        before = await engine.stats()
        scores = await engine.score(document, plain)
        assert (await engine.stats()).decodes <= before.decodes + 1
        one_by_one = []
        for name in plain:
            others = [other for other in plain if other != name]
            one_by_one.append((await engine.score(document, [name, *others]))[0])
        assert scores == pytest.approx(one_by_one, abs=1e-6)
        assert (await write(engine, [*SCENE, HEADER], LIKELIEST)).generated_tokens > 0


class LateFlag(AbortFlag):
    """Heard by llama.cpp alone, at the second time that it asks once `armed`."""

    def __init__(self) -> None:
        super().__init__()
        self.armed = False
        self._asked = 0
        self.callback = library.L.ggml_abort_callback(self._answer)

    def _answer(self, _: object) -> bool:
        self._asked += self.armed
        return self._asked >= 2

    def disarm(self) -> None:
        self.armed, self._asked = False, 0


def test_a_cancel_while_keys_are_turned_spoils_nothing(model: Path) -> None:
    """llama.cpp would leave some layers turned, and turn all of them again the next time."""
    ids = list(range(300, 900))
    whole = [ids[begin : begin + 50] for begin in range(0, 600, 50)]
    short = [whole[0], *whole[4:], ids[:60]]
    loaded = Model(model)
    found = []
    for cancelled in (False, True):
        flag = LateFlag()
        context = Context(loaded, n_cells=1024, n_batch=128, n_threads=1, abort=flag)
        cache = KVCache(context, flag, n_ctx=1024, shift=True)
        assert cache.reach(whole).complete
        if cancelled:
            flag.armed = True
            assert not cache.reach(short).complete
            flag.disarm()
        assert cache.reach(short).complete
        found.append(cache.logits.copy())
        context.free()
    loaded.free()
    assert np.array_equal(found[0], found[1])

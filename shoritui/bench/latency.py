"""What a person waits for: a swipe, the reply after a typed message, the end of a stopped one, a
chat that is opened again, and the choice of who speaks next.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import Final

from shoritui.bench import scenes
from shoritui.bench.lab import SAMPLING, Lab, filled, streamed
from shoritui.benchmark import Aim, Figure, benchmark
from shoritui.engine import Engine, Evaluated, Segment, Text
from shoritui.files import temporary_folder
from shoritui.text import size

_REPLY: Final = 4
_CHAT: Final = 10
"""Messages that stand before; under a thousand tokens."""
_TYPED_WORDS: Final = 75
"""About a hundred tokens."""
_LONG: Final = 2048
"""Tokens of a prompt that is cancelled on its way, where the context holds so many."""
_RESUMED: Final = 8192
_RESUME_AIM: Final = 0.01
_QUIET_SECONDS: Final = 0.4
"""A KV store that has not grown for so long is written."""
_PATIENCE_SECONDS: Final = 60.0


@benchmark(Aim("swipe_first_token_ms", "ms", "< 2"))
async def swipe(lab: Lab) -> dict[str, Figure]:
    """First token of another reply after the same document, as the engine measures it."""
    times = []
    async with lab.engine() as engine:
        document = [*_chat("swipe", _CHAT), scenes.opened(_CHAT)]
        await streamed(engine, document, _REPLY)
        for _ in lab.rounds(20, 1.0, least=5):
            times.append((await streamed(engine, document, _REPLY)).outcome.first_token_ms)
    return {"swipe_first_token_ms": Figure(times)}


@benchmark(Aim("type_ahead", "ratio", "<= 0.333"))
async def type_ahead(lab: Lab) -> dict[str, Figure]:
    """First token after Enter, evaluated while it was typed / sent at once."""
    ratios, waits = [], []
    async with lab.engine() as engine:
        chat = _chat("typing", _CHAT)
        opened = scenes.opened(_CHAT + 1)
        for round_ in lab.rounds(8, 3.0, least=2):
            seconds = []
            for ahead in (False, True):
                said = scenes.message(_CHAT, scenes.prose(_TYPED_WORDS, f"{round_} {ahead}"))
                await engine.prefill(chat)
                if ahead:
                    for typed in _as_typed(said):
                        await engine.prefill([*chat, typed])
                seconds.append((await streamed(engine, [*chat, said, opened], _REPLY)).first)
            waits.append(seconds)
            ratios.append(seconds[1] / seconds[0])
        (tokens,) = await engine.count([said.text])
    best = [1000 * min(side) for side in zip(*waits, strict=True)]
    note = f"a message of {tokens} tokens: {best[1]:.0f} ms instead of {best[0]:.0f}"
    return {"type_ahead": Figure(ratios, note)}


@benchmark(Aim("cancel_ms", "ms", "< 50"), Aim("cancel_reply_ms", "ms", "< 50"))
async def cancel(lab: Lab) -> dict[str, Figure]:
    """From the cancel to the last event, while the prompt is evaluated and while text streams."""
    prompt, reply = [], []
    async with lab.engine() as engine:
        for round_ in lab.rounds(15, 2.0, least=3):
            head, messages = scenes.header(f"{round_}"), scenes.messages(f"{round_}")
            many, _ = await filled(engine, head, messages, min(_LONG, lab.n_ctx - 64))
            long = [*head, *many, scenes.opened(0)]
            prompt.append(await _cancelled(engine, long, _nth(Evaluated, 1 + round_ % 4)))
            short = [*_chat(f"night {round_}", 4), scenes.opened(4, "enormous")]
            reply.append(await _cancelled(engine, short, _nth(Text, 1)))
    # A GPU is not told to stop: the step at hand ends first.
    note, aim = ("on a GPU a step ends first: no aim", "") if lab.gpu else ("", None)
    return {"cancel_ms": Figure(prompt, note, aim), "cancel_reply_ms": Figure(reply, note, aim)}


@benchmark(Aim("resume_vs_reevaluation", "ratio", f"<= {_RESUME_AIM}"))
async def resume(lab: Lab) -> dict[str, Figure]:
    """First token in a chat that another process evaluated / in one that nobody did."""
    n_ctx = min(_RESUMED + 256, lab.n_ctx)
    ratios, notes = [], []
    for round_ in lab.rounds(1, 20.0):
        with temporary_folder() as kv_store:
            async with lab.engine(n_ctx=n_ctx, kv_store=kv_store) as engine:
                head = scenes.header(f"closed {round_}")
                messages = scenes.messages(f"closed {round_}")
                kept, _ = await filled(engine, head, messages, n_ctx - 256)
                document = [*head, *kept, scenes.opened(len(kept))]
                anew = (await streamed(engine, document, _REPLY)).first
                lab.report("the KV store is written")
                await _written(kv_store)
            async with lab.engine(n_ctx=n_ctx, kv_store=kv_store) as engine:
                lab.report("the chat is opened again")
                again = await streamed(engine, document, _REPLY)
            ratios.append(again.first / anew)
            outcome = again.outcome
            notes.append(
                f"{1000 * again.first:.0f} ms instead of {anew:.2f} s, "
                f"{outcome.evaluated_tokens} of {outcome.prompt_tokens:,} tokens evaluated; "
                f"{size(_bytes_in(kv_store))}, files warm"
            )
    note, aim = notes[-1], None
    if n_ctx < _RESUMED:
        note += "; the aim is 1/100 at 8,192, in proportion here"
        aim = f"<= {_RESUME_AIM * _RESUMED / n_ctx:.3g}"
    return {"resume_vs_reevaluation": Figure(ratios, note, aim)}


@benchmark(Aim("score_extra_decodes", "decodes", "<= 0"))
async def score_extra_decodes(lab: Lab) -> dict[str, Figure]:
    """Calls of llama_decode to score eight speakers after a document that is evaluated."""
    decodes, times = [], []
    async with lab.engine() as engine:
        for round_ in lab.rounds(5, 1.0, least=2):
            chat = islice(scenes.messages("cast"), round_, round_ + 8)
            document = [*scenes.header("cast", 8), *chat]
            document.append(Segment("▀message (length: medium)\n"))
            await engine.prefill(document)
            before = await engine.stats()
            began = perf_counter()
            await engine.score(document, scenes.NAMES)
            times.append(perf_counter() - began)
            decodes.append(float((await engine.stats()).decodes - before.decodes))
    note = f"{len(scenes.NAMES)} names in {1000 * min(times):.1f} ms"
    return {"score_extra_decodes": Figure(decodes, note)}


async def _cancelled(
    engine: Engine, document: list[Segment], moment: Callable[[object], bool]
) -> float:
    """Return milliseconds from the cancel to the end of the stream."""
    cancelled = 0.0
    async for event in engine.generate(document, SAMPLING, max_tokens=256):
        if moment(event) and not cancelled:
            cancelled = perf_counter()
            await engine.cancel()
    return 1000 * (perf_counter() - cancelled)


def _nth(kind: type, number: int) -> Callable[[object], bool]:
    seen = 0

    def moment(event: object) -> bool:
        nonlocal seen
        seen += isinstance(event, kind)
        return seen >= number

    return moment


def _as_typed(said: Segment) -> Iterator[Segment]:
    """Yield the open message at a few moments while it is typed, up to the word before the last."""
    words = said.text.removesuffix("▄\n").split(" ")
    for share in (0.25, 0.5, 0.75):
        yield Segment(" ".join(words[: int(share * len(words))]))
    yield Segment(" ".join(words[:-1]))


def _chat(tag: str, messages: int) -> list[Segment]:
    return [*scenes.header(tag), *islice(scenes.messages(tag), messages)]


async def _written(kv_store: Path) -> None:
    """Wait until the KV store has stopped growing."""
    end = perf_counter() + _PATIENCE_SECONDS
    last, since = -1, perf_counter()
    while perf_counter() - since < _QUIET_SECONDS and perf_counter() < end:
        await asyncio.sleep(0.05)
        if (now := _bytes_in(kv_store)) != last:
            last, since = now, perf_counter()


def _bytes_in(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())

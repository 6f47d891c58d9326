"""How far logits after much editing are from those of the same text evaluated from scratch.

Distances are of log-probabilities, over tokens whose text is one token; what counts as equal is
measured too: the same text evaluated in steps of other sizes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from random import Random
from typing import Final, Literal

import numpy as np

from shoritui.bench import scenes
from shoritui.bench.lab import Lab, streamed
from shoritui.benchmark import Aim, Figure, benchmark
from shoritui.engine import Engine, Segment
from shoritui.files import temporary_folder

_N_CTX: Final = 1024
_MESSAGES: Final = 10
_STEPS: Final = 12
"""Operations between two comparisons."""
_PROBES: Final = 1000
"""At most so many tokens are compared."""
_OTHER_BATCH: Final = 48
_NOISE_MARGIN: Final = 2.0
"""The worst of a few samples is not the worst there is."""


@benchmark(Aim("logits_distance_exact", "nat"))
async def logits_distance_exact(lab: Lab) -> dict[str, Figure]:
    """The largest difference of a log-probability in exact mode."""
    return {"logits_distance_exact": await _distance(lab, "exact")}


@benchmark(Aim("logits_distance_shift", "nat"))
async def logits_distance_shift(lab: Lab) -> dict[str, Figure]:
    """The same in shift mode, where what is kept was once read beside what has gone."""
    return {"logits_distance_shift": await _distance(lab, "shift")}


@dataclass(slots=True)
class _Compared:
    largest: list[float] = field(default_factory=list)
    kl: list[float] = field(default_factory=list)
    noise: list[float] = field(default_factory=list)
    noise_kl: list[float] = field(default_factory=list)


async def _distance(lab: Lab, mode: Literal["exact", "shift"]) -> Figure:
    found = _Compared()
    for round_ in lab.rounds(1, 3.0):
        with temporary_folder() as folder:
            options = {"n_ctx": _N_CTX, "context_mode": mode, "kv_store": folder}
            chat = _Chat(Random(f"{mode} {round_}"), f"{mode} {round_}")
            probes: list[str] = []
            for _ in range(2):  # the second time it resumes from the KV store
                async with lab.engine(**options) as engine:
                    assert engine.info is not None
                    if engine.info.context_mode != mode:
                        return Figure((), "The engine cannot shift this model's cache.")
                    probes = probes or await _probes(engine)
                    for step in range(_STEPS):
                        await chat.step(engine, first=step == 0)
                    seen = await engine.score(chat.document, probes)
                    ids = await engine.tokens(chat.document)
                await _compare(lab, chat.document, ids, probes, seen, found)
    return _figure(found, mode)


async def _compare(
    lab: Lab,
    document: Sequence[Segment],
    ids: Sequence[int],
    probes: Sequence[str],
    seen: Sequence[float],
    found: _Compared,
) -> None:
    """Compare with an engine that reads the document first now; that, in other steps too."""
    async with lab.engine(n_ctx=_N_CTX) as engine:
        if await engine.tokens(document) != ids:
            return  # a reply is spelled in a way of its own: that is another text, to a model
        scratch = await engine.score(document, probes)
    found.largest.append(_largest(seen, scratch))
    found.kl.append(_kl(seen, scratch))
    if lab.full or not found.noise:
        async with lab.engine(n_ctx=_N_CTX, n_batch=_OTHER_BATCH) as engine:
            other = await engine.score(document, probes)
        found.noise.append(_largest(other, scratch))
        found.noise_kl.append(_kl(other, scratch))


class _Chat:
    """A chat to which anything may happen."""

    def __init__(self, random: Random, tag: str) -> None:
        self._random = random
        self._head = scenes.header(tag, 2)
        self._messages = list(islice(scenes.messages(tag), _MESSAGES))
        self._number = _MESSAGES

    @property
    def document(self) -> list[Segment]:
        """What the model reads now."""
        return [*self._head, *self._messages, scenes.opened(self._number)]

    async def step(self, engine: Engine, *, first: bool) -> None:
        """Do one thing; at first a swipe, so that what was there is read."""
        kinds = ("say", "reply", "swipe", "type", "edit", "delete", "trim")
        kind = "swipe" if first else self._random.choice(kinds)
        if (
            kind == "trim"
            or sum(await engine.count([m.text for m in self.document])) > 0.7 * _N_CTX
        ):
            del self._messages[: len(self._messages) // 4 + 1]
            await engine.prefill([*self._head, *self._messages], idle=True)
        elif kind == "say":
            self._messages.append(self._new())
        elif kind == "reply":
            await self._reply(engine)
        elif kind == "swipe":
            await streamed(engine, self.document, 4)
        elif kind == "type":
            typed = Segment(self._new().text.removesuffix("▄\n").rpartition(" ")[0])
            await engine.prefill([*self._head, *self._messages, typed])
        elif kind == "edit" and self._messages:
            self._messages[-self._random.randrange(len(self._messages)) - 1] = self._new()
        elif kind == "delete" and self._messages:
            self._messages.pop()

    async def _reply(self, engine: Engine) -> None:
        """Write a reply that stays, if its text has the ids that anybody would give it."""
        opened = scenes.opened(self._number)
        outcome = (await streamed(engine, self.document, 12)).outcome
        if outcome.text.strip().isascii():
            self._messages.append(scenes.closed(opened, outcome.text))
            self._number += 1

    def _new(self) -> Segment:
        self._number += 1
        return scenes.message(self._number, scenes.prose(12, f"{self._number}"))


async def _probes(engine: Engine) -> list[str]:
    """Return texts of one token each, by which the model's choice can be compared."""
    assert engine.info is not None
    pieces = await engine.pieces(range(engine.info.n_vocab))
    texts = sorted({piece for piece in pieces if piece.strip() and piece.isprintable()})
    sizes = await engine.count(texts)
    single = [text for text, size in zip(texts, sizes, strict=True) if size == 1]
    return single[:: len(single) // _PROBES + 1]


def _largest(ours: Sequence[float], theirs: Sequence[float]) -> float:
    return float(np.abs(np.subtract(ours, theirs)).max())


def _kl(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Return the divergence of ours from theirs, in nats, over the tokens compared."""
    log_p, log_q = (scores - np.logaddexp.reduce(scores) for scores in (theirs, ours))
    return float(np.sum(np.exp(log_p) * (log_p - log_q)))


def _figure(found: _Compared, mode: str) -> Figure:
    if not found.largest:
        return Figure((), "Every text held a reply that is spelled in a way of its own.")
    noise = max(found.noise)
    note = (
        f"KL {max(found.kl):.2g}; steps of another size alone differ by {noise:.2g}, "
        f"KL {max(found.noise_kl):.2g}"
    )
    bound = f"<= {_NOISE_MARGIN * noise:.2g}" if mode == "exact" else None
    return Figure(found.largest, note, bound)

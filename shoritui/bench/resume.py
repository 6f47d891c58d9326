"""A chat that is reopened after the program was closed, against evaluating it again."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Final

from shoritui.bench import scenes
from shoritui.bench.lab import Lab, filled, streamed
from shoritui.rows import Aim, Figure, benchmark

_TOKENS: Final = 8192
_AIM: Final = 0.01
_REPLY: Final = 2
_QUIET_SECONDS: Final = 0.4
"""A journal that has not grown for so long is written."""
_PATIENCE_SECONDS: Final = 60.0


@benchmark(Aim("resume_vs_reevaluation", "ratio", f"<= {_AIM}"))
async def resume(lab: Lab) -> dict[str, Figure]:
    """First token in a chat that another process evaluated / in one that nobody did."""
    n_ctx = min(_TOKENS + 256, lab.n_ctx)
    ratios, notes = [], []
    for round_ in lab.rounds(1, 20.0):
        with tempfile.TemporaryDirectory() as folder:
            journal = Path(folder)
            async with lab.engine(n_ctx=n_ctx, journal=journal) as engine:
                head = scenes.header(f"closed {round_}")
                messages = scenes.messages(f"closed {round_}")
                kept, _ = await filled(engine, head, messages, n_ctx - 256)
                document = [*head, *kept, scenes.opened(len(kept))]
                anew = (await streamed(engine, document, _REPLY)).first
                lab.tell("the journal is written")
                await _written(journal)
            async with lab.engine(n_ctx=n_ctx, journal=journal) as engine:
                lab.tell("the chat is opened again")
                again = await streamed(engine, document, _REPLY)
            ratios.append(again.first / anew)
            outcome = again.outcome
            notes.append(
                f"{1000 * again.first:.0f} ms instead of {anew:.2f} s, "
                f"{outcome.evaluated_tokens} of {outcome.prompt_tokens:,} tokens evaluated; "
                f"{_size(journal) / 2**20:.0f} MiB, files warm"
            )
    note, aim = notes[-1], None
    if n_ctx < _TOKENS:
        note += "; the aim is 1/100 at 8,192, in proportion here"
        aim = f"<= {_AIM * _TOKENS / n_ctx:.3g}"
    return {"resume_vs_reevaluation": Figure(ratios, note, aim)}


async def _written(journal: Path) -> None:
    """Wait until the journal has stopped growing."""
    end = perf_counter() + _PATIENCE_SECONDS
    size, since = -1, perf_counter()
    while perf_counter() - since < _QUIET_SECONDS and perf_counter() < end:
        await asyncio.sleep(0.05)
        if (now := _size(journal)) != size:
            size, since = now, perf_counter()


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())

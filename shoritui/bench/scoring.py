"""What it takes to know how likely each character is to speak next."""

from __future__ import annotations

from itertools import islice
from time import perf_counter

from shoritui.bench import scenes
from shoritui.bench.lab import Lab
from shoritui.engine import Segment
from shoritui.rows import Aim, Figure, benchmark


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

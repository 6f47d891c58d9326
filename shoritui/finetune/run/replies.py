"""Sample replies: what the adapter as it is now writes to fixed prompts.

Each reply draws from a generator of its own, so that nothing else is changed by it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

import numpy as np
import numpy.typing as npt

from shoritui.blockml import BLOCK_CLOSE, Block, BlockMLError, message_header, parse, render
from shoritui.errors import UserError
from shoritui.finetune.config.model import Config, Prompt
from shoritui.finetune.data.packs import Sample
from shoritui.finetune.data.tokenizer import Tokenizer
from shoritui.finetune.model.interface import Trainable
from shoritui.finetune.run.distributed import Ranks

MOST_TOKENS: Final = 128
"""Of one reply."""
MOST_READ: Final = 512
"""Tokens of a conversation from which a default prompt is taken."""
# The model card's main choice, in the middle of its ranges; its temperature is 1.
MIN_P: Final = 0.075
PRESENCE_PENALTY: Final = 0.4
DEFAULTS: Final = 2


@dataclass(frozen=True, slots=True)
class SamplePrompt:
    """A prompt as token ids, up to the colon behind the speaker's name."""

    name: str
    ids: tuple[int, ...]


def sample_prompts(
    config: Config, tokenizer: Tokenizer, samples: Sequence[Sample]
) -> list[SamplePrompt]:
    """The config's prompts, or, where it names none, some that are made of these conversations.

    Raises:
        UserError: A prompt of the config is not BlockML.
    """
    if config.watch.prompts:
        return [_encoded(prompt, tokenizer) for prompt in config.watch.prompts]
    found = (_of_sample(sample, tokenizer) for sample in samples)
    return list(islice(filter(None, found), DEFAULTS))


def write(
    model: Trainable,
    prompt: SamplePrompt,
    tokenizer: Tokenizer,
    name: str,
    ranks: Ranks,
    stop: Callable[[], bool],
) -> str:
    """Write a reply to a prompt; what there is of it if it was asked to stop meanwhile.

    `name` decides what is drawn; of the ranks that write it together the first one chooses.
    """
    digest = hashlib.sha256(f"{name}/{prompt.name}".encode()).digest()
    draws = np.random.default_rng(int.from_bytes(digest[:8]))
    reading = model.reading(len(prompt.ids) + MOST_TOKENS)
    ids = prompt.ids
    reply: list[int] = []
    text = ""
    while len(reply) < MOST_TOKENS and not ranks.from_first(stop()):
        logits = reading.read(np.array(ids, np.int32)).cpu().numpy()
        logits[list(set(reply))] -= PRESENCE_PENALTY
        token = ranks.from_first(sample_token(logits, draws.random()))
        if token in (tokenizer.close, tokenizer.eos):
            break
        ids = (token,)
        reply.append(token)
        text = tokenizer.text(reply)
        if BLOCK_CLOSE in text:
            break
    return text.partition(BLOCK_CLOSE)[0].strip()


def sample_token(logits: npt.NDArray[np.float32], draw: float) -> int:
    """The token that a number from 0 to below 1 stands for, of those that are likely enough."""
    shares = np.exp((logits - logits.max()).astype(np.float64))
    likely = np.flatnonzero(shares >= MIN_P)  # the likeliest has 1
    ends = np.cumsum(shares[likely])
    place = int(np.searchsorted(ends, draw * ends[-1], side="right"))
    return int(likely[min(place, len(likely) - 1)])


def _encoded(prompt: Prompt, tokenizer: Tokenizer) -> SamplePrompt:
    try:
        parts = parse(prompt.text)
    except BlockMLError as error:
        raise UserError(f"[[prompt]] {prompt.name}: text is not BlockML: {error}.") from None
    texts = [*map(render, parts), message_header(prompt.speaker, prompt.length)]
    ids: list[int] = []
    for text in texts:
        ids += tokenizer.ids(text, first=not ids)
    return SamplePrompt(prompt.name, tuple(ids))


def _of_sample(sample: Sample, tokenizer: Tokenizer) -> SamplePrompt | None:
    """A conversation's beginning, up to the last message that begins within the limit."""
    text = tokenizer.text([int(token) for token in sample.ids[:MOST_READ]])
    try:
        parts = parse(text.rpartition(BLOCK_CLOSE)[0] + BLOCK_CLOSE)
    except BlockMLError:
        return None
    messages = [at for at, part in enumerate(parts) if isinstance(part, Block) and part.name]
    if len(messages) < 2:
        return None
    last = parts[messages[-1]]
    assert isinstance(last, Block)
    before = "".join(map(render, parts[: messages[-1]]))
    return _encoded(Prompt(sample.source, before, last.name, "medium"), tokenizer)

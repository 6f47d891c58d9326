"""A tier's files to samples, those to learn from and those held out.

files ─ where ─▶ conversations ─ tokenize ─▶ samples ─ held_out ─▶ train, evaluation
                                    │
                                   memo: what was tokenised once is read from the disk
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Final

import shoritui.text
from shoritui.errors import UserError
from shoritui.finetune.cache.digests import digest_of
from shoritui.finetune.config.model import Config, Tier
from shoritui.finetune.config.tag_filter import parse_where
from shoritui.finetune.data import preferences, token_cache
from shoritui.finetune.data.conversations import find, name_of, read
from shoritui.finetune.data.held_out import held_out
from shoritui.finetune.data.packs import Sample
from shoritui.finetune.data.samples import Rule, Tokenized, tokenize
from shoritui.finetune.data.sources import Sources
from shoritui.finetune.data.tokenizer import Tokenizer
from shoritui.finetune.events import Preparing, Report
from shoritui.gguf.shape import read_config

_AT_ONCE: Final = 32
"""Conversations between two reports."""


@dataclass(frozen=True, slots=True)
class TierData:
    """What a tier learns from, and what it is judged by."""

    train: tuple[Sample, ...]
    """In an order that only what is in them decides; of preferences, the chosen and the rejected
    message of a pair in turn."""
    evaluation: tuple[Sample, ...]
    tokenized: tuple[Tokenized, ...]
    """Every conversation or preference, in the order of the files."""
    held: frozenset[str]
    """The digests of those held out, here or in another tier."""
    fingerprint: str
    """Names the ids and masks of both sides, whatever their files are called."""

    @property
    def conversations(self) -> int:
        """How many there are, those held out among them."""
        return len(self.tokenized)

    @property
    def tokens(self) -> int:
        """How many all of them hold, each token once: no repeated block, no beginning's token."""
        return sum(each.tokens for each in self.tokenized)


def prepare(
    config: Config, tokenizer: Tokenizer, report: Report = lambda event: None
) -> dict[str, TierData]:
    """Return every tier's data, by the tier's name.

    Raises:
        UserError: Files are missing, or hold mistakes, or leave a tier nothing to learn from.
    """
    sources = Sources(config, find)
    tokenized = {
        tier.name: _tokenized(config, tier, sources, tokenizer, report) for tier in config.tiers
    }
    held = held_out(
        (frozenset(each.digest for each in tokenized[tier.name]), tier.data.evaluation)
        for tier in config.tiers
    )
    return {tier.name: tier_data(tier, tokenized[tier.name], held) for tier in config.tiers}


def _tokenized(
    config: Config, tier: Tier, sources: Sources, tokenizer: Tokenizer, report: Report
) -> tuple[Tokenized, ...]:
    files = find(config.path.parent, tier.files)
    rule = Rule(tier.data, tier.train.sequence_len, tier.train.seed)
    key = _key(sources, files, tier, rule, tokenizer)
    known = token_cache.recall(key)
    if known is not None:
        return tuple(known)
    total, some = _reader(config, tier, sources, tokenizer, rule)
    done: list[Tokenized] = []
    what = f"reading {tier.name}, {tier.kind}s"
    for start in range(0, total, _AT_ONCE):
        report(Preparing(what, len(done), total))
        done += some(slice(start, start + _AT_ONCE))
    report(Preparing(what, len(done), total))
    token_cache.keep(key, done)
    return tuple(done)


def _reader(
    config: Config, tier: Tier, sources: Sources, tokenizer: Tokenizer, rule: Rule
) -> tuple[int, Callable[[slice], list[Tokenized]]]:
    """Return how many conversations or preferences there are, and what tokenises some of them."""
    where = parse_where(tier.where).allows
    files = find(sources.folder, tier.files)
    if tier.kind == "preference":
        pairs = preferences.read(sources.folder, files, where)
        return len(pairs), lambda some: preferences.tokenize(pairs[some], tokenizer, rule)
    conversations = read(config, files, where, sources)
    return len(conversations), lambda some: tokenize(conversations[some], tokenizer, rule)


def check_tokens(folder: Path, data: Iterable[TierData]) -> None:
    """Check that the base has every token, since a GPU would only say that it failed.

    Raises:
        UserError: Its tokenizer is another model's.
    """
    facts = read_config(folder)
    text = facts.get("text_config")  # of a base that also sees pictures
    size = (text if isinstance(text, dict) else facts).get("vocab_size")
    samples = (s for one in data for side in (one.train, one.evaluation) for s in side)
    highest = max(int(sample.ids.max()) for sample in samples)
    if isinstance(size, int) and highest >= size:
        raise UserError(
            f"{folder}: its tokenizer makes the token {highest}, but config.json says a vocab_size "
            f"of {size}: they are not of one model."
        )


def tier_data(tier: Tier, tokenized: tuple[Tokenized, ...], held: frozenset[str]) -> TierData:
    """Return a tier's samples on both sides.

    Raises:
        UserError: It has nothing to learn from.
    """
    sides = ([e for e in tokenized if (e.digest in held) == is_held] for is_held in (False, True))
    train, evaluation = (_ordered(side, tier.together) for side in sides)
    if not train:
        tokens = [bool(each.samples) for each in tokenized]
        raise UserError(nothing_to_learn(tier, tokens))
    fingerprint = hashlib.sha256()
    for side in (train, evaluation):
        fingerprint.update(len(side).to_bytes(8, "little"))
        for sample in side:
            fingerprint.update(_content(sample))
    here = frozenset(each.digest for each in tokenized)
    return TierData(train, evaluation, tokenized, held & here, fingerprint.hexdigest())


def nothing_to_learn(tier: Tier, has_samples: Sequence[bool]) -> str:
    """Return why a tier, of which each conversation has samples or not, has nothing to learn."""
    why = f"every {tier.kind} is held out; lower evaluation in [data]"
    if not has_samples:
        filtered = f" that where = {tier.where!r} lets through" if tier.where else ""
        why = f"there is no {tier.kind}{filtered} in its files"
    elif not any(has_samples):
        why = "[data] learn, speakers and not_speakers leave no token to learn"
    return f"Tier {tier.name!r} has nothing to learn from: {why}."


def _ordered(tokenized: Iterable[Tokenized], together: int) -> tuple[Sample, ...]:
    samples = [sample for each in tokenized for sample in each.samples]
    groups = [samples[at : at + together] for at in range(0, len(samples), together)]
    groups.sort(key=lambda group: b"".join(map(_content, group)))
    return tuple(sample for group in groups for sample in group)


def _content(sample: Sample) -> bytes:
    """Names a sample's ids and what of them is learnt."""
    ids, learn = sample.ids.astype("<i4").tobytes(), sample.learn.tobytes()
    return hashlib.sha256(len(sample.ids).to_bytes(8, "little") + ids + learn).digest()


def _key(
    sources: Sources, files: Sequence[Path], tier: Tier, rule: Rule, tokenizer: Tokenizer
) -> str:
    """Names all that decides a tier's tokenised conversations, and what their files are called."""
    data = replace(rule.data, evaluation=0.0)  # the split comes later
    facts = {
        "files": [
            [name_of(path, sources.folder), _sha256(path), sources.facts(path)] for path in files
        ],
        "kind": tier.kind,
        "where": tier.where,
        "rule": dataclasses.asdict(replace(rule, data=data)),
        "tokenizer": tokenizer.fingerprint,
        "code": _code(),
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _sha256(path: Path) -> str:
    try:
        return digest_of(path)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from None


@cache
def _code() -> str:
    """Names the code that decides what a text becomes, so that no older memo outlives it."""
    digest = hashlib.sha256()
    text = Path(shoritui.text.__file__)
    files = [text]
    for room in ("blockml", "cards", "story", "interop", "finetune/data"):
        files += sorted((text.parent / room).rglob("*.py"))
    for path in files:
        digest.update(path.read_bytes())
    return digest.hexdigest()

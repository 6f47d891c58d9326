"""All that a run would refuse of a config's data, and not only what it would refuse first.

prepare ─▶ accepted: nothing to find
        ─▶ refused:  each conversation is tried alone, then each tier
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from shoritui import demo
from shoritui.errors import UserError
from shoritui.finetune.base_model import at_hand
from shoritui.finetune.config.load import KIND
from shoritui.finetune.config.model import Config, Tier
from shoritui.finetune.data import preferences
from shoritui.finetune.data.conversations import Conversation, find, name_of
from shoritui.finetune.data.findings import Finding, Kind, Severity
from shoritui.finetune.data.held_out import held_out
from shoritui.finetune.data.preferences import Preference
from shoritui.finetune.data.samples import Rule, Tokenized, tokenize, too_long
from shoritui.finetune.data.tier import check_tokens, nothing_to_learn, prepare, tier_data
from shoritui.finetune.data.tokenizer import Tokenizer, open_tokenizer, tokenizer_of_gguf
from shoritui.finetune.events import Preparing, Report
from shoritui.gguf.vocabulary.trial import check_vocabulary
from shoritui.toml import Sheet, nearest, read_sheet, shown

Read: TypeAlias = Mapping[str, Sequence[Conversation] | Sequence[Preference]]
"""What each tier reads, by its name, as far as it can be read."""
UNCHECKED: Final = (
    "It was not checked whether each block fits into sequence_len: that takes the base's "
    "vocabulary. `shoritui finetune stats` fetches one that is not on this machine yet."
)
_AT_ONCE: Final = 32


def vocabulary_of(config: Config) -> Tokenizer | None:
    """Return the vocabulary of a config's base if it is on this machine.

    Raises:
        UserError: It is there and cannot be read.
    """
    path = at_hand(config.base, config.path.parent)
    if path is None:
        return None
    if path.is_dir():
        return open_tokenizer(path)
    if demo.named(config.base.model) is None:
        check_vocabulary(path)
    return tokenizer_of_gguf(path)


def refusals(
    config: Config, read: Read, problems: Sequence[Finding], report: Report
) -> tuple[list[Finding], bool]:
    """Return what a run would refuse beside these problems, and whether tokens were looked at.

    The config is one that is `filled`.
    """
    search = _Search(config, read, {each.file for each in problems}, report)
    found = list(search.warnings())
    try:
        tokenizer = vocabulary_of(config)
    except UserError as error:
        return [*found, *search.without_tokens(), search.finding(("base",), str(error))], False
    if tokenizer is None:
        return [*found, *search.without_tokens()], False
    try:
        data = prepare(config, tokenizer, report)
    except UserError as error:
        each = list(search.with_tokens(tokenizer))
        if not (each or problems):
            each = [search.finding((), str(error))]
        return [*found, *each], True
    if (folder := at_hand(config.base, config.path.parent)) and folder.is_dir():
        try:
            check_tokens(folder, data.values())
        except UserError as error:
            found.append(search.finding(("base",), str(error)))
    return found, True


@dataclass(frozen=True, slots=True)
class _Tried:
    """What became of what a tier reads."""

    tokenized: tuple[Tokenized, ...]
    findings: tuple[Finding, ...]


class _Search:
    """Looks for all that would be refused."""

    def __init__(
        self, config: Config, read: Read, unreadable: frozenset[str] | set[str], report: Report
    ) -> None:
        self._config = config
        self._read = read
        self._is_whole = not unreadable
        self._report = report
        self._sheet: Sheet = read_sheet(config.path, KIND)

    def finding(
        self,
        path: tuple[str | int, ...],
        sentence: str,
        kind: Kind = "unusable",
        severity: Severity = "error",
    ) -> Finding:
        """Return what is to be said of a place in the config; an empty path is all of it."""
        line = self._sheet.line(path) if path else 0
        return Finding(self._config.path.name, line, severity, kind, sentence.removesuffix("."))

    def warnings(self) -> Iterator[Finding]:
        """Yield what a run would take, but hardly as it is meant."""
        for tier in self._config.tiers:
            read, path = self._read[tier.name], self._path(tier)
            named = {*tier.data.speakers, *tier.data.not_speakers}
            spoken = {
                message.name
                for each in read
                if isinstance(each, Conversation)
                for message in each.messages
            }
            if tier.kind == "conversation" and (unknown := sorted(named - spoken)):
                sentence = f"tier {tier.name}: nobody called {', '.join(unknown)} speaks in it"
                yield self.finding(path, sentence, "speaker", "warning")

        yield from self._names()

    def _names(self) -> Iterator[Finding]:
        """Yield the names of sources that nobody has got."""
        folder = self._config.path.parent
        told: dict[str, set[str]] = defaultdict(set)
        for read in self._read.values():
            for each in read:
                if isinstance(each, Conversation):
                    told[each.file].update(message.name for message in each.messages)
        for number, source in enumerate(self._config.sources):
            files = (name_of(file, folder) for file in find(folder, source.files))
            some = [told[file] for file in files if file in told]
            spoken = set().union(*some)
            for key, name in source.names.items() if some else ():
                if name not in spoken:
                    guess = nearest(key, sorted(spoken))
                    sentence = f"nobody in the files of this source is {shown(key)}{guess}"
                    path = ("source", number, "names", key)
                    yield self.finding(path, sentence, "speaker", "warning")

    def without_tokens(self) -> Iterator[Finding]:
        """Yield the tiers of which it is plain without a vocabulary that nothing can be learnt."""
        if not self._is_whole:
            return
        digests = {name: [each.digest() for each in read] for name, read in self._read.items()}
        held = held_out(
            (frozenset(digests[tier.name]), tier.data.evaluation) for tier in self._config.tiers
        )
        for tier in self._config.tiers:
            if held.issuperset(digests[tier.name]):
                sentence = nothing_to_learn(tier, [True] * len(digests[tier.name]))
                yield self.finding(self._path(tier), sentence)

    def with_tokens(self, tokenizer: Tokenizer) -> Iterator[Finding]:
        """Yield all that cannot be learnt from."""
        tried = {tier.name: self._tried(tier, tokenizer) for tier in self._config.tiers}
        seen = dict.fromkeys(finding for each in tried.values() for finding in each.findings)
        yield from seen
        if seen or not self._is_whole:
            return  # a tier may have nothing to learn from because of that
        held = held_out(
            (frozenset(e.digest for e in tried[tier.name].tokenized), tier.data.evaluation)
            for tier in self._config.tiers
        )
        for tier in self._config.tiers:
            try:
                tier_data(tier, tried[tier.name].tokenized, held)
            except UserError as error:
                yield self.finding(self._path(tier), str(error))

    def _tried(self, tier: Tier, tokenizer: Tokenizer) -> _Tried:
        rule = Rule(tier.data, tier.train.sequence_len, tier.train.seed)
        read = self._read[tier.name]
        done: list[Tokenized] = []
        findings: list[Finding] = []
        for start in range(0, len(read), _AT_ONCE):
            self._report(Preparing(f"checking {tier.name}, {tier.kind}s", start, len(read)))
            some = read[start : start + _AT_ONCE]
            try:
                done += _tokenized(some, tokenizer, rule)
            except UserError:
                for each in some:
                    try:
                        done += _tokenized([each], tokenizer, rule)
                    except UserError as error:
                        findings += _refused(each, str(error), tokenizer, rule)
        return _Tried(tuple(done), tuple(findings))

    def _path(self, tier: Tier) -> tuple[str | int, ...]:
        names = [row["name"] for row in self._sheet.data["tier"]]
        return ("tier", names.index(tier.name))


def _tokenized(
    read: Sequence[Conversation | Preference], tokenizer: Tokenizer, rule: Rule
) -> list[Tokenized]:
    pairs = [each for each in read if isinstance(each, Preference)]
    told = [each for each in read if isinstance(each, Conversation)]
    return preferences.tokenize(pairs, tokenizer, rule) + tokenize(told, tokenizer, rule)


def _refused(
    each: Conversation | Preference, sentence: str, tokenizer: Tokenizer, rule: Rule
) -> Iterator[Finding]:
    """Yield why one conversation or preference cannot be learnt from."""
    if isinstance(each, Preference):
        yield finding_of(sentence, each.source.rpartition(":")[0])
        return
    for error in too_long(each, tokenizer, rule):
        line = each.lines[error.part]
        yield Finding(each.file, line, "error", "too long", str(error))


def finding_of(sentence: str, file: str) -> Finding:
    """Return a sentence about a file, which begins with the file's name and perhaps a line."""
    rest = sentence.removeprefix(file)
    match = re.match(r":(\d+)|: line (\d+)", rest)
    line = int(match[1] or match[2]) if match else 0
    rest = rest[match.end() if match else 0 :].lstrip(": ")
    return Finding(file, line, "error", "unusable", rest.strip().removesuffix("."))

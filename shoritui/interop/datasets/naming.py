"""Turns to the parts of BlockML: who is who, and what becomes of what stands around the turns.

What somebody is called, by the first of these that says it:

    the message           {"role": "user", "name": "Mara"}, or "Mara: Hm." in each of its texts
    the config            names = { human = "Mara" }, which renames all others too
    the conversation      {"names": {"<FIRST>": "Ilse"}}, "Play the role of Ilse."
    the cards             the one character who is the user's, the one who is not
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from shoritui.blockml import Block, Instruction, Part, description_body
from shoritui.interop.cards.values import name_of
from shoritui.interop.datasets.model import (
    SIDES,
    Found,
    Reading,
    SystemUse,
    Talk,
    Turn,
    Unnamed,
    Unusable,
)
from shoritui.interop.datasets.turns import length_of
from shoritui.interop.log import log_name
from shoritui.interop.placeholders import with_names
from shoritui.text import clean, is_visible, printable

_SECTION: Final = re.compile(
    r"^(?:(?P<who>[^\n:]{1,60}?)'s Persona:|(?P<scenario>Scenario):"
    r"|Play the role of (?P<char>[^\n.,:]{1,60})[.,:])",
    re.MULTILINE,
)
"""What LimaRP's instructions are made of."""
_ANYBODY: Final = {"user": "user", "character": "char"}
"""Words that stand there for a side."""
_HINT: Final = re.compile(r"\s*+\(length ?[=:] ?(\w{1,20})\):?[ \t]*\n?", re.IGNORECASE)
_HINT_BELOW: Final = re.compile(r"\n\(length ?[=:] ?(\w{1,20})\)\s*+\Z", re.IGNORECASE)
_PLACES: Final = ("<first>", "<second>")
"""What LimaRP's texts have in place of names."""
_HEAD: Final = ("title", "tags", "lore", "description", "scenario")


@dataclass(frozen=True, slots=True)
class _Said:
    """What one of them says."""

    turn: Turn
    name: str
    text: str
    line: int


def conversation_of(talk: Talk, reading: Reading, *, counts: bool = False) -> Found:
    """Return a conversation with named speakers.

    Args:
        talk: What the file has.
        reading: Who is who in it.
        counts: Whether the lines of a turn's text are lines of the file.

    Raises:
        Unnamed: A role has no name.
        Unusable: A name is none that somebody can have, or nobody speaks.
    """
    talk = _with_instruction(talk)
    talk = replace(talk, turns=tuple(_hinted(talk.turns)))
    names = _Names(talk, reading, counts=counts)
    spoken = [said for turn in talk.turns for said in names.said(turn)]
    if names.missing:
        raise Unnamed(talk.line, names.missing)
    if not any(said.name for said in spoken):
        raise Unusable(talk.line, "nobody says anything in it")
    user, char = _usual(spoken, names, "user"), _usual(spoken, names, "char")

    def settled(text: str, speaker: str = "") -> str:
        for role, name in names.placeholders.items():
            text = text.replace(role, name)
        owner = speaker if speaker not in ("", user) else char
        return clean(with_names(text, user, owner) if user and owner else text)

    head: list[tuple[Part, int]] = []
    told: list[tuple[Part, int, bool]] = []
    usual = {"user": user, "char": char}
    described = {
        usual.get(role) or names.called(role): text for role, text in talk.descriptions.items()
    }
    for name in sorted(filter(None, described), key=lambda each: each == user):
        body = description_body(name, settled(described[name], name).strip())
        head.append((Block("description", body), talk.line))
    if is_visible(talk.scenario):
        head.append((Block("scenario", settled(talk.scenario).strip()), talk.line))
    for said in spoken:
        turn = said.turn
        if said.name:
            block = Block("message", settled(said.text, said.name), said.name, turn.length)
            told.append((block, said.line, turn.learnt))
        elif reading.system == "drop" or not is_visible(said.text):
            continue
        elif told:
            told.append((Instruction(settled(said.text).strip()), turn.line, turn.learnt))
        else:
            part = _system_part(settled(said.text).strip(), reading.system, char)
            head.append((part, turn.line))
    head.sort(key=lambda each: _rank(each[0]))
    parts = [(part, line, True) for part, line in head] + told
    return Found(
        tuple(part for part, _, _ in parts),
        tuple(line for _, line, _ in parts),
        "lines" if counts else "record",
        frozenset(at for at, (_, _, learnt) in enumerate(parts) if not learnt),
    )


def _system_part(text: str, use: SystemUse, char: str) -> Part:
    match use:
        case "scenario" | "lore":
            return Block(use, text)
        case "description":
            return Block("description", description_body(char, text) if char else text)
        case _:
            return Instruction(text)


def _rank(part: Part) -> int:
    return len(_HEAD) if isinstance(part, Instruction) else _HEAD.index(part.role)


def _usual(spoken: Sequence[_Said], names: _Names, side: Literal["user", "char"]) -> str:
    """Return the name of a side: the only one who speaks on it, else whom it stands for."""
    heard = {said.name for said in spoken if said.turn.side == side}
    return heard.pop() if len(heard) == 1 else names.called(side)


class _Names:
    """Who is who in one conversation."""

    def __init__(self, talk: Talk, reading: Reading, *, counts: bool) -> None:
        self._counts = counts
        self._called: dict[str, str] = {}
        self._given = {key.casefold(): name for key, name in reading.names.items()}
        self._found = {key.casefold(): name for key, name in talk.names.items()}
        users = [each.name for each in reading.cast if each.user]
        others = [each.name for each in reading.cast if not each.user]
        self._of_cards = {
            **({"user": users[0]} if len(users) == 1 else {}),
            **({"char": others[0]} if len(others) == 1 else {}),
        }
        self.placeholders = {
            role: self.called(role) for role in talk.names if role.casefold() in _PLACES
        }
        """What stands for names in the texts."""
        self.missing = Counter[str]()
        """The roles without a name, and how many messages each has."""
        cast = {name for each in reading.cast for name in (each.name, *each.aliases)}
        known = {*reading.names, *reading.names.values(), *talk.names.values(), *cast}
        self._known = {*known, *talk.descriptions}
        begun = [(turn, log_name(_first_line(turn.text))) for turn in talk.turns]
        bare = {turn.role for turn, name in begun if not name}
        self._in_texts = {
            turn.role
            for turn, _ in begun
            if turn.side in ("user", "char")
            and turn.role not in bare
            and not self.called(turn.role)
        }
        """The roles of which each text says who speaks."""
        self._known |= {name for turn, name in begun if turn.role in self._in_texts}
        lines = Counter(
            log_name(line)
            for turn in talk.turns
            if turn.role in self._in_texts
            for line in turn.text.split("\n")
        )
        self._known |= {name for name, count in lines.items() if count > 1 and name}

    def called(self, role: str) -> str:
        """Return what a role, or somebody of this name, is called; nothing if nobody says it."""
        if role not in self._called:
            self._called[role] = self._call(role)
        return self._called[role]

    def _call(self, role: str) -> str:
        word = role.casefold()
        side = SIDES.get(word, "")
        for table in (self._given, self._found, self._of_cards):
            if name := table.get(word) or (table.get(side) if side else None):
                name = self._given.get(name.casefold(), name) if table is self._found else name
                return name_of(name)
        return "" if side else name_of(role)

    def said(self, turn: Turn) -> Iterator[_Said]:
        """Yield what is said in a turn; nobody says what the system does."""
        if turn.side == "system":
            yield _Said(turn, "", turn.text, turn.line)
            return
        is_known = log_name(_first_line(turn.text)) in self._known
        if turn.role in self._in_texts or (is_known and not turn.name):
            yield from self._split(turn)
            return
        name = self.called(turn.name) if turn.name else self.called(turn.role)
        if not name and not turn.side:
            raise Unusable(turn.line, f"nobody can be called {printable(turn.role, 60)!r}")
        if not name:
            self.missing[turn.role] += 1
        yield _Said(turn, name, turn.text, turn.line)

    def _split(self, turn: Turn) -> Iterator[_Said]:
        """Yield the messages of a text that says by itself who speaks."""
        speaker, told, first = "", list[str](), turn.line
        for number, line in enumerate(turn.text.strip("\n").split("\n")):
            name = log_name(line)
            if name in self._known or not speaker:
                if speaker:
                    yield _Said(turn, self.called(speaker), "\n".join(told).strip(), first)
                speaker, told = name, [line.partition(":")[2].strip()]
                first = turn.line + number * self._counts
            else:
                told.append(line)
        yield _Said(turn, self.called(speaker), "\n".join(told).strip(), first)


def _first_line(text: str) -> str:
    return text.lstrip("\n").partition("\n")[0]


def _hinted(turns: Sequence[Turn]) -> Iterator[Turn]:
    """Yield the turns with the length hints that stand in their texts, or at the end before."""
    below = None
    for turn in turns:
        text, length = turn.text, turn.length or below
        if (match := _HINT.match(text)) and (found := length_of(match[1])):
            text, length = text[match.end() :], found
        below = None
        if (match := _HINT_BELOW.search(text)) and (found := length_of(match[1])):
            text, below = text[: match.start()], found
        yield replace(turn, text=text, length=length)


def _with_instruction(talk: Talk) -> Talk:
    """Return the conversation with what an instruction of LimaRP's says of those in it."""
    if not talk.turns or talk.turns[0].side != "system":
        return talk
    first, *turns = talk.turns
    found = list(_SECTION.finditer(first.text))
    people = [each["who"].strip() for each in found if each["who"]]
    if not people:
        return talk
    descriptions, names, scenario = dict(talk.descriptions), dict(talk.names), talk.scenario
    played = ""
    for place, each in enumerate(found):
        end = found[place + 1].start() if place + 1 < len(found) else len(first.text)
        text = first.text[each.end() : end].strip()
        if each["who"]:
            who = each["who"].strip()
            descriptions[_ANYBODY.get(who.casefold(), who)] = text
        elif each["scenario"]:
            scenario = text
        else:
            played = each["char"].strip()
    for who in people:
        if who.casefold() not in _ANYBODY and played:
            names.setdefault("char" if who == played else "user", who)
    if before := first.text[: found[0].start()].strip():
        turns.insert(0, replace(first, text=before))
    return replace(
        talk, turns=tuple(turns), names=names, descriptions=descriptions, scenario=scenario
    )

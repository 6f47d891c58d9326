"""A reply against its prompt: which names and things it took up, and what of the cards it denies.

prompt   Mara is a pilot with gray eyes. She carries a brass lamp.
reply    Mara lifted the brass lamp toward Ilse, and his blue eyes narrowed.
names    Mara known, Ilse not     things   brass, lamp     denied   gray eyes, she
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import Final, Literal

from shoritui.blockml.narration import narration_of, words_of
from shoritui.eval.measures import ACTED, DOES
from shoritui.eval.statistics import Count
from shoritui.eval.stories import Place, Reply
from shoritui.text import one_line

Gender = Literal["she", "he"]

_CAPITAL: Final = re.compile(r"(?<![\w'])[A-Z][a-zà-ÿ]+(?:-[A-Z][a-zà-ÿ]+)*\b")
_ENDS: Final = ".!?…:;\n—–-"
_MARKS: Final = "\"'*_”’»)]"
_NO_NAMES: Final = frozenset(
    words_of(
        """Monday Tuesday Wednesday Thursday Friday Saturday Sunday January February March April May
        June July August September October November December Christmas Easter English French German
        God Lord Lady Sir Madam Mister Mr Mrs Ms Miss Dr Doctor Captain Mum Dad Mam Da Ma Pa"""
    )
)
_LEAST_LETTERS: Final = 4
"""Shorter words are hardly ever a thing of one story."""

_PRONOUNS: Final[Mapping[str, Gender]] = {
    "she": "she",
    "her": "she",
    "herself": "she",
    "he": "he",
    "him": "he",
    "his": "he",
    "himself": "he",
}
_KIN: Final[Mapping[Gender, Sequence[str]]] = {
    "she": words_of(
        "woman girl mother sister daughter granddaughter aunt niece grandmother wife widow"
    ),
    "he": words_of("man boy father brother son grandson uncle nephew grandfather husband widower"),
}
_GENDER_OF: Final = {word: gender for gender, words in _KIN.items() for word in words}
_FIRST_WORDS: Final = 8
"""Where a card says whose sister somebody is; later it may be about the sister."""
_COLOURS: Final[Mapping[str, str]] = {
    **{
        each: each
        for each in words_of(
            """red blue green brown black white yellow golden silver purple violet pink orange
            copper scarlet crimson hazel amber ginger auburn gray"""
        )
    },
    **{"grey": "gray", "blond": "fair", "blonde": "fair", "fair": "fair"},
}
_COLOURED: Final = "eyes|eye|hair|beard|moustache|coat|dress|scarf|hat|cap|cloak|gown|jacket|fur"
_SMALL: Final = words_of(
    """one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen
    sixteen seventeen eighteen nineteen"""
)
_TENS: Final = words_of("twenty thirty forty fifty sixty seventy eighty ninety")
_NUMBERS: Final = {
    **{word: number for number, word in enumerate(_SMALL, 1)},
    **{word: 10 * number for number, word in enumerate(_TENS, 2)},
}
_NUMBER: Final = rf"(?:(?:{'|'.join(_NUMBERS)})(?:-(?:{'|'.join(_NUMBERS)}))?|\d{{1,9}})"
_AGE: Final = re.compile(
    rf"\b({_NUMBER})(?:[- ]years?[- ]old| years of age)\b"
    rf"|(?:\b(?:aged?|is|was|turned) |^|[,(] ?)({_NUMBER})(?=[,.;)])",
    re.IGNORECASE,
)
_LEAST_AGE: Final = 6
_MOST_AGE: Final = 120
"""Smaller and larger numbers between commas count something else."""
_TAG: Final = re.compile(
    rf"[,.!?…]\"\s+(?:(she|he)\s+(?:{ACTED})|(?:said|asked|whispered|replied)\s+(she|he))\b"
)
"""Who speaks, by pronoun, behind a speech."""


# Names and things


def known_names(reply: Reply) -> Count:
    """The words like names in the reply that its prompt has."""
    known = _words_of_prompt(reply.place.prompt)
    found = [plain(name) for name in name_like(reply.text)]
    return Count(sum(name in known for name in found), len(found))


def uses_names(reply: Reply) -> Count:
    """The reply names somebody or something by a name from the prompt."""
    cast = {word for name in reply.place.story.cast for word in words_of(name)}
    known = (cast | _names_of_prompt(reply.place.prompt)) - set(words_of(reply.place.speaker))
    return Count(bool(known.intersection(map(plain, _CAPITAL.findall(reply.text)))))


def known_things(reply: Reply) -> Count:
    """The uncommon words of the reply that its prompt has: its things and places."""
    known = _words_of_prompt(reply.place.prompt)
    found = things(reply.text)
    return Count(sum(thing in known for thing in found), len(found))


def answers(reply: Reply) -> Count | None:
    """The reply takes up a name or a thing of the last messages."""
    recent = {*things(reply.place.recent), *map(plain, name_like(reply.place.recent))}
    if not recent:
        return None
    own = {*things(reply.text), *map(plain, _CAPITAL.findall(reply.text))}
    return Count(bool(recent & own))


def name_like(text: str) -> list[str]:
    """Return the words of a text that look like names.

    They are capitalised where no sentence begins, or begin one and do something there.
    """
    found = []
    for match in _CAPITAL.finditer(text):
        word = match[0]
        low = word.casefold()
        if low in _NO_NAMES or low.removesuffix("s") in _NO_NAMES or _is_loud_around(text, match):
            continue
        if not _begins_sentence(text, match.start()) or (
            low not in common_words() and low not in _PRONOUNS and _acts(text, match.end())
        ):
            found.append(word)
    return found


def things(text: str) -> list[str]:
    """Return the uncommon words of a text, names left out: what only some stories are about."""
    names = {plain(name) for name in _CAPITAL.findall(text)}
    words = map(plain, words_of(text))
    return [
        word
        for word in words
        if len(word) >= _LEAST_LETTERS and word not in names and not _is_common(word)
    ]


@cache
def common_words() -> frozenset[str]:
    """Return the ordinary words: those that every twentieth of our own stories has."""
    return frozenset(
        Path(__file__).with_name("common_words.txt").read_text(encoding="utf-8").split()
    )


def plain(word: str) -> str:
    """Return a word as it is compared: small letters, no possessive."""
    return word.casefold().removesuffix("'s")


def _is_common(word: str) -> bool:
    known = common_words()
    return word in known or any(
        word.endswith(end) and word.removesuffix(end) + more in known
        for end in ("s", "es", "ed", "ing", "ly")
        for more in ("", "e")
    )


def _begins_sentence(text: str, at: int) -> bool:
    if at and text[at - 1] in "\"'“‘«*_([":
        return True  # the first word of a speech, or of a thought
    while at and text[at - 1] in f" {_MARKS}":
        at -= 1
    return not at or text[at - 1] in _ENDS


def _is_loud_around(text: str, match: re.Match[str]) -> bool:
    return text[match.end() : match.end() + 1].isupper()


def _acts(text: str, at: int) -> bool:
    return DOES.match(text, at) is not None


@lru_cache(maxsize=256)
def _words_of_prompt(prompt: str) -> frozenset[str]:
    words = frozenset(map(plain, words_of(prompt)))
    return words | {part for word in words for part in word.split("'")}


@lru_cache(maxsize=256)
def _names_of_prompt(prompt: str) -> frozenset[str]:
    return frozenset(map(plain, name_like(prompt)))


# What the cards say


def denied(reply: Reply) -> Count:
    """The reply contradicts a fact of the cards, as far as it can be told."""
    return Count(bool(contradictions(reply)))


def contradictions(reply: Reply) -> list[str]:
    """Return what a reply says against the cards, each in a few words."""
    return [
        *_wrong_pronouns(reply),
        *_wrong_colours(reply.text, reply.place.prompt),
        *_wrong_ages(reply),
    ]


def gender(description: str) -> Gender | None:
    """Return which pronoun a card has for its character; None where it does not tell."""
    words = words_of(description)
    counts = Counter(word for word in words if word in ("she", "he"))
    if not counts:
        return next((_GENDER_OF[word] for word in words[:_FIRST_WORDS] if word in _GENDER_OF), None)
    (most, count), *rest = counts.most_common()
    return _PRONOUNS[most] if not rest or count >= 3 * rest[0][1] else None


def _wrong_pronouns(reply: Reply) -> Iterator[str]:
    """Yield pronouns that can only mean a character of whom the cards have the other one.

    That is who speaks beside a speech of the message, which holds its speaker's words alone, and
    whoever does something to himself or herself.
    """
    place = reply.place
    own = _shown_gender(place) or gender(place.story.cards.get(place.speaker, ""))
    for match in _TAG.finditer(reply.text):
        pronoun = match[1] or match[2]
        if own is not None and pronoun != own:
            yield f"{place.speaker} is {own}: {one_line(match[0])}"
    narration = narration_of(reply.text)
    for name, card in place.story.cards.items():
        known = gender(card)
        if known is None:
            continue
        does = rf"\b{re.escape(name)}\s+(?:\w+ly\s+)?\w+ed\s+(?:\w+\s+){{0,2}}(herself|himself)\b"
        for match in re.finditer(does, narration):
            if _PRONOUNS[match[1]] != known:
                yield f"{name} is {known}: {one_line(match[0])}"


def _shown_gender(place: Place) -> Gender | None:
    """Return which pronoun the messages before have for whoever speaks now."""
    entries = place.chat.entries
    own = "\n".join(entry.text for entry in entries if entry.speaker == place.speaker)
    found = Counter(match[1] or match[2] for match in _TAG.finditer(own))
    return _PRONOUNS[next(iter(found))] if len(found) == 1 else None


def _wrong_colours(text: str, prompt: str) -> Iterator[str]:
    """Yield colours of eyes, hair and clothes where the prompt has other ones alone."""
    known = _colours(prompt)
    for thing, colours in _colours(text).items():
        for colour in colours - known.get(thing, colours):
            yield f"{colour} {thing}, not {' or '.join(sorted(known[thing]))}"


def _colours(text: str) -> dict[str, set[str]]:
    pattern = rf"\b({'|'.join(_COLOURS)})\s+(?:\w+\s+)?({_COLOURED})\b"
    found: dict[str, set[str]] = {}
    for colour, thing in re.findall(pattern, text.casefold()):
        found.setdefault(thing, set()).add(_COLOURS[colour])
    return found


def _wrong_ages(reply: Reply) -> Iterator[str]:
    """Yield ages of the speaker, told by name, that the card has otherwise."""
    card = reply.place.story.cards.get(reply.place.speaker, "")
    ages = _ages(card)
    if len(ages) != 1:
        return
    others = {age for text in reply.place.story.cards.values() for age in _ages(text)}
    subject = rf"\b{re.escape(reply.place.speaker)} (?:is|was|turned) "
    for match in re.finditer(subject + rf"({_NUMBER})(?: years old)?(?=[,.;])", reply.text, re.I):
        age = _number(match[1])
        if age not in others:
            yield f"{reply.place.speaker} is {next(iter(ages))}: {match[0]}"


def _ages(text: str) -> set[int]:
    found = (_number(a or b) for a, b in _AGE.findall(text))
    return {age for age in found if _LEAST_AGE <= age <= _MOST_AGE}


def _number(word: str) -> int:
    if word.isdecimal():
        return int(word)
    return sum(_NUMBERS[part] for part in word.casefold().split("-"))

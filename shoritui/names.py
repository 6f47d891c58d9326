"""Find names and keys in a text as people read them: who is named, who is addressed.

Bo          in "_Bo_ sat down"       a mark is an edge of a word
鈴          in "青い鈴の音"           scripts without spaces match inside a text
D'Arcy      in "said D’ARCY"         capitals, apostrophes and normal forms are alike
wolf*       in "wolves guard it"     a star asks for the plural too
Bo          not in "Bob", "Boのb"    other words match whole
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache, lru_cache
from typing import Final, NamedTuple

from shoritui.text import composed

# Thai, Lao, Tibetan, Burmese, Khmer, Chinese, Japanese, Korean (whose particles are glued on) ...
_UNSPACED: Final = (
    "\u0e00-\u109f\u1100-\u11ff\u1780-\u17ff\u1950-\u19df\u1a20-\u1aaf\u3005-\u3007\u3031-\u3035"
    "\u303b\u3041-\u318f\u31a0-\u31bf\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\ua960-\ua9df"
    "\uac00-\ud7ff\uf900-\ufaff\uff66-\uff9f\U0001b000-\U0001b16f\U00020000-\U0003ffff"
)
_WORD: Final = rf"[^\W_{_UNSPACED}]"
_IS_WORD: Final = re.compile(_WORD)
_IS_UNSPACED: Final = re.compile(f"[{_UNSPACED}]")

# What readers pass over: joiners, marks of direction, variation selectors, vowel points of Hebrew
# and Arabic, an Arabic letter drawn out.
_PASSED_OVER: Final = (
    "\u00ad\u034f\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufe00-\ufe0f\ufeff"
    "\U000e0100-\U000e01ef\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a"
    "\u0640\u064b-\u0652\u0670"
)
_NOTHING: Final = re.compile(f"[{_PASSED_OVER}]|(?<=[\u0400-\u04ff])[\u0300\u0301]")
_ALIKE: Final = {
    **dict.fromkeys(map(ord, "’‘ʼ‛′´"), "'"),
    **{0xFF01 + at: chr(0x21 + at) for at in range(94)},  # full-width letters and punctuation
    **dict(zip(map(ord, "ёЁıάέήίόύώϊϋΐΰ"), "еЕiαεηιουωιυιυ", strict=True)),
    **dict(zip(map(ord, "ΆΈΉΊΌΎΏ"), "ΑΕΗΙΟΥΩ", strict=True)),
}
_GAP: Final = re.compile(r"\s{2,}|[^\S ]")

_HEBREW: Final = ("ו", "ה", "ב", "ל", "כ", "מ", "וה")
_ARABIC: Final = ("و", "ف", "ب", "ل", "ك", "ال", "وال", "بال", "فال", "كال", "لل")
"""Short words that are written together with the next one."""
_IRREGULAR: Final = {
    "man": "men", "foot": "feet", "tooth": "teeth", "goose": "geese", "mouse": "mice",
    "child": "children", "person": "people", "ox": "oxen",
}  # fmt: skip
_ENDINGS: Final = 3
"""How many letters the plural's ending may have in scripts other than Latin."""
_FINAL: Final = re.compile("(?:[аеиоуыэюяьйαεηιουω]|[αεηιου]σ)$")


@lru_cache(4096)
def fold(text: str, *, case: bool = False) -> str:
    """Return a text as it is compared: two that people read alike become one.

    With `case`, capitals stay as they are.
    """
    if not text.isascii():
        text = composed(text).translate(_ALIKE)
        text = _NOTHING.sub("", text)
    if not case:
        text = text.casefold()
        if not text.isascii():
            text = composed(text).replace("i\u0307", "i").translate(_ALIKE)
    return _GAP.sub(_blank, text)


class Found(NamedTuple):
    """Where one of several names stands in a folded text."""

    name: int
    """Which of the names it is."""
    start: int
    end: int


class _Key(NamedTuple):
    """One form of a name, and where in it the part stands that it is looked up by."""

    name: int
    text: str
    offset: int
    endings: int
    """How many more letters the word may have."""


class Names:
    """Names or keys, of which thousands are found in a text about as fast as one.

    Each is looked up by its rarest word; in scripts without spaces by a pair of letters.
    """

    def __init__(self, names: Iterable[str], *, stars: bool = False, case: bool = False) -> None:
        """Find these; with `stars`, `wolf*` means wolves too; with `case`, capitals matter."""
        self._case = case
        forms = [
            (number, *form)
            for number, name in enumerate(names)
            for form in _forms(fold(name.strip(), case=case), stars=stars)
        ]
        parts = [list(_parts(text)) for _, text, _ in forms]
        counts = Counter(part for each in parts for part, _ in each)
        self._keys: dict[str, list[_Key]] = defaultdict(list)
        for (number, text, endings), each in zip(forms, parts, strict=True):
            if each:
                part, offset = min(each, key=lambda pair: counts[pair[0]])
                self._keys[part].append(_Key(number, text, offset, endings))

    def find(self, text: str) -> list[Found]:
        """Return every place where one of them stands; they may overlap."""
        return list(self._find(fold(text, case=self._case))) if self._keys else []

    def find_apart(self, text: str) -> list[Found]:
        """Return the places in order, without those inside of a longer name."""
        apart: list[Found] = []
        for each in sorted(self.find(text), key=lambda found: (found.start, -found.end)):
            if not apart or each.start >= apart[-1].end:
                apart.append(each)
        return apart

    def _find(self, text: str) -> Iterator[Found]:
        keys = self._keys
        seen: set[Found] = set()
        for part, at in _parts(text):
            if part.isascii():
                candidates = [(key, 0) for key in keys.get(part, ())]
            else:
                candidates = [
                    (key, shift) for form, shift in _lookups(part) for key in keys.get(form, ())
                ]
            for key, shift in candidates:
                start = at + shift - key.offset
                if start < 0 or not text.startswith(key.text, start):
                    continue
                end = _end(text, start + len(key.text), key.endings)
                found = Found(key.name, start, end)
                if end and found not in seen and _begins(text, start):
                    seen.add(found)
                    yield found


def addressed(
    text: str, cast: Mapping[str, Sequence[str]] | Sequence[str]
) -> tuple[str | None, str]:
    """Return whom a leading `@Name` asks to answer, and the text without it.

    Args:
        text: What was typed.
        cast: The names that there are, or each one's other names by the name.
    """
    if text[:1] not in ("@", "＠"):
        return None, text
    name, end = _leading(text, 1, _longest_first(cast))
    return name, text[end:] if name is not None else text


def _longest_first(cast: Mapping[str, Sequence[str]] | Sequence[str]) -> list[tuple[str, str]]:
    """Return each one's names with what they may be called."""
    others = cast if isinstance(cast, Mapping) else {}
    called = [(name, each) for name in cast for each in (name, *others.get(name, ()))]
    return sorted(called, key=lambda pair: len(pair[1]), reverse=True)


def _leading(text: str, at: int, called: Sequence[tuple[str, str]]) -> tuple[str | None, int]:
    """Return whose name stands at a place, and where what is said begins behind it."""
    most = 4 * len(called[0][1]) + 8 if called else 0
    said = text[at : at + most + _LOOK]
    folded = fold(said)
    for name, each in called:
        key = fold(each)
        if not key or not folded.startswith(key) or not _end(folded, len(key), 0):
            continue
        if re.compile(r"'\w").match(folded, len(key)):  # `@Mara's`
            continue
        ends = [end for end in range(len(said) + 1)[: 4 * len(each) + 8] if fold(said[:end]) == key]
        if ends:
            return name, _after_name(text, at + ends[-1])
    return None, at


def who_is_called(text: str, cast: Mapping[str, Sequence[str]], among: Iterable[str]) -> str:
    """Return who is addressed last in a text, else who is named last; else the empty string.

    `Bo, have you seen Dot?` and `Have you seen Dot, Bo?` address Bo.

    Args:
        text: What was said or written; where it has quotes, only what stands in them addresses.
        cast: Each one's other names by the name.
        among: Those who may be meant.
    """
    pairs = [(name, each) for name in cast for each in (name, *cast[name])]
    found = _names_of(tuple(each for _, each in pairs)).find_apart(text)
    wanted = set(among)
    named = [(pairs[each.name][0], number) for number, each in enumerate(found)]
    named = [(name, number) for name, number in reversed(named) if name in wanted]
    call = _Call(fold(text), found)
    direct = (name for name, number in named if call.is_direct(number))
    return next(direct, named[0][0] if named else "")


@lru_cache(64)
def _names_of(names: tuple[str, ...]) -> Names:
    return Names(names)


def _blank(match: re.Match[str]) -> str:
    """Return what stands for a gap: a blank line parts two paragraphs."""
    return "\n" if match[0].count("\n") > 1 else " "


# Parts and edges of words


@cache
def _patterns() -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Return what a part of a text is, and what may go on a word."""
    marks = [
        chr(code) for code in range(0x300, 0xAC00) if unicodedata.category(chr(code))[0] == "M"
    ]
    spaced = "".join(mark for mark in marks if not _IS_UNSPACED.match(mark))
    word = rf"{_WORD}+(?:[{spaced}]+{_WORD}*)*"
    return re.compile(rf"{word}|\S"), re.compile(rf"[{''.join(marks)}]")


def _parts(text: str) -> Iterator[tuple[str, int]]:
    """Yield the words of a text, and pairs of letters where no spaces part words."""
    for match in _patterns()[0].finditer(text):
        part, at = match[0], match.start()
        if len(part) == 1 and _IS_UNSPACED.match(part):
            pair = text[at : at + 2]
            if len(pair) == 2 and _IS_UNSPACED.match(pair[1]):
                yield pair, at
        yield part, at


def _lookups(part: str) -> Iterator[tuple[str, int]]:
    """Yield what a word may be found as: without a word glued before it, or without its ending."""
    yield part, 0
    if len(part) < 2 or part[0] < "\u0370" or _IS_UNSPACED.match(part[0]):
        return
    for size in range(1, min(_ENDINGS, len(part) - 2) + 1):
        yield part[:-size], 0
    for before in _glued(part):
        rest = part[len(before) :]
        if len(rest) > 1:
            yield rest, len(before)


def _glued(word: str) -> tuple[str, ...]:
    if not "\u0590" <= word[0] < "\u0700":
        return ()
    return tuple(filter(word.startswith, _HEBREW if word[0] < "\u0600" else _ARABIC))


def _is_mark(letter: str) -> bool:
    return letter > "\u02ff" and bool(_patterns()[1].match(letter))


def _is_inside(text: str, at: int) -> bool:
    """Return whether a word goes on from the letter before `at` to the one there."""
    if not 0 < at < len(text):
        return False
    before, after = text[at - 1], text[at]
    if _is_mark(after):
        return not before.isspace()
    return _is_of_word(before) and bool(_IS_WORD.match(after))


def _is_of_word(letter: str) -> bool:
    if _IS_UNSPACED.match(letter):
        return False
    return bool(_IS_WORD.match(letter)) or _is_mark(letter)


def _begins(text: str, at: int) -> bool:
    """Return whether a name may begin here."""
    if not _is_inside(text, at):
        return True
    first = at
    while first and _is_of_word(text[first - 1]):
        first -= 1
    return text[first:at] in _glued(text[first:at])


def _end(text: str, at: int, endings: int) -> int:
    """Return where a name ends that has been read up to `at`; 0 if the word goes on."""
    for _ in range(endings):
        if not _is_inside(text, at):
            break
        at += 1
    if _is_inside(text, at):
        return 0
    return 0 if re.match(r"'t(?!\w)", text[at : at + 3]) else at  # nobody is called in "don't"


# Plurals


def _forms(key: str, *, stars: bool) -> Iterator[tuple[str, int]]:
    """Yield the texts that a folded key is found as, and how many letters more."""
    stem = key[:-1]
    if not (stars and key.endswith("*") and stem and _is_of_word(stem[-1])):
        if key:
            yield key.removesuffix("*") if stars and stem else key, 0
        return
    yield stem, 0
    if stem[-1] < "\u0370":
        yield from ((plural, 0) for plural in _plurals(stem))
        return
    short = stem[:-1] if _is_mark(stem[-1]) else _FINAL.sub("", stem)
    yield short if len(short) > 1 else stem, _ENDINGS


def _plurals(word: str) -> Iterator[str]:
    """Yield the English plurals that a word may have."""
    yield f"{word}s"
    folded = word.casefold()
    if folded.endswith(("s", "x", "z", "ch", "sh", "o")):
        yield f"{word}es"
    if folded.endswith("y"):
        yield f"{word[:-1]}ies"
    if folded.endswith(("f", "fe")):
        yield f"{word.removesuffix('e').removesuffix('E')[:-1]}ves"
    for one, many in _IRREGULAR.items():
        if folded.endswith(one):
            yield f"{word[: -len(one)]}{many}"


# Who is addressed

_QUOTED: Final = re.compile(
    '"[^"\n]*"?|“[^”\n]*”?|„[^“”\n]*[“”]?|«[^»\n]*»?|「[^」\n]*」?|『[^』\n]*』?'
)
_MARKS: Final = " *_~"
_LOOK: Final = 32
"""So many letters beside a name tell whether it is called; no word that tells it is longer."""
_OPENS: Final = re.compile(r'(?:^|[.!?…。।؟\n:;—–"“„«「『(\[]|--|- )$')
_COMMA: Final = ",،、，"
_CLOSES: Final = ",،、.!?…。।؟:;—–"
_STOPS: Final = ".!?…。।؟"
_TITLE: Final = re.compile("さん|ちゃん|くん|君|様|さま|殿|先輩|先生|아|야|씨|님| 씨| 님| जी")
_HAIL: Final = re.compile(
    r"(?:^|[^\w'])(?:hey|hi|hello|эй|привет|hola|salut|bonjour|hallo|ciao|γεια σου|يا|היי|शुनो|"
    r"हे|अरे|喂|ねえ|おい|นี่|สวัสดี) ?$"
)
_AH: Final = re.compile(r"(?:^|[^\w'])(?:oh|ah|thanks|thank you|please|no|yes|dear|sorry|well)$")
_AND: Final = re.compile(r"[,،、]? ?(?:and|or|&|und|oder|et|ou|y|o|и|или|και|و|ו|और|と|和)\b")


class _Call:
    """A folded text and the names in it: which of them somebody is called by, not talked about."""

    def __init__(self, text: str, found: Sequence[Found]) -> None:
        self._text = text
        self._found = found
        # A text without quotes is speech as a whole.
        spans = [match.span() for match in _QUOTED.finditer(text)]
        self._speech = spans or [(0, len(text))]
        self._is_listed = [False] * len(found)
        """Whether each name begins a list of names: `Ana, Bo and Cy`."""
        for number in range(len(found) - 2, -1, -1):
            after = found[number + 1]
            self._is_listed[number] = after.start <= found[number].end + 2 and (
                self._is_listed[number + 1] or bool(_AND.match(text, after.end))
            )

    def is_direct(self, number: int) -> bool:
        """Return whether this name is what somebody is called by."""
        text, found = self._text, self._found
        _, start, end = found[number]
        place = bisect_right(self._speech, (start, len(text))) - 1
        first, last = self._speech[place] if place >= 0 else (0, 0)
        if start >= last:
            return False
        before = self._before(start, first)
        if before.endswith(("@", "＠")):
            return True
        if (title := _TITLE.match(text, end, last)) is not None:
            end = title.end()
        while end < last and text[end] in _MARKS:
            end += 1
        after = text[end : min(end + _LOOK, last)]
        ends = not after or after[0] in _CLOSES or after[0] in '"”“»」』)' or after.startswith("--")
        if _HAIL.search(before) and not after.startswith("'"):
            return True
        if not ends or (after[:1] and after[0] in _COMMA and self._is_listed[number]):
            return False
        if _OPENS.search(before) or _AH.search(before):
            return True
        if before[-1] not in _COMMA or _AND.match(after):
            return False
        listed = number > 0 and found[number - 1].end >= start - 2
        if not listed:
            return True
        # "Dot, Bo?" calls Bo; "Ana, Cy, Bo." and "Dot, Bo, ..." name several.
        earlier = self._before(found[number - 1].start, 0)
        return (not after or after[0] not in _COMMA) and earlier[-1:] not in _COMMA

    def _before(self, end: int, first: int) -> str:
        """Return the last letters of what stands before a place, without marks of prose."""
        while end > first and self._text[end - 1] in _MARKS:
            end -= 1
        return self._text[max(first, end - _LOOK) : end]


def _after_name(text: str, at: int) -> int:
    """Return where something is said behind `@Name`: after the marks that end the name."""
    while at < len(text) and (text[at].isspace() or _ends_name(text[at])):
        at += 1
    return at


def _ends_name(letter: str) -> bool:
    return letter not in "\"'*#@&%\\/¡¿†‡§¶•＂＇＊" and unicodedata.category(letter) in ("Po", "Pd")


def names_first(argument: str, names: Mapping[str, Sequence[str]]) -> tuple[tuple[str, ...], str]:
    """Return the names that a text begins with, commas between them, and the rest of it."""
    found: list[str] = []
    called, at = _longest_first(names), 0
    while at < len(argument):
        name, after = _leading(argument, at, called)
        if name is None:
            break
        found.append(name)
        gap, at = argument[at:after], after
        if not gap.rstrip().endswith((",", "，", "、")):
            break
    return tuple(dict.fromkeys(found)), argument[at:].strip()

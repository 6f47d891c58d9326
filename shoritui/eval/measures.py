"""What one text shows of itself: whose words it holds, its marks, its length, its repetitions.

Each measure is pure, takes a reply and returns a part of a whole, or None where it says nothing.
They are made for text like the held-out stories, of which each finds next to nothing to blame.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from shoritui.blockml import LENGTHS, length_for
from shoritui.blockml.narration import STOCK_PHRASES, measure, narration_of, words_of
from shoritui.eval.statistics import Count
from shoritui.eval.stories import Reply

_PHRASE: Final = 5
_DISTINCT: Final = 4
_LONGEST_PERIOD: Final = 30
_FEW_WORDS: Final = 4
"""Narration of fewer words has neither person nor tense."""
_SPOKE: Final = (
    "said|asked|answered|replied|whispered|muttered|murmured|shouted|called|cried|added|agreed|"
    "snapped|hissed|growled|exclaimed|announced|explained|admitted|continued|insisted"
)
ACTED: Final = (
    f"{_SPOKE}|laughed|chuckled|giggled|grinned|smiled|nodded|sighed|shrugged|frowned|winked|"
    "blinked|turned|stepped|walked|ran|sat|stood|leaned|reached|took|put|picked|pulled|pushed|"
    "opened|closed|grabbed|raised|lifted|lowered|shook|looked|glanced|stared|began|went|came|"
    "held|set|knelt|climbed|jumped|pointed|waved|wiped|poured|threw|drew|rose|bent|paused"
)
"""What characters do in stories, in the past tense."""
DOES: Final = re.compile(rf"\s+(?:\w+ly\s+)?(?:{ACTED})\b")
"""What stands behind the name of somebody who does something."""
_BEGINS: Final = re.compile(r"(?:^|[.!?…;,]|\b(?:and|but|then|while))$")
"""How a clause begins behind this; blanks stand where somebody spoke."""
_SAYS: Final = re.compile(rf"(?:^|\s{{2}})({_SPOKE})$")
_LOOK: Final = 16
"""So many letters tell both; none of the words is longer."""
_ANYBODY: Final = r"[A-Z][\w'’-]*[a-z](?: [A-Z][\w'’-]*+){0,2}(?=[*_]*+: +[\"_*A-Z])"
"""Who might speak: one to three capitalised words before what looks like a message."""
_TITLES: Final = frozenset(
    words_of("the a an old mr mrs ms miss dr sir lady lord captain aunt uncle sister brother herr")
)


def ended(reply: Reply) -> Count:
    """The model ended the reply by itself."""
    return Count(reply.stop == "block_end")


def looped(reply: Reply) -> Count:
    """The director cut the reply, since it only repeated itself."""
    return Count(reply.stop == "loop")


def foreign_lines_as_written(reply: Reply) -> Count:
    """The model began another character's message within its own."""
    return Count(bool(foreign_lines(reply.raw, reply.place.others)))


def foreign_lines_as_read(reply: Reply) -> Count:
    """The same in what the director left."""
    return Count(bool(foreign_lines(reply.text, reply.place.others)))


def foreign_acts(reply: Reply) -> Count:
    """The narration lets another character act or speak."""
    return Count(bool(acts_of(reply.text, reply.place.others)))


def closed(reply: Reply) -> Count:
    """Every quote and mark that was opened is closed."""
    return Count(not measure(reply.text).open_marks)


def in_range(reply: Reply) -> Count | None:
    """The reply ended by itself at exactly the length that its hint asks for."""
    return None if reply.hint is None else Count(_hints_away(reply) == 0)


def near_range(reply: Reply) -> Count | None:
    """The reply ended by itself at that length, or at the next shorter or longer one."""
    away = _hints_away(reply)
    return None if reply.hint is None else Count(away is not None and abs(away) <= 1)


def hint_and_tokens(reply: Reply) -> tuple[float, float] | None:
    """The place of the hint among all hints, and the tokens written.

    Where the reply did not end by itself, the tokens show its limit, and so they say nothing.
    """
    if reply.hint is None or reply.stop != "block_end":
        return None
    return LENGTHS.index(reply.hint), reply.tokens


def third_person(reply: Reply) -> Count | None:
    """The narration is in the third person."""
    prose = measure(reply.text, frozenset(reply.place.story.cast))
    return Count(not prose.is_first_person) if prose.narrated >= _FEW_WORDS else None


def past_tense(reply: Reply) -> Count | None:
    """The narration is in the past tense."""
    prose = measure(reply.text, frozenset(reply.place.story.cast))
    has_verbs = bool(prose.past or prose.present)
    return Count(not prose.is_present) if has_verbs and prose.narrated >= _FEW_WORDS else None


def distinct(reply: Reply) -> Count:
    """The four-word phrases of the reply that are different ones."""
    every = phrases(words_of(reply.text), _DISTINCT)
    return Count(len(set(every)), len(every))


def loop_words(reply: Reply) -> Count:
    """The words of the longest stretch that is one piece again and again."""
    return Count(longest_loop(words_of(reply.text)))


def echoed(reply: Reply) -> Count:
    """The five-word phrases of the reply that stand in its prompt already."""
    every = phrases(words_of(reply.text), _PHRASE)
    known = _phrases_of_prompt(reply.place.prompt)
    return Count(sum(phrase in known for phrase in every), len(every))


def stock(reply: Reply) -> Count:
    """Stock phrases of language models, in a thousand words."""
    found = sum(1 for _ in STOCK_PHRASES.finditer(reply.text))
    return Count(1000 * found, len(words_of(reply.text)))


def shared_phrases(replies: Sequence[Reply]) -> list[Count]:
    """Return for each reply the five-word phrases that a reply to another story has as well."""
    every = [phrases(words_of(reply.text), _PHRASE) for reply in replies]
    stories: dict[tuple[str, ...], set[str]] = {}
    for reply, own in zip(replies, every, strict=True):
        for phrase in own:
            stories.setdefault(phrase, set()).add(reply.place.story.name)
    return [Count(sum(len(stories[phrase]) > 1 for phrase in own), len(own)) for own in every]


def foreign_lines(text: str, others: Sequence[str]) -> list[str]:
    """Return the speakers of messages that begin within a text: `Wren: ...` at a line's start.

    Those of the cast, and those that nobody knows: `Old Woman: "..."` in a line of its own.
    """
    names = [*map(re.escape, sorted(others, key=len, reverse=True)), _ANYBODY]
    pattern = rf"^[ *_]*({'|'.join(names)})[*_]*:"
    found = [(match.start(), match[1]) for match in re.finditer(pattern, text, re.MULTILINE)]
    return [name for at, name in found if at or name in others]


def acts_of(text: str, others: Sequence[str]) -> list[str]:
    """Return what others do in the narration, as far as sentences begin with it.

    `Wren nodded`, `and Wren ran` and `"Go," said Wren` are found; `She waited until Wren nodded`
    is what the speaker sees, and is not.
    """
    if not others:
        return []
    names = "|".join(map(re.escape, _called(others)))
    narration = narration_of(text)
    found = []
    for match in re.finditer(rf"(?<![\w'-])(?:{names})(?![\w'-])", narration):
        before, gap = _before(narration, match.start())
        does = DOES.match(narration, match.end())
        if does and (len(gap) > 1 or _BEGINS.search(before)):
            found.append(f"{match[0]}{does[0]}")
        elif gap and (says := _SAYS.search(before)):
            found.append(f"{says[1]}{gap}{match[0]}")
    return found


def _before(text: str, at: int) -> tuple[str, str]:
    """Return the last letters of what stands before a place in its line, and the gap behind."""
    end = at
    while end and text[end - 1].isspace() and text[end - 1] != "\n":
        end -= 1
    first = max(0, end - _LOOK)
    return text[text.rfind("\n", first, end) + 1 or first : end], text[end:at]


def phrases(words: Sequence[str], length: int) -> list[tuple[str, ...]]:
    """Return every run of so many words."""
    return [tuple(words[at : at + length]) for at in range(len(words) - length + 1)]


def longest_loop(words: Sequence[str]) -> int:
    """Return how many words the longest row of repetitions has, its first time counted.

    `no, no, no` has three, `and then he ran and then he ran` eight; 0 if nothing comes twice in a
    row.
    """
    longest = 0
    for period in range(1, min(_LONGEST_PERIOD, len(words) // 2) + 1):
        run = 0
        for at in range(period, len(words)):
            run = run + 1 if words[at] == words[at - period] else 0
            if run >= period:
                longest = max(longest, run + period)
    return longest


def _hints_away(reply: Reply) -> int | None:
    """How many hints longer the reply is than was asked for; None if it did not end by itself."""
    if reply.hint is None or reply.stop != "block_end":
        return None
    return LENGTHS.index(length_for(reply.tokens)) - LENGTHS.index(reply.hint)


def _called(names: Sequence[str]) -> list[str]:
    """What the characters are called: by the whole name, or by a word that is only theirs."""
    words = [[w for w in name.split() if w.lower().rstrip(".") not in _TITLES] for name in names]
    every = [word for each in words for word in each]
    single = {word for each in words for word in each if every.count(word) == 1}
    forms = {*names, *(word for word in single if word[:1].isupper() and len(word) > 2)}
    return sorted(forms, key=len, reverse=True)


@lru_cache(maxsize=256)
def _phrases_of_prompt(prompt: str) -> frozenset[tuple[str, ...]]:
    return frozenset(phrases(words_of(prompt), _PHRASE))

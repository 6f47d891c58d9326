r"""What of a model's text is the body of its message, while the text arrives.

    <think>Who is there?</think>"Aye," he said.\n\nTobin: "Me."
    ├─ folded away ────────────┤├─ the body ──┤   └ Tobin's turn: the body has ended

What may yet turn out to be no part of it is held back; only a loop takes away what was shown.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from typing import Final, Literal

from shoritui.director.loops import loop_start, whole_end
from shoritui.names import fold
from shoritui.text import clean, composed

Cut = Literal["loop", "speaker", "stop_string"]

_THINK: Final = "<think>"
_THOUGHT: Final = "</think>"
_LABEL: Final = re.compile(
    r"^ *+[*_]*+([^\s:：*_][^\n:：]{0,77}?)[*_]*+ ?"
    r"(?::[*_]*+(?![\d/)\]:*_])|：[*_]*+(?![*_]))(?=.|\n)",
    re.MULTILINE,
)
"""The beginning of a line up to a colon, and the name before that."""
_WORD: Final = r"[^\W\d_][\w'’.-]*+"
_STRANGER: Final = re.compile(
    rf"^ *+[*_]*+({_WORD}(?: {_WORD}){{0,2}}+)[*_]*+ ?:[*_]*+ *+(?=[\"“„«])", re.MULTILINE
)
"""The beginning of a line that somebody whom nobody knows may open: `Old Woman: "Who's there?"`."""
_MAY_BE_STRANGER: Final = re.compile(
    rf" *[*_]*(?:{_WORD}(?: {_WORD}){{0,2}} ?)?[*_]* ?(?::[*_]* *)?"
)
_LETTERS: Final = re.compile(r"[^\W\d_]+")
_LABELS_OF_THINGS: Final = frozenset(
    _LETTERS.findall(
        "and but then so or yet now not no yes dear to from for by with ask in on at first second "
        "last note notice sign letter answer question title subject message verse chorus warning "
        "re p s ps q a rule result verdict headline motto chapter page item list caption"
    )
)
"""Words of what stands before a colon in prose, and is nobody."""
_SPEECH: Final = ('"', "“", "„", "«", "「", "『", "*", "_")
"""What a message begins with that is no narration."""
_LONGEST_LABEL: Final = 80
"""Characters of a name, with the marks and blanks around it."""
_LONGEST_GAP: Final = 200
"""Characters of blank space that wait for what follows; a model may write line ends for ever."""
_FENCE: Final = "```"


class Labels:
    """The beginnings of messages: `Mara:` for each participant, and for their other names.

    Where the messages before a reply have no such lines, `Old Woman: "..."` at a paragraph's
    beginning is one too, whoever that is.
    """

    def __init__(
        self, names: Mapping[str, str], before: Callable[[], Iterable[str]] = tuple
    ) -> None:
        """`names` says whose each name is; `before` returns the messages before the reply."""
        self._all = self._folded = {_folded(name): speaker for name, speaker in names.items()}
        self._before = before
        self._words = tuple(map(_words, self._all))

    def without(self, speaker: str) -> Labels:
        """Return those of everybody else."""
        others = copy(self)
        others._folded = {name: whose for name, whose in self._all.items() if whose != speaker}
        return others

    def find(self, text: str, start: int, since: int = 0) -> tuple[int, int, str] | None:
        """Return where a line begins somebody's message, where that one's text begins, and whose it
        is: "" for somebody whom nobody knows.

        The first line of all must go on with speech: `Mara: that was the name` may be told. Between
        fences of three backticks there is none: that is a list which somebody reads.

        Args:
            text: The text of a message.
            start: What stands before is not looked at.
            since: Where a line begins before which there is no such line.
        """
        since = max(start, since)
        found = self._find_known(text, start, since)
        stranger = self._find_stranger(text, start, since, found[0] if found else len(text))
        return stranger or found

    def _find_known(self, text: str, start: int, since: int) -> tuple[int, int, str] | None:
        for match in _LABEL.finditer(text, since):
            speaker = self._folded.get(_folded(match[1]))
            if speaker is None or _is_fenced(text, match.start()):
                continue
            if match.start() or text[match.end() :].lstrip(" ").startswith(_SPEECH):
                return _gap_before(text, match.start(), start), match.end(), speaker
        return None

    def _find_stranger(
        self, text: str, start: int, since: int, end: int
    ) -> tuple[int, int, str] | None:
        for match in _STRANGER.finditer(text, since, end):
            gap = text[_gap_before(text, match.start(), start) : match.start()]
            begins = gap.count("\n") > 1
            if not begins or not self._may_be_name(match[1]) or _is_fenced(text, match.start()):
                continue
            if any(map(self._opens_line, self._before())):
                return None  # It is this story's way to tell what others say.
            return match.start() - len(gap) + gap.index("\n"), match.end(), ""
        return None

    def _opens_line(self, text: str) -> bool:
        return any(self._may_be_name(match[1]) for match in _STRANGER.finditer(text))

    def _may_be_name(self, label: str) -> bool:
        words = _words(_folded(label))
        return (
            _is_capitalised(label)
            and _LABELS_OF_THINGS.isdisjoint(words.split())
            and not any(known in words for known in self._words)
        )

    def may_begin(self, line: str) -> bool:
        """Whether a line that begins like this may still become the beginning of a message."""
        name = _folded(line.strip(" *_:："))
        return len(line) <= _LONGEST_LABEL and any(each.startswith(name) for each in self._folded)

    def may_be_stranger(self, line: str) -> bool:
        """Whether a paragraph that begins like this may still become one of somebody unknown."""
        is_label = len(line) <= _LONGEST_LABEL and _MAY_BE_STRANGER.fullmatch(line)
        return bool(is_label) and _is_capitalised(line.strip(" *_:"))


class Body:
    """The body of one message: `text` is what is sure of it, `cut` why it takes no more."""

    def __init__(self, text: str, labels: Labels, stop_strings: Sequence[str] = ()) -> None:
        """`text` is what it begins with; `labels` are those of everybody else."""
        self.text = text
        self.cut: Cut | None = None
        self.next: tuple[str, Body] | None = None
        """Whose message the text went on with, and that one's body as far as it came; None of
        somebody whom nobody knows."""
        self.is_thinking = False
        """Whether what arrives is folded away."""
        self._begun_with = text
        self._labels = labels
        self._stops = stop_strings
        self._held = ""
        self._thought = ""
        """The last letters of a thought that has not ended."""
        self._is_first = not text
        self._has_thought = False

    def write(self, text: str) -> str:
        """Take more of the model's text; return what has become sure."""
        if self.next is not None:
            self.next[1].write(text)
        if self.cut is not None or not text:
            return ""
        # The space after the colon is the model's first character.
        text = clean(text.removeprefix(" ") if self._is_first else text)
        self._is_first = False
        self._hold(text)
        self._cut_held(len(text))
        return self._release(len(self._held) if self.cut else self._sure())

    def end(self) -> str:
        """Take what is held back: nothing follows it."""
        if self.cut is not None:
            return ""
        self._held += "\0"
        self._cut_held(1)
        self._held = self._held.removesuffix("\0")
        return self._release(len(self._held))

    def _hold(self, text: str) -> None:
        """Hold a text back without the thoughts in it."""
        while text:
            if self.is_thinking:
                thought, mark, text = (self._thought + text).partition(_THOUGHT)
                self.is_thinking = not mark
                self._thought = "" if mark else thought[1 - len(_THOUGHT) :]
                self._has_thought = bool(mark) and not self.text
                text = text.lstrip()
            else:
                self._held, mark, text = (self._held + text).partition(_THINK)
                self.is_thinking = bool(mark)
        if self._has_thought:
            self._held = self._held.lstrip()
            self._has_thought = not self._held

    def _cut_held(self, new: int) -> None:
        """End the body where somebody else's message begins, or a stop string stands.

        So many characters at the end, at most, are new.
        """
        start, whole = len(self.text), self.text + self._held
        line = whole.rfind("\n", start, max(start, len(whole) - new)) + 1
        stops = [at for at in (whole.find(stop, start) for stop in self._stops) if at >= 0]
        end = min(stops, default=len(whole))
        found = self._labels.find(whole, start, line)
        if found is not None and found[0] < end:
            end, begins, speaker = found
            self.cut = "speaker"
            if speaker:
                self.next = speaker, Body("", self._labels.without(speaker), self._stops)
                self.next[1].write(whole[begins:])
        elif stops:
            self.cut = "stop_string"
        if self.cut is not None:
            self._held = whole[start:end].rstrip()
            if not self._held:
                self.text = self.text.rstrip() if self.text != self._begun_with else self.text

    def _sure(self) -> int:
        """Return how much of what is held no later text can change."""
        held = self._held
        sure = len(held) - max(_overlap(held, each) for each in (_THINK, *self._stops))
        if (at := held.rfind("\n") + 1) > 0:
            line, gap = held[at:], max(_gap_before(held, at, 0), at - _LONGEST_GAP)
            is_open = not line or self._labels.may_begin(line)
            is_paragraph = held.count("\n", gap, at) > 1
            is_open = is_open or (is_paragraph and self._labels.may_be_stranger(line))
            return min(sure, gap) if is_open else sure
        return 0 if not self.text and self._labels.may_begin(held) else sure

    def _release(self, count: int) -> str:
        piece, self._held = self._held[:count], self._held[count:]
        self.text += piece
        if piece and (loop := loop_start(self.text)) is not None:
            before = len(self.text) - len(piece)
            self.text = self.text[: whole_end(self.text, loop, len(self._begun_with))]
            self.cut, self.next = "loop", None
            return self.text[before:]
        return piece


def _overlap(text: str, mark: str) -> int:
    """Return how many of the text's last characters may be the beginning of this mark."""
    most = min(len(text), len(mark) - 1)
    return next((size for size in range(most, 0, -1) if text.endswith(mark[:size])), 0)


def _gap_before(text: str, at: int, start: int) -> int:
    """Return where the blank space begins that ends at a place, at `start` or behind it."""
    return start + len(text[start:at].rstrip())


def _words(name: str) -> str:
    """Return the words with a blank around each, for one name to be found in another."""
    return f" {' '.join(_LETTERS.findall(name))} "


def _is_capitalised(label: str) -> bool:
    return all(word[0].isupper() for word in label.split())


def _is_fenced(text: str, at: int) -> bool:
    return text.count(_FENCE, 0, at) % 2 == 1


def _folded(name: str) -> str:
    # Taken apart, so that the beginning of a name is one however its letters are composed.
    return composed(fold(name.strip()), "NFD")

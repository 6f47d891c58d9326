"""Saves of Kobold Lite and KoboldAI.

    {"gamestarted": true, "prompt": "\\nAda: Hm.", "actions": ["\\nBram: No.", ...],
     "memory": "...", "authorsnote": "...", "anotetemplate": "[Note: <|>]", "anotestr": 320,
     "worldinfo": [{"key": "fog", "content": "..."}], "altbranches": [null, ["\\nAda: Hm.", ...]],
     "savedsettings": {"opmode": 3, "chatname": "Bram", "chatopponent": "Ada||$||Cleo"}}

The text is a stream: in a chat, lines that begin with a name; with instructions, tags such as
`{{[INPUT]}}`; in an adventure, lines that begin with `> `; else prose, which a narrator tells.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final, TypeAlias

from shoritui.cards import Lore
from shoritui.interop.cards.lore import FORMATS, kept_of, left_in
from shoritui.interop.cards.values import Values, name_of, text_of, values_of, whole
from shoritui.interop.chats.build import NARRATOR, ChatBuilder, Tell, called, titled
from shoritui.interop.join import joined
from shoritui.story import NoteRule, WholeChat

_Said: TypeAlias = tuple[str, str]
"""Who says something, and what; nobody says a note."""
_MOST_BRANCHES: Final = 100
_LARGEST_BRANCHES: Final = 16 << 20
"""Characters in all branches together."""
_IMAGE: Final = re.compile(r"\[<\|(\w)\|[^|]*\|\1\|>\]")
_TAG: Final = re.compile(r"\{\{\[(INPUT|OUTPUT|SYSTEM)(_END)?\]\}\}")
_NAMED: Final = re.compile(r"\s*+([^:\n]{1,60}): ")
_LINE: Final = re.compile(r"^[ \t]*+([^:\n]{1,60}):", re.MULTILINE)
_TEMPLATE: Final = "[Author's note: <|>]"
_CHARACTERS_A_MESSAGE: Final = 320
"""A note's place is counted in characters there, and in messages here."""
_UNKNOWN, _ADVENTURE, _CHAT, _INSTRUCT = 0, 2, 3, 4


def read(found: Values, path: Path, tell: Tell) -> list[WholeChat] | None:
    """Return the chat in a save; None if it is none."""
    if isinstance(found.get("ga"), list):  # the short form of shared saves
        short = {"authorsnote": "ca", "anotetemplate": "ct", "memory": "cm", "worldinfo": "cwi"}
        found = {**found, "actions": found["ga"], "prompt": ""} | {
            name: found.get(key) for name, key in short.items()
        }
    elif not ("prompt" in found and "actions" in found and "memory" in found):
        return None
    save = _Save(found, path, tell)
    main = save.chat(_texts(found))
    return [joined(main, (save.chat(branch) for branch in _branches(found)))]


class _Save:
    """What a save says beside its text."""

    def __init__(self, found: Values, path: Path, tell: Tell) -> None:
        self._found = found
        self._title = titled(path.stem)
        settings = values_of(found.get("savedsettings"))
        self._mode = whole(settings.get("opmode"), 0, 9, 0)
        self._user = called(settings.get("chatname"), default="User")
        others = text_of(settings.get("chatopponent")).split("||$||")
        self._others = list(dict.fromkeys(filter(None, map(name_of, others))))
        self._char = self._others[0] if self._others else "KoboldAI"
        tags = (("instruct_starttag", "INPUT"), ("instruct_endtag", "OUTPUT"))
        self._tags = [
            (tag, f"\n{{{{[{word}]}}}}\n")
            for key, word in tags
            if len(tag := text_of(settings.get(key)).replace("\\n", "\n").strip()) > 3
        ]
        self._lore = _lore(found, tell)

    def chat(self, texts: Sequence[str]) -> WholeChat:
        """Return the chat that a stream of text tells."""
        texts = [_IMAGE.sub("", text) for text in texts]
        chat = ChatBuilder(self._title, self._user, self._char, lore=self._lore)
        if note := text_of(self._found.get("authorsnote") or self._found.get("authornote")):
            template = text_of(self._found.get("anotetemplate"))
            if "<|>" in template and template != _TEMPLATE:
                note = template.replace("<|>", note)
            strength = whole(self._found.get("anotestr"), 0, 10_000, _CHARACTERS_A_MESSAGE)
            depth = max(1, round(strength / _CHARACTERS_A_MESSAGE)) if strength else 0
            chat.note(note, NoteRule(depth=depth))
        for speaker, text in self._said(texts):
            if speaker:
                chat.say(speaker, [text])
            else:
                chat.note(text)
        return chat.whole()

    def _said(self, texts: Sequence[str]) -> Iterator[_Said]:
        stream = "".join(texts)
        if self._mode == _INSTRUCT:
            for tag, word in self._tags:
                stream = stream.replace(tag, word)
        if _TAG.search(stream):
            return self._instructed(stream)
        if self._mode == _ADVENTURE:
            return self._adventure(texts)
        names = {self._user, *self._others}
        if self._mode in (_UNKNOWN, _CHAT):
            begun = Counter(match[1].strip() for text in texts if (match := _NAMED.match(text)))
            names |= {name for name, count in begun.items() if count > 1 or self._mode == _CHAT}
        spoken = _by_names(stream, names)
        if len(spoken) > 1:
            return iter(spoken)
        return ((NARRATOR, text.strip("\n")) for text in texts)

    def _instructed(self, stream: str) -> Iterator[_Said]:
        """Yield what stands after each tag; a name before it is who says it."""
        cuts = list(_TAG.finditer(stream))
        yield NARRATOR, stream[: cuts[0].start()]
        ends = [cut.start() for cut in cuts[1:]] + [len(stream)]
        for cut, end in zip(cuts, ends, strict=True):
            text = stream[cut.end() : end]
            if cut[2] or cut[1] == "SYSTEM":
                yield "", text
                continue
            named = _NAMED.match(text)
            name = name_of(named[1]) if named else ""
            if named and name in (self._user, *self._others):
                yield name, text[named.end() :]
            else:
                yield (self._user if cut[1] == "INPUT" else self._char), text

    def _adventure(self, texts: Sequence[str]) -> Iterator[_Said]:
        for text in texts:
            if (told := text.strip()).startswith(">"):
                first, _, rest = told[1:].partition("\n")
                yield self._user, first.strip()
                yield NARRATOR, rest
            else:
                yield NARRATOR, told


def _by_names(stream: str, names: set[str]) -> list[_Said]:
    """Return a stream cut where a line begins with one of the names."""
    cuts = [cut for cut in _LINE.finditer(stream) if cut[1] in names]
    if not cuts:
        return [(NARRATOR, stream)]
    ends = [*(after.start() for _, after in pairwise(cuts)), len(stream)]
    told = [(cut[1], stream[cut.end() : end]) for cut, end in zip(cuts, ends, strict=True)]
    spoken = ((name_of(name) or NARRATOR, text) for name, text in told)
    return [(NARRATOR, stream[: cuts[0].start()]), *spoken]


def _texts(found: Values) -> list[str]:
    """Return the pieces of the stream, of an old save or a new one."""
    actions = found.get("actions")
    if isinstance(actions, dict):  # KoboldAI's second format
        rows = values_of(actions.get("actions")).values()
        actions = [values_of(row).get("Selected Text") for row in rows]
    pieces = [found.get("prompt"), *(actions if isinstance(actions, list) else [])]
    return [piece for piece in pieces if isinstance(piece, str)]


def _branches(found: Values) -> Iterator[list[str]]:
    branches = found.get("altbranches")
    left = _LARGEST_BRANCHES
    for branch in branches[:_MOST_BRANCHES] if isinstance(branches, list) else []:
        rows = branch if isinstance(branch, list) else []
        texts = [text for text in rows if isinstance(text, str)]
        left -= sum(map(len, texts))
        if any(text.strip() for text in texts) and left > 0:
            yield texts


def _lore(found: Values, tell: Tell) -> tuple[Lore, ...]:
    rows = found.get("worldinfo") or values_of(found.get("worldinfo_v2")).get("entries")
    book = kept_of({"worldinfo": rows}, FORMATS["kobold"])
    if left := left_in(book):
        tell(f"of its world info was left out: {', '.join(left)}.")
    memory = text_of(found.get("memory"))
    return (*([Lore(name="Memory", text=memory)] if memory else []), *book.lore)

"""Stories that otaku exported: one Markdown document.

    <!-- otaku export ... -->
    ## Story          ### Story so far, ### System, ### Cast: - **Ada** (aka Addie) — A ferrywoman.
    ## Scenes         ### 1 · The harbour: what happened, and what each character made of it
    ## Messages       ### 1 · user (ooc) · Bram · "framing"     ### 2 · assistant (narration)

A text stands below its header, to the next one. What the model had made of the story, summaries and
journals, come in as hidden notes: all messages are here, and may be read themselves.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from shoritui.cards import Character
from shoritui.interop.cards.values import name_of, text_of, texts_of
from shoritui.interop.chats.build import NARRATOR, ChatBuilder, titled
from shoritui.story import Kind, NoteRule, WholeChat

_MARKER: Final = "<!-- otaku export"
_MESSAGE: Final = re.compile(
    r"### (?P<number>\d{1,9}) · (?P<role>user|assistant)(?: \((?P<kind>\w+)\))?(?: · (?P<rest>.+))?"
)
_MEMBER: Final = re.compile(
    r"- \*\*(?P<name>.{1,100}?)\*\*(?: \(aka (?P<aka>.{1,1000}?)\))?(?: — (?P<text>.+))?"
)


def is_otaku(text: str) -> bool:
    """Return whether a text is such a document."""
    return _MARKER in text[:10_000]


def chat_of_otaku(text: str, path: Path) -> WholeChat:
    """Return the story.

    Raises:
        UserError: No message is in it.
    """
    head, _, tail = text.replace("\r\n", "\n").partition("\n## Messages\n")
    told = list(_messages(tail))
    users = (speaker for role, _, speaker, _ in told if role == "user" and speaker)
    title = next((line[2:] for line in head.split("\n") if line.startswith("# ")), "")
    chat = ChatBuilder(titled(title, path.stem), next(users, "You"), NARRATOR)
    sections = dict(_sections(head))
    for line in sections.get("Cast", "").split("\n"):
        if (match := _MEMBER.fullmatch(line.strip())) and (name := name_of(match["name"])):
            aliases = tuple(filter(None, map(name_of, texts_of(match["aka"] or ""))))
            described = Character(name=name, aliases=aliases, description=text_of(match["text"]))
            chat.cast.setdefault(name, described)
    chat.note(sections.get("System", ""), NoteRule(sticky=True))
    for role, kind, speaker, body in told:
        usual = chat.user if role == "user" else NARRATOR
        chat.say(speaker or usual, [body], kind=kind)
    for name, summary in sections.items():
        if name not in ("System", "Cast"):
            chat.note(f"{name}\n{summary}" if summary else "", hidden=True)
    return chat.whole()


def _sections(head: str) -> Iterator[tuple[str, str]]:
    """Yield what stands before the messages, by its headers; what a character thinks is one too."""
    for part in re.split(r"^### ", head, flags=re.MULTILINE)[1:]:
        name, _, body = part.partition("\n")
        yield name.strip(), re.split(r"^## ", body, maxsplit=1, flags=re.MULTILINE)[0].strip()


def _messages(text: str) -> Iterator[tuple[str, Kind, str, str]]:
    """Yield each message's role, kind, speaker and text; a header has the next number."""
    header: re.Match[str] | None = None
    lines: list[str] = []
    for line in text.split("\n"):
        match = _MESSAGE.fullmatch(line.rstrip())
        if match and int(match["number"]) == (int(header["number"]) + 1 if header else 1):
            if header:
                yield _message(header, lines)
            header, lines = match, []
        else:
            lines.append(line)
    if header:
        yield _message(header, lines)


def _message(header: re.Match[str], lines: list[str]) -> tuple[str, Kind, str, str]:
    speaker = (header["rest"] or "").partition(' · "')[0]
    speaker = "" if speaker.startswith('"') else name_of(speaker)
    kind: Kind = "ooc" if header["kind"] == "ooc" else "message"
    return header["role"], kind, speaker, "\n".join(lines)

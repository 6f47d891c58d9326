r"""What the model reads: a scene and its story as segments, one a block, and a block left open.

What stands where, lore too, is decided in `story/prompt_parts.py`. The open block is the reply's:

    ▀message (length: short)\nMara:
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from shoritui.blockml import LENGTHS, Block, Instruction, Length, message_header, render
from shoritui.cards import Card, Lore
from shoritui.engine import Segment
from shoritui.story import (
    Entry,
    Firing,
    Form,
    NamedPart,
    entry_part,
    example_parts,
    header_parts,
    lore_part,
    story_parts,
)


def header_segments(
    scene: Card,
    user: str,
    form: Form,
    gone: Sequence[Entry] = (),
    examples: int | None = None,
) -> list[Segment]:
    """Return the part before the story, which stays as long as the scene does.

    Only so many of the `example_segments` are in it; all of them if there is no number.
    """
    return _segments(header_parts(scene, user, form, gone, examples))


def example_segments(scene: Card, user: str, gone: Sequence[Entry]) -> list[Segment]:
    """Return the example messages, and the notes that say what they are."""
    return _segments(example_parts(scene, user, gone))


def story_segments(
    scene: Card,
    entries: Sequence[Entry],
    form: Form,
    firing: Firing | None = None,
    gone: Sequence[Entry] = (),
) -> Iterator[list[Segment]]:
    """Yield for each entry its segment, and those of the lore and the notes around it."""
    return map(_segments, story_parts(scene, entries, form, firing, gone))


def lore_text(lore: Lore) -> str:
    """Return a piece of lore as the model reads it."""
    return render(lore_part(lore)[1])


def entry_text(entry: Entry, form: Form) -> str:
    """Return one entry as the model reads it."""
    return render(entry_part(entry, form))


def open_message(speaker: str, length: Length | None, text: str = "") -> Segment:
    """Return the end of a document at which a reply of this speaker begins, or goes on."""
    if text:
        return _without_end(Block("message", text, speaker, length))
    return Segment(message_header(speaker, length), "reply")


def open_hint() -> Segment:
    """Return the end of a document at which a message's length hint stands: a `hint_label`."""
    header = message_header("?", LENGTHS[0])
    return Segment(header[: header.index(hint_label(LENGTHS[0]))], "reply")


def hint_label(length: Length) -> str:
    """Return what stands between the end of `open_hint` and the header's second line."""
    return f" {length})"


def open_nameless(length: Length | None) -> Segment:
    """Return the end of a document at which the label of whoever speaks next stands."""
    header = message_header("?", length)
    return Segment(header[: header.index("\n") + 1], "reply")


def label(speaker: str) -> str:
    """Return what stands between the end of `open_nameless` and this one's text."""
    return message_header(speaker, None).partition("\n")[2]


def open_ooc(speaker: str, form: Form) -> Segment:
    """Return the end of a document at which an out-of-character answer begins."""
    before_text = form.ooc_body(speaker, "\0").partition("\0")[0]
    opened = render(Block("ooc", before_text)).removesuffix("▄\n")
    return Segment(opened.rstrip(" "), "ooc reply")


def open_summary(words: int, heard: Iterable[str] | None, text: str) -> Segment:
    """Return the end of a document at which a summary begins, or goes on: a request, and lore.

    `heard` are those who know of what is summarised; None is everybody.
    """
    what = "the story so far" if heard is None else f"what only {' and '.join(sorted(heard))} know"
    request = Instruction(
        f"Summarise {what} in the past tense, in {words} words at most: who did what and why, what "
        "was said and promised, what changed, what is still open. No dialogue."
    )
    return Segment(render(request) + _without_end(Block("lore", text)).text, "summary")


def opened_anew(entry: Entry, length: Length | None, form: Form) -> Segment:
    """Return the end of a document at which a reply begins once more."""
    if entry.kind == "message":
        return open_message(entry.speaker, length)
    return open_ooc(entry.speaker, form)


def reopened(entry: Entry, length: Length | None) -> tuple[Segment, str]:
    """Return a message open at its end, to be continued, and what its text gained by it.

    A message that had ended begins a new paragraph; one that was cut goes on where it is.
    """
    joint = "\n\n" if entry.status == "complete" and entry.text else ""
    return _without_end(Block("message", entry.text + joint, entry.speaker, length)), joint


def begun_message(speaker: str, length: Length | None, text: str) -> Segment:
    """Return a message that is still being typed, as far as its words are finished."""
    return _without_end(Block("message", finished_words(text), speaker, length))


def finished_words(text: str) -> str:
    """Return the text without the word that may still grow; it ends directly before a space."""
    return text[: max(text.rfind(" "), text.rfind("\n"), 0)].rstrip(" \n")


def _without_end(block: Block) -> Segment:
    text = render(block).removesuffix("▄\n")
    return Segment(text if block.body else text.removesuffix(" "), "reply")


def _segments(parts: Sequence[NamedPart]) -> list[Segment]:
    return [Segment(render(part), source) for source, part in parts]

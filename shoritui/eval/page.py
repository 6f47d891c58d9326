"""The figures, and every reply below what it answers, as one page of HTML without any script."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import Final

from shoritui.eval import grounding, measures
from shoritui.eval.figures import Line, shown, skipped_words
from shoritui.eval.replies import Results
from shoritui.eval.stories import Place, Reply
from shoritui.interop.html_page import page, paragraphs
from shoritui.text import counted, one_line

_STYLE: Final = """\
.wide { overflow-x: auto; margin: 0 0 2em; }
table { border-collapse: collapse; font: .8em/1.4 system-ui, sans-serif; }
th, td { padding: .25em .7em .25em 0; text-align: left; border-bottom: 1px solid var(--rule); }
td + td, th + th { white-space: nowrap; }
blockquote {
  margin: 0 0 1em; padding-left: .9em; border-left: 3px solid var(--rule); font-size: .9em;
}
blockquote h3 { margin-top: .6em; }
details { margin: 0 0 1em; }
summary, .note { font: .8em/1.4 system-ui, sans-serif; color: var(--cited); }
.reply { margin: 0 0 1.2em; padding-top: .2em; border-top: 1px solid var(--rule); }
.fault { color: var(--loud); }
"""
_RECENT: Final = 2


def report_page(lines: Sequence[Line], results: Sequence[Results]) -> str:
    """Return the page, to be read on any screen."""
    return page("How well they tell stories", _elements(lines, results), _STYLE)


def _elements(lines: Sequence[Line], results: Sequence[Results]) -> Iterator[str]:
    for number, found in enumerate(results, 1):
        words = _plain(f"{number}: {found.subject.name}, {found.description}{skipped_words(found)}")
        yield f'<p class="note">{words}</p>'
    yield from _table(lines, len(results))
    story = ""
    for place, replies in _by_place(results):
        if place.story.name != story:
            story = place.story.name
            yield f"<h2>{_plain(place.story.whole.chat.name)}</h2>"
        yield from _place(place, replies)


def _table(lines: Sequence[Line], models: int) -> Iterator[str]:
    head = "".join(f"<th>{name}</th>" for name in ("", "people", *range(1, models + 1)))
    yield f'<div class="wide"><table><tr>{head}</tr>'
    for line in lines:
        label = f"{line.label}, %" if line.unit == "%" else line.label
        cells = (shown(each, line.unit) for each in (line.people, *line.models))
        yield f"<tr><td>{_plain(label)}</td>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
    yield "</table></div>"
    yield '<p class="note">In brackets: the 95 % confidence interval.</p>'


def _by_place(results: Sequence[Results]) -> Iterator[tuple[Place, list[tuple[int, Reply]]]]:
    """Yield every place, and who wrote what there."""
    found: dict[tuple[str, int], tuple[Place, list[tuple[int, Reply]]]] = {}
    for number, each in enumerate(results, 1):
        for group in each.replies:
            for reply in group:
                key = (reply.place.story.name, reply.place.at)
                found.setdefault(key, (reply.place, []))[1].append((number, reply))
    yield from found.values()


def _place(place: Place, replies: Sequence[tuple[int, Reply]]) -> Iterator[str]:
    yield "<blockquote>"
    before = [entry for entry in place.chat.entries if entry.kind == "message"][-_RECENT:]
    if not before:
        yield f'<p class="note">{_plain(place.chat.chat.scene.scenario)}</p>'
    for entry in before:
        yield f'<h3 dir="auto">{_plain(entry.speaker)}</h3>'
        yield from paragraphs(entry.text.strip())
    yield "</blockquote>"
    yield f'<h3 class="s1" dir="auto">{_plain(place.speaker)}</h3>'
    for number, reply in replies:
        yield f'<div class="reply"><p class="note">{number}: {_note(reply)}</p>'
        yield from paragraphs(reply.text.strip())
        yield "</div>"
    yield "<details><summary>what people wrote</summary>"
    yield from paragraphs(place.written.strip())
    yield "</details>"


def _note(reply: Reply) -> str:
    said = f"{reply.hint} asked, {counted(reply.tokens, 'token')}"
    faults = ", ".join(_faults(reply))
    return f'{said} <span class="fault">{_plain(faults)}</span>' if faults else said


def _faults(reply: Reply) -> Iterator[str]:
    if reply.stop != "block_end":
        yield {"loop": "cut as a loop"}.get(reply.stop, "did not end")
    if not measures.closed(reply).part:
        yield "a mark stays open"
    if speakers := measures.foreign_lines(reply.raw, reply.place.others):
        yield f"wrote for {', '.join(speakers)}"
    if acts := measures.acts_of(reply.text, reply.place.others):
        yield "; ".join(acts)
    yield from grounding.contradictions(reply)


def _plain(text: str) -> str:
    return escape(one_line(text))

"""The story as one page of HTML, to be read anywhere: no script, and nothing is loaded.

"Who is there?" she asked.   <span class="dialogue">"Who is there?"</span> she asked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from html import escape
from typing import Final

from shoritui.blockml import lex
from shoritui.interop.plain import hearers, told
from shoritui.story import COMINGS, WholeChat, coming
from shoritui.text import clean, one_line

_SPEAKERS: Final = 8
_BLANK_LINES: Final = re.compile(r"\n(?: *\n)+")
_FENCE_LINES: Final = re.compile(r"^ {0,3}``` *$\n?", re.MULTILINE)
_HIDEABLE: Final = {"thought": "_", "sound": "*", "emphasis": "**"}
"""Marks whose look says enough."""

_PAGE: Final = """\
<!doctype html>
<html>
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{title}</title>
<style>
{style}</style>
</head>
<body>
<main>
<h1 dir="auto">{title}</h1>
{body}
</main>
</body>
</html>
"""
_STYLE: Final = """\
:root {
  --back: #f8f4ea; --fore: #35312c; --title: #a94a1f; --rule: #cdc2ad;
  --dialogue: #27663a; --thought: #3453a6; --sound: #865300; --emphasis: #0f0d0a;
  --loud: #b02434; --quote: #77398f; --cited: #6b655c; --fence: #24545c; --fence-back: #ece5d4;
  --s1: #a8325f; --s2: #0f6f72; --s3: #6c3fb0; --s4: #8a5200;
  --s5: #3f7020; --s6: #2459ad; --s7: #b0431b; --s8: #686400;
}
@media (prefers-color-scheme: dark) {
  :root {
    --back: #14151c; --fore: #cbc8be; --title: #e6b673; --rule: #3b3f52;
    --dialogue: #b4d79c; --thought: #93b5f2; --sound: #e6bd6e; --emphasis: #fbf6e9;
    --loud: #f38588; --quote: #cfa9e4; --cited: #9a9cac; --fence: #a9ccce; --fence-back: #1d202b;
    --s1: #eba3b6; --s2: #7fcac8; --s3: #c4a8f2; --s4: #eab877;
    --s5: #9fce8b; --s6: #88b8f4; --s7: #f2987c; --s8: #d6d27b;
  }
}
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0; background: var(--back); color: var(--fore);
  font: 1.125rem/1.6 Georgia, "Noto Serif", "Times New Roman", serif;
}
main { max-width: 36em; margin: 0 auto; padding: 1.5em 1.1em 4em; overflow-wrap: anywhere; }
h1 { font-size: 1.6em; line-height: 1.25; margin: 0 0 1.4em; color: var(--title); }
h2 {
  font-size: 1.2em; margin: 2.5em 0 1.5em; padding-top: 1.2em;
  color: var(--title); border-top: 1px solid var(--rule); text-align: center;
}
h3 { font: bold .85em/1.4 system-ui, sans-serif; margin: 1.8em 0 .2em; }
p { margin: 0 0 .8em; }
pre {
  margin: 0 0 .8em; padding: .6em .8em; white-space: pre-wrap; font-size: .85em;
  color: var(--fence); background: var(--fence-back);
}
.s1 { color: var(--s1); } .s2 { color: var(--s2); } .s3 { color: var(--s3); }
.s4 { color: var(--s4); } .s5 { color: var(--s5); } .s6 { color: var(--s6); }
.s7 { color: var(--s7); } .s8 { color: var(--s8); }
.dialogue { color: var(--dialogue); }
.thought { color: var(--thought); font-style: italic; }
.sound { color: var(--sound); font-style: italic; }
.emphasis { font-weight: bold; }
.loud { color: var(--loud); font-weight: bold; }
.quote { color: var(--quote); font-style: italic; }
.cited { color: var(--cited); font-style: italic; }
.coming, small { color: var(--cited); font-style: italic; font-weight: normal; }
"""


def html_page(whole: WholeChat) -> str:
    """Return the page: light or dark as the reader's device is, in its own fonts."""
    speakers: dict[str, int] = {}
    story = []
    for entry in told(whole):
        if entry.kind == "title":
            story.append(f'<h2 dir="auto">{escape(one_line(entry.text))}</h2>')
            continue
        if entry.kind in COMINGS:
            story.append(f'<p class="coming" dir="auto">{escape(one_line(coming(entry)))}</p>')
            continue
        number = speakers.setdefault(entry.speaker, len(speakers) % _SPEAKERS + 1)
        name = escape(one_line(entry.speaker))
        heard = f" <small>{escape(hearers(entry))}</small>" if hearers(entry) else ""
        story.append(f'<h3 class="s{number}" dir="auto">{name}{heard}</h3>')
        story += paragraphs(clean(entry.text).strip())
    return page(whole.chat.name, story)


def page(title: str, elements: Iterable[str], style: str = "") -> str:
    """Return the page with these elements below its title, `style` behind that of all pages."""
    shown = escape(one_line(title))
    return _PAGE.format(title=shown, style=_STYLE + style, body="\n".join(elements))


def paragraphs(text: str) -> Iterator[str]:
    """Yield a message's paragraphs and fenced blocks as elements."""
    paragraph = ""
    for piece, kinds in _pieces(text):
        if "fence" in kinds:
            yield from _element(paragraph)
            paragraph = ""
            block = _FENCE_LINES.sub("", piece).strip("\n")
            yield f'<pre dir="auto">{escape(block)}</pre>'
            continue
        first, *others = _BLANK_LINES.split(piece)
        paragraph += _spans(first, kinds)
        for part in others:
            yield from _element(paragraph)
            paragraph = _spans(part, kinds)
    yield from _element(paragraph)


def _element(paragraph: str) -> Iterator[str]:
    inner = paragraph.removeprefix("<br>").removesuffix("<br>")
    if inner.strip():
        yield f'<p dir="auto">{inner}</p>'


def _spans(text: str, kinds: tuple[str, ...]) -> str:
    """Return a run of one look: a span in a span for each of its kinds."""
    inner = escape(text).replace("\n", "<br>")
    if text:
        for kind in reversed(kinds):
            inner = f'<span class="{kind}">{inner}</span>'
    return inner


def _pieces(text: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the runs of one look, without the marks that it makes needless."""
    spans = lex(text)
    for index, span in enumerate(spans):
        before = spans[index - 1].kinds if index else ()
        after = spans[index + 1].kinds if index + 1 < len(spans) else ()
        piece = text[span.start : span.end]
        for kind in span.kinds:
            if kind not in before:
                piece = piece.removeprefix(_HIDEABLE.get(kind, ""))
        for kind in reversed(span.kinds):
            if kind not in after:
                piece = piece.removesuffix(_HIDEABLE.get(kind, ""))
        yield piece, span.kinds

"""The page to read: whole, harmless, in the looks of prose."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoritui.cards import Card, Character
from shoritui.interop.html_page import html_page
from shoritui.story import Chat, Draft, Entry, Library, WholeChat
from shoritui.text import clean, one_line

ALLOWED = {
    *("html", "head", "meta", "title", "style", "body", "main"),
    *("h1", "h2", "h3", "p", "pre", "span", "br"),
}
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</style></title></main><iframe src='https://example.com'>",
    "{title}{style} %s &lt;b&gt; &#x3c;",
    "]]><!-- -- > --!>",
    "```\n<b>code</b>\n```\n<i>",
)


@dataclass
class Page(HTMLParser):
    """What a browser would find in a page."""

    page: str
    tags: set[str] = field(default_factory=set)
    open: list[str] = field(default_factory=list)
    attributes: set[str] = field(default_factory=set)
    text: str = ""
    spans: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self.classes: list[str] = []
        self.feed(self.page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag == "br":
            self.text += "\n"
        elif tag != "meta":
            self.open.append(tag)
            self.classes.append(dict(attrs).get("class") or "")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, "every element is closed where it should be"
        self.classes.pop()

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text += data
            self.spans.append((" ".join(filter(None, self.classes)), data))

    def handle_comment(self, data: str) -> None:
        raise AssertionError(data)

    def unknown_decl(self, data: str) -> None:
        raise AssertionError(data)


def page_of(*texts: str, name: str = "A", title: str = "T") -> str:
    entries = tuple(
        Entry(n, n - 1 or None, "message", name, None, text, "complete", 0, 0, n)
        for n, text in enumerate(texts, start=1)
    )
    scene = Card(characters=(Character(name="A"),))
    return html_page(WholeChat(Chat(1, title, scene, "A", len(texts), {}, 0, 0), entries, {}))


@pytest.mark.parametrize("hostile", HOSTILE)
def test_no_markup_gets_through(hostile: str) -> None:
    page = Page(page_of(hostile, name=hostile, title=hostile))
    assert page.tags <= ALLOWED and page.open == []
    assert page.attributes <= {"charset", "name", "content", "http-equiv", "dir", "class"}
    assert page.text.count(one_line(hostile)) >= 3, "it stands there to be read"


@given(st.text(st.sampled_from("<>&\"'_*`{}/ab! \n\x1b−“”▀"), max_size=60), st.text(max_size=20))
def test_any_text_is_only_text(text: str, name: str) -> None:
    page = Page(page_of(text, "end", name=name, title=name))
    assert page.tags <= ALLOWED and page.open == []
    told = re.sub(r"[\s_*`]", "", clean(text))
    assert told in re.sub(r"[\s_*`]", "", page.text)


def test_prose_has_its_looks() -> None:
    page = page_of(
        '*Creak.* "Who is **there**?" she asked. _Not AGAIN_, ' + "''he'' said.\n\n> Old"
    )
    spans = [(look, text) for look, text in Page(page).spans if look and look != "s1"]
    assert spans == [
        ("sound", "Creak."),
        ("dialogue", '"Who is '),
        ("dialogue emphasis", "there"),
        ("dialogue", '?"'),
        ("thought", "Not "),
        ("thought loud", "AGAIN"),
        ("quote", "''he''"),
        ("cited", "> Old"),
    ]


def test_paragraphs_lines_and_fences() -> None:
    page = page_of('One\ntwo.\n \n"Three\nfour."\n```\na\n\n  b\n```\nEnd')
    body = re.sub(r"\s*\n\s*(?=<|$)", "", page.partition("</h3>")[2].partition("</main>")[0])
    assert body == (
        '<p dir="auto">One<br>two.</p>'
        '<p dir="auto"><span class="dialogue">&quot;Three<br>four.&quot;</span></p>'
        '<pre dir="auto">a\n\n  b</pre>'
        '<p dir="auto">End</p>'
    )


def test_it_is_light_or_dark_fits_a_phone_and_loads_nothing(library: Library, chat: Chat) -> None:
    page = html_page(library.whole_chat(chat.id))
    assert "prefers-color-scheme: dark" in page and "width=device-width" in page
    assert "default-src 'none'" in page and "http" not in page.replace("http-equiv", "")
    assert "<script" not in page and "url(" not in page and "@import" not in page


def test_what_is_told_is_there_and_no_more(library: Library, chat: Chat) -> None:
    library.append(chat.id, Draft("message", "Ada", "   "))
    text = Page(html_page(library.whole_chat(chat.id))).text
    for word in ("The last ferry", "He heard the whistle.", "At sea", "Hidden"):
        assert word in text
    for word in ("She left.", "Be brief.", "Back soon.", "A gull.", "Gone."):
        assert word not in text

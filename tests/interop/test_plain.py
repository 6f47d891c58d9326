"""The story as Markdown and as prose."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from shoritui.cards import Card, Character
from shoritui.interop.blockml_text import blockml_text
from shoritui.interop.html_page import html_page
from shoritui.interop.plain import markdown, prose
from shoritui.story import Chat, Details, Draft, Entry, Library, WholeChat
from shoritui.text import clean
from tests.interop.test_html_page import HOSTILE


def of(text: str, name: str = "Ada", title: str = "T") -> WholeChat:
    scene = Card(characters=(Character(name="Ada"),))
    entry = Entry(1, None, "message", name, None, text, "complete", 0, 0, 1)
    return WholeChat(Chat(1, title, scene, "Ada", 1, {}, 0, 0), (entry,), {})


def rendered(text: str) -> str:
    return str(MarkdownIt("gfm-like", {"linkify": False}).render(text))


def test_a_story_as_markdown(library: Library, chat: Chat) -> None:
    assert markdown(library.whole_chat(chat.id)) == (
        "# The last ferry\n\n"
        '**Ada**\n\n"We leave at noon."\n\n'
        "**Bram**\n\nHe heard the whistle.\n\n"
        "## At sea\n\n"
        "**Ada**\n\n_Hidden_, she thought.\n"
    )


def test_a_story_as_prose(library: Library, chat: Chat) -> None:
    assert prose(library.whole_chat(chat.id)) == (
        'The last ferry\n\n"We leave at noon."\n\nHe heard the whistle.\n\n\nAt sea\n\n'
        "_Hidden_, she thought.\n"
    )


def test_whispers_are_marked_and_comings_are_told(library: Library, chat: Chat) -> None:
    whispered = Details(heard=("Bram", "Ada", "C_y"))
    library.append(chat.id, Draft("message", "Ada", "At *dawn*.", details=whispered))
    library.append(chat.id, Draft("leave", "Bram", "goes <off>"))
    whole = library.whole_chat(chat.id)
    assert markdown(whole).endswith(
        "\n\n**Ada** _to Bram, C\\_y_\n\nAt *dawn*.\n\n_Bram goes \\<off>._\n"
    )
    assert prose(whole).endswith("\n\nAt *dawn*.\n")
    page = html_page(whole)
    assert "Ada <small>to Bram, C_y</small></h3>" in page
    assert '<p class="coming" dir="auto">Bram goes &lt;off&gt;.</p>' in page
    read = blockml_text(whole)
    assert read.endswith("Ada: At *dawn*.▄\n[INST] Bram goes <off>. [/INST]\n")


@pytest.mark.parametrize("hostile", HOSTILE)
def test_no_html_gets_through_markdown(hostile: str) -> None:
    html = rendered(markdown(of(hostile, hostile, hostile)))
    tags = set(re.findall(r"<(\w+)", html))
    assert tags <= {"h1", "p", "strong", "em", "pre", "code", "br"}


@given(st.text(st.sampled_from("#-+=*_`<>&[]()!|~\\1. ab\n"), max_size=40))
def test_a_message_is_paragraphs_whatever_is_in_it(text: str) -> None:
    html = rendered(markdown(of(f"{text}\n\nlast words")))
    tags = set(re.findall(r"<(\w+)", html)) - {"strong", "em", "br", "p", "h1"}
    assert tags <= {"pre", "code", "blockquote"}
    shown = re.sub(r"<[^>]*>|[\s_*`>]|&gt;", "", html)
    told = re.sub(r"[\s_*`>]", "", clean(text))
    plain = shown.replace("&lt;", "<").replace("&quot;", '"').replace("&amp;", "&")
    assert told in plain


def test_the_marks_of_prose_are_markdown() -> None:
    html = rendered(markdown(of('_Why_, he **said**.\n*Creak.*\n- "No."\n```\n<b>\n', "A_b_ *c*")))
    assert "<em>Why</em>, he <strong>said</strong>.<br" in html and "<em>Creak.</em>" in html
    assert "- &quot;No.&quot;" in html and "&lt;b&gt;" in html
    assert "<strong>A_b_ *c*</strong>" in html
    assert "<p>after</p>" in rendered(markdown(of("> old\nafter")))

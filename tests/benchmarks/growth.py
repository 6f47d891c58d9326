"""How every parser of text grows on its worst input: the cost of 2n beside the cost of n.

A parser comes with the marks that mean something to it. Its inputs are made of these, of a blank, a
line's end and a letter: one again and again, two by turns, all of one before all of another, one
before a row of another. What looks back or ahead from each of them is found so.
"""

from __future__ import annotations

import gc
import json
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cache, partial
from itertools import permutations
from pathlib import Path
from typing import Any, Final, NamedTuple

from rich.style import Style

from shoritui.benchmark import Aim, Figure, benchmark, reached
from shoritui.blockml import Block, Instruction, ProseLexer, lex, moods, parse, render, unescape
from shoritui.blockml.narration import STOCK_PHRASES, measure
from shoritui.bounded import read_json
from shoritui.cards import Card, Lore, decorated
from shoritui.cards.edit import edited
from shoritui.cards.examples import conversations
from shoritui.cards.load import parse_card
from shoritui.cards.macros import Scope, settle
from shoritui.cli import _plain
from shoritui.demo import model_path
from shoritui.director import kept_end
from shoritui.director.body import Body, Labels
from shoritui.director.loops import loop_start, repetition, whole_end
from shoritui.director.note_words import read_note
from shoritui.engine.llama.detokenizer import Detokenizer
from shoritui.engine.presets.foreign.files import flat_yaml
from shoritui.engine.remote.sse import EventReader
from shoritui.engine.sampling.banned import BannedPhrases
from shoritui.errors import UserError
from shoritui.eval.grounding import name_like, things
from shoritui.eval.judge import _OBJECT
from shoritui.eval.measures import acts_of, foreign_lines
from shoritui.finetune.axolotl.stages import _ARROW
from shoritui.finetune.config.tag_filter import parse_where
from shoritui.finetune.data.checks.repaired_text import repaired_source, repaired_text
from shoritui.finetune.data.conversations import Conversation
from shoritui.finetune.data.findings import check_conversation
from shoritui.finetune.data.tokenizer import Tokenizer, tokenizer_of_gguf
from shoritui.interop.blockml_text import form_of_settings
from shoritui.interop.cards.character import card_of
from shoritui.interop.cards.lore import book_in, lore_of
from shoritui.interop.cards.yaml_card import values_of_yaml
from shoritui.interop.chats import chat_of_otaku, chats_of_json
from shoritui.interop.datasets import Reading, conversations_in
from shoritui.interop.dates import seconds_of
from shoritui.interop.html_page import paragraphs
from shoritui.interop.log import messages_of_log
from shoritui.interop.placeholders import with_names
from shoritui.interop.plain import _markdown
from shoritui.interop.preferences import preferences_of
from shoritui.interop.read_blockml import chat_of_blockml
from shoritui.interop.sillytavern.read import chat_of_sillytavern
from shoritui.interop.templates.read import templates_of
from shoritui.linear.voice import Voice
from shoritui.names import Names, addressed, fold, names_first, who_is_called
from shoritui.settings import Settings
from shoritui.story import Chat, Details, Entry, Made, WholeChat
from shoritui.story.lore import Lorebook
from shoritui.story.search import _context, _terms
from shoritui.text import clean, closest, message, one_line
from shoritui.toml import parse_text
from shoritui.toml.line_numbers import key_lines, unclosed_line
from shoritui.tui.chat.panels.sampler_values import read_list
from shoritui.tui.chat.panels.scene import _KEYS
from shoritui.tui.chat.verbs.panels import sampler_words
from shoritui.tui.literal import _seen
from shoritui.tui.terminal_input import _Parser as _Keys
from shoritui.tui.widgets.completions import Completion, ranked
from shoritui.tui.widgets.passage import Passage
from shoritui.tui.widgets.styles import Inks
from shoritui.tui.widgets.typeset import Typeset, rows_of
from shoritui.tui.widgets.typeset import measure as column
from shoritui.tui.widgets.wrap import height

COMMON: Final = (" ", "\n", "a")
"""What the inputs of every parser are made of beside its marks."""
AIM: Final = "<= 2.3"
SMALL, LARGE = 2_000, 8_000
"""Characters of the inputs among which the worst is looked for."""
LONGEST: Final = 32_000
"""Characters of n at most."""
SECONDS: Final = 0.02
"""The cost of n, where it is to be had."""
TRIES: Final = 4
WORST: Final = 2
"""So many inputs of each parser are measured well."""

Read = Callable[[str], object]


class Parser(NamedTuple):
    """Something that reads a text, and the marks that mean something to it."""

    name: str
    read: Read
    marks: tuple[str, ...]


class Shape(NamedTuple):
    """Inputs of one form, of any length."""

    name: str
    make: Callable[[int], str]


# Input


def shapes(marks: Sequence[str]) -> Iterator[Shape]:
    """Yield the forms of input that are made of some marks."""
    every = tuple(dict.fromkeys((*marks, *COMMON)))
    for one in every:
        yield Shape(f"{one!r} again and again", partial(_times, one))
    for one, two in permutations(every, 2):
        yield Shape(f"{one + two!r} again and again", partial(_times, one + two))
        yield Shape(f"all {one!r}, then all {two!r}", partial(_halves, one, two))
        yield Shape(f"{one!r}, then all {two!r}", partial(_behind, one, two))


def _times(piece: str, length: int) -> str:
    return piece * (length // len(piece) + 1)


def _halves(one: str, two: str, length: int) -> str:
    return _times(one, length // 2) + _times(two, length // 2)


def _behind(one: str, two: str, length: int) -> str:
    return one + _times(two, length) + "a"


BLOCKS: Final = ("▀scenario\n", "▀message\nMara: ", "▄", "[INST] ", " [/INST]", "---\n", "\u2060")
PROSE: Final = ('"', "“", "_", "*", "**", "''", "```\n", "A", ".")
MACROS: Final = ("{{", "}}", "{{char}}", "{{trim}}", "{{random::", "<user>", "{{// ", "\r\n")
NAMES: Final = {"Mara": ("Old Mara",), "Bo": ()}
FORM: Final = form_of_settings()
WHERE: Final = column(100)
INKS: Final = Inks(Style.null(), {})
HEAD: Final = json.dumps({"user_name": "Bo", "character_name": "Mara"}) + "\n"
OTAKU: Final = "<!-- otaku export -->\n### Cast\n{0}\n## Messages\n### 1 · user\nx\n{0}"
SAID: Final = "Late. " * 200
PER_ENTRY: Final = 32
"""Characters of an input for each entry of a story: the oldest leave the context soon."""
LETTERS: Final = "".join(map(chr, range(0x4E00, 0x4EC8)))
ROW: Final = Completion("", "")
BOOK: Final = Lorebook([Lore(name="a", text="b", keys=("Mara", "/w[oa]lf/i", "鈴", "Bo*"))])
_FOLDER: Final = tempfile.TemporaryDirectory(prefix="shoritui-")
# Readers


def _card(text: str) -> dict[str, Any]:
    fields = ("description", "personality", "scenario", "first_mes", "mes_example")
    return {"spec": "chara_card_v2", "data": {"name": "A", **dict.fromkeys(fields, text)}}


def _said(text: str) -> str:
    return _line(name="Mara", is_user=False, mes=text)


def _kobold(actions: list[str]) -> object:
    save = {"gamestarted": True, "memory": "", "prompt": "", "actions": actions}
    return chats_of_json(save, Path("x"), str)


def _instructions(text: str) -> list[object]:
    return [each.instructions for each in templates_of({"story_string": text}, "x")]


def _key_lines(text: str) -> object:
    return key_lines(parse_text(Path("x"), text, "card").text)


def _edited(text: str) -> str:
    """Rename every character of a card."""
    count = len(text) // 40
    card = "".join(f"# {number}\n[[character]]\nname = 'n{number}'\n\n" for number in range(count))
    return edited(card, {"character": [{"name": f"m{number}"} for number in range(count)]})


def _body(text: str) -> None:
    labels = Labels({"Mara": "Mara", "Bo": "Bo"}).without("Bo")
    body = Body("", labels, ("STOP",))
    for at in range(0, len(text), 500):
        body.write(text[at : at + 500])
    body.end()


def _banned(text: str) -> None:
    phrases = BannedPhrases(["a shiver", "ababab", "a a a"], "")
    for letter in text:
        phrases.feed(letter, clean=True)


def _detokenized(text: str) -> str:
    detokenizer = Detokenizer()
    for letter in text:
        detokenizer.feed(letter.encode())
    return detokenizer.text


def _events(text: str, size: int) -> None:
    reader, data = EventReader(), text.encode()
    for at in range(0, len(data), size):
        reader.feed(data[at : at + size])
    reader.finish()


def _conversation(text: str) -> Conversation:
    return Conversation((Block("message", text, "Mara"),), "x", (1,))


class _Silent(Voice):
    @staticmethod
    def _put(text: str) -> None:
        pass


def _spoken(text: str) -> None:
    voice = _Silent()
    voice.begin(Entry(1, None, "message", "Mara", None, "", "complete", 0.0, 1))
    for at in range(0, len(text), 500):
        voice.write(text[at : at + 500])
    voice.end(text)


def _streamed(text: str) -> None:
    lexer = ProseLexer()
    for at in range(0, len(text), 4):
        lexer.feed(text[at : at + 4])


def _passage(text: str) -> Passage:
    return Passage(0, "message", "Mara", text)


def _typeset(text: str) -> Typeset:
    return Typeset(_passage(text), WHERE, INKS, 1, show_marks=False)


def _line(**values: object) -> str:
    return json.dumps(values) + "\n"


def _data(suffix: str, text: str, reading: Reading | None = None) -> list[object]:
    path = Path(_FOLDER.name) / f"data{suffix}"
    path.write_text(text, encoding="utf-8", newline="")
    return list(conversations_in(path, reading or Reading()))


def _talk(text: str) -> str:
    turns = [{"from": "human", "value": text}, {"from": "gpt", "value": text}]
    return _line(conversations=turns, names={"char": "Mara", "user": "Bo"})


def _book(form: dict[str, Any]) -> object:
    kept = book_in(form)
    assert kept is not None
    return kept.lore


def _risu(text: str) -> object:
    rows = [{"role": "char", "data": text}]
    chat = {"name": text, "note": text, "localLore": [], "message": rows}
    return chats_of_json({"type": "risuChat", "ver": 2, "data": chat}, Path("x"), str)


def _agnai(text: str) -> object:
    rows = [{"_id": "1", "msg": text, "characterId": "a", "name": text}]
    return chats_of_json({"name": text, "messages": rows, "treeLeafId": "1"}, Path("x"), str)


def _character_ai(text: str) -> object:
    rows = [{"src": {"is_human": False, "name": text}, "text": text}]
    return chats_of_json({"histories": {"histories": [{"msgs": rows}]}}, Path("x"), str)


def _preferences(text: str) -> object:
    """What a story tells of taste: `+` goes on, `~` is another version, `!` an edit."""
    entries = [Entry(1, None, "message", "Bo", None, SAID, "complete", 0.0, 1, slot=1)]
    some = len(text) // 2 // PER_ENTRY
    for at, letter in enumerate(text[:some] + text[len(text) - some :], start=2):
        last = entries[-1]
        parent, slot, details = last.id, at, Details()
        if letter in "~!" and last.parent is not None:
            parent, slot = last.parent, last.slot
            if letter == "!":
                details = Details(made=Made("edited", last.id))
        where = replace(entries[0], id=at, parent=parent, slot=slot, details=details)
        entries.append(replace(where, speaker="Mara", text=f"{at} {SAID}"))
    chat = Chat(1, "x", Card(), "Bo", entries[-1].id, {}, 0.0, 0.0)
    return preferences_of(WholeChat(chat, tuple(entries), {}), Settings())


def _ids(text: str) -> list[int]:
    return _vocabulary().ids(text)


@cache
def _vocabulary() -> Tokenizer:
    return tokenizer_of_gguf(model_path())


def _numbers(text: str) -> object:
    return parse_text(Path("x"), f"a = [{text}1]", "card")


def _typed(text: str) -> None:
    parser = _Keys()
    for at in range(0, len(text), 1024):
        deque(parser.feed(text[at : at + 1024]), maxlen=0)
    deque(parser.feed(""), maxlen=0)


# The table

PARSERS: Final = (
    Parser("blockml", parse, (*BLOCKS, "▀scenario\nFog.▄\n")),
    Parser("blockml_unescape", unescape, ("▔", "▂", "\u2060")),
    Parser("blockml_instruction", lambda t: render(Instruction(t)), ("▀", "[/INST", "\u2060", "]")),
    Parser("blockml_chat", lambda t: chat_of_blockml(t, "x", FORM), (*BLOCKS, "▀lore\nFog.▄\n")),
    Parser("prose", lex, PROSE),
    Parser("moods", moods, ("😊", "\u200d", "☀", "\ufe0f", '"')),
    Parser("narration", measure, (*PROSE[:6], "---\n", "he ", "looked ")),
    Parser("stock_phrases", STOCK_PHRASES.findall, ("breath ", "a mix of ", "shiver ", "and ")),
    Parser("clean", clean, ("\x1b[", "\x9b", "\x90", "0", "\x07", "\r")),
    Parser("message", message, ("\x1b[", "\r")),
    Parser("one_line", one_line, ("\x1b[", "\r\n")),
    Parser(
        "toml", lambda t: parse_card(Path("x"), t), ("[[lore]]\n", '"""', "[", "]", "{", "a.", "=")
    ),
    Parser("toml_unclosed", lambda t: unclosed_line(t, len(t)), ('"""', "'''", '"', "\\", "#")),
    Parser("card_macros", lambda t: settle(t, Scope(user="Bo", char="Mara")), MACROS),
    Parser(
        "card_decorators", lambda t: decorated(Lore(name="a", text="@@" + t)), ("@@", "@@depth 1\n")
    ),
    Parser(
        "card_examples", lambda t: conversations(t, "Mara", ("Bo",)), ("<START>\n", "Mara: ", "\t")
    ),
    Parser("card_v2", lambda t: card_of(_card(t)), MACROS[:6]),
    Parser(
        "lorebook", lambda t: lore_of({"entries": [{"keys": [t], "content": t}]}), ("@@", "/", "*")
    ),
    Parser("lore_scan", lambda t: BOOK._search(t), ("Mara", "wolf", "鈴", "Bo")),
    Parser("names_fold", fold.__wrapped__, ("’", "\u0301", "\u0327", "é", "\u200b", "\t")),
    Parser(
        "names",
        lambda t: Names(["Mara", "鈴", "בית", "Bo*"], stars=True).find(t),
        ("Mara", "鈴", "ו"),
    ),
    Parser(
        "names_called", lambda t: who_is_called(t, NAMES, NAMES), ("Mara", ", ", '"', "hey ", "*")
    ),
    Parser("names_addressed", lambda t: addressed(f"@{t}", NAMES), ("Mara", "@", ",", "\u200b")),
    Parser("names_first", lambda t: names_first(t, NAMES), ("Mara, ", "Bo,", ",")),
    Parser("loop_start", loop_start, ("ab", "The ", ".")),
    Parser("loop_sentences", lambda t: whole_end(t, len(t) // 2), (".", "…", '"', "。", ")")),
    Parser("loop_kept", kept_end, (".", '"', "。", "ab")),
    Parser("loop_repetition", repetition, ("ab ", ".")),
    Parser(
        "note_words", lambda t: read_note(t, ["Mara"]), ("--sticky ", "--for Mara ", "--depth 4 ")
    ),
    Parser("log", messages_of_log, ("Mara: ", "Bo: ", ":")),
    Parser(
        "sillytavern",
        lambda t: chat_of_sillytavern(HEAD + t, "x", str),
        (_line(name="A", mes="x"),),
    ),
    Parser(
        "sillytavern_text", lambda t: chat_of_sillytavern(HEAD + _said(t), "x", str), MACROS[:6]
    ),
    Parser(
        "otaku",
        lambda t: chat_of_otaku(OTAKU.format(t), Path("x")),
        ("### 1 · user\n", "- **", " — "),
    ),
    Parser("kobold", lambda t: _kobold([t]), ("\nMara: ", "{{[INPUT]}}", "[<|p|", "|p|>]", ":")),
    Parser("kobold_actions", lambda t: _kobold(list(t)), ()),
    Parser("data_blockml", lambda t: _data(".txt", f"▀{t}"), BLOCKS),
    Parser(
        "data_chatml", lambda t: _data(".txt", "<|im_start|>" + t), ("<|im_start|>", "<|im_end|>")
    ),
    Parser(
        "data_alpaca",
        lambda t: _data(".txt", "### Input:\n" + t),
        ("### Input:\n", "### ", "(length "),
    ),
    Parser("data_log", lambda t: _data(".txt", "Mara: a\n" + t), ("Bo: b\n", "---\n", "-")),
    Parser("data_jsonl", partial(_data, ".jsonl"), ("{", "}", '"', _talk("Hm."), "1\n")),
    Parser("data_json", lambda t: _data(".json", "[" + t), ("{", "},", '"', "[", "],")),
    Parser(
        "data_turns", lambda t: _data(".jsonl", _talk(t)), ("Mara: ", "(length: short)", "<user>")
    ),
    Parser(
        "data_persona",
        lambda t: _data(".jsonl", _talk("A's Persona: " + t)),
        ("'s Persona:", "Scenario:"),
    ),
    Parser("yaml_card", lambda t: values_of_yaml("name: a\n" + t), ("a: b\n", "- ", "[", "#", '"')),
    Parser("yaml_preset", flat_yaml, ("a: 1\n", "a: '", "- ", "'", "#")),
    Parser("template", lambda t: _instructions("▀" + t), ("[INST] ", " [/INST]", "{{", "\t")),
    Parser("placeholders", lambda t: with_names(t, "a", "b"), ("{{user}}", "{{", "<user>")),
    Parser("markdown", _markdown, ("```\n", "*", "_", "> ", "1.", "&amp;")),
    Parser("html", lambda t: list(paragraphs(t)), ("```\n", "*", '"', "\n\n")),
    Parser("banned", _banned, ("a ", "ab ", "shiver")),
    Parser("detokenizer", _detokenized, ("▄", "é", "😊")),
    Parser("sse", lambda t: _events(t, 64), ("data: a\n", "data:", "\n\n", "\r", "\r\n")),
    Parser(
        "repaired_message",
        lambda t: repaired_text(t, is_message=True),
        ("[", "](www.", "(www.", ")", "«", '"', "*"),
    ),
    Parser(
        "repaired_address",
        lambda t: repaired_text(t, is_message=False),
        ("www.", "- ", "\u200b", "<www.", "![", "](www.a)"),
    ),
    Parser("repaired_source", repaired_source, (*BLOCKS[:5], "▀message length", "(")),
    Parser(
        "findings",
        lambda t: check_conversation(_conversation(t)),
        ("((", "))", "[[", "{{", "u/", "www."),
    ),
    Parser("where", parse_where, ("(", ")", "not ", "a and ", '"')),
    Parser("scene_keys", _KEYS.findall, ("/", "\\", ",", "\\a", "/a/i")),
    Parser("wrap", lambda t: height(t, 40), ("—", "語", "😊", "\u200d", "\u0301")),
    Parser("typeset", _typeset, ("*", "_", '"', "語", "```\n")),
    Parser(
        "rows", lambda t: rows_of(_passage(t), WHERE, show_marks=False), ("*", "_", "語", "```\n")
    ),
    Parser("eval_lines", lambda t: foreign_lines(t, ["Mara"]), ("Mara:", "Aa ", "*", "_", "\n*")),
    Parser("eval_acts", lambda t: acts_of(t, ["Mara"]), ("Mara ", "nodded", "said ", '"', ",")),
    Parser("eval_names", name_like, ("Mara ", "-Bb", "'", "nodded")),
    Parser("eval_things", things, ("lantern ", "'", "ing ")),
    Parser("toml_lines", _key_lines, ("a = 1\n", "[[a]]\n", "[a.b]\n", '"""', "a = [1]\n")),
    Parser("card_edited", _edited, ()),
    Parser(
        "reply_body", _body, ("<think>", "</think>", "Mara:", "\n\n", 'Old Man: "', "STOP", "_")
    ),
    Parser("prose_stream", _streamed, PROSE),
    Parser("voice", _spoken, (".", "。", '"', "ab ")),
    Parser("search_words", _terms, ('"', "\u0301", "\u0327")),
    Parser("search_hit", lambda t: _context(t, ["b", "ж", "a" * 900]), ("b", "İ", "é", "\t")),
    Parser("preferences", _preferences, ("+", "~", "!")),
    Parser("vocabulary", _ids, ("▀", "\n", "é", "😊", "<0x41>", "</s>", "ab")),
    Parser("json", lambda t: read_json(f'["{t}"]'), ("\\ud83d", "\\ude0a", "\\n", '",', '"')),
    Parser("json_values", lambda t: read_json(f"[{t}1]"), ("1,", "1e9,", "[],", '{"a":', "-")),
    Parser(
        "toml_numbers",
        _numbers,
        ("1" * 4_000 + ",", "1_", "0x1,", ",", "1"),
    ),
    Parser("closest", lambda t: closest(t, [t[1:] + "x", "min_p"]), (LETTERS, "b")),
    Parser(
        "world_info",
        lambda t: _book({"entries": {"0": {"key": [t], "content": t, "comment": t}}}),
        ("/", ",", "*", "@@depth 1\n", "\\"),
    ),
    Parser(
        "agnai_book",
        lambda t: _book({"kind": "memory", "entries": [{"entry": t, "name": t, "keywords": [t]}]}),
        ("/", ",", "*", "?", "("),
    ),
    Parser(
        "novelai_book",
        lambda t: _book({"lorebookVersion": 4, "entries": [{"text": t, "keys": [t]}]}),
        ("/", ",", "*", "&", "("),
    ),
    Parser(
        "risu_book",
        lambda t: _book({"type": "risu", "data": [{"key": t, "content": t, "comment": t}]}),
        ("/", ",", "@@", "@@depth 1\n", "{{"),
    ),
    Parser(
        "kobold_book",
        lambda t: _book({"worldinfo": [{"key": t, "content": t, "comment": t}]}),
        ("/", ",", "*", "@@"),
    ),
    Parser(
        "textgen",
        lambda t: chats_of_json({"visible": [[t, t]]}, Path("x"), str),
        ("&amp;", "&#", "9", "&", "x41;", "<"),
    ),
    Parser("character_ai", _character_ai, (":", "*", "\x1b[")),
    Parser("risu_chat", _risu, MACROS[:6]),
    Parser("agnai_chat", _agnai, MACROS[:6]),
    Parser("dates", seconds_of, ("1", "-", "Jan ", ", ", ":", "T", "pm")),
    Parser("axolotl_stages", _ARROW.split, ("->", " →", "-")),
    Parser("terminal_input", _typed, ("\x1b[200~", "\x1b[201~", "\x1b", "\x1b[1;2A", "\x1bO")),
    Parser("painted_line", _seen, ("\x1b", "\ud800", "é")),
    Parser("completions", lambda t: ranked(t, [(f"{t[::-1]}b", ROW), (f"b{t}", ROW)]), ("İ", "ab")),
    Parser("sampler_words", sampler_words, ("banned", " =", "order ", ",")),
    Parser("sampler_list", lambda t: read_list("order", t), (",", "→", ">")),
    Parser("eval_judge", _OBJECT.findall, ("{", "}", '"')),
    Parser("arguments", _plain, ("argument a: ", "invalid choice: '", "' (choose from ", ")")),
)


# Measuring


def cost(read: Read, text: str, times: int = 1) -> float:
    """Return the processor's seconds that a reader takes, the best of several."""
    best = float("inf")
    gc.disable()
    try:
        for _ in range(times):
            began = time.process_time()
            with suppress(UserError, ValueError):
                read(text)
            best = min(best, time.process_time() - began)
    finally:
        gc.enable()
    return best


def growth(each: Parser) -> tuple[float, str]:
    """Return the cost of 2n beside that of n on the input of a parser that grows most, and which
    that is."""
    found = []
    for shape in shapes(each.marks):
        small, large = (cost(each.read, shape.make(length)) for length in (SMALL, LARGE))
        found.append((large / max(small, 1e-4), large, shape))
    by_growth = sorted(found, key=lambda one: -one[0])[:WORST]
    by_cost = sorted(found, key=lambda one: -one[1])[:WORST]
    shapes_ = {shape.name: shape for _, _, shape in (*by_growth, *by_cost)}
    return max((_ratio(each.read, shape), name) for name, shape in shapes_.items())


def _ratio(read: Read, shape: Shape) -> float:
    """Return the cost of 2n beside that of n; what is too much is measured again, as machines are
    busy with other things too."""
    length = LARGE
    while (taken := cost(read, shape.make(length))) < SECONDS and length < LONGEST:
        length = min(LONGEST, 2 * length)
    if taken < SECONDS / 4:  # too little to tell
        return 1.0
    ratios: list[float] = []
    while len(ratios) < TRIES and not any(reached(AIM, ratio) for ratio in ratios):
        small = cost(read, shape.make(length), 3)
        ratios.append(cost(read, shape.make(2 * length), 3) / max(small, 1e-4))
    return min(ratios)


@benchmark(*(Aim(f"growth_{each.name}", "x", AIM) for each in PARSERS))
def growth_of_parsers() -> dict[str, Figure]:
    """Every parser on its worst input."""
    figures = {}
    for each in PARSERS:
        ratio, shape = growth(each)
        figures[f"growth_{each.name}"] = Figure([ratio], shape)
    return figures

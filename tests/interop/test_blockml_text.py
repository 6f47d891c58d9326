"""A chat as BlockML, out and in again."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoritui.blockml import Block, Instruction, Part, parse, render_all
from shoritui.errors import UserError
from shoritui.interop import chat_of_blockml, export_chat, import_file
from shoritui.interop.blockml_text import blockml_text
from shoritui.settings import DEFAULT_INSTRUCTION
from shoritui.story import Chat, Form, Library

PARTS: list[Part] = [
    Block("title", "The last ferry"),
    Block("tags", "sea, night"),
    Block("lore", "The harbour closes at night."),
    Block("description", "**Name:** Ada\nPatient."),
    Block("description", "Bram\nA baker who is late."),
    Block("scenario", "The ferry leaves."),
    Instruction(DEFAULT_INSTRUCTION),
    Block("message", '"We leave at noon."', "Ada", "nano"),
    Block("message", "He heard the whistle.", "Bram", "tiny"),
    Block("lore", "The whistle is tin."),
    Instruction("Be brief."),
    Block("title", "At sea"),
    Block("description", "Cleo\nA gull."),
    Block("ooc", "Bram: Back soon."),
]


def test_what_the_model_reads_is_exported_without_branches_and_hidden_messages(
    library: Library, chat: Chat
) -> None:
    assert parse(blockml_text(library.whole_chat(chat.id))) == PARTS


@pytest.mark.parametrize("form", ["blockml", "jsonl"])
def test_it_comes_in_as_a_scene_and_a_story(
    library: Library, chat: Chat, tmp_path: Path, form: str
) -> None:
    path = export_chat(library.whole_chat(chat.id), form, tmp_path)
    found = import_file(library, path)
    scene = found.scene
    assert (found.name, found.user) == ("The last ferry (2)", "Bram")  # the first is there
    assert scene.title == "The last ferry"
    assert (scene.tags, scene.scenario) == (("sea", "night"), "The ferry leaves.")
    assert [lore.text for lore in scene.lore] == ["The harbour closes at night."]
    assert {c.name: (c.description, c.user) for c in scene.characters} == {
        "Ada": ("**Name:** Ada\nPatient.", False),
        "Bram": ("A baker who is late.", True),
    }
    entries = library.entries(found.id)
    assert [(e.kind, e.speaker) for e in entries] == [
        *(("message", "Ada"), ("message", "Bram"), ("lore", ""), ("note", ""), ("title", "")),
        *(("description", "Cleo"), ("ooc", "Bram")),
    ]
    assert [entry.length for entry in entries[:2]] == ["nano", "tiny"]
    assert {entry.origin.by for entry in entries} == {"import"}
    assert blockml_text(library.whole_chat(found.id)) == blockml_text(library.whole_chat(chat.id))


@pytest.mark.parametrize(
    ("body", "speakers", "name", "description"),
    [
        ("Bram\nA baker.", ["Bram"], "Bram", "A baker."),
        ("Bram\nBram is a baker.", ["Bram"], "Bram", "Bram\nBram is a baker."),
        ("Ada Byrne is patient.\nVery.", ["Ada"], "Ada", "Ada Byrne is patient.\nVery."),
        ("Ada Byrne is patient.", ["Ada", "Ada Byrne"], "Ada Byrne", "Ada Byrne is patient."),
        ("**Name:** Cleo\nA gull.", ["Ada"], "Cleo", "**Name:** Cleo\nA gull."),
        ("Cleo is a gull.", [], "Cleo", "Cleo is a gull."),
        ("Cleo\nA gull.", [], "Cleo", "A gull."),
        ("???", [], "Character 1", "???"),
    ],
)
def test_whom_a_description_is_about(
    body: str, speakers: list[str], name: str, description: str
) -> None:
    parts: list[Part] = [Block("description", body)]
    parts += [Block("message", "Hm.", speaker) for speaker in speakers]
    [first, *_] = chat_of_blockml(render_all(parts), "x", Form()).chat.scene.characters
    assert (first.name, first.description) == (name, description)


def test_whoever_has_no_name_gets_one_of_their_own() -> None:
    parts = [Block("description", body) for body in ("Character 2", "???", "!!!")]
    characters = chat_of_blockml(render_all(parts), "x", Form()).chat.scene.characters
    assert [each.name for each in characters] == ["Character 2", "Character 3", "Character 4"]
    assert [each.description for each in characters] == ["Character 2", "???", "!!!"]


def test_what_no_scene_says_is_chosen_sensibly() -> None:
    said: list[Part] = [Block("message", "Hm.", "Ada"), Block("message", "Well.", "Bram")]
    parts: list[Part] = [*said, Instruction("Go.")]
    whole = chat_of_blockml(render_all(parts), "ferry", Form("Go."))
    assert (whole.chat.name, whole.chat.user) == ("ferry", "Bram")
    assert [entry.kind for entry in whole.entries] == ["message", "message", "note"]
    [ooc] = chat_of_blockml("▀ooc\nBack soon.▄", "x", Form()).entries
    assert (ooc.speaker, ooc.text) == ("You", "Back soon.")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "it is empty"),
        ("Once upon a time", "it holds nothing that ShoriTUI knows"),
        ("Once upon a time\n▀message\nA: b▄", "line 1: this text stands outside"),
        ("▀message\nAda: Hm.", "never closed"),
        ("▀message\nA\x1bda: Hm.▄\n▀message\n: Hm.▄", "no speaker is ''"),
        ('{"text": "no"}', "outside of any block"),
    ],
)
def test_what_is_no_blockml_is_one_sentence(
    library: Library, tmp_path: Path, text: str, sentence: str
) -> None:
    path = tmp_path / "it.txt"
    path.write_text(text)
    with pytest.raises(UserError, match=sentence):
        import_file(library, path)
    assert library.summaries() == []


def test_what_cannot_be_read_is_one_sentence(library: Library, tmp_path: Path) -> None:
    (tmp_path / "it.txt").write_bytes(b"\xff\xfd")
    for name, sentence in (("it.txt", "no text in UTF-8"), ("none", "cannot be read: No such")):
        with pytest.raises(UserError, match=sentence):
            import_file(library, tmp_path / name)


def test_what_is_no_file_or_far_too_large_is_not_even_read(
    library: Library, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "pipe")
    with (tmp_path / "large").open("wb") as file:
        file.truncate(10 << 30)
    for path in (tmp_path / "pipe", Path("/dev/zero"), tmp_path):
        with pytest.raises(UserError, match="not a plain file"):
            import_file(library, path)
    with pytest.raises(UserError, match=r"10\.0 GiB"):
        import_file(library, tmp_path / "large")


names = st.sampled_from(["Ada", "Bram", "Cleo Byrne"])
bodies = st.text(st.sampled_from("ab \n▀▄▔\u2060:,Ada"), min_size=1, max_size=12)
header = st.one_of(
    st.builds(lambda body: Block("lore", body), bodies),
    st.builds(lambda body: Block("description", body), bodies),
)
later = st.sampled_from(["title", "tags", "scenario", "lore"])
told = st.one_of(
    st.builds(lambda body, name: Block("message", body, name), bodies, names),
    st.builds(lambda role, body: Block(role, body), later, bodies),
    st.builds(Instruction, bodies),
)


@given(st.lists(header, max_size=3), st.lists(told, max_size=5))
def test_blockml_that_came_in_goes_out_the_same(
    scene: list[Block], story: list[Block | Instruction]
) -> None:
    parts = [*scene, Block("message", "Hm.", "Ada"), *story]
    whole = chat_of_blockml(render_all(parts), "x", Form())
    texts = [entry.text for entry in whole.entries if entry.kind != "description"]
    assert texts == ["Hm.", *(p.body if isinstance(p, Block) else p.text for p in story)]
    kept = [lore.text for lore in whole.chat.scene.lore]
    assert kept == [part.body for part in scene if part.role == "lore"]
    described = "".join(character.description for character in whole.chat.scene.characters)
    described += "".join(entry.text for entry in whole.entries if entry.kind == "description")
    for part in scene:
        if part.role == "description":
            assert part.body in described or part.body.partition("\n")[2] in described

"""Editing a scene in place, and the knobs of the sampler."""

from __future__ import annotations

import pytest
from textual.app import App, ComposeResult

from shoritui.cards import Card, Character, Lore
from shoritui.tui.field import Field, FieldEditor, shortened
from shoritui.tui.knob import Knob, Scale
from shoritui.tui.scene_panel import ScenePanel, with_field

SCENE = Card(
    title="The Inn",
    tags=("swamp", "warm"),
    characters=(Character(name="Mara"), Character(name="Tobiah", description="Old.")),
    lore=(Lore(name="Fen", text="It is deep."),),
)


@pytest.mark.parametrize(
    ("key", "text", "wanted"),
    [
        ("title", "New", lambda scene: scene.title == "New"),
        ("tags", "a, b\nc,,", lambda scene: scene.tags == ("a", "b", "c")),
        ("scenario", "Soon", lambda scene: scene.scenario == "Soon"),
        ("name.0", "Nell", lambda scene: scene.characters[0].name == "Nell"),
        ("name.1", "", lambda scene: [c.name for c in scene.characters] == ["Mara"]),
        ("description.0", "Tall.", lambda scene: scene.characters[0].description == "Tall."),
        ("new.character", "Ivo", lambda scene: scene.characters[2].name == "Ivo"),
        ("lore.0", "", lambda scene: scene.lore == ()),
        ("keys.0", "fen, bog", lambda scene: scene.lore[0].keys == ("fen", "bog")),
        ("text.0", "Deeper.", lambda scene: scene.lore[0].text == "Deeper."),
        ("new.lore", "Lamp", lambda scene: scene.lore[1].name == "Lamp"),
    ],
)
def test_one_field_changes_and_nothing_else(key: str, text: str, wanted: object) -> None:
    assert callable(wanted) and wanted(with_field(SCENE, key, text))


@pytest.mark.parametrize(("key", "text"), [("new.character", "mara"), ("name.0", "a:b")])
def test_a_name_that_is_taken_or_none_is_refused(key: str, text: str) -> None:
    with pytest.raises(ValueError, match=r"named|colon"):
        with_field(SCENE, key, text)


class Desk(App[None]):
    """A scene's panel and a knob."""

    def __init__(self) -> None:
        super().__init__()
        self.scenes: list[Card] = []
        self.refused: list[str] = []
        self.turned: list[float | None] = []

    def get_css_variables(self) -> dict[str, str]:
        names = ["prose-info", "prose-title", "prose-rule", *(f"speaker-{n}" for n in range(1, 9))]
        return {**super().get_css_variables(), **dict.fromkeys(names, "#888888")}

    def compose(self) -> ComposeResult:
        yield Knob("seed", Scale(0, 100, 1, 0, "any"))
        yield ScenePanel()

    def on_mount(self) -> None:
        self.query_one(ScenePanel).show(SCENE, "Mara")

    def on_scene_panel_changed(self, event: ScenePanel.Changed) -> None:
        self.scenes.append(event.scene)
        self.query_one(ScenePanel).show(event.scene, "Mara")

    def on_scene_panel_refused(self, event: ScenePanel.Refused) -> None:
        self.refused.append(event.sentence)

    def on_knob_turned(self, event: Knob.Turned) -> None:
        self.turned.append(event.knob.value)

    def field(self, key: str) -> Field:
        return next(field for field in self.query(Field) if field.key == key)


async def test_enter_edits_enter_keeps_and_escape_does_not() -> None:
    app = Desk()
    async with app.run_test(size=(60, 40)) as pilot:
        await pilot.pause()
        app.field("title").focus()
        await pilot.press("enter")
        assert app.query_one(FieldEditor).text == "The Inn"
        await pilot.press("!", "enter")
        await pilot.pause()
        assert app.scenes[-1].title == "The Inn!"
        assert not app.query(FieldEditor)
        await pilot.press("enter", "x", "escape")
        await pilot.pause()
        assert len(app.scenes) == 1
        assert app.field("title").has_focus


async def test_leaving_a_field_keeps_its_text_and_a_new_character_gets_fields() -> None:
    app = Desk()
    async with app.run_test(size=(60, 60)) as pilot:
        await pilot.pause()
        app.field("new.character").focus()
        await pilot.press("enter", *"Ivo", "tab")
        await pilot.pause(0.2)
        assert [c.name for c in app.scenes[-1].characters] == ["Mara", "Tobiah", "Ivo"]
        assert app.field("name.2").text == "Ivo"


async def test_a_refused_name_leaves_the_scene_as_it_was() -> None:
    app = Desk()
    async with app.run_test(size=(60, 60)) as pilot:
        await pilot.pause()
        app.field("name.1").focus()
        await pilot.press("enter", *"x:y", "enter")
        await pilot.pause()
        assert app.scenes == []
        assert "colon" in app.refused[0]
        assert app.field("name.1").text == "Tobiah"


async def test_a_knob_is_turned_typed_and_reset() -> None:
    app = Desk()
    async with app.run_test(size=(60, 40)) as pilot:
        knob = app.query_one(Knob)
        knob.show(None, None)
        knob.focus()
        await pilot.press("right", "right", "left", "left")
        assert app.turned == [0, 1, 0, None]
        await pilot.press(*"42", "enter")
        assert knob.value == 42
        await pilot.press(*"999", "enter")
        assert knob.value == 100
        await pilot.press("r")
        assert knob.value is None


def test_long_texts_are_shortened_for_the_panel() -> None:
    assert shortened("**Name:** Mara\n\n**Age:** 3", 4) == "Name: Mara\nAge: 3"
    assert shortened("word " * 100, 2).endswith(" …")

"""Editing a scene in place, and the knobs of the sampler."""

from __future__ import annotations

import pytest
from textual.app import App, ComposeResult
from textual.widgets import Static

from shoritui.cards import Card, Character, Lore
from shoritui.tui.chat.panels.scene import ScenePanel, with_field
from shoritui.tui.widgets.chooser import Chooser
from shoritui.tui.widgets.field import Field, FieldEditor, Refused, shortened
from shoritui.tui.widgets.knob import Knob, Scale
from tests.tui.conftest import until

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
        ("keys.0", "fen, /bo{1,2}g/i", lambda s: s.lore[0].keys == ("fen", "/bo{1,2}g/i")),
        ("text.0", "Deeper.", lambda scene: scene.lore[0].text == "Deeper."),
        ("new.lore", "Lamp", lambda scene: scene.lore[1].name == "Lamp"),
    ],
)
def test_one_field_changes_and_nothing_else(key: str, text: str, wanted: object) -> None:
    assert callable(wanted) and wanted(with_field(SCENE, key, text))


@pytest.mark.parametrize(
    ("key", "text"), [("new.character", "mara"), ("name.0", "a:b"), ("keys.0", "/(/")]
)
def test_a_name_that_is_taken_or_none_is_refused(key: str, text: str) -> None:
    with pytest.raises(ValueError, match=r"named|colon|expression"):
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

    def on_refused(self, event: Refused) -> None:
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
        await pilot.press("enter", "escape")
        await pilot.pause()
        assert len(app.scenes) == 1
        assert app.field("title").has_focus


async def test_escape_in_a_changed_field_asks() -> None:
    app = Desk()
    async with app.run_test(size=(60, 40)) as pilot:
        await pilot.pause()
        answers = {"go on": ("down", "down"), "discard": ("down",), "keep": ()}
        for (answer, keys), scenes in zip(answers.items(), (0, 0, 1), strict=True):
            if not app.query(FieldEditor):
                app.field("description.0").focus()
                await until(pilot, lambda: app.field("description.0").has_focus)
                await pilot.press("enter")
                await until(pilot, lambda: bool(app.query(FieldEditor)))
                await pilot.press("x")
            await pilot.press("escape")
            await until(pilot, lambda: isinstance(app.screen, Chooser))
            await pilot.press(*keys, "enter")
            await until(pilot, lambda: not isinstance(app.screen, Chooser))
            await pilot.pause()
            assert bool(app.query(FieldEditor)) == (answer == "go on")
            assert len(app.scenes) == scenes
        assert app.scenes[0].characters[0].description.endswith("x")


async def test_a_field_is_called_by_whom_it_is_about_and_keeps_its_wrap() -> None:
    app = Desk()
    async with app.run_test(size=(40, 60)) as pilot:
        await pilot.pause()
        field = app.field("description.0")
        field.text = "words " * 30
        await pilot.pause()
        width = field.query_one(Static).content_size.width
        field.focus()
        await pilot.press("enter")
        await pilot.pause()
        editor = app.query_one(FieldEditor)
        assert str(editor.border_title) == "Mara's description"
        assert editor.wrap_width == width


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

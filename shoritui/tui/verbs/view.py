"""The app itself: its theme, its help, its end.

It does not know the story.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.widgets import TextArea

from shoritui.tui.chooser import Choice, Chooser

if TYPE_CHECKING:
    from shoritui.tui.app import ShoriTUI


async def theme(app: ShoriTUI, argument: str) -> None:
    """Changes the theme; the highlighted one is shown at once."""
    names = theme_choices(app)
    if argument:
        if argument not in names:
            app.tell(f"There is no theme {argument}: choose {', '.join(names)}.")
            return
        await app.keep_theme(argument)
        return
    before = app.theme

    def preview(name: str) -> None:
        app.theme = name

    choices = [Choice(name, name.replace("-", " ")) for name in names]
    chosen = await app.push_screen_wait(Chooser("Theme", choices, before, preview=preview))
    if chosen is None:
        app.theme = before
    else:
        await app.keep_theme(chosen)


def theme_choices(app: ShoriTUI) -> list[str]:
    """What `/theme` completes."""
    return app.theme_names()


async def palette(app: ShoriTUI, argument: str) -> None:
    """Opens the palette."""
    app.action_command_palette()


async def show_help(app: ShoriTUI, argument: str) -> None:
    """Opens the help."""
    from shoritui.tui.help_screen import Help

    await app.push_screen_wait(Help(app.settings.keymap))


async def interrupt(app: ShoriTUI, argument: str) -> None:
    """Ctrl+C: copies what is selected, else stops the reply, else says how to quit."""
    focused = app.focused
    selected = focused.selected_text if isinstance(focused, TextArea) else ""
    selected = selected or app.screen.get_selected_text() or ""
    if selected:
        app.copy_to_clipboard(selected)
        app.tell("The selection is in the clipboard.")
    elif app.playing.is_on:
        await app.playing.stop()
    else:
        app.tell("Ctrl+Q quits; everything is kept.")


async def quit_app(app: ShoriTUI, argument: str) -> None:
    """Keeps everything and quits."""
    await app.leave(0)

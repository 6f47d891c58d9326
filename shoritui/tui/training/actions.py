"""Everything a user can do while a run is watched, once: keys, palette, footer and help are made
from this table.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Protocol

from shoritui.tui.action import Action


class Viewer(Protocol):
    """What the actions ask of the app."""

    def stop_run(self) -> None:
        """Ask the run to save and end; asked again, end it at once."""

    def leave_ended_run(self) -> None:
        """Leave, once the run is over."""

    def quit(self) -> None:
        """Stop the run and leave when it has ended."""

    def step_tier(self, step: int) -> None:
        """Show another tier's curve."""

    def follow(self, tier: str) -> None:
        """Show a tier's curve; without a name, whichever is trained."""

    def toggle(self, pane: str) -> None:
        """Show or hide a pane."""

    def choose_theme(self) -> Awaitable[None]:
        """Choose a theme and keep it."""

    def show_help(self) -> None:
        """Show every key and the guide."""

    def action_command_palette(self) -> None:
        """Find actions by name."""


ACTIONS: tuple[Action[Viewer], ...] = (
    Action(
        id="stop",
        title="Run: Stop and save",
        run=lambda app, _: app.stop_run(),
        help="Asks the run to save and end; the same command goes on from there. Asked again, it "
        "ends at once, and what was done since it last saved is lost.",
        keys="escape,ctrl+c",
        footer="stop and save",
    ),
    Action(
        id="leave",
        title="Run: Leave",
        run=lambda app, _: app.leave_ended_run(),
        help="Leaves this screen once the run is over.",
        keys="q",
        footer="leave",
    ),
    Action(
        id="quit",
        title="Run: Stop, save and leave",
        run=lambda app, _: app.quit(),
        help="Stops the run, and leaves when it has.",
        keys="ctrl+q",
        has_priority=True,
        is_modal=True,
    ),
    Action(
        id="tier_next",
        title="Curve: Show the next tier",
        run=lambda app, _: app.step_tier(1),
        help="Shows the next tier's curve and figures.",
        keys="n",
        footer="next tier",
    ),
    Action(
        id="tier_previous",
        title="Curve: Show the previous tier",
        run=lambda app, _: app.step_tier(-1),
        help="Shows the previous tier's curve and figures.",
        keys="p",
    ),
    Action(
        id="tier_current",
        title="Curve: Follow the run",
        run=lambda app, _: app.follow(""),
        help="Shows whichever tier is being trained.",
        keys="c",
    ),
    Action(
        id="replies",
        title="Panel: Sample replies",
        run=lambda app, _: app.toggle("replies"),
        help="Shows or hides the sample replies.",
        keys="r",
        footer="replies",
    ),
    Action(
        id="worst",
        title="Panel: Worst documents",
        run=lambda app, _: app.toggle("worst"),
        help="Shows or hides the worst documents.",
        keys="w",
        footer="worst",
    ),
    Action(
        id="news",
        title="Panel: News",
        run=lambda app, _: app.toggle("news"),
        help="Shows or hides what the run reported.",
        keys="m",
        footer="news",
    ),
    Action(
        id="side",
        title="Panel: Tiers and figures",
        run=lambda app, _: app.toggle("side"),
        help="Shows or hides tiers and figures.",
        keys="s",
        footer="side",
    ),
    Action(
        id="theme",
        title="View: Choose a theme",
        run=lambda app, _: app.choose_theme(),
        help="Changes the theme, shown while you choose.",
        keys="alt+v",
        asks=True,
    ),
    Action(
        id="palette",
        title="View: Find an action",
        run=lambda app, _: app.action_command_palette(),
        help="Finds any action by its name.",
        keys="ctrl+p",
        footer="palette",
        has_priority=True,
    ),
    Action(
        id="help",
        title="View: Help",
        run=lambda app, _: app.show_help(),
        help="Shows every key, and the guide.",
        keys="f1,question_mark",
        footer="help",
    ),
)

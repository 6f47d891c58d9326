"""What the chat's verbs, and the parts that they call, may ask of the app."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, TypeAlias, TypeVar

if TYPE_CHECKING:
    from textual.screen import Screen

    from shoritui.cards import Card
    from shoritui.director import ChatState, Director, Event
    from shoritui.settings import Settings
    from shoritui.story import Chat
    from shoritui.tui.action import AnyAction
    from shoritui.tui.chat.main_screen import MainScreen
    from shoritui.tui.chat.session import Session

T = TypeVar("T")
Act: TypeAlias = "AsyncGenerator[Event]"
"""Something that the director does, begun once it is iterated."""


class Performing(Protocol):
    """The director's acts, one at a time."""

    @property
    def is_on(self) -> bool:
        """Whether something is being written or read."""

    def play(self, *acts: Act, unsaid: Callable[[], None] | None = None) -> bool:
        """Perform these in order; say so and return False where something is on already.

        `unsaid` is called where the first act failed before its words were on disk.
        """

    def queue(self, *acts: Act, unsaid: Callable[[], None] | None = None) -> bool:
        """Perform these once what is done now is over; say so and return False if it is a reply.

        `unsaid` is as in `play`; it is also called where something before these failed.
        """

    async def stop(self) -> None:
        """Stop the reply being written, what was written stays; nothing comes after it."""

    def stop_soon(self) -> None:
        """Stop the reply being written, beside the keys; what is queued now begins after it."""

    async def settled(self) -> None:
        """Wait until nothing is written or read."""

    async def look_around(self) -> None:
        """Show what another window has written into the story."""

    async def free(self) -> None:
        """Wait a moment for an act that is no reply."""

    @property
    def seconds(self) -> int:
        """How long the reply has been written for; 0 before its first token."""

    @property
    def tokens_per_second(self) -> float:
        """How fast the reply is written; 0 before its second token."""

    @property
    def writing(self) -> str:
        """The name of whoever is writing now."""

    @property
    def note(self) -> str:
        """What the last act has done, or taken back."""


class Words(Protocol):
    """What the composer's words mean."""

    def take_completion(self, *, with_enter: bool) -> bool:
        """Put the highlighted completion in; return whether there was one."""

    async def run_command(self, text: str) -> None:
        """Run `/word argument`; where the word is unknown the text stays."""

    def sent(self) -> None:
        """Empty the composer; what stood in it goes into the history."""

    def give_back(self, text: str) -> None:
        """Put a text that could not be kept into the composer, above what was typed since."""

    def write(self, act: Act, text: str) -> None:
        """Perform an act that writes a text; what cannot be written goes into the composer."""

    def whisper_to(self, heard: tuple[str, ...]) -> None:
        """Whisper what is sent from now on to these alone; to nobody: say it aloud again."""

    def ask(self, slash: str, sentence: str) -> None:
        """Begin a command that needs words, for the user to end."""

    def close_popup(self) -> bool:
        """Hide the completions; return whether there were any."""

    def take_back(self) -> bool:
        """Take a begun command away that nobody has gone on with; return whether there was one."""


class Pages(Protocol):
    """The open story in a browser."""

    async def show(self) -> None:
        """Serve the open story and say where; or end that."""


class Host(Protocol):
    """The chat app, for whoever acts on it."""

    settings: Settings
    session: Session | None
    main: MainScreen

    @property
    def director(self) -> Director | None:
        """The director of the open story."""

    @property
    def chat(self) -> ChatState | None:
        """The open story, and what was chosen for it."""

    @property
    def performance(self) -> Performing:
        """What the director is doing."""

    @property
    def words(self) -> Words:
        """What the composer's words mean."""

    @property
    def actions(self) -> Sequence[AnyAction]:
        """Everything a user can do."""

    @property
    def theme_names(self) -> list[str]:
        """The themes there are, once they were looked for."""

    async def do(self, action_id: str, argument: str = "") -> None:
        """Do an action of the table."""

    async def push_screen_wait(self, screen: Screen[T]) -> T | None:
        """Show a screen over the story until it is left."""

    def report(self, sentence: str, *, trouble: bool = False) -> None:
        """Show news."""

    def show_choices(self) -> None:
        """Show who speaks, how long and who is next, after one of them was chosen."""

    def show_panels(self) -> None:
        """Show scene, sampler and the talk out of character, where they are open."""

    async def open_section(self, key: str) -> None:
        """Show a section of the panel and go there."""

    async def toggle_section(self, key: str) -> None:
        """Show a section and go there; from inside it, hide it."""

    def show_help(self, topic: str = "") -> None:
        """Show every key and the guide; a topic at once."""

    async def choose_theme(self, name: str = "") -> None:
        """Take a theme, chosen from a list without a name."""

    async def save(self, **changes: object) -> bool:
        """Keep settings, so that it can be undone; return False, and say why, if that fails."""

    async def undo_setting(self) -> str:
        """Take the last change of settings back and return its name; empty if there is none."""

    @property
    def can_undo_setting(self) -> bool:
        """Whether settings were changed since the start."""

    async def use_settings(self) -> None:
        """Let engine and story go by the settings, as soon as nobody writes."""

    def keymap_problem(self, keymap: Mapping[str, str]) -> str:
        """Return what is wrong with another keymap and was not with this one; empty if nothing."""

    async def begin(self, scene: Card) -> None:
        """Begin a story from a scene."""

    async def enter(self, chat: Chat) -> None:
        """Open a story where it was left."""

    async def forget(self, chat_id: int) -> None:
        """Close a story that was deleted, if it is the open one."""

    async def keep_sent(self, text: str) -> None:
        """Keep what was sent in the history, and empty the draft."""

    @property
    def in_browser(self) -> Pages:
        """The page in which the open story is shown, if there is one."""

    def load_model(self) -> None:
        """Load the model, beside everything else."""

    async def switch_model(self, settings: Settings) -> bool:
        """Load the model of other settings; return whether it writes from now on."""

    async def quit(self) -> None:
        """Keep everything and quit; where what is typed cannot be kept, ask for it once more."""

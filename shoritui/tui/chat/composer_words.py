"""What the composer's words mean: names, commands, completions.

"@Mara Well?"       said, and Mara answers
"/length tiny"      an action of the table
"//a line"          said, beginning with a slash
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from shoritui.names import addressed, names_first
from shoritui.text import closest, one_line
from shoritui.tui.chat.actions import ACTIONS, BY_SLASH
from shoritui.tui.chat.verbs.story import is_command
from shoritui.tui.widgets.completions import Completion, ranked

if TYPE_CHECKING:
    from shoritui.tui.action import AnyAction
    from shoritui.tui.chat.app_protocol import Act, Host

_MOST_MEANT = 3
"""So many commands are named where there is no such one."""


class ComposerWords:
    """Reads the composer for the app."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._composer = host.main.composer
        self._popup = host.main.completions
        self._closed_for: str | None = None
        """The text for which the popup was closed."""
        self._cost_of: tuple[tuple[str, ...], int | None] = (), None
        """To whom a whisper after which entry costs what is shown."""
        self._begun = ""
        """A command that was begun for the user to end."""
        self._before = ""
        """What stood in the composer before that."""

    async def run_command(self, text: str) -> None:
        """Run `/word argument`; where the word is unknown the text stays."""
        if (found := self.command(text)) is not None:
            self.sent()
            await self._host.do(*found)

    def command(self, text: str) -> tuple[str, str] | None:
        """Return the action of `/word argument` and its argument; say so if there is none."""
        word, _, argument = text[1:].strip().partition(" ")
        if (action := BY_SLASH.get(word)) is not None:
            return action.id, argument.strip()
        meant = _meant(word)
        hint = f"Did you mean {' or '.join(meant)}?" if meant else "F1 shows them all."
        self._host.report(f"There is no command /{word}. {hint}", trouble=True)
        return None

    def sent(self) -> None:
        """Empty the composer; what stood in it goes into the history."""
        text = self._composer.take()
        self._begun = self._before = ""
        self.close_popup()
        # What cannot be kept there is said, and sent all the same.
        self._host.main.run_worker(self._host.keep_sent(text), group="draft")

    def give_back(self, text: str) -> None:
        """Put a text that could not be kept into the composer, above what was typed since."""
        typed = self._composer.text
        self._composer.fill(f"{text}\n{typed}" if typed else text)
        self._composer.focus()

    def write(self, act: Act, text: str) -> None:
        """Perform an act that writes a text; what cannot be written goes into the composer."""
        give_back = partial(self.give_back, text)
        if not self._host.performance.queue(act, unsaid=give_back):
            give_back()

    def ask(self, slash: str, sentence: str) -> None:
        """Begin a command that needs words, for the user to end; what was typed is kept in it."""
        before = self._composer.text
        word, _, words = before[1:].partition(" ")
        if is_command(before) and word in BY_SLASH:
            self._composer.fill(f"/{slash} {words}")
        else:
            self._composer.fill(f"/{slash} {before}")
            self._before = before
        self._begun = self._composer.text
        self._composer.focus()
        self._host.report(sentence)

    def take_back(self) -> bool:
        """Take a begun command away that nobody has gone on with; return whether there was one."""
        if not self._begun or self._composer.text != self._begun:
            return False
        self._composer.fill(self._before)
        self._begun = self._before = ""
        return True

    def whisper_to(self, heard: tuple[str, ...]) -> None:
        """Whisper what is sent from now on to these alone; to nobody: say it aloud again."""
        self._host.main.whispers_to = heard
        self._host.show_choices()
        self._composer.focus()

    def show_cost(self) -> None:
        """Show what a whisper costs before it is sent, as soon as that is known."""
        heard, director = self._hearing(), self._host.director
        head = director.chat.record.head if director is not None else None
        if (heard, head) == self._cost_of:
            return
        self._cost_of = heard, head
        self._host.main.run_worker(self._show_cost(heard), group="cost", exclusive=True)

    async def _show_cost(self, heard: tuple[str, ...]) -> None:
        from shoritui.tui.chat.presence.who_screen import cost

        director = self._host.director
        words = await cost(director, heard) if heard and director is not None else ""
        self._composer.border_subtitle = words

    def _hearing(self) -> tuple[str, ...]:
        """Return who hears what stands in the composer; nobody where it is said aloud."""
        text, chat = self._composer.text, self._host.chat
        if chat is None or not text.startswith("/whisper "):
            return self._host.main.whispers_to
        return names_first(text.partition(" ")[2], chat.other_names)[0]

    def look_ahead(self) -> None:
        """Let what will be read once Enter is pressed be evaluated now; never wait for it."""
        director = self._host.director
        if director is None or self._host.performance.is_on:
            return
        text, names = self._composer.text, director.chat.other_names
        said = "" if is_command(text) else text.removeprefix("/")
        heard = self._hearing() or None
        if heard and said != text:
            said = names_first(text.partition(" ")[2], names)[1]
        speaker, words = addressed(said, names)
        director.look_ahead(words, speaker, heard)

    # Completions

    def follow(self) -> None:
        """Offer what fits the words typed so far, or nothing."""
        text = self._composer.text
        if text == self._closed_for:
            return
        self._closed_for = None
        rows = self._fitting(text) if "\n" not in text else []
        if [row.text for row in rows] == [text]:
            rows = []
        self._composer.popup_open = bool(rows)
        if rows or self._popup.display:
            self._popup.offer(rows, self._composer.size.height + 4)

    def _fitting(self, text: str) -> list[Completion]:
        if text.startswith("@"):
            names = self._host.chat.cast if self._host.chat is not None else []
            words = ((name, Completion(f"@{name} ", f"@{one_line(name)}")) for name in names)
            known = any(text.startswith(f"@{name}") for name in names)
            return [] if known else ranked(text[1:], words)
        if not is_command(text):
            return []
        word, space, rest = text[1:].partition(" ")
        if not space:
            return ranked(word, ((each.slash, _command(each)) for each in ACTIONS if each.slash))
        action = BY_SLASH.get(word)
        if action is None or action.choices is None:
            return []
        details = action.choice_details or (lambda host, choice: "")
        rows = [
            (each, Completion(f"/{word} {each}", one_line(each), details(self._host, each)))
            for each in action.choices(self._host)
            if not each.startswith("-") or rest[:1] in ("", "-")
        ]
        return ranked(rest, rows)

    def close_popup(self) -> bool:
        """Hide the popup until something else is typed; return whether there was one."""
        if not self._popup.display:
            return False
        self._closed_for = self._composer.text
        self._composer.popup_open = False
        self._popup.offer((), 0)
        return True

    def take_completion(self, completion: Completion | None = None, *, with_enter: bool) -> bool:
        """Put the highlighted row in; after Enter a whole command is left to be run."""
        chosen = completion or self._popup.current
        if chosen is None or (with_enter and _is_whole(self._composer.text)):
            return False
        self._composer.fill(chosen.text)
        self.close_popup()
        if not chosen.text.startswith("/"):
            return True
        if chosen.text.endswith(" "):
            self._closed_for = None
            self.follow()
            return True
        return not with_enter


def _meant(word: str) -> list[str]:
    """Return the commands that an unknown one is spelled like, or is another word for."""
    near, word = closest(word, BY_SLASH, 0.7), word.casefold()
    others = [each.slash for each in ACTIONS if each.slash and word in each.synonyms.split()]
    return [f"/{name}" for name in dict.fromkeys([near, *others]) if name][:_MOST_MEANT]


def _is_whole(text: str) -> bool:
    """Whether a command can be run as it stands, without anything after it."""
    action = BY_SLASH.get(text[1:]) if text.startswith("/") else None
    return action is not None and (not action.argument or action.argument.startswith("["))


def _command(action: AnyAction) -> Completion:
    text = f"/{action.slash} " if action.argument else f"/{action.slash}"
    label = f"/{action.slash} {action.argument}".rstrip()
    return Completion(text, label, action.plain_help.split(";")[0].split(".")[0] + ".")

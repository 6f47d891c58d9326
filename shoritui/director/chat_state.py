"""One chat as it stands: its active path and what the user chose for it, in memory as on disk."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from time import time
from typing import Any, Concatenate, Final, Literal, ParamSpec, TypeVar

import msgspec

from shoritui.blockml import Length
from shoritui.cards import (
    Card,
    Character,
    Scope,
    as_written,
    has_macros,
    left_out,
    played_by,
    settle,
    settle_card,
)
from shoritui.director.choices import SamplingValue, SummaryDraft, read_choices
from shoritui.director.library_thread import Disk
from shoritui.director.speakers import draftable, next_speaker, turn_order, weighed
from shoritui.engine import Preset, Sampling, changed, check_preset
from shoritui.errors import UserError
from shoritui.folders import config_dir
from shoritui.settings import GuideSetting, HintSetting, Settings, Strategy
from shoritui.story import (
    Chat,
    Details,
    Draft,
    Entry,
    Form,
    Library,
    Origin,
    absent,
    hearers,
    is_summary,
    outlasts,
    scene_after,
    who_know,
)
from shoritui.text import clean

P = ParamSpec("P")
T = TypeVar("T")
_MOST_LOOKED_AT: Final = 200
"""In so many of the last messages the user's own last one is looked for."""


class ChatState:
    """A chat out of the library. What changes here is on disk once the call returns.

    To find an entry, or to append one, costs the same however many there are.
    """

    def __init__(
        self,
        disk: Disk,
        record: Chat,
        settings: Settings,
        presets: dict[str, Preset],
    ) -> None:
        self.record = record
        self.choices = read_choices(record.settings)
        self.entries: list[Entry] = []
        """The active path, oldest first."""
        self.version_places: dict[int, list[int]] = {}
        """The ids of all versions, oldest first, of each slot that has several."""
        self.is_mine = False
        """Whether this window may write into the story; else another one does."""
        self.is_lent = False
        """Whether this window leaves it to another one for now, and does not claim it."""
        self.presets = presets
        self.settings = settings
        self._disk = disk
        self._at: dict[int, int] = {}
        """Where an entry stands on the active path, by its id."""
        self._slot_at: dict[int, int] = {}
        self._spoke_at: dict[str, int] = {}
        """Where each speaker's last message stands."""
        self._lasting: list[int] = []
        """Where those entries stand that are read however old they are."""
        self._described: list[int] = []
        """Where somebody's description stands."""
        self._whispers: list[int] = []
        """Where something is not read by everybody."""
        self._odds: tuple[int | None, Mapping[str, float]] | None = None
        """After which entry the model was asked who speaks next, and what it said."""
        self._picked: tuple[int | None, str] | None = None
        """After which entry somebody else was given the turn, once."""
        self._hint: tuple[int | None, Length] | None = None
        """After which entry the model chose a length hint, and which."""
        self._seen = 0
        """The state of the library's file that this was read from."""
        self._times_replaced = disk.times_replaced
        self._told: list[str] = []
        """Which unknown macros were left out of what entered the story, a sentence each."""

    @classmethod
    async def open(
        cls, disk: Disk, record: Chat, settings: Settings, presets: dict[str, Preset]
    ) -> ChatState:
        """Read a chat, and hold it unless another window does.

        Macros in its scene, from an older library or an import, are settled.
        """
        chat = cls(disk, record, settings, presets)
        await chat.claim()
        try:
            await chat.reload()
        except UserError:  # nobody writes into what cannot be read
            if chat.is_mine:
                await chat.let_go()
            raise
        if chat.is_mine:
            with suppress(UserError):  # where nothing can be written they stay
                await chat.change_scene(chat.scene)
        return chat

    # Windows.

    async def claim(self) -> bool:
        """Hold the chat to write into it; False if another window holds it."""
        self.is_mine = not self.is_lent and await self._disk.run(Library.claim, self.id)
        return self.is_mine

    async def let_go(self) -> None:
        """Let another window write into the chat."""
        self.is_mine = False
        await self._disk.run(Library.let_go, self.id)

    async def copy(self) -> Chat:
        """Return a copy of the chat, with all its branches, to go on in."""
        return await self._disk.run(Library.copy_chat, self.id, f"{self.record.name} (copy)")

    async def was_changed_elsewhere(self) -> bool:
        """Whether another process has written into the library since this was read."""
        return await self._disk.run(Library.version) != self._seen

    @property
    def is_stale(self) -> bool:
        """Whether this was read from a library that another program has replaced since."""
        return self._times_replaced != self._disk.times_replaced

    async def reload(self) -> None:
        """Read the chat from the disk."""
        self._times_replaced = self._disk.times_replaced
        self.entries = []
        await self._reread()

    async def _reread(self) -> None:
        """Read the chat from the disk, but of entries that are known only what acts change."""
        known = {entry.id: entry for entry in self.entries}

        def read(library: Library) -> tuple[int, Chat, list[Entry], dict[int, list[int]]]:
            seen = library.version()
            places = library.version_counts(self.id)
            return seen, library.chat(self.id), library.entries(self.id, known), places

        self._seen, self.record, self.entries, self.version_places = await self._disk.run(read)
        self.choices = read_choices(self.record.settings)
        self._at = {entry.id: at for at, entry in enumerate(self.entries)}
        self._slot_at = {entry.slot: at for at, entry in enumerate(self.entries)}
        self._spoke_at = {
            entry.speaker: at for at, entry in enumerate(self.entries) if entry.kind == "message"
        }
        self._lasting, self._described, self._whispers = [], [], []
        for at, entry in enumerate(self.entries):
            self._note(entry, at)

    def _note(self, entry: Entry, at: int) -> None:
        """Note where an entry stands that is asked for again and again."""
        if outlasts(entry):
            self._lasting.append(at)
        if entry.kind == "description":
            self._described.append(at)
        if entry.details.heard is not None:
            self._whispers.append(at)

    @property
    def id(self) -> int:
        """The chat's number in the library."""
        return self.record.id

    @property
    def scene(self) -> Card:
        """The scene as it is now."""
        return self.record.scene

    @property
    def scene_now(self) -> Card:
        """The scene with the title, tags and scenario that the story gave last."""
        given = self.lasting(len(self.entries))
        return scene_after(self.scene, [entry for entry in given if not entry.hidden])

    @property
    def form(self) -> Form:
        """The form of what the model reads, with what was chosen for this chat."""
        return Form.of(self.settings, self.scene, self.record.settings)

    @property
    def cast(self) -> list[str]:
        """The names of the scene's characters, in order."""
        return [character.name for character in self.scene.characters]

    @property
    def absent(self) -> frozenset[str]:
        """The names of those who are not there now."""
        return absent(self.scene, self.lasting(len(self.entries)))

    def coming_problem(self, kind: Literal["enter", "leave"], name: str) -> str:
        """Return why somebody cannot enter or leave, in a sentence; empty if they can."""
        if name not in self.cast:
            return f"There is no {name} in the cast."
        if (name in self.absent) == (kind == "enter"):
            return ""
        return f"{name} is {'here already' if kind == 'enter' else 'not here'}."

    @property
    def who_know_all(self) -> tuple[str, ...] | None:
        """Who has heard every whisper, the user included; None if everybody has."""
        whispers = (self.entries[at] for at in self._whispers)
        return who_know(whispers, dict.fromkeys([*self.cast, self.user]))

    @property
    def present(self) -> list[str]:
        """The names of the characters that are there, in the cast's order."""
        gone = self.absent
        return [name for name in self.cast if name not in gone]

    @property
    def other_names(self) -> dict[str, tuple[str, ...]]:
        """Each character's aliases, by the name."""
        return {character.name: character.aliases for character in self.scene.characters}

    @property
    def user(self) -> str:
        """The name the user speaks as."""
        return self.record.user

    @property
    def participants(self) -> dict[str, str]:
        """Whose each name is: the cast's names and aliases, the user's, and of all who spoke."""
        names = [*self.cast, self.user, *self._spoke_at]
        aliases = {alias: c.name for c in self.scene.characters for alias in c.aliases}
        aliases |= {alias: each.speaker for each in self._shown for alias in each.details.aliases}
        return {**aliases, **{name: name for name in names}}

    @property
    def _shown(self) -> list[Entry]:
        """The descriptions that stand in the story."""
        entries = [self.entries[at] for at in self._described]
        return [entry for entry in entries if not entry.hidden]

    @property
    def _players(self) -> tuple[Character, ...]:
        """Who takes turns: the cast, and the user, also one who is no character of it.

        Whose part that one has taken, the scene's own user, then has none.
        """
        cast = self.scene.characters
        if self.user in self.cast:
            return cast
        aliases = next((e.details.aliases for e in self._shown if e.speaker == self.user), ())
        own = Character(name=self.user, aliases=aliases, talkativeness=0)
        return (*(each for each in cast if not each.user), own)

    @property
    def messages(self) -> list[Entry]:
        """The messages of the active path, oldest first."""
        return [entry for entry in self.entries if entry.kind == "message"]

    @property
    def last(self) -> Entry | None:
        """The last entry of the active path."""
        return self.entries[-1] if self.entries else None

    @property
    def last_told(self) -> Entry | None:
        """The last entry of the story: what is said out of character stands beside it."""
        return next((each for each in reversed(self.entries) if each.kind != "ooc"), None)

    def entry(self, entry_id: int) -> Entry | None:
        """Return the entry of this id, if it is on the active path."""
        at = self._at.get(entry_id)
        return None if at is None else self.entries[at]

    def place(self, entry: Entry) -> int:
        """Return where an entry of the active path stands on it."""
        return self._at[entry.id]

    def at_slot(self, slot: int) -> Entry | None:
        """Return the version of this message that is on the active path."""
        at = self._slot_at.get(slot)
        return None if at is None else self.entries[at]

    def lasting(self, end: int) -> list[Entry]:
        """Return which of the entries before this place are read however old they are."""
        return [self.entries[at] for at in self._lasting if at < end]

    @property
    def first_place(self) -> int:
        """Where the first entry stands that the model still reads."""
        first = self.choices.first_kept
        kept = 0 if first is None else self._slot_at.get(first, self._at.get(first, 0))
        if kept and self._is_summary(self.entries[kept - 1], None):
            return kept - 1
        return max(kept, self.summary_before(len(self.entries), None))

    def summary_before(self, end: int, heard: frozenset[str] | None) -> int:
        """Return where the last summary before this place stands of what those know of whom
        `heard` tells; 0 if there is none.
        """
        places = (at for at in reversed(self._lasting) if at < end)
        return next((at for at in places if self._is_summary(self.entries[at], heard)), 0)

    @staticmethod
    def _is_summary(entry: Entry, heard: frozenset[str] | None) -> bool:
        return is_summary(entry) and not entry.hidden and hearers(entry) == heard

    @property
    def first_read(self) -> int | None:
        """The first entry that the model still reads, by its id; None if none has left.

        What is above it is out of the model's context, which was full.
        """
        return self.entries[self.first_place].id if self.first_place else None

    def is_users(self, entry: Entry) -> bool:
        """Whether the user wrote it; where nobody recorded that, its name tells."""
        by = entry.origin.by
        return by == "user" or (by != "model" and entry.speaker == self.user)

    async def versions(self, entry_id: int) -> list[Entry]:
        """Return all versions of an entry that hold any text, oldest first."""
        versions = await self._disk.run(Library.versions, entry_id)
        return [version for version in versions if version.text.strip()]

    async def next_undo_redo(self) -> tuple[str | None, str | None]:
        """Return what undo and redo would act on, by name."""
        return await self._disk.run(Library.next_undo_redo, self.id)

    # What the user chose for this chat.

    @property
    def preset(self) -> str:
        """The name of the sampler preset in use."""
        wanted = (self.choices.preset, self.settings.preset, Settings().preset)
        return next(name for name in wanted if name in self.presets)

    @property
    def sampling(self) -> Sampling:
        """The preset's sampler with the values changed in this chat."""
        try:
            return changed(self.presets[self.preset].sampling, self.choices.sampling)
        except UserError:  # The library holds a value that this version does not take.
            return self.presets[self.preset].sampling

    def hint(self, speaker: str = "") -> HintSetting:
        """What is chosen as the length hint of this character's replies, or of those of all others.

        That is what was chosen for the character, its card's, then the chat's and the settings'.
        """
        card = next((c.length for c in self.scene.characters if c.name == speaker), None)
        own = self.choices.lengths.get(speaker) or card
        return own or self.choices.length or self.settings.length

    @property
    def length(self) -> Length | None:
        """The hint that replies get of characters without one of their own."""
        return self.length_of("")

    def length_of(self, speaker: str) -> Length | None:
        """Return the hint that this character's next reply gets; None gives none (dynamic mode).

        Where the model chooses, that is what it chose after the last entry, if it was asked.
        """
        match self.hint(speaker):
            case "auto":
                return None
            case "model":
                return self._now(self._hint)
            case length:
                return length

    @property
    def gives_hints(self) -> bool:
        """Whether messages carry length hints."""
        return self.hint() != "auto"

    def keep_hint(self, last: Entry | None, length: Length) -> None:
        """Take the hint that the model chose for what is written after this entry."""
        self._hint = (last.id if last is not None else None, length)

    @property
    def length_guide(self) -> GuideSetting:
        """Whether replies are led to the length of their hint."""
        return self.choices.length_guide or self.settings.length_guide

    @property
    def next_speaker(self) -> str | None:
        """The character asked to speak next; None lets the cast take turns."""
        name = self.choices.next_speaker
        return name if name in self.present else None

    @property
    def strategy(self) -> Strategy:
        """How the cast takes turns while nobody is asked to speak."""
        return self.choices.turns or self.settings.turns

    @property
    def odds(self) -> Mapping[str, float] | None:
        """How likely each one is to speak next, as the model said after the last entry."""
        return self._now(self._odds)

    @property
    def picked(self) -> str | None:
        """Who was given the next turn, and no more than that."""
        return self._now(self._picked)

    @property
    def asks_for_speaker(self) -> bool:
        """Whether nobody speaks before the user has chosen who."""
        return self.strategy == "choose" and not (self.picked or self.next_speaker)

    def others_in_line(self, name: str) -> list[str]:
        """Return all but the user and this one, in the order of their claim to the turn after it.

        A reply that is being written has not taken its turn yet.
        """
        is_writing = self.last is not None and self.last.status == "streaming"
        entries = self.entries[:-1] if is_writing else self.entries
        head = entries[-1].id if entries else None
        odds = self._odds[1] if self._odds is not None and self._odds[0] == head else None
        order = self._turn_order(entries, odds) or self.present
        at = order.index(name) + 1 if name in order else 0
        return [each for each in order[at:] + order[:at] if each not in (name, self.user)]

    def keep_odds(self, last: Entry | None, odds: Mapping[str, float]) -> None:
        """Take what the model said of who speaks next after this entry."""
        self._odds = (last.id if last is not None else None, odds)

    def pick(self, name: str) -> None:
        """Give somebody the next turn, whatever else was chosen."""
        self._picked = (self._last_id, name)

    @property
    def _last_id(self) -> int | None:
        return self.last.id if self.last is not None else None

    def _now(self, known: tuple[int | None, T] | None) -> T | None:
        """Return what is known, if that was after what is the last entry now."""
        return known[1] if known is not None and known[0] == self._last_id else None

    def turn_order(self) -> list[str]:
        """Return everybody, the user included, whoever has the best claim to the next turn first.

        Empty where the user chooses and has not chosen.
        """
        order, chosen = self._turn_order(self.entries, self.odds), self.picked or self.next_speaker
        return [chosen, *(name for name in order if name != chosen)] if chosen else order

    def _turn_order(self, entries: Sequence[Entry], odds: Mapping[str, float] | None) -> list[str]:
        strategy, cast, last = self.strategy, self._players, _last_message(entries)
        return turn_order(strategy, cast, self.user, last, self._spoke_at, odds, self.absent)

    @property
    def drafted(self) -> list[str]:
        """Everybody who may have the next turn unasked, the user included."""
        last = _last_message(self.entries)
        return draftable(self._players, self.user, last, self.absent)

    def weighed(self, logprobs: Mapping[str, float], trust: float) -> dict[str, float]:
        """Return how likely each is to speak next, given how likely the model finds their names."""
        last = _last_message(self.entries)
        return weighed(logprobs, trust, self._players, self.user, last, self._spoke_at)

    def who_next(self, said: Entry | None = None) -> str:
        """Return who would speak now, or once this is `said`; empty if nobody is there, or the
        user is to choose. That is never the user.
        """
        if said is None:
            return next((name for name in self.turn_order() if name != self.user), "")
        if self.next_speaker:
            return self.next_speaker
        cast, spoke_at = self._players, self._spoke_at
        return next_speaker(cast, self.user, said, spoke_at, self.strategy, self.absent)

    def who_answers(self, whisper: Entry) -> str:
        """Return who of those who hear a whisper answers it; empty if nobody does."""
        heard = whisper.details.heard or ()
        drafted = draftable(self._players, self.user, whisper, self.absent)
        hearing = [name for name in drafted if name in heard and name != self.user]
        name = self.who_next(whisper)
        return name if name in hearing else next(iter(hearing), "")

    async def choose_preset(self, name: str) -> None:
        """Take another preset; values changed one by one are forgotten.

        Raises:
            UserError: There is no such preset, or its file is wrong.
        """
        folder = config_dir() / "presets"
        await self._disk.run(lambda _: check_preset(name, self.presets, folder))
        await self._choose(preset=name, sampling={})

    async def change_sampling(self, **values: SamplingValue) -> None:
        """Change single values of the sampler, from the next reply on.

        Raises:
            UserError: There is no such value, or it is out of range.
        """
        changes = {**self.choices.sampling, **values}
        original = self.presets[self.preset].sampling
        changed(original, changes)
        kept = {name: value for name, value in changes.items() if getattr(original, name) != value}
        await self._choose(sampling=kept)

    async def choose_length(self, hint: HintSetting | None, speaker: str = "") -> None:
        """Take another hint for the replies to come, of one character or of all; None is none."""
        if speaker:
            await self._choose(lengths={**self.choices.lengths, speaker: hint or "auto"})
        else:
            await self._choose(length=hint or "auto")

    async def choose_length_guide(self, guide: GuideSetting) -> None:
        """Say whether replies are led to the length of their hint."""
        await self._choose(length_guide=guide)

    async def choose_next(self, name: str | None) -> None:
        """Say who speaks next and from then on; None lets the cast take turns."""
        await self._choose(next_speaker=name)

    async def choose_turns(self, strategy: Strategy) -> None:
        """Say how the cast takes turns from now on; nobody in particular is asked to speak."""
        await self._choose(turns=strategy, next_speaker=None)

    async def choose_user(self, name: str) -> None:
        """Say as whom the user speaks from now on."""
        self.record = await self._disk.run(Library.set_user, self.id, name)

    async def choose_instruction(self, text: str | None) -> None:
        """Take another system instruction; None takes the card's, or the settings' one."""
        await self._choose_form("instruction", text, "Change the instruction")

    async def choose_ooc(self, where: Literal["in", "out"]) -> None:
        """Let out-of-character talk be read for the story, or not."""
        await self._choose_form("ooc", where, f"Out of character: {where}")

    async def _choose_form(self, key: str, text: str | None, act: str) -> None:
        self.record = await self._disk.run(Library.choose, self.id, key, text, act)
        self.choices = read_choices(self.record.settings)

    async def become(self, persona: Character) -> Entry | None:
        """Let the user speak as a persona; return its description if that is new to the story."""
        name, text = persona.name, ""
        known = [each.name for each in self.scene.characters if each.description]
        if name not in known + [each.speaker for each in self._shown]:
            text = self._told_of(persona).strip()
        draft = Draft(
            *("description", name, text),
            origin=Origin("user"),
            details=Details(aliases=persona.aliases),
        )
        await self.act(Library.become, self.id, name, draft if text else None)
        return self.last if text else None

    def _told_of(self, persona: Character) -> str:
        """Return a persona's description with its macros settled as if the user were it."""
        scope, name = self._scope(""), persona.name
        others = [each for each in (*scope.others, self.user) if each in self.cast and each != name]
        text, unknown = settle(
            clean(persona.description), replace(scope, user=name, others=others, texts={})
        )
        self._told += filter(None, [left_out(unknown, f"{name}'s description")])
        return text

    async def keep_from(self, entry_id: int) -> None:
        """Let the model read the story from this entry on."""
        entry = self.entry(entry_id)
        if entry is not None and entry.id != self.first_read:
            await self._choose(first_kept=entry.slot)

    def hold_summary(self, draft: SummaryDraft | None) -> None:
        """Take a summary that nobody uses yet, in place of another; it is on no disk yet."""
        self.choices = msgspec.structs.replace(self.choices, summary=draft)

    async def keep_summary(self, draft: SummaryDraft | None) -> None:
        """Keep a summary that nobody uses yet, in place of another."""
        self.hold_summary(draft)
        kept = msgspec.to_builtins(draft)
        self.record = await self._disk.run(
            lambda library: library.update_settings(self.id, summary=kept)
        )

    async def _choose(self, **changes: Any) -> None:
        self.choices = msgspec.structs.replace(self.choices, **changes)
        self.record = await self._disk.run(
            lambda library: library.update_settings(self.id, **changes)
        )

    # The story.

    async def change_scene(self, scene: Card) -> None:
        """Take another scene, with its macros settled."""
        record, told = self.record, self._told

        def change(library: Library) -> Chat:
            settled = settle_card(
                *(scene, record.user, record.created),
                lambda field, macros: told.append(left_out(macros, field)),
            )
            return record if settled == record.scene else library.update_scene(record.id, settled)

        self.record = await self._disk.run(change)

    def with_persona(self, card: Card) -> Card:
        """Return the scene's card with the persona in it that the user began as, if any."""
        names = [each.name for each in card.characters]
        own = (each for each in self.scene.characters if each.user and each.name not in names)
        return next((played_by(card, each) for each in own), card)

    def as_written(self, card: Card) -> Card:
        """Return the scene as the file of its card should have it: with its macros, and without
        the persona that the user began as.
        """
        scene, began = self.scene, self.record.created
        marked = [each.name for each in scene.characters if each.user]
        cast = self.with_persona(card).characters
        guests = [each.name for each in cast if each not in card.characters]
        users = dict.fromkeys([self.user, *marked, default_user(card)])
        own = tuple(each for each in scene.characters if each.name not in guests)
        return as_written(replace(scene, characters=own), card, users, began)

    def taken(self, book: Card) -> Card:
        """Return a lorebook as the story takes it in: with its macros settled."""
        whole = replace(self.scene, lore=book.lore)
        return replace(book, lore=settle_card(whole, self.user, self.record.created).lore)

    def _settled(self, draft: Draft) -> Draft:
        """Return what a user wrote with its macros settled; what a model writes has none.

        Raises:
            UserError: Nothing else is in it.
        """
        if draft.status == "streaming" or not has_macros(draft.text):
            return draft
        text, unknown = settle(draft.text, self._scope(draft.speaker))
        sentence = left_out(unknown)
        if not text.strip():
            raise UserError(sentence or "Nothing is left of it once its macros are settled.")
        self._told += filter(None, [sentence])
        return replace(draft, text=text.strip())

    def _scope(self, speaker: str) -> Scope:
        """Return what macros stand for in a text of this speaker."""
        char = speaker if speaker not in ("", self.user) else self.who_next()
        described = {each.name: each.description for each in self.scene.characters}
        described |= {each.speaker: each.text for each in self._shown}
        told = [each for each in self.messages[-_MOST_LOOKED_AT:] if not each.hidden]
        users = [each for each in told if self.is_users(each)]
        return Scope(
            user=self.user,
            char=char,
            others=[name for name in self.cast if name != self.user],
            texts={
                "description": described.get(char, ""),
                "persona": described.get(self.user, ""),
                "scenario": self.scene.scenario,
                "original": self.settings.instruction,
                "lastmessage": told[-1].text if told else "",
                "lastusermessage": users[-1].text if users else "",
                "lastcharmessage": next(
                    (each.text for each in reversed(told) if not self.is_users(each)), ""
                ),
            },
            seed=f"{self.record.created}",
            idle=time() - users[-1].created if users else 0,
        )

    def take_told(self) -> list[str]:
        """Return, once, which unknown macros were left out, a sentence each."""
        told, self._told = self._told, []
        return told

    async def append(self, draft: Draft) -> Entry:
        """Put an entry at the story's end."""
        draft = self._settled(draft)
        entry = await self._disk.run(Library.append, self.id, draft)
        at = len(self.entries)
        self.entries.append(entry)
        self._at[entry.id] = self._slot_at[entry.slot] = at
        if entry.kind == "message":
            self._spoke_at[entry.speaker] = at
        self._note(entry, at)
        self.record = replace(self.record, head=entry.id)
        return entry

    async def add_version(self, old: Entry, draft: Draft, *, keep: bool, act: str) -> Entry:
        """Put another version into the place of an entry, as `Library.add_version` does."""
        draft = self._settled(draft)
        at = self._at[old.id]
        version = await self._disk.run(Library.add_version, old.id, draft, keep=keep, act=act)
        is_last = at == len(self.entries) - 1
        if not keep and not is_last:
            await self._reread()
            return version
        self.entries[at] = version
        del self._at[old.id]
        self._at[version.id] = at
        if outlasts(old) != outlasts(version):
            self._lasting = sorted({at} ^ set(self._lasting))
        if is_last:
            self.record = replace(self.record, head=version.id)
        else:
            self.entries[at + 1] = replace(self.entries[at + 1], parent=version.id)
        self.version_places.setdefault(version.slot, [old.id]).append(version.id)
        return version

    async def append_all(self, drafts: Sequence[Draft], act: str) -> Entry:
        """Put several entries at the story's end in one act, and return the last one."""
        settled = [self._settled(draft) for draft in drafts]
        return await self.act(Library.append_all, self.id, settled, act=act)

    async def insert(self, after: int | None, draft: Draft) -> Entry:
        """Put a new message after one of the path, or (None) before all of them."""
        return await self.act(Library.insert, self.id, after, self._settled(draft))

    async def write(self, entry_id: int, text: str, **rest: Any) -> Entry:
        """Write down an entry that is streaming, or has ended; the rest is as `Library.write`'s."""
        written = await self._disk.run(Library.write, entry_id, text, **rest)
        if (at := self._at.get(entry_id)) is not None:
            self.entries[at] = written
        return written

    async def set_lengths(self, entries: Sequence[Entry]) -> list[Entry]:
        """Write down the tokens and hints of entries that have ended."""
        if not entries:
            return []
        lengths = {entry.id: (entry.tokens, entry.length) for entry in entries}
        written = await self._disk.run(Library.set_lengths, lengths)
        for entry in written:
            if (at := self._at.get(entry.id)) is not None:
                self.entries[at] = entry
        return written

    async def drop(self, entry_id: int) -> None:
        """Forget an entry that was streaming: what stood in its place stands there again."""
        await self.act(Library.drop, entry_id)

    async def act(
        self, method: Callable[Concatenate[Library, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Do something with the chat in the library, and read what became of it."""
        result = await self._disk.run(method, *args, **kwargs)
        await self._reread()
        return result


def first_difference(before: Iterable[Entry], now: Iterable[Entry]) -> int | None:
    """Return the first entry that stands otherwise now, by its id; None if there is none."""
    for old, new in zip(before, now, strict=False):
        if (old.id, old.hidden, old.pinned, old.label) != (
            new.id,
            new.hidden,
            new.pinned,
            new.label,
        ):
            return new.id
    return None


def default_user(scene: Card) -> str:
    """Return the name the user speaks as unless told otherwise.

    That is the character marked `user = true`; else the last of the cast; else `You`.
    """
    marked = [c for c in scene.characters if c.user]
    if marked:
        return marked[0].name
    return scene.characters[-1].name if len(scene.characters) > 1 else "You"


async def new_chat(disk: Disk, scene: Card, user: str = "") -> Chat:
    """Begin a chat in the library from a scene."""
    return await disk.run(Library.create_chat, scene, user or default_user(scene))


def _last_message(entries: Sequence[Entry]) -> Entry | None:
    return next((entry for entry in reversed(entries) if entry.kind == "message"), None)

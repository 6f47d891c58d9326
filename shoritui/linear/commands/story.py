"""Writing: replies, who speaks how long, and what is said beside the story."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from shoritui.blockml import LENGTHS
from shoritui.cards import find_personas
from shoritui.dice import thrown
from shoritui.director import note_rows
from shoritui.director.note_words import read_note, readers, rule_words
from shoritui.engine import SETTINGS, changed, presets, save_preset
from shoritui.errors import UserError
from shoritui.folders import config_dir
from shoritui.interop.templates import fitted, kept_instructions
from shoritui.linear.commands.command import Command, choose
from shoritui.linear.evening import Evening
from shoritui.names import addressed, names_first
from shoritui.settings import GuideSetting, HintSetting, Strategy
from shoritui.text import one_line, printable

_TURNS = {
    "choose": "you choose",
    "in-turn": "in turn",
    "natural": "whoever was addressed, then by talkativeness",
    "pooled": "one who has not spoken since you did",
    "model": "whom the model finds likeliest",
}
_MOST_TURNS = 10_000


async def go(evening: Evening, text: str) -> None:
    """Say something, or let the next one speak."""
    await evening.say(text)


async def hand_over(evening: Evening, _: str) -> None:
    """Let the one go on whose message the last reply began."""
    await evening.play(evening.playing.hand_over())


async def choose_next(evening: Evening, wanted: str) -> None:
    """Choose who answers."""
    chat = evening.chat
    names = ["auto", *(name for name in chat.present if name != chat.user)]
    name = choose(evening, "next", wanted, names, chat.next_speaker or "auto")
    if name is not None:
        await chat.choose_next(None if name == "auto" else name)
        evening.voice.news(f"Next: {one_line(name)}.")


async def turns(evening: Evening, wanted: str) -> None:
    """Choose how turns are given."""
    chat = evening.chat
    rows = "\n".join(f"{value}: {words}" for value, words in _TURNS.items())
    found = choose(evening, "turns", wanted, list(_TURNS), chat.strategy, rows)
    if found is not None:
        await chat.choose_turns(cast(Strategy, found))
        evening.voice.news(f"Turns: {_TURNS[found]}.")


async def other(evening: Evening, _: str) -> None:
    """Give the next turn to somebody else."""
    chat = evening.chat
    others = chat.others_in_line(chat.who_next())
    if not others:
        raise UserError("Nobody else is there to speak.")
    chat.pick(others[0])
    evening.voice.news(f"Next: {one_line(others[0])}.")


async def auto(evening: Evening, turns: str) -> None:
    """Let the scene play itself."""
    count = turns or "20"
    if not count.isdecimal() or not 0 < int(count[:9]) < _MOST_TURNS:
        raise UserError("Say how many turns: /auto 20.")
    await evening.play(evening.playing.auto_play(int(count)))


async def who(evening: Evening, _: str) -> None:
    """Say who is here."""
    chat = evening.chat
    for name in dict.fromkeys([*chat.cast, chat.user]):
        state = "away" if name in chat.absent else "here"
        evening.voice.line(f"{one_line(name)}: {'you' if name == chat.user else state}")


async def enter(evening: Evening, argument: str) -> None:
    """Let a character enter."""
    await _come_or_go(evening, "enter", argument)


async def leave(evening: Evening, argument: str) -> None:
    """Let a character leave."""
    await _come_or_go(evening, "leave", argument)


async def _come_or_go(evening: Evening, kind: str, argument: str) -> None:
    director, chat = evening.playing, evening.chat
    if not argument:
        is_coming = kind == "enter"
        names = [name for name in chat.cast if (name in chat.absent) == is_coming]
        choose(evening, kind, "", names)
        return
    name, how = addressed(f"@{argument}", chat.other_names)
    if name is None:
        raise UserError(f"There is no {printable(argument)} in the cast: /cast NAME adds one.")
    act = director.enter if kind == "enter" else director.leave
    await evening.play(act(name, how))


async def whisper(evening: Evening, argument: str) -> None:
    """Whisper to some alone."""
    heard, text = names_first(argument, evening.chat.other_names)
    if not heard or not text:
        raise UserError("Say to whom, and what: /whisper NAME, NAME TEXT.")
    await evening.play(evening.playing.whisper(text, heard))


async def speak_as(evening: Evening, wanted: str) -> None:
    """Choose whom the user speaks as."""
    chat = evening.chat
    names = list(dict.fromkeys([*chat.cast, chat.user]))
    name = choose(evening, "as", wanted, names, chat.user)
    if name is not None:
        await chat.choose_user(name)
        evening.voice.news(f"You are {one_line(name)}.")


async def persona(evening: Evening, wanted: str) -> None:
    """Become a persona."""
    director = evening.playing
    found, problems = await asyncio.to_thread(find_personas)
    for problem in problems:
        evening.voice.news(problem)
    characters = {each.character.name: each.character for each in found}
    name = choose(evening, "persona", wanted, list(characters), evening.chat.user)
    if name is not None:
        await evening.play(director.become(characters[name]))


async def length(evening: Evening, argument: str) -> None:
    """Choose the length hint."""
    chat = evening.chat
    word, _, speaker = argument.partition(" ")
    if speaker and speaker not in chat.cast:
        raise UserError(f"There is no {printable(speaker)} in the cast.")
    hint = choose(evening, "length", word, ["auto", "model", *LENGTHS], chat.hint(speaker))
    if hint is not None:
        await chat.choose_length(cast(HintSetting, hint), speaker)
        evening.voice.news(f"Length: {hint}.")


async def length_guide(evening: Evening, wanted: str) -> None:
    """Choose whether replies are led to their length."""
    chat = evening.chat
    found = choose(evening, "length-guide", wanted, ["auto", "on", "off"], chat.length_guide)
    if found is not None:
        await chat.choose_length_guide(cast(GuideSetting, found))
        evening.voice.news(f"Length guide: {found}.")


async def roll(evening: Evening, dice: str) -> None:
    """Throw dice."""
    result = thrown(dice or "1d20")
    if not result:
        raise UserError(f"{printable(dice)} is no dice: write them as 2d6+3 or d20.")
    await evening.play(evening.playing.say(f"{evening.chat.user} rolls {result}."))


async def note(evening: Evening, typed: str) -> None:
    """Add an author's note."""
    try:
        text, rule = read_note(typed, readers(evening.chat))
    except ValueError as error:
        raise UserError(f"The note is not added: {error}.") from None
    if not text:
        raise UserError("Write the note's text after /note.")
    await evening.play(evening.playing.note(text, rule))


async def notes(evening: Evening, _: str) -> None:
    """List the notes."""
    rows = note_rows(evening.chat)
    for number, row in enumerate(rows, 1):
        rule = row.entry.details.note
        when = f", {rule_words(rule)}" if rule is not None else ""
        evening.voice.line(f"{number}. ({row.state}{when}) {one_line(row.entry.text)}")
    if not rows:
        evening.voice.news("There is no note yet: /note TEXT adds one.")


async def ooc(evening: Evening, text: str) -> None:
    """Say something out of character, or read what was said."""
    if text:
        await evening.play(evening.playing.ooc(text))
        return
    said = [entry for entry in evening.chat.entries if entry.kind == "ooc"]
    evening.read(said)
    if not said:
        evening.voice.news("Nothing was said out of character: /ooc TEXT does.")


async def ooc_read(evening: Evening, wanted: str) -> None:
    """Let the story's prompt hold what is said out of character, or not."""
    now = "in" if evening.chat.form.reads_ooc else "out"
    found = choose(evening, "ooc-read", wanted, ["in", "out"], now)
    if found == "in":
        await evening.chat.choose_ooc("in")
    elif found == "out":
        await evening.chat.choose_ooc("out")


async def instruction(evening: Evening, text: str) -> None:
    """Show or change this story's system instruction; a template's own goes by its name."""
    chat, sentence = evening.chat, ""
    kept = await asyncio.to_thread(kept_instructions)
    if text in kept:
        others = [name for name in chat.cast if name != chat.user]
        text, sentence = fitted(kept[text], chat.user, others)
    if text:
        await chat.choose_instruction("" if text.casefold() == "off" else text)
        evening.voice.news("This story's instruction is changed; /undo brings it back.")
    else:
        evening.voice.line(chat.form.instruction or "There is no instruction.")
        if kept:
            evening.voice.line(f"Kept with templates: {', '.join(map(printable, kept))}.")
    if sentence:
        evening.voice.news(sentence)


async def summarise(evening: Evening, _: str) -> None:
    """Have the model write a summary, and use it."""
    director = evening.playing
    memory = director.memory
    last = evening.at or memory.usual_end()
    if not await evening.play(director.summarise(last)):
        return
    draft = memory.draft_to(last)
    if draft is None or not draft.text.strip():
        return
    evening.voice.line(f"Summary: {draft.text}")
    await evening.play(director.use_summary(draft.text))
    evening.voice.news("The model reads it in place of those messages; /undo takes it back.")


async def sampler(evening: Evening, argument: str) -> None:
    """Show the sampler's values, or change some."""
    chat = evening.chat
    if not argument:
        values = (f"{name} = {getattr(chat.sampling, name)}" for name in SETTINGS)
        evening.voice.line("\n".join([f"preset: {chat.preset}", *values]))
        return
    for word in argument.split():
        name, equals, text = word.partition("=")
        if not equals:
            raise UserError(f"{printable(word)}: write it as name=number, such as min_p=0.08.")
        value: dict[str, Any] = {name: _number(text)}
        changed(chat.sampling, value)
        await chat.change_sampling(**value)
    evening.voice.news("The sampler is changed from the next reply on.")


def _number(text: str) -> float | None:
    if text.casefold() in ("none", "any"):
        return None
    try:
        return int(text) if text.lstrip("-").isdigit() else float(text)
    except ValueError:
        raise UserError(f"{printable(text)} is no number.") from None


async def preset(evening: Evening, wanted: str) -> None:
    """Choose a preset; those that came in meanwhile are among them."""
    chat = evening.chat
    found, _ = await asyncio.to_thread(presets, config_dir() / "presets")
    chat.presets.update(found)
    rows = "\n".join(f"{name}: {one_line(each.title)}" for name, each in chat.presets.items())
    name = choose(evening, "preset", wanted, list(chat.presets), chat.preset, rows)
    if name is not None:
        await chat.choose_preset(name)
        evening.voice.news(f"Preset: {name}.")


async def keep_preset(evening: Evening, name: str) -> None:
    """Save the sampler's values as a preset."""
    if not name:
        raise UserError("Write the new preset's name after /keep-preset.")
    chat = evening.chat
    folder = config_dir() / "presets"
    saved = await asyncio.to_thread(save_preset, folder, name, chat.sampling)
    chat.presets[saved.name] = saved
    await chat.choose_preset(saved.name)
    evening.voice.news(f"The sampler's values are the preset {saved.name} from now on.")


async def stop_here(evening: Evening, _: str) -> None:
    """End the evening."""
    evening.is_over = True


COMMANDS = {
    "go": Command(go, "Says it, and the next one answers; as Enter does.", "[TEXT]"),
    "handover": Command(hand_over, "Lets the one go on whose message the last reply began."),
    "next": Command(choose_next, "Lists who may speak next, or chooses.", "[NAME|auto]"),
    "turns": Command(turns, "Lists how turns can be given, or chooses.", "[WAY]"),
    "other": Command(other, "Gives the next turn to the next likeliest instead."),
    "auto": Command(auto, "Lets the cast play so many turns, until it is yours.", "[TURNS]"),
    "who": Command(who, "Says who is here and who is away."),
    "enter": Command(enter, "Lets a character enter.", "[NAME [HOW]]"),
    "leave": Command(leave, "Lets a character leave.", "[NAME [HOW]]"),
    "whisper": Command(whisper, "Whispers to some alone.", "NAME[, NAME] TEXT"),
    "as": Command(speak_as, "Lists whom you can speak as, or chooses.", "[NAME]"),
    "persona": Command(persona, "Lists your personas, or becomes one.", "[NAME]"),
    "length": Command(length, "Lists the length hints, or chooses.", "[HINT [NAME]]"),
    "length-guide": Command(length_guide, "Leads replies to their length.", "[auto|on|off]"),
    "roll": Command(roll, "Rolls dice; the result stands in the story.", "[2d6+3]"),
    "note": Command(note, "Adds a note that the model reads and nobody says.", "TEXT"),
    "notes": Command(notes, "Lists the notes."),
    "ooc": Command(ooc, "Says something out of character, or reads what was said.", "[TEXT]"),
    "ooc-read": Command(ooc_read, "Whether the story's prompt holds that.", "[in|out]"),
    "instruction": Command(instruction, "Shows or changes the instruction.", "[TEXT|NAME|off]"),
    "summarise": Command(summarise, "Has the model sum up what is old, and reads it to you."),
    "sampler": Command(
        sampler, "Lists the sampler's values, or changes some.", "[NAME=NUMBER ...]"
    ),
    "preset": Command(preset, "Lists the sampler presets, or chooses.", "[NAME]"),
    "keep-preset": Command(keep_preset, "Saves the sampler's values as a preset.", "NAME"),
    "quit": Command(stop_here, "Ends this; everything is kept."),
}

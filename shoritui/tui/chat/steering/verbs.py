"""New scenes, notes and their rules, the system instruction, and the place of other talk."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING

from shoritui.text import one_line, printable
from shoritui.tui.chat.app_protocol import Host
from shoritui.tui.widgets.chooser import Choice, Chooser

if TYPE_CHECKING:
    from shoritui.director import ChatState

OFF = "off"
_NO_STORY = "Open a story first: F8 shows them, alt+n begins one."
_INSTRUCTION = "System instruction"
_KEPT = "kept "
"""Begins the choice of an instruction that came with a template."""
_ORIGINAL = "{{original}}"
"""The choice of no other instruction than that of the settings, whatever the card says."""


# Scenes


def title(host: Host, text: str) -> None:
    """Begin a new scene."""
    if not text:
        host.words.ask("title", "Write the new scene's title after /title.")
    elif host.director is not None:
        host.words.write(host.director.change_title(text), f"/title {text}")


async def new_scene(host: Host, text: str) -> None:
    """Begin a new scene with a title, tags and a scenario."""
    from shoritui.tui.chat.steering.scene_form import SceneForm

    if host.chat is None:
        host.report(_NO_STORY)
        return
    written = await host.push_screen_wait(SceneForm(text, host.chat.scene_now))
    if written is not None and host.director is not None:
        given_back = "\n".join(filter(None, written))
        host.words.write(host.director.begin_scene(*written), given_back)


# Notes


def note(host: Host, typed: str) -> None:
    """Add an author's note, by the rule typed before it."""
    from shoritui.director.note_words import cost_words, read_note, readers, rule_words

    if host.director is None or not typed:
        host.words.ask("note", "Write the author's note after /note.")
        return
    try:
        text, rule = read_note(typed, readers(host.director.chat))
    except ValueError as error:
        host.words.give_back(f"/note {typed}")
        host.report(f"The note is not added: {error}.", trouble=True)
        return
    if not text:
        host.words.give_back(f"/note {typed} ")
        host.report("Write the note's text behind its rule.")
        return
    host.words.write(host.director.note(text, rule), f"/note {typed}")
    if rule is not None:
        from shoritui.director import reread

        cost = cost_words(rule, reread(host.director.chat, rule))
        host.report(f"The note is read {rule_words(rule)}: {cost}.")


def note_choices(host: Host) -> list[str]:
    """Return the options that `/note` completes."""
    from shoritui.director.note_words import readers

    names = readers(host.chat) if host.chat is not None else []
    numbered = ("--sticky", "--once", "--depth 1", "--depth 4", "--every 6")
    return [*(f"{option} " for option in numbered), *(f"--for {name} " for name in names)]


def note_details(host: Host, option: str) -> str:
    """Return what an option means, and what it costs."""
    from shoritui.director import reread
    from shoritui.director.note_words import cost_words, read_note, readers, rule_words

    if host.chat is None:
        return ""
    _, rule = read_note(option, readers(host.chat))
    assert rule is not None
    return f"{rule_words(rule)}: {cost_words(rule, reread(host.chat, rule))}"


async def notes(host: Host, _: str) -> None:
    """List the notes, to change or end them; go to one."""
    from shoritui.tui.chat.steering.notes_screen import NotesScreen
    from shoritui.tui.chat.verbs.message import jump

    if host.director is None:
        host.report(_NO_STORY)
        return
    entry_id = await host.push_screen_wait(NotesScreen(host))
    if entry_id is not None:
        await jump(host, entry_id)


# The system instruction


async def instruction(host: Host, text: str) -> None:
    """Show the system instruction; change or remove it, for this story or for all."""
    from shoritui.interop.templates import kept_instructions
    from shoritui.tui.widgets.field import Editor

    chat = host.chat
    if chat is None:
        host.report(_NO_STORY)
        return
    kept = await asyncio.to_thread(kept_instructions)
    if text in kept:
        await _take_instruction(host, kept[text])
        return
    if text:
        await _choose_instruction(host, "" if text.casefold() == OFF else text)
        return
    answer = await host.push_screen_wait(_instruction_chooser(chat, kept))
    now = chat.form.instruction
    if answer and answer.startswith(_KEPT):
        await _take_instruction(host, kept[answer.removeprefix(_KEPT)])
        return
    match answer:
        case "here" | "all":
            whose = "this story" if answer == "here" else "all stories"
            before = now if answer == "here" else chat.settings.instruction
            editor = Editor(f"{_INSTRUCTION} of {whose}", before)
            written = await host.push_screen_wait(editor)
            if written is None or written.strip() == before:
                return
            if answer == "here":
                await _choose_instruction(host, written.strip())
            else:
                await _set_instruction(host, written.strip())
        case "none here":
            await _choose_instruction(host, "")
        case "none at all":
            await _set_instruction(host, "")
        case "not own":
            await _choose_instruction(host, None)
        case "as all":
            await _choose_instruction(host, _ORIGINAL if chat.scene.instruction else None)


def _instruction_chooser(chat: ChatState, kept: Mapping[str, str]) -> Chooser:
    from shoritui.director import read_tokens

    now, chosen, card = chat.form.instruction, chat.choices.instruction, chat.scene.instruction
    own, is_all = chosen is not None, chosen == _ORIGINAL or (chosen is None and not card)
    whose = "As in all stories" if is_all else "This story's own" if own else "The card's"
    tokens = read_tokens(chat)
    choices = [
        Choice("here", "Edit it for this story"),
        Choice("all", "Edit it for all stories", "without one of their own"),
        *([Choice("none here", "Remove it from this story")] if now else []),
        *(
            [Choice("none at all", "Remove it from all stories")]
            if chat.settings.instruction
            else []
        ),
        *([Choice("not own", "Have the card's here again")] if own and card else []),
        *([] if is_all else [Choice("as all", "Have the one of all stories here")]),
        *(
            Choice(f"{_KEPT}{name}", f"Take that of {printable(name, 40)}", one_line(text)[:60])
            for name, text in kept.items()
        ),
    ]
    question = (
        f"{whose}: {one_line(now) or 'there is none'}\n\nOnce it is changed, the story that is "
        f"read, about {tokens:,} tokens, is read again."
    )
    return Chooser(_INSTRUCTION, choices, question=question, filters=False)


async def _take_instruction(host: Host, text: str) -> None:
    """Have an instruction that came with a template for this story."""
    from shoritui.interop.templates import fitted

    if (chat := host.chat) is None:
        return
    others = [name for name in chat.cast if name != chat.user]
    written, sentence = fitted(text, chat.user, others)
    await _choose_instruction(host, written)
    if sentence:
        host.report(sentence)


async def _choose_instruction(host: Host, text: str | None) -> None:
    if host.chat is not None:
        await host.chat.choose_instruction(text)
        host.report("This story's instruction is changed; undo brings it back.")
        host.show_choices()


async def _set_instruction(host: Host, text: str) -> None:
    if await host.save(instruction=text):
        await host.use_settings()


def instruction_choices(_: Host) -> list[str]:
    """Return what `/instruction` completes."""
    return [OFF]


# Out of character


async def read_ooc(host: Host, argument: str) -> None:
    """Let the story's prompt hold what is said out of character, or not."""
    chat = host.chat
    if chat is None:
        host.report(_NO_STORY)
        return
    wanted = argument.casefold()
    if wanted not in ("in", "out", ""):
        host.report("Say in or out: /ooc-read out.")
        return
    is_in = not chat.form.reads_ooc if not wanted else wanted == "in"
    await chat.choose_ooc("in" if is_in else "out")
    what = "is read for the story" if is_in else "is left out of the story's prompt"
    host.report(f"What is said out of character {what} from now on.")
    host.show_choices()
    host.show_panels()


def ooc_choices(_: Host) -> list[str]:
    """Return what `/ooc-read` completes."""
    return ["in", "out"]

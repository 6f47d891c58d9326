"""`shoritui chats show`: a chat as it stands, to read in a terminal or in a script."""

from __future__ import annotations

import argparse
from typing import Final

import msgspec

from shoritui.commands.arguments import add_json, count
from shoritui.commands.chats.library import add_chat, date, facts, iso, open_library, the_chat
from shoritui.commands.output import print_json
from shoritui.interop.plain import hearers
from shoritui.story import COMINGS, Chat, Entry, Summary, coming
from shoritui.text import clean, counted, one_line

DESCRIPTION: Final = """\
Print a chat's title, cast and messages as they stand now. Other versions and branches are in the
app, and in what `shoritui chats export --format json` writes.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_chat(parser)
    parser.add_argument(
        "--last", metavar="N", type=count, help="only so many messages and notes from the end"
    )
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Print the chat.

    Raises:
        UserError: There is no such chat, or several are meant.
    """
    with open_library() as library:
        summary = the_chat(options.chat, library.summaries())
        chat = library.chat(summary.id)
        entries = library.entries(chat.id)
        versions = library.version_counts(chat.id)
    entries = entries[-options.last :] if options.last else entries
    if options.json:
        told = [_facts(entry, len(versions.get(entry.slot, [0]))) for entry in entries]
        print_json({**facts(summary), "user": chat.user, "entries": told})
    else:
        print("\n\n".join([_heading(chat, summary), *map(_text, entries)]))
    return 0


def _heading(chat: Chat, summary: Summary) -> str:
    cast = [one_line(name) + " (you)" * (name == chat.user) for name in summary.cast]
    about = [", ".join(cast), counted(summary.messages, "message"), date(summary.updated)]
    about += [", ".join(map(one_line, summary.tags))] if summary.tags else []
    return f"{one_line(chat.name)}\n{' · '.join(filter(None, about))}"


def _text(entry: Entry) -> str:
    if entry.kind in COMINGS:
        return f"[{entry.kind}] {one_line(coming(entry))}"
    kind = "" if entry.kind == "message" else f"[{entry.kind}] "
    heard = f" ({hearers(entry)})" if hearers(entry) else ""
    speaker = f"{one_line(entry.speaker)}{heard}: " if entry.speaker else ""
    hidden = "(hidden from the model) " * entry.hidden
    return f"{kind}{hidden}{speaker}{clean(entry.text)}"


def _facts(entry: Entry, versions: int) -> dict[str, object]:
    return {
        "id": entry.id,
        "kind": entry.kind,
        "speaker": entry.speaker,
        "text": entry.text,
        "length": entry.length,
        "status": entry.status,
        "created": iso(entry.created),
        "hidden": entry.hidden,
        "heard": entry.details.heard,
        "label": entry.label,
        "versions": versions,
        "origin": msgspec.to_builtins(entry.origin),
    }

"""`shoritui chats search`: words in everything ever written, with what stands around them."""

from __future__ import annotations

import argparse
from itertools import groupby
from typing import Final

from shoritui.commands.arguments import add_json, count
from shoritui.commands.chats.library import iso, open_library, the_chat
from shoritui.commands.output import print_json
from shoritui.story import Hit
from shoritui.text import counted, one_line

DESCRIPTION: Final = """\
Find the messages that hold all the words, newest first: in every branch and every version, of all
chats that are not in the bin. Parts of words are found too; a phrase goes in double quotes:
  shoritui chats search '"brass lantern"' Mara
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("words", metavar="WORD", nargs="+", help="what to look for")
    parser.add_argument("--chat", metavar="CHAT", help="only in this chat: its number or title")
    parser.add_argument(
        "--limit", metavar="N", type=count, default=50, help="the most hits (default: 50)"
    )
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Print the hits of each chat under its title, or all as JSON."""
    with open_library() as library:
        chat = the_chat(options.chat, library.summaries()).id if options.chat is not None else None
        hits = library.search(" ".join(options.words), chat_id=chat, limit=options.limit)
    if options.json:
        print_json({"hits": [_facts(hit) for hit in hits]})
        return 0
    for (chat_id, name), group in groupby(hits, key=lambda hit: (hit.chat, hit.chat_name)):
        print(f"{one_line(name)} ({chat_id})")
        for hit in group:
            version = f" ({hit.version} of {hit.versions})" if hit.versions > 1 else ""
            who = f"{one_line(hit.speaker) or hit.kind}{version}"
            print(f"  {who}: {hit.before}[{hit.found}]{hit.after}")
    print(counted(len(hits), "hit") if hits else "Nothing was found.")
    return 0


def _facts(hit: Hit) -> dict[str, object]:
    return {
        "chat": hit.chat,
        "title": hit.chat_name,
        "entry": hit.entry,
        "kind": hit.kind,
        "speaker": hit.speaker,
        "created": iso(hit.created),
        "version": hit.version,
        "versions": hit.versions,
        "before": hit.before,
        "found": hit.found,
        "after": hit.after,
    }

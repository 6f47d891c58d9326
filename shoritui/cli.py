"""The command line: choose a command, run it, and print a user's error as one sentence.

A command is a module of `shoritui/commands` with a DESCRIPTION, `add_arguments(parser)` and
`run(options)`, or a package of such modules. It is imported once it is named, so `shoritui --help`
costs no more than Python itself.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from io import TextIOWrapper
from pathlib import Path
from typing import Final, NoReturn

from shoritui import __version__
from shoritui.commands.output import print_error
from shoritui.errors import UserError
from shoritui.terminal import harmless_exits
from shoritui.text import closest, command

_NO_CHOICE: Final = re.compile(
    r"argument (?P<name>\S+): invalid choice: '(?P<word>.*)' \(choose from (?P<known>.+)\)",
    re.DOTALL,
)
_PLAIN: Final = {
    r"argument (\S+): invalid int value: (.+)": r"\1 must be a whole number, not \2.",
    r"argument (\S+): invalid float value: (.+)": r"\1 must be a number, not \2.",
    r"argument (\S+): expected (one|at least one) argument": r"\1 needs a value.",
    r"argument (\S+): not allowed with argument (\S+)": r"\1 and \2 cannot be used together.",
    r"argument (\S+): (must .+)": r"\1 \2",
    r"the following arguments are required: (.+)": r"Missing: \1.",
    r"unrecognized arguments: (.+)": r"Not understood: \1.",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; a user's error is one sentence and a 1."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # what a terminal cannot show
    with harmless_exits():
        return _run(arguments)


def _run(arguments: Sequence[str] | None) -> int:
    words = _completed(sys.argv[1:] if arguments is None else arguments)
    try:
        options, unknown = parser(words).parse_known_args(words)
        if unknown:
            options.parser.error(f"unrecognized arguments: {' '.join(unknown)}")
        code = int(options.run(options))
        if sys.stdout is not None:
            sys.stdout.flush()  # here, where what goes wrong with it is told
        return code
    except UserError as error:
        print_error(str(error))
        return 1
    except BrokenPipeError:
        # The reader of our output left; what Python still holds back must go nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print_error("Stopped.")
        return 130
    except Exception as error:
        if isinstance(error, PermissionError) and error.filename:  # the user can mend it
            print_error(f"{error.filename} cannot be used: {error.strerror}.")
            return 1
        from shoritui import fault_log

        print_error(fault_log.sentence(error, fault_log.note(error)))
        return 1


def parser(words: Sequence[str] = ()) -> argparse.ArgumentParser:
    """Return the parser of all commands, with the arguments of the one that `words` name."""
    root = _Parser(prog="shoritui")
    root.add_argument("--version", action="version", version=f"shoritui {__version__}")
    _fill(root, "shoritui.commands", words)
    return root


class _Parser(argparse.ArgumentParser):
    """Says what is wrong with the arguments in plain words, below the command's own usage."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        print_error(_plain(message))
        raise SystemExit(2)


def _plain(message: str) -> str:
    """Return one of argparse's messages as a sentence."""
    if match := _NO_CHOICE.fullmatch(message):
        return _no_choice(match["name"], match["word"], match["known"].replace("'", ""))
    for pattern, words in _PLAIN.items():
        if match := re.fullmatch(pattern, message, re.DOTALL):
            return match.expand(words)
    return message.removeprefix("argument ")


def _no_choice(name: str, word: str, known: str) -> str:
    if name not in ("COMMAND", "ACTION"):
        return f"{name} must be one of {known}, not {word!r}."
    if "chat" in known.split(", ") and _is_card(word):
        return f"There is no command {word!r}: `{command('chat', word)}` opens that card."
    near = closest(word, known.split(", "))
    return f"There is no command {word!r}" + (f": did you mean {near}?" if near else ".")


def _is_file(word: str) -> bool:
    with suppress(OSError, ValueError):  # no file can have such a name
        return Path(word).is_file()
    return False


def _is_card(word: str) -> bool:
    from shoritui.cards import card_files

    with suppress(UserError, OSError, ValueError):
        return card_files([Path(word)])[0].is_file()
    return False


def _completed(words: Sequence[str]) -> list[str]:
    """Return the words with those that may be left out: `chat`, `chats list`, `finetune run`, …"""
    if not words:
        return ["chat"]
    if words[0] == "finetune":
        first = words[1] if len(words) > 1 else "finetune.toml"
        is_option = first.startswith("-") and first not in ("-h", "--help")
        is_config = _is_file(first) or _is_file(f"{first}/finetune.toml")
        if is_option or is_config or first.endswith(".toml"):
            return ["finetune", "run", *words[1:]]
    if words[0] == "presets" and (len(words) == 1 or words[1] == "--json"):
        return ["presets", "list", *words[1:]]
    if words[0] == "chats" and (len(words) == 1 or words[1] in ("--json", "--bin")):
        return ["chats", "list", *words[1:]]
    if words == ["lore"]:
        return ["lore", "list"]
    return list(words)


def _fill(parser: argparse.ArgumentParser, name: str, words: Sequence[str]) -> None:
    """Give a parser what its module or package knows of it."""
    command = import_module(name)
    parser.set_defaults(parser=parser)
    parser.description = command.DESCRIPTION
    if hasattr(command, "add_arguments"):
        command.add_arguments(parser)
        parser.set_defaults(run=command.run)
        return
    parser.epilog = command.EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    choices = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for word, summary in command.COMMANDS.items():
        choice = choices.add_parser(word, help=summary)
        if [word] == list(words[:1]):
            _fill(choice, f"{name}.{word.replace('-', '_')}", words[1:])

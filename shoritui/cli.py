"""The command line: which door is asked for, and how a user's mistake is told.

It does not know how any door works inside; it imports that only once the door is chosen, so
that `--help` costs no more than Python itself.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from shoritui import __version__
from shoritui.errors import UserError
from shoritui.tuning import add_finetune, with_word

if TYPE_CHECKING:
    from shoritui.settings import Settings


DESCRIPTION = """\
A terminal home for multi-character roleplay with a local language model.

A story is a scene (characters, lore, what must still happen) and the messages everybody
writes into it: you as any of the characters, the model as the others. Scenes are small TOML
files, called cards; several ship with the program, and so does a small model to try them with.
"""

EXAMPLES = """\
examples:
  shoritui chat                          go on with the last story, or pick a scene
  shoritui chat mine.toml --model ~/models/ShoriRP.v075d.q6_k.gguf
  shoritui say "Who took the lamp?" mine.toml --speaker Mara --json
  shoritui prompt mine.toml --tokens     what exactly the model would read
  shoritui models                        which models are here; pull another, use one
  shoritui chats export --all --to data  your own chats as files to train on
  shoritui doctor                        what is installed, and whether a GPU is used
  shoritui bench                         how fast it is on this machine, beside others
  shoritui finetune --demo               train a small adapter on this CPU, to see how it goes
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; the exit code is 0, or 1 after telling a user's error in a sentence."""
    words = sys.argv[1:] if arguments is None else arguments
    options = parser().parse_args(with_word(words))
    door: Callable[[argparse.Namespace], int] = options.door
    try:
        return door(options)
    except UserError as error:
        print(f"shoritui: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # The reader of our output left; what Python still holds back must go nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130


def parser() -> argparse.ArgumentParser:
    """Everything the command line understands."""
    root = argparse.ArgumentParser(
        prog="shoritui",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    root.add_argument("--version", action="version", version=f"shoritui {__version__}")
    root.set_defaults(door=_chat, cards=[], model=None, server=None, preset=None, new=False)
    doors = root.add_subparsers(title="commands", metavar="COMMAND")
    _add_chat(doors)
    _add_say(doors)
    _add_prompt(doors)
    _add_models(doors)
    _add_chats(doors)
    _add_doctor(doors)
    _add_bench(doors)
    add_finetune(doors)
    return root


if TYPE_CHECKING:
    Doors = argparse._SubParsersAction[argparse.ArgumentParser]


def _add_chat(doors: Doors) -> None:
    chat = doors.add_parser(
        "chat",
        help="open the app (this is also what no command does)",
        description="Opens the app. Without a card it goes on with the last story where it was; "
        "with cards it begins a new one from them. Several cards make one scene together.",
    )
    _add_cards(chat, needed="*")
    _add_engine(chat)
    chat.add_argument("--preset", metavar="NAME", help="the sampler preset to begin with")
    chat.add_argument("--new", action="store_true", help="pick a scene for a new story")
    chat.set_defaults(door=_chat)


def _add_say(doors: Doors) -> None:
    say = doors.add_parser(
        "say",
        help="say one thing, print one reply",
        description="Begins the cards' scene, says TEXT as your character, and prints the reply "
        "as it streams. The chat is not kept. The same seed gives the same text.",
    )
    say.add_argument("text", metavar="TEXT", help="what your character says or does")
    _add_cards(say, needed="+")
    _add_turn(say)
    _add_engine(say)
    say.add_argument("--preset", metavar="NAME", help="the sampler preset to use")
    say.add_argument("--seed", metavar="N", type=int, help="make the reply repeatable")
    say.add_argument(
        "--json", action="store_true", help="print one JSON object with the reply and its figures"
    )
    say.set_defaults(door=_say)


def _add_prompt(doors: Doors) -> None:
    prompt = doors.add_parser(
        "prompt",
        help="print exactly what the model would read",
        description="Prints the BlockML text that a reply would be generated from, up to the "
        "colon at which the reply begins.",
    )
    _add_cards(prompt, needed="+")
    prompt.add_argument("--say", metavar="TEXT", help="say this first, as your character")
    _add_turn(prompt)
    _add_engine(prompt)
    prompt.add_argument(
        "--tokens", action="store_true", help="print one token a line, its id and its text"
    )
    prompt.set_defaults(door=_prompt)


def _add_models(doors: Doors) -> None:
    models = doors.add_parser(
        "models",
        help="the models on this machine; pull another one, use one",
        description="Lists the GGUF models in ShoriTUI's own folder, the Hugging Face cache, LM "
        "Studio's and Ollama's folders, each with what it is and whether `▀ ▄` are single tokens "
        "of its vocabulary. The one in use is marked.",
    )
    _add_json(models, default=False)
    models.set_defaults(door=_list_models)
    actions = models.add_subparsers(title="actions", metavar="ACTION")
    listing = actions.add_parser(
        "list",
        help="list them (this is also what no action does)",
        description="Lists the models that are on this machine; nothing is asked of the network.",
    )
    _add_json(listing)
    pull = actions.add_parser(
        "pull",
        help="bring a model from the Hugging Face hub",
        description="Brings a model into ShoriTUI's own folder. What an interrupted pull has "
        "brought is kept, and the next one goes on from there. HF_TOKEN and HF_ENDPOINT count.",
    )
    pull.add_argument(
        "repo",
        metavar="REPO[:QUANT]",
        help="a repository, and a quantisation such as Q4_K_M, or a file's name, if it has several",
    )
    pull.set_defaults(door=_pull_model)
    use = actions.add_parser(
        "use",
        help="make one the model of every story from now on",
        description="Writes a model into the settings, after a look whether it can be loaded.",
    )
    use.add_argument("model", metavar="NAME|FILE", help="a name of the list, or a GGUF file")
    use.set_defaults(door=_use_model)


def _add_chats(doors: Doors) -> None:
    chats = doors.add_parser(
        "chats",
        help="the chats of your library; write them as files to train on",
        description="Lists the chats of your library, the one used last first.",
    )
    _add_json(chats, default=False)
    chats.set_defaults(door=_list_chats)
    actions = chats.add_subparsers(title="actions", metavar="ACTION")
    listing = actions.add_parser(
        "list",
        help="list them (this is also what no action does)",
        description="Lists number, messages, date and title of each chat, the last one first.",
    )
    _add_json(listing)
    export = actions.add_parser(
        "export",
        help="write chats as BlockML files, which `shoritui finetune` reads",
        description="Writes each chat as a file: its scene's blocks and every message on its way "
        "to where it stands now, without the versions that were left. No other file is replaced.",
    )
    export.add_argument(
        "chats", metavar="CHAT", nargs="*", help="a chat's number, or its title if no other has it"
    )
    export.add_argument("--all", action="store_true", help="every chat")
    export.add_argument("--to", metavar="DIR", type=Path, required=True, help="where to write them")
    export.add_argument(
        "--format",
        choices=("blockml", "jsonl"),
        default="blockml",
        help="BlockML text (the default), or one JSON object with it",
    )
    export.set_defaults(door=_export_chats)


def _add_json(command: argparse.ArgumentParser, default: object = argparse.SUPPRESS) -> None:
    command.add_argument(
        "--json", action="store_true", default=default, help="print one JSON object"
    )


def _add_doctor(doors: Doors) -> None:
    doctor = doors.add_parser(
        "doctor",
        help="what is installed, found and used",
        description="Tells the versions, whether llama.cpp offloads to a GPU, which model is "
        "found and what memory it will take, and where the data lies.",
    )
    _add_engine(doctor)
    doctor.add_argument("--json", action="store_true", help="print one JSON object")
    doctor.set_defaults(door=_doctor)


def _add_bench(doors: Doors) -> None:
    bench = doors.add_parser(
        "bench",
        help="measure it on this machine, beside others",
        description="Measures rows, each a ratio of two things taken in one run, or a time: our "
        "stream beside llama.cpp alone and beside the usual Python interface, turns at a full "
        "context beside what other programs do, swipes, reopened chats, type-ahead. Values that "
        "miss their aim are told and are no error.",
    )
    bench.add_argument("rows", metavar="ROW", nargs="*", help="measure these rows only")
    _add_model(bench)
    bench.add_argument(
        "--context",
        metavar="N",
        type=int,
        help="how many tokens a full context has (else 4096, with --full 16384)",
    )
    bench.add_argument("--json", action="store_true", help="print one JSON object with the rows")
    bench.add_argument("--full", action="store_true", help="take the time it takes: more rounds")
    bench.add_argument(
        "--shape",
        metavar="SHAPE",
        help="make a model with random weights (7b, 3b, 1b, 100m, tiny) and measure on that",
    )
    bench.add_argument(
        "--quant", choices=("q4_0", "q8_0"), default="q4_0", help="how its weights are stored"
    )
    bench.set_defaults(door=_bench)


def _add_cards(command: argparse.ArgumentParser, *, needed: str) -> None:
    command.add_argument(
        "cards",
        metavar="CARD",
        nargs=needed,
        type=Path,
        help="a TOML file with characters, lore or a scene; or the name of one that ships",
    )


def _add_engine(command: argparse.ArgumentParser) -> None:
    choice = command.add_mutually_exclusive_group()
    _add_model(choice)
    choice.add_argument(
        "--server",
        metavar="URL",
        help="the OpenAI-compatible server that runs the model, in place of this machine",
    )


def _add_model(command: argparse._ActionsContainer) -> None:
    command.add_argument(
        "--model",
        metavar="FILE|NAME",
        type=Path,
        help="the GGUF model to use, a file or a name that `shoritui models` lists (else the "
        "settings' one, else the small one that ships)",
    )


def _add_turn(command: argparse.ArgumentParser) -> None:
    command.add_argument("--as", dest="user", metavar="NAME", help="who you speak as")
    command.add_argument("--speaker", metavar="NAME", help="who answers (else whose turn it is)")
    command.add_argument(
        "--length",
        metavar="L",
        type=_length,
        help="the reply's length hint, nano to enormous, or auto for none",
    )


def _length(word: str) -> str:
    from shoritui.blockml import LENGTHS

    if word not in (*LENGTHS, "auto"):
        known = ", ".join(LENGTHS)
        raise argparse.ArgumentTypeError(f"{word!r}: expected one of {known}, or auto")
    return word


def _chat(options: argparse.Namespace) -> int:
    from shoritui.settings import card_files
    from shoritui.tui import run

    return run(
        cards=card_files(options.cards),
        model=options.model,
        preset=options.preset,
        new=options.new,
        settings=_settings(options),
    )


def _say(options: argparse.Namespace) -> int:
    from shoritui.scripting import say

    return say(options, _settings(options))


def _prompt(options: argparse.Namespace) -> int:
    from shoritui.scripting import prompt

    return prompt(options, _settings(options))


def _list_models(options: argparse.Namespace) -> int:
    from shoritui.models import list_models

    return list_models(options, _settings())


def _pull_model(options: argparse.Namespace) -> int:
    from shoritui.models import pull

    return pull(options)


def _use_model(options: argparse.Namespace) -> int:
    from shoritui.models import use

    return use(options, _settings())


def _list_chats(options: argparse.Namespace) -> int:
    from shoritui.chats import list_chats

    return list_chats(options)


def _export_chats(options: argparse.Namespace) -> int:
    from shoritui.chats import export_chats

    return export_chats(options, _settings())


def _doctor(options: argparse.Namespace) -> int:
    from shoritui.doctor import doctor

    return doctor(options, _settings(options))


def _bench(options: argparse.Namespace) -> int:
    from shoritui.bench import bench

    return bench(options, _settings())


def _settings(options: argparse.Namespace | None = None) -> Settings:
    """The user's settings; a model or a server that is asked for stands in for their server."""
    from msgspec.structs import replace

    from shoritui.settings import load_settings

    settings = load_settings()
    if options is None or (options.server is None and options.model is None):
        return settings
    return replace(settings, server=options.server or "")

"""The user's settings: what `settings.toml` may hold, reading it, and changing it."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from contextlib import suppress
from typing import Annotated, Any, Final, Literal

import msgspec
import msgspec.structs
from msgspec import Meta

from shoritui.errors import UserError
from shoritui.files import is_there, replace_text
from shoritui.folders import settings_path
from shoritui.text import escaped, one_line
from shoritui.toml import (
    FILLED,
    Sheet,
    choices_of,
    fields_of,
    file_error,
    item_of,
    parse_text,
    problems,
    read_sheet,
    read_text,
    type_parts,
)

_KIND: Final = "settings file"
SERVER_VARIABLE: Final = "SHORITUI_SERVER"
"""Holds an address that takes the place of the settings' own, as `--server` does."""

DEFAULT_INSTRUCTION = (
    "Write a safe conversation suitable for all audiences. Don't be vulgar or sexually explicit."
)
HintSetting = Literal[
    "auto",
    "model",
    "nano",
    "micro",
    "tiny",
    "short",
    "medium",
    "long",
    "massive",
    "huge",
    "enormous",
]
GuideSetting = Literal["auto", "on", "off"]
Strategy = Literal["choose", "in-turn", "natural", "pooled", "model"]
"""How it is decided who speaks next."""


class AdapterFile(msgspec.Struct, frozen=True):
    """A LoRA adapter and how strongly it counts. A scale out of range: `UserError`."""

    path: Annotated[str, FILLED]
    scale: Annotated[float, Meta(ge=-1000, le=1000)] = 1.0

    def __post_init__(self) -> None:
        for problem in problems(msgspec.structs.asdict(self), fields_of(AdapterFile)):
            raise UserError(one_line(problem.sentence))


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What `settings.toml` may hold, with the defaults."""

    version: Literal[1] = 1
    """The format of the file."""
    model: str = ""
    """The GGUF file to load, or a model's name; empty uses the storyteller, or without its base the
    small model that ships."""
    server: str = ""
    """The address of an OpenAI-compatible server to run the model; empty runs it here."""
    server_model: str = ""
    """The model to request from that server; empty uses the one it has loaded."""
    server_key: str = ""
    """The name of the environment variable that holds the server's API key; empty sends none."""
    preset: str = "card-main"
    """The sampler preset for new stories."""
    n_ctx: Annotated[int, Meta(ge=0, le=100_000_000)] = 0
    """The context size in tokens; 0 uses the model's own, up to 8192."""
    n_threads: Annotated[int, Meta(ge=0, le=10_000)] = 0
    """CPU threads for the model; 0 finds the fastest number by measuring."""
    n_gpu_layers: Annotated[int, Meta(ge=-1, le=100_000)] = -1
    """Layers to run on the GPU; -1 runs all of them there."""
    kv_type: Literal["f16", "q8_0", "q4_0"] = "f16"
    """The number format of the KV cache; `q8_0` halves its memory, but is slower on a CPU."""
    context_mode: Literal["auto", "exact", "shift"] = "auto"
    """What happens to the rest when old messages leave a full context: `exact` reads it again while
    the model is idle, `shift` only moves it up, which is faster but approximate; `auto` chooses."""
    kv_cache_gb: Annotated[float, Meta(ge=0, le=1_000_000)] = 8.0
    """Disk space, in GB, for the saved cache that lets a reopened story continue at once; 0 saves
    nothing."""
    adapters: list[AdapterFile] = []
    """LoRA adapters to apply, GGUFs or PEFT folders, such as
    `[{path = "~/loras/noir.gguf", scale = 0.8}]`."""
    alternatives: Literal["auto", 0, 1, 2] = "auto"
    """How many retries to write while you read; `auto` writes 1 on a GPU, none on a CPU."""
    keep_following: Literal["ask", "keep", "branch"] = "ask"
    """Whether what follows a message stays when you change it; `branch` leaves it with the old."""
    persona: str = ""
    """Who you are in new stories, unless the card says so: a persona's name; empty is none."""
    turns: Strategy = "natural"
    """Who speaks next: whom you `choose`, the cast `in-turn`, whoever was addressed and then by
    talkativeness (`natural`), one who has not spoken since you did (`pooled`), or whom the `model`
    finds likeliest."""
    max_tokens: Annotated[int, Meta(ge=1, le=100_000_000)] = 1024
    """The longest a reply may be, in tokens."""
    stop_strings: list[Annotated[str, FILLED]] = []
    """Texts at which a reply ends, for models that were not made for BlockML."""
    length: HintSetting = "medium"
    """The length hint for replies; `auto` sends none and lets the model write as it likes, `model`
    lets it choose a hint for each reply."""
    length_guide: GuideSetting = "auto"
    """Whether replies are led to the length of their hint, by making their end likelier or less
    likely, never by cutting; `auto` leads where a model is known not to keep to hints."""
    lore_budget: Annotated[int, Meta(ge=0, le=100_000_000)] = 0
    """The most tokens that lore with keys may take in the prompt; 0 allows a third of the
    context."""
    memory: Literal["ask", "auto", "off"] = "ask"
    """What happens when old messages are about to leave a full context: `ask` offers a summary by
    the model in their place, `auto` writes it while the model is idle, `off` lets them go."""
    instruction: str = DEFAULT_INSTRUCTION
    """The system instruction, sent as an [INST] block; empty sends none."""
    instruction_place: Literal["before-messages", "top"] = "before-messages"
    """Where the system instruction goes: `before-messages`, or at the `top` of the prompt."""
    ooc_form: str = "{name}: {text}"
    """How an out-of-character line is written in its block; `{text}` alone leaves the name out."""
    ooc_in_prompt: bool = True
    """Whether the model reads out-of-character talk when it writes the story."""
    examples_in_prompt: bool = True
    """Whether the model reads the example messages of cards, of which an eighth of the context is
    the most."""
    theme: str = "shori-dark"
    """The theme's name, as Alt+V lists it."""
    show_marks: bool = True
    """Whether to show the prose's quote marks, underscores and asterisks."""
    pictures: Literal["auto", "blocks", "off"] = "auto"
    """How to show the pictures of cards: as well as the terminal can (`auto`), in half `blocks`, or
    not at all."""
    mood: Literal["text", "name", "hidden"] = "text"
    """Where emoji that tell a message's mood are shown: in the `text`, beside the `name`, or not at
    all (`hidden`)."""
    mood_ask: bool = False
    """Whether to ask the model for such emoji, in the system instruction."""
    keymap: dict[str, str] = {}
    """Keys by action id, such as `retry = "f9"`."""


def load_settings() -> Settings:
    """Return the user's settings; the defaults where there is no file.

    Raises:
        UserError: The file is not TOML, or a key or value in it is not known.
    """
    path = settings_path()
    return _settings(read_sheet(path, _KIND)) if is_there(path) else Settings()


def save_settings(**changes: Any) -> Settings:
    """Write changed settings into the file, keep its comments, and return them all.

    Raises:
        UserError: The file is not readable as it is, a value is not allowed, or the file
            cannot be written.
    """
    import tomlkit

    path = settings_path()
    load_settings()
    document = tomlkit.parse(read_text(path, _KIND) if is_there(path) else "")
    for key, value in msgspec.to_builtins(changes).items():
        _put(document, key, value)
    plain = tomlkit.dumps(document)
    text, settings = plain, _settings(parse_text(path, plain, _KIND))
    with suppress(UserError):  # where a user's text is in single quotes, which hold no escapes
        if _settings(parse_text(path, escaped(plain), _KIND)) == settings:
            text = escaped(plain)
    try:
        replace_text(path, text)
    except OSError as error:
        raise file_error(path, f"the file cannot be written ({error.strerror})") from None
    return settings


def setting_problem(key: str, value: object) -> str:
    """Return why a setting can't have this value, in a sentence; empty if it can."""
    found = problems({key: value}, fields_of(Settings), kind="setting")
    return next((one_line(problem.sentence) for problem in found), "")


def typed_value(key: str, text: str) -> object:
    """Return a setting's value as it was typed, without quotes, the texts of a list a line each.

    What is not of the setting's type stays the text.
    """
    hint, _ = type_parts(fields_of(Settings)[key].type)
    if item_of(hint) is not None:
        return [line.strip() for line in text.split("\n") if line.strip()]
    choices = {str(choice): choice for choice in choices_of(hint)}
    if hint in (int, float):
        try:
            return hint(text)
        except ValueError:
            return text
    return choices.get(text, text)


def _put(table: MutableMapping[str, Any], key: str, value: object) -> None:
    """Put a value into a table of the file; of a table only what differs, to keep its comments."""
    there = table.get(key)
    if isinstance(value, Mapping) and isinstance(there, MutableMapping):
        for gone in there.keys() - value.keys():
            del there[gone]
        for name, each in value.items():
            if there.get(name) != each:
                _put(there, name, each)
    else:
        table[key] = value


def _settings(sheet: Sheet) -> Settings:
    sheet.raise_all(problems(sheet.data, fields_of(Settings), kind="setting"))
    return msgspec.convert(sheet.data, Settings)

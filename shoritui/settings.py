"""The user's settings and the folders everything lives in.

It does not know what a setting does; the room that reads it does.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import tomli

from shoritui.errors import UserError
from shoritui.files import replace_text

HOME_VARIABLE = "SHORITUI_HOME"
DEFAULT_INSTRUCTION = (
    "Write a safe conversation suitable for all audiences. Don't be vulgar or sexually explicit."
)
HintSetting = Literal[
    "auto", "nano", "micro", "tiny", "short", "medium", "long", "massive", "huge", "enormous"
]


class AdapterFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A LoRA adapter, and how strongly it counts."""

    path: str
    scale: float = 1.0


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `settings.toml` may hold, with the defaults."""

    version: Literal[1] = 1
    """The format of the file."""
    model: str = ""
    """The GGUF file to load, or a model's name; empty takes the small model that ships."""
    server: str = ""
    """The OpenAI-compatible server that runs the model, by its address; empty runs it here."""
    server_model: str = ""
    """The model to ask that server for; empty takes the one that it has."""
    server_key: str = ""
    """The name of the environment variable that holds the server's API key; empty sends none."""
    preset: str = "card-main"
    """The sampler preset a new chat begins with."""
    n_ctx: Annotated[int, msgspec.Meta(ge=0)] = 0
    """The context size in tokens; 0 takes the model's own, at most 8192."""
    n_threads: Annotated[int, msgspec.Meta(ge=0)] = 0
    """CPU threads of the engine; 0 measures, beginning with all physical cores but one."""
    n_gpu_layers: Annotated[int, msgspec.Meta(ge=-1)] = -1
    """Layers on the GPU; -1 takes all."""
    kv_type: Literal["f16", "q8_0", "q4_0"] = "f16"
    """The number format of the KV cache; `q8_0` takes half the memory and is slower on a CPU."""
    context_mode: Literal["auto", "exact", "shift"] = "auto"
    """A full context: `exact` reads the rest anew in idle time, `shift` moves it up as it is."""
    kv_cache_gb: Annotated[float, msgspec.Meta(ge=0)] = 8.0
    """Disk space, in GB, for what was read to be at hand after a restart; 0 keeps nothing."""
    adapters: list[AdapterFile] = []
    """LoRA adapters, such as `[{path = "~/loras/noir.gguf", scale = 0.8}]`."""
    alternatives: Literal["auto", 0, 1, 2] = "auto"
    """How many retries are written while you read; `auto` writes 1 on a GPU, none on a CPU."""
    max_tokens: Annotated[int, msgspec.Meta(ge=1)] = 1024
    """The most tokens of one reply."""
    length: HintSetting = "medium"
    """The length hint of replies; `auto` sends none (the dynamic mode)."""
    instruction: str = DEFAULT_INSTRUCTION
    """The system instruction, an [INST] block; empty leaves it out."""
    instruction_place: Literal["before-messages", "top"] = "before-messages"
    """Where the system instruction stands."""
    ooc_form: str = "{name}: {text}"
    """How an out-of-character line is written inside its block."""
    theme: str = "shori-dark"
    """The theme's name."""
    show_marks: bool = True
    """Show the quote marks, underscores and asterisks of the prose."""
    keymap: dict[str, str] = {}
    """Keys by action id, such as `retry = "ctrl+y"`."""


def config_dir() -> Path:
    """Where settings, themes, presets and the user's own cards lie."""
    return _folder("config")


def data_dir() -> Path:
    """Where the library of chats lies."""
    return _folder("data")


def cache_dir() -> Path:
    """Where logs lie, and whatever can be made again."""
    return _folder("cache")


def bundled_dir(name: Literal["characters", "themes"]) -> Path:
    """The folder of cards or themes that ships, in a wheel or in a checkout."""
    package = Path(__file__).parent
    in_wheel = package / "_bundled" / name
    return in_wheel if in_wheel.is_dir() else package.parent / name


def models_dir() -> Path:
    """Where pulled models lie, and any others that the user puts there."""
    return data_dir() / "models"


def shipped_model() -> Path:
    """The small model that ships; it may be missing in an unbuilt checkout."""
    from shoritui.demo import model_path

    return model_path()


def model_file(option: Path | None, settings: Settings) -> Path:
    """The model to load: the option's, else the settings', else the one that ships.

    Both may be a file, or a name that `shoritui models` lists.

    Raises:
        UserError: It is neither, or several models have the name.
    """
    if option is None and not settings.model:
        return shipped_model()
    wanted = option if option is not None else Path(settings.model)
    path = wanted.expanduser()
    return path if path.is_absolute() or path.exists() else _model_of_name(wanted)


def card_folders() -> tuple[Path, Path]:
    """Where cards are found by name: the user's own first, then those that ship."""
    return config_dir() / "characters", bundled_dir("characters")


def card_files(names: Sequence[Path]) -> list[Path]:
    """The files meant by names on a command line: a path, or the name of a known card."""
    return [_card_file(name.expanduser()) for name in names]


def settings_path() -> Path:
    """The settings file, which need not exist."""
    return config_dir() / "settings.toml"


def load_settings() -> Settings:
    """The user's settings; the defaults where there is no file.

    Raises:
        UserError: The file is not TOML, or a key or value in it is not known.
    """
    path = settings_path()
    try:
        document = tomli.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Settings()
    except (OSError, UnicodeDecodeError, tomli.TOMLDecodeError) as error:
        raise UserError(f"{path}: {error}. Correct or remove this settings file.") from None
    return _checked(document, path)


def save_settings(**changes: Any) -> Settings:
    """Writes changed settings into the file, keeping its comments, and returns them all.

    Raises:
        UserError: The file is not readable as it is, a value is not allowed, or the file
            cannot be written.
    """
    import tomlkit

    path = settings_path()
    load_settings()
    old = path.read_text(encoding="utf-8") if path.exists() else ""
    document = tomlkit.parse(old)
    for key, value in changes.items():
        document[key] = value
    settings = _checked(document.unwrap(), path)
    try:
        replace_text(path, tomlkit.dumps(document))
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}.") from None
    return settings


def _model_of_name(name: Path) -> Path:
    from shoritui.engine.shelf import find, look, unknown

    models = look(models_dir(), shipped_model()).models
    model = find(str(name), models)
    if model is not None:
        return model.path
    if name.suffix.lower() == ".gguf" or len(name.parts) > 1:
        return name  # a file that is missing: whoever opens it says so
    raise unknown(str(name), models)


def _card_file(name: Path) -> Path:
    if name.exists() or len(name.parts) > 1:
        return name
    for folder in card_folders():
        for file in (folder / name, folder / f"{name}.toml"):
            if file.is_file():
                return file
    return name


def _checked(document: dict[str, Any], path: Path) -> Settings:
    known = Settings.__struct_fields__
    for key in document:
        if key not in known:
            nearest = get_close_matches(key, known, n=1)
            hint = f" Did you mean {nearest[0]}?" if nearest else ""
            raise UserError(f"{path}: unknown setting {key!r}.{hint}")
    try:
        return msgspec.convert(document, Settings)
    except msgspec.ValidationError as error:
        raise UserError(f"{path}: {error}.") from None


def _folder(kind: Literal["config", "data", "cache"]) -> Path:
    home = os.environ.get(HOME_VARIABLE)
    if home:
        return Path(home).expanduser() / kind
    import platformdirs

    folder: Path = getattr(platformdirs, f"user_{kind}_path")("shoritui", appauthor=False)
    return folder

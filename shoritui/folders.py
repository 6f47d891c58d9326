"""The folders and files that everything lives in: settings, library, caches, and what ships.

`SHORITUI_HOME` puts all of the user's own below one folder:

    $SHORITUI_HOME/config/settings.toml, themes/, presets/, characters/, personas/
    $SHORITUI_HOME/data/library.db, models/
    $SHORITUI_HOME/cache/
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Final, Literal

from shoritui.errors import UserError
from shoritui.text import printable

HOME_VARIABLE: Final = "SHORITUI_HOME"


def user_path(written: str | os.PathLike[str], folder: Path = Path()) -> Path:
    """Return a path as a user wrote it, from `folder` on if it is relative; `~` is expanded.

    Nothing need be there; `UserError` if nothing can: no name, no such user, one too long, a NUL.
    """
    if isinstance(written, str) and not written.strip():
        raise UserError("An empty name is no file or folder.")
    try:
        path = folder / Path(written).expanduser()
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return path
    except RuntimeError:
        why = "there is no user of this name, or the user has no home folder"
    except ValueError:
        why = "its name is not one a file can have"
    except OSError as error:
        why = str(error.strerror)
    else:
        return path
    raise UserError(f"{printable(written)} cannot be used: {why}.")


def config_dir() -> Path:
    """Return the folder of settings, themes, presets and the user's own cards."""
    return _folder("config")


def data_dir() -> Path:
    """Return the folder of the library of chats."""
    return _folder("data")


def cache_dir() -> Path:
    """Return the folder of logs and of whatever can be made again."""
    return _folder("cache")


def own_dirs() -> tuple[Path, Path, Path]:
    """Return the three folders in which everything of the user's own is."""
    return config_dir(), data_dir(), cache_dir()


def models_dir() -> Path:
    """Return the folder of pulled models, and of any others that the user puts there."""
    return data_dir() / "models"


def settings_path() -> Path:
    """Return the settings file, which need not exist."""
    return config_dir() / "settings.toml"


@cache  # it stays where it is, and the app asks in its event loop
def bundled_dir(name: Literal["characters", "themes"]) -> Path:
    """Return the folder of cards or themes that ships, in a wheel or in a checkout."""
    package = Path(__file__).parent
    in_wheel = package / "_bundled" / name
    return in_wheel if in_wheel.is_dir() else package.parent / name


def _folder(kind: Literal["config", "data", "cache"]) -> Path:
    home = os.environ.get(HOME_VARIABLE)
    if home:
        return _home(home) / kind
    import platformdirs

    folder: Path = getattr(platformdirs, f"user_{kind}_path")("shoritui", appauthor=False)
    return folder


_home: Final = cache(user_path)
"""As `user_path`, but looked at once: the app asks in its event loop."""

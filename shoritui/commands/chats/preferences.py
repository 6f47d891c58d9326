"""`shoritui chats export --preferences`: what was kept and what was left, shown and then asked."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from shoritui.bounded import read_json
from shoritui.commands.chats.library import read_all, shown
from shoritui.errors import UserError
from shoritui.files import content_of, replace_text, why
from shoritui.interop import Preference, preferences_of, tally
from shoritui.settings import load_settings
from shoritui.story import Chat, Library, Summary
from shoritui.text import clean, counted, one_line, printable, table

FILE: Final = "preferences.jsonl"
_EXAMPLES: Final = 3
_WIDEST: Final = 100


def export_preferences(library: Library, chats: Sequence[Summary], path: Path, *, yes: bool) -> int:
    """Show what was preferred in these chats; write it if that is wanted, and return the exit code.

    Raises:
        UserError: Nobody can be asked, or the file is another one, or it cannot be written.
    """
    settings = load_settings()
    found: list[tuple[Chat, list[Preference]]] = []
    unread: list[Summary] = []
    for whole in read_all(library, chats, unread):
        if preferences := preferences_of(whole, settings):
            found.append((whole.chat, preferences))
    if not found:
        print("No reply was kept over another one, or edited, in these chats: nothing to write.")
        return int(bool(unread))
    text = "".join(each.line(chat) for chat, preferences in found for each in preferences)
    held = _held(path)
    if held == text:
        print(f"Unchanged: {path}")
        return int(bool(unread))
    print("\n".join(_told(found)))
    print(f"\nThe file holds text of these stories, secrets too. You alone can read {path.name}.")
    if not (yes or _agrees(path, is_there=held is not None)):
        print("Nothing was written.")
        return 1
    try:
        replace_text(path, text)
        path.chmod(0o600)
    except OSError as error:
        raise UserError(f"{printable(path)} cannot be written: {why(error)}.") from None
    print(path)
    return int(bool(unread))


def _told(found: Sequence[tuple[Chat, list[Preference]]]) -> Iterator[str]:
    """Yield the counts of each chat and of all, and some examples."""
    rows = [(one_line(shown(chat)), tally(preferences)) for chat, preferences in found]
    yield from table(rows)
    every = [(chat, each) for chat, preferences in found for each in preferences]
    today = sum(not each.is_exact for _, each in every)
    yield f"{counted(len(every), 'preference')}: {tally([each for _, each in every])}."
    yield (
        f"Of {today:,} the context is what the model would read today, of the others what it read."
        if today
        else "Each context is to the letter what the model read."
    )
    yield "\nFor example:"
    for chat, each in _examples(every):
        yield f"\n  {each.chosen.speaker}, in {shown(chat)}"
        yield f"    {each.because:6}  {_cut(each.chosen.text)}"
        yield f"    left    {_cut(each.rejected[-1].text)}"


def _examples(every: Sequence[tuple[Chat, Preference]]) -> list[tuple[Chat, Preference]]:
    """Return a few, the newest ones, of every reason there is."""
    newest = sorted(every, key=lambda each: each[1].chosen.created, reverse=True)
    seen: Counter[str] = Counter()
    ranked = []
    for chat, each in newest:
        ranked.append((seen[each.because], chat, each))
        seen[each.because] += 1
    ranked.sort(key=lambda row: row[0])
    return [(chat, each) for _, chat, each in ranked[:_EXAMPLES]]


def _cut(text: str) -> str:
    line = one_line(text)
    return line if len(line) <= _WIDEST else f"{line[: _WIDEST - 1]}…"


def _held(path: Path) -> str | None:
    """Return the preferences that a file holds; None if there is none.

    Raises:
        UserError: It holds something else, or cannot be read.
    """
    try:
        text = content_of(path).decode()
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        reason = why(error) if isinstance(error, OSError) else "it is no text"
        raise UserError(f"{printable(path)} cannot be read: {reason}.") from None
    try:
        row = read_json(text.partition("\n")[0])
        is_ours = isinstance(row, dict) and {"context", "chosen", "rejected"} <= row.keys()
    except ValueError:
        is_ours = False
    if is_ours:
        return text
    raise UserError(
        f"{printable(path)} exists already and holds something else: remove it, or name another "
        "file with -o."
    )


def _agrees(path: Path, *, is_there: bool) -> bool:
    """Ask whether the file is to be written.

    Raises:
        UserError: There is no terminal to ask on.
    """
    if not sys.stdin.isatty():
        raise UserError("Nobody is there to be asked: add --yes to write the file.")
    verb = "Replace" if is_there else "Write"
    try:
        answer = input(f"{verb} {clean(str(path))}? [y/N] ")
    except EOFError:
        answer = ""
    return answer.strip().casefold() in ("y", "yes")

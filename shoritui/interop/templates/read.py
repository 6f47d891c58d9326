"""Prompt templates of other programs: recognised, kept, and told what becomes of them.

ShoriTUI writes BlockML to every model, so a template never changes the prompt. Its system text may:
it is kept as a text of its own, which `/instruction` offers.

    context      {"story_string": …}            instruct    {"input_sequence": …}
    sysprompt    {"name", "content"}            reasoning   {"prefix", "suffix", …}
    bundle       {"instruct": {…}, "context": {…}, "sysprompt": {…}, "preset": {…}, …}
"""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from shoritui.blockml import BLOCK_OPEN
from shoritui.bounded import read_json
from shoritui.cards.macros import Scope, left_out, settle
from shoritui.errors import UserError
from shoritui.files import add_text, open_file, why
from shoritui.folders import config_dir, user_path
from shoritui.interop.templates.write import context_template, instruct_template
from shoritui.text import clean, one_line, printable

Kind: TypeAlias = Literal["context", "instruct", "sysprompt", "reasoning"]
_LARGEST: Final = 4 << 20
_LONGEST: Final = 100_000
_BUNDLE: Final[tuple[Kind, ...]] = ("instruct", "context", "sysprompt", "reasoning")
_SYSPROMPT: Final = frozenset({"name", "content", "post_history"})
_REASONING: Final = frozenset({"name", "prefix", "suffix", "separator"})
_OPEN, _CLOSE = "[INST]", "[/INST]"
_MACRO: Final = re.compile(r"\{\{[^{}]*\}\}")
_NO_BEARING: Final = frozenset({"name", "activation_regex", "preset", "enabled", "bind_to_context"})
_OLD: Final = {
    "separator_sequence": "output_suffix",
    "system_sequence_prefix": "story_string_prefix",
    "system_sequence_suffix": "story_string_suffix",
    "include_newline": "",
    "names": "names_behavior",
    "names_force_groups": "names_behavior",
    "system_prompt": "",
    "allow_jailbreak": "",
    "derived": "",
}
"""What older versions call a field, or nothing where there is none for it now."""


@dataclass(frozen=True, slots=True)
class Template:
    """One template of a file."""

    kind: Kind
    name: str
    values: Mapping[str, Any]

    @property
    def is_blockml(self) -> bool:
        """Whether it writes BlockML."""
        return any(BLOCK_OPEN in each for each in self.values.values() if isinstance(each, str))

    @property
    def different(self) -> tuple[str, ...]:
        """The fields in which a BlockML template does otherwise than ShoriTUI."""
        ours = context_template() if self.kind == "context" else instruct_template()
        found: dict[str, None] = {}
        for name, value in self.values.items():
            now = _OLD.get(name, name)
            given = "always" if now == "names_behavior" and value is True else value
            if now in ours and name not in _NO_BEARING and given != ours[now]:
                found[now] = None
        return tuple(found)

    @property
    def instructions(self) -> tuple[str, ...]:
        """The texts in it that tell the model what to do."""
        return tuple(dict.fromkeys(filter(None, map(_plain, self._system_texts()))))

    def _system_texts(self) -> Iterator[str]:
        for name in ("content", "system_prompt", "post_history"):
            text = self.values.get(name)
            if isinstance(text, str):
                yield text
        for value in self.values.values() if self.is_blockml else ():
            if isinstance(value, str):
                yield from _instructions(value[:_LONGEST])


@dataclass(frozen=True, slots=True)
class KeptTemplate:
    """A file of templates that was taken in."""

    path: Path
    """The copy."""
    files: tuple[Path, ...]
    """The copy, and the instruction beside it as a text."""
    templates: tuple[Template, ...]
    instruction: str
    """What `/instruction` offers; empty if there is none."""

    @property
    def kind(self) -> str:
        """Which one it is of what a template can be; empty if it is several."""
        return _named(self.templates)

    @property
    def left(self) -> tuple[str, ...]:
        """What of it is not used."""
        formats = [each for each in self.templates if each.kind != "sysprompt"]
        return ("its format, since ShoriTUI writes BlockML",) if formats else ()

    @property
    def sentences(self) -> str:
        """What became of it, for people."""
        return f"{printable(self.path)}: {_told(self.templates, self.instruction)}"


def templates_of(found: Mapping[str, Any], name: str) -> tuple[Template, ...]:
    """Return the templates in the values of a JSON file; none if it is another kind of file."""
    if (kind := _kind(found)) is not None:
        return (_template(kind, found, name),)
    inner = [(kind, found.get(kind)) for kind in _BUNDLE]
    rows = [(kind, values) for kind, values in inner if isinstance(values, dict)]
    if not rows or "spec" in found or "entries" in found:
        return ()
    if all(_kind(values) in (kind, None) for kind, values in rows) and any(
        _kind(values) == kind for kind, values in rows
    ):
        return tuple(_template(kind, values, name) for kind, values in rows)
    return ()


def import_template(path: Path) -> KeptTemplate | None:
    """Keep a file of templates among the user's own; None if it is none.

    No file is replaced: where one of the name is there already, the new one gets a number.

    Raises:
        UserError: It is one, but nothing can be written.
    """
    text = _text_of(path)
    if text is None:
        return None
    try:
        found = read_json(text)
    except ValueError:
        return None
    templates = templates_of(found, path.stem) if isinstance(found, dict) else ()
    if not templates:
        return None
    instruction = "\n\n".join(dict.fromkeys(t for each in templates for t in each.instructions))
    stem = re.sub(r"[^\w ()&.-]", "_", clean(one_line(path.stem)))[:80].strip(" .") or "template"
    kinds = [each.kind for each in templates]
    # A context and an instruct template mostly have one name.
    target = template_folder() / (kinds[0] if len(kinds) == 1 else "") / f"{stem}.json"
    try:
        kept = add_text(target, text)
        files = [kept]
        if instruction:
            said = template_folder() / f"{kept.stem}.txt"
            files.append(add_text(said, f"{instruction}\n"))
    except OSError as error:
        raise UserError(f"{printable(target)} cannot be written: {why(error)}.") from None
    return KeptTemplate(kept, tuple(files), templates, instruction)


def template_folder() -> Path:
    """Return the folder of templates that were taken in, and of the instructions in them."""
    return config_dir() / "templates"


def kept_instructions() -> dict[str, str]:
    """Return the instructions that came with templates, by the names of their files.

    Files that cannot be read are passed over.
    """
    found: dict[str, str] = {}
    try:
        files = sorted(template_folder().glob("*.txt"))
    except OSError:
        return found
    for file in files:
        text = _text_of(file)
        if text and text.strip():
            found[file.stem] = clean(text).strip()
    return found


def fitted(text: str, user: str, others: Sequence[str]) -> tuple[str, str]:
    """Return an instruction with its macros settled, and a sentence on those left out, if any.

    `{{char}}` stands for all the `others`, since an instruction is read for each of them.
    """
    settled, unknown = settle(text, Scope(user=user, char=" and ".join(others), others=others))
    return settled.strip(), left_out(unknown)


def kept_templates() -> list[tuple[str, Template]]:
    """Return the templates that were taken in, each after the name of its file.

    Files that cannot be read are passed over.
    """
    found: list[tuple[str, Template]] = []
    try:
        files = sorted(template_folder().rglob("*.json"))
    except OSError:
        return found
    for file in files:
        try:
            values = read_json(_text_of(file) or "")
        except ValueError:
            continue
        if isinstance(values, dict):
            found += [(file.stem, each) for each in templates_of(values, file.stem)]
    return found


def _named(templates: Sequence[Template]) -> str:
    """Return what templates are, if they are one."""
    names = {"sysprompt": "system prompt"}
    return names.get(templates[0].kind, templates[0].kind) if len(templates) == 1 else ""


def _kind(found: Mapping[str, Any]) -> Kind | None:
    if isinstance(found.get("story_string"), str):
        return "context"
    if any(isinstance(found.get(f"{each}_sequence"), str) for each in ("input", "output")):
        return "instruct"
    if isinstance(found.get("content"), str) and found.keys() <= _SYSPROMPT:
        return "sysprompt"
    if {"prefix", "suffix"} <= found.keys() <= _REASONING:
        return "reasoning"
    return None


def _template(kind: Kind, values: Mapping[str, Any], name: str) -> Template:
    own = values.get("name")
    return Template(kind, one_line(own)[:100] if isinstance(own, str) and own else name, values)


def _plain(text: str) -> str:
    """Return a system text that can be an instruction, without what encloses one."""
    text = clean(text[:_LONGEST]).strip()
    text = next(_instructions(text), text)
    rest = _MACRO.sub("", text)
    is_text = BLOCK_OPEN not in text and "{{#" not in text
    return text if is_text and re.search(r"\w", rest) else ""


def _instructions(text: str) -> Iterator[str]:
    """Yield what stands between the marks of an instruction."""
    at = 0
    while (begin := text.find(_OPEN, at)) >= 0 and (end := text.find(_CLOSE, begin)) >= 0:
        yield text[begin + len(_OPEN) : end].strip()
        at = end + len(_CLOSE)


def _told(templates: tuple[Template, ...], instruction: str) -> str:
    said = []
    blockml = [each for each in templates if each.is_blockml]
    other = [each for each in templates if not each.is_blockml and each.kind != "sysprompt"]
    if blockml:
        different = dict.fromkeys(name for each in blockml for name in each.different)
        said.append("ShoriTUI writes BlockML by itself, so this template changes nothing")
        said[-1] += f"; it does otherwise in {', '.join(different)}." if different else "."
    if other:
        names = " and ".join(dict.fromkeys(printable(each.name, 40) for each in other))
        said.append(
            f"It is kept, but not used: {names} is for another format, and ShoriTUI writes "
            "BlockML to every model."
        )
    if instruction:
        said.append("Its instruction can be yours: /instruction offers it.")
    elif not said:
        said.append("It holds no instruction, so it is kept, but not used.")
    return " ".join(said)


def _text_of(path: Path) -> str | None:
    """Return the text of a file; None if it has none, or too much of it."""
    try:
        real = user_path(path)
        status = real.stat()
        if not stat.S_ISREG(status.st_mode) or status.st_size > _LARGEST:
            return None
        with TextIOWrapper(open_file(real), encoding="utf-8-sig") as file:
            return file.read()
    except (OSError, UnicodeDecodeError, UserError):
        return None

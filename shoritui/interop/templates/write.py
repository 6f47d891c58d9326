"""BlockML as SillyTavern's Context and Instruct templates, for one character and for groups.

The published templates of ShoriRP's model card (`BlockML-Context.json`, `BlockML-Instruct.json`)
end a block twice where two characters speak in a row, since the end stands in the prefix of the
next message. Here each message carries its own end, as SillyTavern has known it since 1.12.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from shoritui.blockml import BLOCK_CLOSE, Block, Instruction, Part, render
from shoritui.errors import UserError
from shoritui.files import add_text, why
from shoritui.text import as_json, printable

NAME: Final = "BlockML"
GROUP_NAME: Final = "BlockML groups"
_LAST_HINT: Final = "medium"

JOIN_PREFIX: Final = "▀description{{newline}}{{char}}{{newline}}"
JOIN_SUFFIX: Final = BLOCK_CLOSE
"""What a group's members are joined with; SillyTavern trims the prefix, so its line ends are
macros."""
FOR_GROUPS: Final = (
    f"In a group, join the character cards, with the prefix {JOIN_PREFIX} and the suffix "
    f"{JOIN_SUFFIX}, write the scenario into the group's own, and never include examples."
)
"""What a group needs beside the templates, for people."""


_PERSONALITY: Final = "\n**Personality:** {{personality}}"
_JOINED: Final = (
    "{{#if description}}{{description}}\n{{/if}}{{#if personality}}{{personality}}\n{{/if}}"
)


def context_template(*, groups: bool = False) -> dict[str, Any]:
    """Return the Context template: a block each of what SillyTavern knows, in our order.

    Args:
        groups: Whether the descriptions come joined, each as a block already.
    """
    personality = f"{{{{#if personality}}}}{_PERSONALITY}{{{{/if}}}}"
    described = _if("description", _character(f"\n{{{{description}}}}{personality}"))
    characterised = _if("personality", _character(_PERSONALITY))
    told = (
        _if("anchorBefore", Block("lore", "{{anchorBefore}}")),
        _if("wiBefore", Block("lore", "{{wiBefore}}")),
        _if("wiAfter", Block("lore", "{{wiAfter}}")),
        _JOINED
        if groups
        else f"{described}{{{{#unless description}}}}{characterised}{{{{/unless}}}}",
        _if("persona", Block("description", "{{user}}\n{{persona}}")),
        _if("scenario", Block("scenario", "{{scenario}}")),
        _if("anchorAfter", Block("lore", "{{anchorAfter}}")),
        _if("system", Instruction("{{system}}")),
    )
    return {
        "story_string": "".join(told),
        "example_separator": "",
        "chat_start": "",
        "use_stop_strings": False,
        "names_as_stop_strings": False,
        "story_string_position": 0,
        "story_string_depth": 1,
        "story_string_role": 0,
        "always_force_name2": True,
        "trim_sentences": False,
        "single_line": False,
        "name": GROUP_NAME if groups else NAME,
    }


def _character(text: str) -> Block:
    return Block("description", f"{{{{char}}}}{text}")


def _if(name: str, part: Part) -> str:
    return f"{{{{#if {name}}}}}{render(part)}{{{{/if}}}}"


def instruct_template() -> dict[str, Any]:
    """Return the Instruct template: every message a block of its own, whoever wrote the last."""
    message = _around(Block("message", _TEXT, _WHO))
    note, note_end = render(Instruction(_TEXT)).split(_TEXT)
    end = f"{BLOCK_CLOSE}\n"
    return {
        "input_sequence": message,
        "input_suffix": end,
        "output_sequence": message,
        "output_suffix": end,
        "system_sequence": note,
        "system_suffix": note_end,
        "first_input_sequence": "",
        "last_input_sequence": "",
        "first_output_sequence": "",
        "last_output_sequence": _around(Block("message", _TEXT, _WHO, _LAST_HINT)),
        "last_system_sequence": "▀lore\n",
        "stop_sequence": BLOCK_CLOSE,
        "sequences_as_stop_strings": True,
        "story_string_prefix": "",
        "story_string_suffix": "",
        "user_alignment_message": "",
        "system_same_as_user": False,
        "wrap": False,
        "macro": True,
        "names_behavior": "always",
        "skip_examples": False,
        "activation_regex": "/shori|blockml/i",
        "name": NAME,
    }


def system_template(instruction: str) -> dict[str, Any]:
    """Return the System Prompt of an instruction; an empty one sends none."""
    return {"name": NAME, "content": instruction, "post_history": ""}


_WHO: Final = "\x01"
_TEXT: Final = "\x02"


def _around(message: Block) -> str:
    """Return what stands before the name of a message."""
    return render(message).partition(_WHO)[0]


def write_templates(folder: Path, instruction: str) -> list[Path]:
    """Write the templates into a folder, which is made, and return the files.

    No file is replaced: where one of the name is there already, the new one gets a number.

    Args:
        folder: Where to.
        instruction: What the model reads before the story, as the system prompt.

    Raises:
        UserError: Nothing can be written there.
    """
    templates = {
        "BlockML context.json": context_template(),
        "BlockML context for groups.json": context_template(groups=True),
        "BlockML instruct.json": instruct_template(),
        "BlockML system prompt.json": system_template(instruction),
    }
    written = []
    for name, values in templates.items():
        text = as_json(values, 4) + "\n"
        try:
            written.append(add_text(folder / name, text))
        except OSError as error:
            raise UserError(
                f"{printable(folder / name)} cannot be written: {why(error)}."
            ) from None
    return written

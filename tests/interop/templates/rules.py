"""How SillyTavern makes a prompt of its templates, said once more in our words.

Restated from its documentation (Context Template, Instruct Mode, Group Chats): the story string is
rendered with `{{#if}}`, leading newlines go; each message stands between the sequence and the
suffix of its role; with `names_behavior: always` its name stands before it; the last line is the
last output sequence and the speaker's name. Joined members of a group stand between the prefix and
the suffix of the group, which are trimmed before their macros are put in.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_BLOCK = re.compile(
    r"\{\{#(if|unless) (\w+)\}\}((?:(?!\{\{#|\{\{/(?:if|unless)).)*)\{\{/\1\}\}", re.DOTALL
)


@dataclass(frozen=True)
class Member:
    """A character card."""

    name: str
    description: str = ""
    personality: str = ""
    scenario: str = ""


@dataclass(frozen=True)
class Said:
    """A message of the chat; a narrator's has no name."""

    name: str
    text: str
    is_user: bool = False
    is_narrator: bool = False


@dataclass(frozen=True)
class Tavern:
    """A chat and the templates it is written with."""

    context: Mapping[str, Any]
    instruct: Mapping[str, Any]
    user: str
    members: Sequence[Member]
    """One is a chat of two; more are a group whose cards are joined."""
    persona: str = ""
    lore_before: str = ""
    lore_after: str = ""
    system: str = ""
    group_scenario: str = ""
    prefix: str = ""
    suffix: str = ""

    def prompt(self, chat: Sequence[Said], speaker: str) -> str:
        """The whole text that is sent for a reply of this speaker."""
        instruct, parts = self.instruct, [self.story(speaker)]
        for number, said in enumerate(chat):
            role = "input" if said.is_user else "output"
            before = instruct[f"{role}_sequence"]
            if number == 0:
                before = instruct.get(f"first_{role}_sequence") or before
            text, after = f"{said.name}: {said.text}", instruct[f"{role}_suffix"]
            if said.is_narrator:
                before, text = instruct["system_sequence"], said.text
                after = instruct["system_suffix"]
            parts.append(self._joined(before, text + after))
        last = instruct.get("last_output_sequence") or instruct["output_sequence"]
        parts.append(self._joined(last, f"{speaker}:"))
        return "".join(parts)

    def story(self, speaker: str) -> str:
        """The story string."""
        is_group = len(self.members) > 1
        fields = {
            name: "\n".join(filter(None, (self._field(each, name) for each in self.members)))
            for name in ("description", "personality", "scenario")
        }
        values = {
            **fields,
            "scenario": (is_group and self.group_scenario) or fields["scenario"],
            "persona": self.persona,
            "wiBefore": self.lore_before,
            "wiAfter": self.lore_after,
            "system": self.system,
            "char": speaker,
            "user": self.user,
        }
        text: str = self.context["story_string"]
        while (found := _BLOCK.search(text)) is not None:
            is_kept = bool(values.get(found[2])) is (found[1] == "if")
            text = text[: found.start()] + (found[3] if is_kept else "") + text[found.end() :]
        text = re.sub(r"\{\{(\w+)\}\}", lambda name: str(values.get(name[1], "")), text)
        text = text.lstrip("\n")
        if text and not text.endswith("\n") and self.instruct["wrap"]:
            text += "\n"
        return text

    def _field(self, member: Member, name: str) -> str:
        text: str = getattr(member, name).strip()
        if len(self.members) < 2 or not text:
            return text
        return self._macros(self.prefix, member) + text + self._macros(self.suffix, member)

    @staticmethod
    def _macros(text: str, member: Member) -> str:
        return text.strip().replace("{{char}}", member.name).replace("{{newline}}", "\n")

    def _joined(self, before: str, text: str) -> str:
        return ("\n" if self.instruct["wrap"] else "").join(filter(None, (before, text)))

"""Long stories, made in one transaction: 10,000 messages, their versions and three branches."""

from __future__ import annotations

import random

from shoritui.cards import Card, load_cards
from shoritui.folders import bundled_dir
from shoritui.story import Draft, Library, rows

CHARACTERS = 1_600
"""Of a message: with versions and branches, 10,000 of them are 20 MB."""
BRANCH = 300
"""Messages of a branch."""
_BRANCHES = 3
_EVERY = 8
"""So many messages apart, one has a second version."""
_WORDS = ["fog", "lantern", "of", "harbour", "ferry", "bell", "nobody", "said", "quietly", "tide"]


def scene() -> Card:
    """Return the scene that the stories play in."""
    return load_cards([sorted(bundled_dir("characters").glob("*.toml"))[0]])


def text(dice: random.Random, number: int, characters: int = CHARACTERS) -> str:
    """Return a message: narration, a line of dialogue, thoughts, over and over."""
    parts, length = [f"Number {number}."], 0
    while length < characters:
        words = " ".join(dice.choices(_WORDS, k=12))
        sentence = dice.choice((f"{words}.", f'"{words}," Maren said.', f"_{words}_"))
        length += len(sentence) + 1
        parts.append(sentence + "\n\n" * (dice.random() < 0.2))
    return " ".join(parts)


def write_story(
    library: Library, messages: int, *, ends: str = "", characters: int = CHARACTERS, seed: int = 1
) -> int:
    """Write a story of so many messages and return its chat; its last message ends like this."""
    dice, card = random.Random(seed), scene()
    names = [character.name for character in card.characters]
    chat = library.create_chat(card, names[-1], f"{messages:,} messages {ends}").id
    with library._database.transaction() as db:
        head = rows.read_head(db, chat)

        def add(after: int | None, number: int, slot: int | None = None, tail: str = "") -> int:
            said = text(dice, number, characters) + tail
            draft = Draft(
                "message", names[number % len(names)], said, "long", tokens=len(said) // 4
            )
            return rows.insert_entry(db, chat, after, draft, slot=slot)

        for number in range(messages - len(card.messages)):
            is_last = number == messages - len(card.messages) - 1
            before, head = head, add(head, number, tail=f"\n\n{ends}" if is_last else "")
            if number % _EVERY == 0:
                add(before, number, head)
            if number and number % (messages // (_BRANCHES + 1)) == 0:
                branch = before
                for step in range(min(BRANCH, messages // 10)):
                    branch = add(branch, number + step)
        db.execute("UPDATE chats SET head = ? WHERE id = ?", (head, chat))
        rows.touch_chat(db, chat)
    return chat

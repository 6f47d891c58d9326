"""Two short stories, as people write them, and replies to them."""

from __future__ import annotations

from pathlib import Path

from shoritui.eval.stories import Place, Reply, Story, story_of

LOCK = """\
▀title
The Lock at Pellow▄
▀description
Ada is the lock-keeper, forty-one. She has gray eyes, and a brass whistle on a string.▄
▀description
Bram is the baker's son, late with every loaf. He is afraid of the heron.▄
▀description
Corin wears a red coat and says little. He came down the river on a raft of doors.▄
▀scenario
The lock gate is stuck, and before the flood somebody must go under the water to free it.▄
▀message (length: short)
Ada: "It's the left gate," said Ada. She tapped it with the whistle. "Something's under it, and \
the flood is two hours off. Who can swim?"▄
▀message (length: micro)
Bram: "I've bread in the oven," said Bram.▄
▀message (length: tiny)
Corin: Corin took off the red coat and folded it on the bollard. "I can," he said.▄
▀message (length: tiny)
Ada: Ada looked at the raft of doors. _All that way on that._ "Rope first," she said.▄
"""
BELL = """\
▀title
The Bell That Would Not▄
▀description
Ilse rings the bell of Saint Odo. She is small, and hangs on the rope like a fish.▄
▀description
Teun is the sexton. He has a beard down to his belt.▄
▀scenario
The bell has stopped in mid-swing, and the wedding is at noon.▄
▀message (length: tiny)
Teun: Teun held his beard out of the way and looked up the shaft. "It's listening," he said.▄
▀message (length: tiny)
Ilse: "To what?" Ilse let go of the rope. *Creak.* The bell did not move.▄
"""


def story(text: str = LOCK, name: str = "lock") -> Story:
    return story_of(text, name)


def place(message: int = 2, text: str = LOCK) -> Place:
    whole = story(text, "lock" if text is LOCK else "bell")
    return Place(whole, whole.messages[message])


def reply(text: str, message: int = 2, **more: object) -> Reply:
    return Reply(place(message), text, text, **more)  # type: ignore[arg-type]


def write_stories(folder: Path) -> Path:
    for name, text in (("lock", LOCK), ("bell", BELL)):
        (folder / f"{name}.txt").write_text(text, encoding="utf-8")
    return folder

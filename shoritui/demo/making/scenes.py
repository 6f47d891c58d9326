"""Whole scenes, made up from beats, frames and words: what the demo model is trained on.

It knows tokens only as a function that counts them, and nothing of training.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Any

from shoritui.blockml import (
    LENGTHS,
    Block,
    Instruction,
    Length,
    Part,
    length_for,
    render,
    token_range,
)
from shoritui.demo.making.beats import PHASES, Beat, by_section
from shoritui.demo.making.cast import Person, Plan, World, things
from shoritui.demo.making.marked_text import Marked, Span, fill, pronouns
from shoritui.demo.making.words import TEMPERS, article, corpus, lists, people

Count = Callable[[str], int]

LENGTH_SHARES = (7, 11, 18, 26, 22, 9, 5, 3, 2)  # of the messages wanted, by LENGTHS


@dataclass(frozen=True, slots=True)
class Scene:
    """A finished scene: its parts, and its text with marks."""

    parts: tuple[Part, ...]
    text: str
    spans: tuple[Span, ...]
    names: tuple[str, ...]
    props: tuple[str, ...]
    places: tuple[str, ...]
    opening: int
    """The offset at which the first message begins."""


def make_scene(seed: int, plan: Plan, count: Count) -> Scene:
    """Return the scene of this seed; the same arguments give the same scene."""
    return _Writer(Random(f"{seed}/{plan}"), plan, count).write()


@cache
def _tempers() -> dict[str, list[str]]:
    """Return the words for each temper, of one or more words, that are no other's."""
    return {t: sorted({*lists()["tempers"][t], *people()["tempers"][t]}) for t in TEMPERS}


def listed(things: list[str]) -> str:
    """Return the things as one reads them out: "a, b and c"."""
    return " and ".join(filter(None, (", ".join(things[:-1]), things[-1])))


class _Writer(World):
    """Writes one scene, part by part."""

    def __init__(self, rng: Random, plan: Plan, count: Count) -> None:
        super().__init__(rng, plan)
        self.count = count
        self.out = Marked()
        self.parts: list[Part] = []
        self.tokens = 0
        self.known: set[str] = set()
        self.told: set[str] = set()
        self.hints = 1.0 if rng.random() < 0.9 else 0.0
        self.last: Person | None = None
        self.last_prop = ""

    def write(self) -> Scene:
        self._frame()
        opening = len(self.out.text)
        phase = 0 if self.rng.random() < 0.5 else self.rng.randrange(len(PHASES))
        while self.tokens < self.plan.tokens:
            self._phase(PHASES[phase])
            phase += 1
            if phase == len(PHASES):
                phase = self.rng.choice((0, 1, 2))
                self._later()
        return Scene(
            tuple(self.parts),
            self.out.text,
            tuple(self.out.spans),
            tuple(p.name for p in self.people),
            tuple(self.props),
            tuple(self.places),
            opening,
        )

    # What stands before the messages.

    def _frame(self) -> None:
        rng = self.rng
        instructed = rng.random() < 0.7
        on_top = rng.random() < 0.12
        if instructed and on_top:
            self._instruction()
        if rng.random() < 0.75:
            self._block("title", self._fill(self.frame_text("titles")))
            if rng.random() < 0.7:
                self._tags()
        for _ in range(
            rng.choice((0, 1, 1, 2)) if self.plan.tokens > 400 else rng.choice((0, 0, 1))
        ):
            self._block("lore", self._fill(self.frame_text("lore")))
        for person in self.people:
            if person is self.people[0] or rng.random() < 0.93:
                self._description(person)
        if rng.random() < 0.6:
            self._block("scenario", self._fill(self.frame_text("scenarios")))
        self._inventory()
        if instructed and not on_top:
            self._instruction()

    def _instruction(self) -> None:
        self._part(Instruction(self.rng.choice(corpus("frames")["instructions"])), Marked())

    def _inventory(self) -> None:
        """Name what nothing has named yet: what a message speaks of should stand before it."""
        missing = [x for x in (*self.places, *self.props) if x.casefold() not in self.known]
        if missing:
            self.rng.shuffle(missing)
            slots = [f"the {{{index}}}" for index in range(len(missing))]
            template = self.rng.choice(corpus("frames")["inventories"]).replace(
                "{missing}", listed(slots)
            )
            values = {str(index): thing for index, thing in enumerate(missing)}
            self._block(self.rng.choice(("lore", "scenario")), fill(template, values, self.known))

    def _tags(self) -> None:
        pool = sorted({*self.setting.tags, *self.rng.sample(self.anywhere.tags, 3)})
        tags = self.rng.sample(pool, self.rng.randint(2, 5))
        tags += self.rng.sample(
            ["{prop}", "{place}", "{place2}", "{prop2}"], self.rng.randint(0, 3)
        )
        self.rng.shuffle(tags)
        self._block("tags", self._fill(", ".join(tags)))

    def _description(self, person: Person) -> None:
        """Write a short description, or one with a look, a habit and a wish."""
        rng, rich = self.rng, people()
        if rng.random() < (0.5 if self.plan.tokens > 300 else 0.8):
            template = rng.choice(corpus("frames")["descriptions"])
        else:
            template = rng.choice(rich["layouts"]).replace("{carries}", "{a_prop}")
            for slot in ("look", "habit", "want"):
                template = template.replace(f"{{{slot}}}", rng.choice(rich[f"{slot}s"]))
        self._block("description", self._fill(template, person, prop=person.prop))

    # Messages.

    def _phase(self, phase: str) -> None:
        rng = self.rng
        if rng.random() < 0.6:
            self.place = rng.choice(self.places)
        for _ in range(rng.choice((1, 1, 2, 2, 3))):
            self._message(phase)
            if self.tokens >= self.plan.tokens:
                return
        if rng.random() < 0.06:
            self._ooc()
        if rng.random() < 0.06:
            self._note()

    def _message(self, phase: str) -> None:
        rng = self.rng
        me = rng.choice([p for p in self.people if p is not self.last])
        longest = LENGTHS.index(self.plan.longest) + 1
        wanted = rng.choices(LENGTHS[:longest], LENGTH_SHARES[:longest])[0]
        known = {me.name.casefold()} | self.known
        values = self._values(me)
        body, size = self._body(phase, me, values, wanted, known)
        if not size:
            return
        self.known |= known
        hint = length_for(size) if rng.random() < self.hints * 0.96 else None
        self._part(Block("message", body.text, me.name, hint), body)
        self.last = me
        self.last_prop = values["prop"] if values["prop"] in body.text else self.last_prop

    def _body(
        self, phase: str, me: Person, values: dict[str, str], wanted: Length, known: set[str]
    ) -> tuple[Marked, int]:
        """Return a body of about the wanted length, and its true count of tokens."""
        low, high = token_range(wanted)
        goal = self.rng.randint(low, min(high, 800))
        body, size = Marked(), 0
        misses = 0
        for beat in self._choices(phase, me.temper):
            if beat.text in self.told or not self._fits(beat):
                continue
            trial = fill(beat.text, self._vary(values), set(known))
            cost = self.count(" " + trial.text)
            if size + cost > high:
                misses += 1
                if misses > 12 and size >= low:
                    break
                continue
            if body.text:
                gap = "\n\n" if size > 60 and self.rng.random() < 0.12 else " "
                size += 2 if gap != " " else 0
                body.add(gap)
            body.join(trial)
            known |= {trial.text[s.start : s.end].casefold() for s in trial.spans}
            size = self.count(" " + body.text)
            self.told.add(beat.text)
            if size >= goal:
                break
        return body, size

    def _choices(self, phase: str, temper: str) -> list[Beat]:
        """Return beats to try, best first: of phase and temper, then of the phases beside it."""
        at = PHASES.index(phase)
        chosen: list[Beat] = []
        for step in (0, 1, -1, 2, -2):
            near = PHASES[(at + step) % len(PHASES)]
            pool = by_section()[near, temper] + by_section()[near, "any"]
            chosen += self.rng.sample(pool, len(pool))
        return chosen

    def _fits(self, beat: Beat) -> bool:
        return "{third}" not in beat.text or len(self.people) > 2

    def _values(self, me: Person, other: Person | None = None) -> dict[str, str]:
        """Return what the slots of one message stand for."""
        rng = self.rng
        others = [p for p in self.people if p is not me]
        if not other:
            answers = self.last in others and rng.random() < 0.65
            other = self.last if self.last and answers else rng.choice(others)
        props = rng.sample(self.props, 2)
        if self.last_prop and rng.random() < 0.6 and self.last_prop != props[1]:
            props[0] = self.last_prop
        place2 = rng.choice([p for p in self.places if p != self.place] or self.places)
        third = rng.choice([p for p in others if p is not other] or [other])
        return {
            "me": me.name,
            "other": other.name,
            "OTHER": other.name.upper(),
            "third": third.name,
            "goal": self.goal,
            "PROP": props[0].upper(),
            **things(props, self.place, place2),
            **pronouns(me.she),
            **pronouns(other.she, "other_"),
        }

    def _vary(self, values: dict[str, str]) -> dict[str, str]:
        """Return the values, now and then with the two props or the two places changed about."""
        changed = dict(values)
        for a, b in (("prop", "prop2"), ("place", "place2")):
            if self.rng.random() < 0.2:
                changed[a], changed[b] = values[b], values[a]
        changed["a_prop"] = article(changed["prop"])
        changed["PROP"] = changed["prop"].upper()
        return changed

    # What comes between messages.

    def _later(self) -> None:
        """Change the scene: a new title, perhaps a new place and a newcomer."""
        self.goal = self.new_goal()
        if self.rng.random() < 0.5:
            self.new_place()
            self.place = self.places[-1]
        self._block("title", self._fill(self.rng.choice(corpus("frames")["later_titles"])))
        if len(self.people) < 5 and self.rng.random() < 0.25:
            she = self.rng.random() < 0.5
            name = self.new_name(she)
            if name not in {p.name for p in self.people}:
                self.people.append(self.new_person(name, she))
                self.props.append(self.people[-1].prop)
                self._description(self.people[-1])

    def _ooc(self) -> None:
        first, second = self.rng.sample(self.people, 2)
        talk = self.rng.choice(people()["ooc"])
        for person, other, line in ((first, second, "question"), (second, first, "answer")):
            body = fill("{me}", {"me": person.name}, self.known)
            body.add(": ")
            body.join(self._fill(talk[line], person, other=other))
            self._block("ooc", body)

    def _note(self) -> None:
        """Write a note between two messages: a changed temper, or a wish that is granted."""
        person = self.rng.choice(self.people)
        if self.rng.random() < 0.5:
            person.temper = self.rng.choice(TEMPERS)
            template = self.rng.choice(corpus("frames")["notes"])
        else:
            template = self.rng.choice(people()["instructions"])
        body = self._fill(template, person)
        said = {body.text[s.start : s.end] for s in body.spans}
        self.place = next((p for p in self.places if p in said), self.place)
        self.last_prop = next((p for p in self.props if p in said), self.last_prop)
        self._part(Instruction(body.text), body)

    # The common ground.

    def _fill(
        self,
        template: str,
        me: Person | None = None,
        prop: str = "",
        other: Person | None = None,
    ) -> Marked:
        rng = self.rng
        me = me or rng.choice(self.people)
        values = self._values(me, other)
        if prop:
            values |= things([prop, values["prop2"]], values["place"], values["place2"])
        looks = rng.choice(lists()["looks"]["text"])
        temper, temper2, temper3 = rng.sample(_tempers()[me.temper], 3)
        names = [p.name for p in self.people]
        values |= {
            "name": me.name,
            "temper_words": ", ".join((temper, temper2, temper3)),
            "surname": me.surname,
            "temper": temper,
            "Temper": temper.capitalize(),
            "temper2": temper2,
            "job": rng.choice(people()["jobs"]),
            "look": looks,
            "Look": looks[0].upper() + looks[1:],
            "bare": values["prop"].split()[-1],
            "pronouns": "she/her" if me.she else "he/him",
            "all": listed(names),
        }
        return fill(template, values, self.known)

    def _block(self, role: Any, body: Marked) -> None:
        if role != "tags":
            body.text = body.text[:1].upper() + body.text[1:]
        self._part(Block(role, body.text), body)

    def _part(self, part: Part, body: Marked) -> None:
        text = render(part)
        start = text.rindex(body.text) if body.text else 0
        if isinstance(part, Block) and part.name:
            at = text.index("\n") + 1
            self.out.spans.append(
                Span(len(self.out.text) + at, len(self.out.text) + at + len(part.name), "repeat")
            )
        whole = Marked(text, [Span(s.start + start, s.end + start, s.mark) for s in body.spans])
        self.out.join(whole)
        self.tokens += self.count(text)
        self.parts.append(part)

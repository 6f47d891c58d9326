"""What a scene is made of before it is told: people, things, places, and what must still happen."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Literal

from shoritui.blockml import Length
from shoritui.demo.making.marked_text import fill
from shoritui.demo.making.words import TEMPERS, article, lists, people, settings, words


@dataclass(frozen=True, slots=True)
class Plan:
    """How large a scene may get."""

    tokens: int
    """The scene grows until it has at least this many."""
    people: tuple[int, int] = (2, 5)
    longest: Length = "enormous"
    unseen: bool = False
    """Use only the words that training never sees."""


@dataclass(slots=True)
class Person:
    """One of the cast."""

    name: str
    surname: str
    she: bool
    temper: str
    prop: str


class World:
    """The ingredients of one scene; they grow as it goes on."""

    def __init__(self, rng: Random, plan: Plan) -> None:
        self.rng = rng
        self.plan = plan
        self.words = words(plan.unseen, tuple(people()["adjectives"]))
        self.anywhere, *somewhere = settings(plan.unseen)
        self.setting = rng.choice([self.anywhere, *somewhere, *somewhere, *somewhere])
        self.people = self._cast()
        self.props = [p.prop for p in self.people]
        while len(self.props) < 2 or rng.random() < 0.2:
            self.props.append(self.new_prop())
        self.places: list[str] = []
        while len(self.places) < rng.choice((2, 2, 2, 3, 3, 4)):
            self.new_place()
        self.place = self.places[0]
        self.goal = self.new_goal()

    def _cast(self) -> list[Person]:
        rng = self.rng
        low, high = self.plan.people
        size = min(high, max(low, rng.choice((2, 2, 2, 3, 3, 3, 4, 4, 5))))
        people: dict[str, Person] = {}
        while len(people) < size:
            she = rng.random() < 0.5
            name = self.new_name(she)
            people[name] = self.new_person(name, she)
        return list(people.values())

    def new_name(self, she: bool) -> str:
        """Return a first name, now and then one of two words."""
        name = self.words.name(self.rng, she)
        if self.rng.random() < 0.9:
            return name
        return f"{self.rng.choice(lists()['styles']['she' if she else 'he'])} {name}"

    def new_person(self, name: str, she: bool) -> Person:
        """Return a person with this name and a temper and thing of their own."""
        surname = self.rng.choice(self.words.surnames)
        return Person(name, surname, she, self.rng.choice(TEMPERS), self.new_prop())

    def new_prop(self) -> str:
        """Return a thing: half of the time of the setting, and then rarely without an adjective."""
        nouns = self.setting.nouns
        if not nouns or self.rng.random() < 0.5:
            return self.words.prop(self.rng)
        noun = self.rng.choice(nouns)
        return noun if self.rng.random() < 0.15 else self.words.adorn(self.rng, noun)

    def new_place(self) -> None:
        """Add a place, unless chance brings up one that is there already."""
        places = self.setting.places
        if not places or self.rng.random() < (0.5 if self.plan.unseen else 0.75):
            place = self.words.place(self.rng)
        else:
            place = self.rng.choice(places)
        if place not in self.places:
            self.places.append(place)

    def new_goal(self) -> str:
        """Return what must still happen, as the scenario and the people say it."""
        place, place2 = self.rng.sample(self.places, 2)
        values = things(self.rng.sample(self.props, 2), place, place2)
        return fill(self.frame_text("goals"), values, set()).text

    def frame_text(self, kind: Literal["titles", "scenarios", "lore", "goals"]) -> str:
        """Return a template of the setting, now and then one that fits anywhere."""
        source = self.setting if self.rng.random() < 0.75 else self.anywhere
        texts: tuple[str, ...] = getattr(source, kind) or getattr(self.anywhere, kind)
        return self.rng.choice(texts)


def things(props: list[str], place: str, place2: str) -> dict[str, str]:
    """Return the values of the slots for things and places."""
    return {
        "prop": props[0],
        "prop2": props[1],
        "a_prop": article(props[0]),
        "place": place,
        "place2": place2,
    }

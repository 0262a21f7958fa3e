"""Do the mailboxes do what a list that is searched would do?"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from processor.domain.mailbox import Mailboxes
from processor.domain.priority import LANES

ENTITIES = range(4)
entities = st.sampled_from(ENTITIES)
lanes = st.sampled_from(LANES)
places = st.integers(0, 40)


class Letter(NamedTuple):
    entity: int
    lane: int
    place: int


class MailboxMachine(RuleBasedStateMachine):
    """The naive one: a list that is searched for the best each time."""

    def __init__(self) -> None:
        super().__init__()
        self.boxes: Mailboxes[Letter] = Mailboxes()
        self.waiting: list[Letter] = []
        self.heads: dict[int, Letter] = {}
        self.held: set[int] = set()
        self.out: dict[int, Letter] = {}
        self.aside: set[int] = set()
        self.places: set[int] = set()

    def best(self, entity: int) -> Letter | None:
        """An entity's next job: its head; else, if none holds it, its highest lane's first."""
        if entity in self.aside:
            return None
        if entity in self.heads:
            return self.heads[entity]
        if entity in self.held:
            return None
        own = [one for one in self.waiting if one.entity == entity]
        return min(own, key=lambda one: (one.lane, one.place), default=None)

    def known(self) -> set[int]:
        return {one.entity for one in self.waiting} | self.out.keys() | self.held

    def sendable(self) -> list[Letter]:
        best = [self.best(entity) for entity in ENTITIES if entity not in self.out]
        return [one for one in best if one is not None]

    def letter(self, entity: int, lane: int, place: int) -> Letter:
        while place in self.places:
            place += 1
        self.places.add(place)
        return Letter(entity, lane, place)

    @rule(entity=entities, lane=lanes, place=places)
    def put(self, entity: int, lane: int, place: int) -> None:
        letter = self.letter(entity, lane, place)
        self.waiting.append(letter)
        self.boxes.put(entity, lane, letter.place, letter)

    @rule(entity=entities)
    def hold(self, entity: int) -> None:
        self.held.add(entity)
        self.boxes.hold(entity)

    @rule(entity=entities, lane=lanes, place=places)
    def lead(self, entity: int, lane: int, place: int) -> None:
        if entity in self.heads:
            return
        self.held.add(entity)
        self.heads[entity] = self.letter(entity, lane, place)
        self.boxes.lead(entity, lane, self.heads[entity])

    @rule(entity=entities)
    def free(self, entity: int) -> None:
        if entity not in self.heads:
            self.held.discard(entity)
            self.boxes.free(entity)

    @precondition(lambda self: self.known())
    @rule(data=st.data())
    def set_aside(self, data: st.DataObject) -> None:
        entity = data.draw(st.sampled_from(sorted(self.known())))
        self.aside.add(entity)
        self.boxes.set_aside(entity)

    @rule(entity=entities)
    def resume(self, entity: int) -> None:
        self.aside.discard(entity)
        self.boxes.resume(entity)

    @precondition(lambda self: any(self.boxes.ready))
    @rule(data=st.data())
    def take(self, data: st.DataObject) -> None:
        ready = [lane for lane in LANES if self.boxes.ready[lane]]
        lane = data.draw(st.sampled_from(ready))
        self.takes(lane)

    def takes(self, lane: int) -> None:
        comes = self.boxes.next_of(lane)
        taken = self.boxes.take(lane)
        assert taken is comes
        assert taken in self.sendable()
        assert taken.lane == lane
        if self.heads.get(taken.entity) == taken:
            del self.heads[taken.entity]
        else:
            self.waiting.remove(taken)
        self.out[taken.entity] = taken

    @precondition(lambda self: self.out)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        entity = data.draw(st.sampled_from(sorted(self.out)))
        del self.out[entity]
        self.boxes.release(entity)

    @precondition(lambda self: self.out)
    @rule(data=st.data())
    def give_back(self, data: st.DataObject) -> None:
        entity = data.draw(st.sampled_from(sorted(self.out)))
        letter = self.out.pop(entity)
        leads = entity in self.held - self.heads.keys() and data.draw(st.booleans())
        if leads:
            self.heads[entity] = letter
        else:
            self.waiting.append(letter)
        self.boxes.give_back(entity, letter.lane, letter.place, letter, leads=leads)

    @rule(entity=entities, lane=st.none() | lanes, keep=st.integers(0, 2))
    def withdraw(self, entity: int, lane: int | None, keep: int) -> None:
        gone: list[Letter] = []
        for one in LANES if lane is None else [lane]:
            line = [letter for letter in self.waiting if letter[:2] == (entity, one)]
            gone += sorted(line, key=lambda letter: letter.place)[keep:]
        assert sorted(self.boxes.withdraw(entity, lane, keep)) == sorted(gone)
        self.waiting = [one for one in self.waiting if one not in gone]

    @precondition(lambda self: self.waiting or self.heads)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        letter = data.draw(st.sampled_from([*self.waiting, *self.heads.values()]))
        assert self.boxes.remove(letter.entity, letter)
        assert not self.boxes.remove(letter.entity, letter)
        if letter in self.waiting:
            self.waiting.remove(letter)
        else:
            del self.heads[letter.entity]

    @rule(some=st.frozensets(entities), lane=lanes)
    def drop(self, some: frozenset[int], lane: int) -> None:
        def unwanted(letter: Letter) -> bool:
            return letter.entity in some and letter.lane >= lane

        dropped = self.boxes.drop(unwanted)
        assert sorted(dropped) == sorted(filter(unwanted, [*self.waiting, *self.heads.values()]))
        self.waiting = [one for one in self.waiting if not unwanted(one)]
        self.heads = {key: one for key, one in self.heads.items() if not unwanted(one)}

    @invariant()
    def the_counts_are_true(self) -> None:
        known = self.known()
        self.aside &= known  # an entity with nothing left is forgotten
        expected = [0 for _ in LANES]
        for letter in self.sendable():
            expected[letter.lane] += 1
        assert self.boxes.ready == expected
        assert len(self.boxes) == len(known)
        lines = Counter((one.entity, one.lane) for one in self.waiting)
        for entity in ENTITIES:
            assert self.boxes.is_held(entity) == (entity in self.held)
            assert self.boxes.is_out(entity) == (entity in self.out)
            for lane in LANES:
                assert self.boxes.waiting(entity, lane) == lines[entity, lane]

    def teardown(self) -> None:
        """Everything comes out in the end, each entity's jobs in their order."""
        for entity in ENTITIES:
            self.resume(entity)
        for entity in list(self.out):
            self.out.pop(entity)
            self.boxes.release(entity)
        while any(self.boxes.ready) or self.held:
            if not any(self.boxes.ready):
                self.held.clear()
                for entity in ENTITIES:
                    self.boxes.free(entity)
                continue
            lane = next(lane for lane in reversed(LANES) if self.boxes.ready[lane])
            self.takes(lane)
            self.boxes.release(self.out.popitem()[0])
        assert self.waiting == []
        assert len(self.boxes) == 0


TestMailboxes = MailboxMachine.TestCase
TestMailboxes.settings = settings(max_examples=60, stateful_step_count=40)

"""Which promises does the evidence of a run break?

Each function answers with a sentence for every violation that it finds, none where the promise
holds; the numbers are those of the invariants. `DURING` hold at every moment of a run, whatever is
killed; `AFTERWARDS` once everything that was submitted has ended and is projected.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable
from typing import Final
from uuid import UUID

from processor.domain.dead_letter import DeadLetterKind
from processor.domain.events import Started
from processor.domain.job import State
from processor.runtime.cancelling import Cancellation
from tests import chaos
from tests.evidence import CODEC, Evidence, Name, Sighting, Tables

STATES: Final = {
    "c": State.COMPLETE,
    "f": State.FAILED,
    "x": State.CANCELLED,
    "d": State.FAILED,
}
"""How the end of a row of the ledger reads."""
Check = Callable[[Evidence], list[str]]


def effects_twice(seen: Evidence) -> list[str]:
    """1: an effect happens once, and an entity's effects have no gap."""
    times = Counter(effect.job for effect in seen.tables.effects)
    lines: dict[str, list[int]] = defaultdict(list)
    for effect in seen.tables.effects:
        lines[effect.entity].append(effect.seq)
    return [f"1: {job} has {count} effects" for job, count in times.items() if count > 1] + [
        f"1: the effects of {entity} are numbered {sorted(line)}"
        for entity, line in lines.items()
        if sorted(line) != list(range(1, len(line) + 1))
    ]


def effects_without_completion(seen: Evidence) -> list[str]:
    """2: there is an effect if and only if the ledger says complete."""
    written = {(effect.job, effect.generation) for effect in seen.tables.effects}
    complete = {
        name
        for name, row in seen.tables.ledger.items()
        if row.ending == "c" and _type(row.body) == chaos.WITH_EFFECT
    }
    return [f"2: an effect of {name}, which is not complete" for name in written - complete] + [
        f"2: {name} is complete without its effect" for name in complete - written
    ]


def lost(seen: Evidence) -> list[str]:
    """3: what the positions have passed has an end, or waits."""
    passed = [one for one in seen.log.lanes if _passed(seen.tables, one.lane, one)]
    return [f"3: {one} is passed and has no end" for one in passed if not _known(seen, one)]


def not_submitted(seen: Evidence, acked: Collection[UUID]) -> list[str]:
    """3: what was acknowledged to its producer stands in a lane."""
    read = {one.job for one in seen.log.lanes}
    return [f"3: {job} was acknowledged and is in no lane" for job in set(acked) - read]


def unended(seen: Evidence) -> list[str]:
    """3, afterwards: every record of a lane has come to its end."""
    return [f"3: {one} has no end" for one in seen.log.lanes if not _ended(seen.tables, one)]


def unpublished(seen: Evidence) -> list[str]:
    """4: what the positions have passed is in the journal, byte for byte as in the ledger."""
    told = {told.body for told in seen.log.journal}
    return [
        f"4: {name} is done and not published"
        for name, row in seen.tables.ledger.items()
        if row.offset < seen.tables.positions.get((row.lane, row.partition), 0)
        and row.body not in told
    ]


def published_only(seen: Evidence) -> list[str]:
    """5: an end in the journal is the ledger's, byte for byte."""
    stored = {row.body for row in seen.tables.ledger.values()}
    return [
        f"5: the journal ends {told.outcome.job} otherwise than the ledger"
        for told in seen.log.journal
        if told.outcome.end is not None and told.body not in stored
    ] + [f"5: {record}" for record in seen.log.strange]


def out_of_order(seen: Evidence) -> list[str]:
    """6: the effects of one entity and lane took place in the order of the log."""
    first: dict[tuple[UUID, int], int] = {}
    for one in sorted(seen.log.lanes, key=lambda one: one.offset):
        first.setdefault((one.job, one.lane), one.offset)
    lines: dict[tuple[str, int], list[tuple[int, int]]] = defaultdict(list)
    strange = []
    for effect in seen.tables.effects:
        offset = first.get((effect.job, effect.lane))
        if offset is None:
            strange.append(f"6: {effect} is of no record of its lane")
        elif effect.generation == 1:
            lines[effect.entity, effect.lane].append((effect.seq, offset))
    return strange + [
        f"6: {entity} in lane {lane}: offsets in the order of effects are {offsets}"
        for (entity, lane), line in lines.items()
        if (offsets := [offset for _, offset in sorted(line)]) != sorted(offsets)
    ]


def two_heads(seen: Evidence) -> list[str]:
    """7: an entity has at most one head."""
    heads = Counter(row.entity_key for row in seen.tables.waiting.values() if row.holds)
    return [f"7: {key} has {count} heads" for key, count in heads.items() if count > 1]


def orphans(seen: Evidence) -> list[str]:
    """9, afterwards: nothing waits any more."""
    return [f"9: {name} still waits" for name in seen.tables.waiting]


def broken_histories(seen: Evidence) -> list[str]:
    """10: each (job, generation) has its beginning, one end, the ledger's, and no gap.

    What an earlier timeline of the database ended, and lost, is told beside it and does not count.
    """
    ends: dict[Name, list[bytes]] = defaultdict(list)
    begun = set()
    found = []
    newest = {
        (row.job, row.generation): row.timeline
        for row in sorted(seen.tables.history, key=lambda row: row.timeline)
        if row.ended
    }
    for row in seen.tables.history:
        name = (row.job, row.generation)
        if row.upto < 0:
            begun.add(name)
            continue
        told = CODEC.decode_journal(row.body)
        if len(getattr(told, "events", ())) != row.upto:
            found.append(f"10: {name} has not {row.upto} events")
        if row.ended and row.timeline == newest[name]:
            ends[name].append(row.body)
    submitted = {(one.job, one.generation) for one in seen.log.lanes if one.entity is not None}
    found += [f"10: {name} has no beginning" for name in submitted - begun]
    return found + [
        f"10: {name} has {len(ends[name])} ends, or another than the ledger"
        for name in ends.keys() | seen.tables.ledger.keys()
        if ends[name] != [_body(seen.tables, name)]
    ]


def attempts_beyond(seen: Evidence, most: int = chaos.ATTEMPTS) -> list[str]:
    """11: no job has more attempts than its policy grants."""
    return [
        f"11: {told.outcome.job} was attempted too often"
        for told in seen.log.journal
        for event in told.outcome.events
        if isinstance(event, Started) and event.attempt > most
    ]


def wrong_dead_letters(seen: Evidence) -> list[str]:
    """12: one *died* for each failure, the open letters are the topic's, `JobFailed` likewise."""
    failed = {name for name, row in seen.tables.ledger.items() if row.ending == "f"}
    died = {fact for fact in seen.log.facts if fact.kind is DeadLetterKind.DIED}
    times: Counter[Name] = Counter((fact.job, fact.generation) for fact in died)
    closed = {(fact.job, fact.generation) for fact in seen.log.facts if fact not in died}
    open_ = {name for name, is_open in seen.tables.letters.items() if is_open}
    told: Counter[Name] = Counter((one.job, one.generation) for one in set(seen.log.failed))
    return [
        *_differences("12: *died*", Counter(failed), times),
        *_differences("12: open", Counter(times.keys() - closed), Counter(open_)),
        *_differences("12: JobFailed", Counter(failed), told),
    ]


def wrong_follow_ups(seen: Evidence) -> list[str]:
    """13: what complete parents submitted stands in the lanes, byte for byte, and nothing else."""
    wanted = {
        (row.job, value)
        for row in seen.tables.ledger.values()
        if row.ending == "c"
        for value in getattr(CODEC.decode_journal(row.body), "follow_ups", ())
    }
    found = {(one.parent, one.value): one for one in seen.log.lanes if one.value}
    return [f"13: a follow-up of {job} was never sent" for job, _ in wanted - found.keys()] + [
        f"13: {found[name]} is none of its parent's" for name in found.keys() - wanted
    ]


def cancelled_otherwise(seen: Evidence, answers: Iterable[Cancellation]) -> list[str]:
    """14: cancels were answered as the ledger says; one of them ended a job, without effect."""
    written = {(effect.job, effect.generation) for effect in seen.tables.effects}
    cancelled = {name for name, row in seen.tables.ledger.items() if row.ending == "x"}
    won: Counter[Name] = Counter()
    found = [f"14: an effect of {name}, which is cancelled" for name in cancelled & written]
    for answer in answers:
        name = (answer.job, answer.generation)
        row = seen.tables.ledger.get(name)
        won[name] += answer.ours
        if row is None or STATES[row.ending] is not answer.now:
            found.append(f"14: {name} is not {answer.now}, as was answered")
    return [*found, *_differences("14: cancels that won", Counter(cancelled), +won)]


def short_positions(seen: Evidence) -> list[str]:
    """17: every position has reached the end of its lane."""
    return [
        f"17: {topic} {partition} ends at {end}, the position is {position}"
        for lane, topic in enumerate(seen.topics.lanes)
        for (name, partition), end in seen.log.ends.items()
        if name == topic and (position := seen.tables.positions.get((lane, partition))) != end
    ]


DURING: Final[tuple[Check, ...]] = (
    effects_twice,
    effects_without_completion,
    lost,
    unpublished,
    out_of_order,
    two_heads,
)
AFTERWARDS: Final[tuple[Check, ...]] = (
    *DURING,
    unended,
    published_only,
    orphans,
    broken_histories,
    wrong_dead_letters,
    wrong_follow_ups,
    short_positions,
)


AFTER_A_LOSS: Final = tuple(
    check for check in AFTERWARDS if check not in {published_only, wrong_dead_letters}
)
"""Once the database has forgotten commits: what it forgot was published, and may have failed."""


def during(seen: Evidence) -> list[str]:
    """What is broken in the middle of a run."""
    return [broken for check in DURING for broken in check(seen)]


def afterwards(
    seen: Evidence, acked: Collection[UUID], checks: Collection[Check] = AFTERWARDS
) -> list[str]:
    """What is broken at the end of a run in which those jobs were acknowledged."""
    found = [broken for check in checks for broken in check(seen)]
    return found + not_submitted(seen, acked) + attempts_beyond(seen)


def unprojected(seen: Evidence) -> list[str]:
    """Which checkpoint has not reached the end of its topic: then there is more to wait for."""
    return [
        f"{projection} stands at {done} of {topic} {partition}, which ends at {end}"
        for (projection, topic, partition), done in seen.tables.checkpoints.items()
        if done < (end := seen.log.ends.get((topic, partition), 0))
    ]


def _passed(tables: Tables, lane: int, one: Sighting) -> bool:
    return one.offset < tables.positions.get((lane, one.partition), 0)


def _known(seen: Evidence, one: Sighting) -> bool:
    return (one.job, one.generation) in seen.tables.waiting or _ended(seen.tables, one)


def _ended(tables: Tables, one: Sighting) -> bool:
    return (one.job, one.generation) in tables.ledger or any(
        row.ending in "cx"
        for generation in range(1, one.generation)
        if (row := tables.ledger.get((one.job, generation))) is not None
    )


def _body(tables: Tables, name: Name) -> bytes | None:
    row = tables.ledger.get(name)
    return None if row is None else row.body


def _type(body: bytes) -> str:
    return getattr(CODEC.decode_journal(body), "type", "")


def _differences(what: str, wanted: Counter[Name], found: Counter[Name]) -> Iterable[str]:
    for name in wanted.keys() | found.keys():
        if wanted[name] != found[name]:
            yield f"{what} of {name}: {found[name]}, not {wanted[name]}"

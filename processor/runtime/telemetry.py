"""What do operators count and measure?

Through the OpenTelemetry API: nothing is exported by us, and without an SDK each call costs some
tens of nanoseconds. Attributes are `job.type`, `job.lane` and `job.reason`, never a value of a
payload; types beyond the first thousand, which anybody can submit, are counted together.

| instrument | kind | says |
|---|---|---|
| job.queue_depth | gauge, lane | records of this worker's partitions that are not done |
| job.oldest_seconds | gauge, lane | how long the oldest of them has waited |
| job.wait_seconds | histogram, type, lane | from submission (or not_before) to the first run |
| job.processing_seconds | histogram, type, lane | from the start of a run to its end |
| job.completed_total | counter, type, lane | jobs that completed |
| job.failures_total | counter, type, lane, reason | jobs that failed for good |
| job.retries_total | counter, type, lane, reason | failed attempts that another one follows |
| job.cancellations_total | counter, type, lane | jobs that were cancelled |
| job.loop_lag_seconds | gauge | how long a worker's event loop stood still, at most, of late |
| job.unread_seconds | gauge, lane | for how long records were there, and room, and none was read |
| job.idle_seconds | gauge, lane | for how long records have waited and none was done |
| job.position_seconds | gauge, lane | how long the position has not moved that stands longest |
| job.breaker_changes_total | counter, type, state | breakers that a worker opened or closed |
| job.breakers_open | gauge, type | types that a breaker holds for this worker's release |
| job.dlq_size | gauge | dead letters that nobody has replayed or discarded, by each projector |
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from opentelemetry.metrics import Observation, get_meter

from processor.domain.priority import LANES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from opentelemetry.metrics import CallbackOptions, Histogram, MeterProvider

    from processor.domain.breaker import BreakerState
    from processor.domain.events import Reason
    from processor.domain.priority import Priority

    Attributes = Mapping[str, str]
    RecordAll = Callable[[Histogram, Sequence[float], Attributes], None]

NAME: Final = "job-processor"
TYPES_TOLD_APART: Final = 1_000
OTHER_TYPES: Final = "(other)"
WAITED: Final = (0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3_600, 21_600)
PROCESSED: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)


class MetricsService:
    """The instruments of one worker, projector or client, made once.

    `who` tells several of one process apart, also one after the other: it is an attribute of the
    meter, and a gauge of a meter that was there before would go on asking whom that one asked.
    """

    def __init__(
        self,
        who: str = "",
        provider: MeterProvider | None = None,
        record_all: RecordAll | None = None,
    ) -> None:
        """`record_all` records many values of one histogram and one set of attributes."""
        attributes = {"job.service": who} if who else None
        self._record_all = record_all or _one_by_one
        self._meter = meter = get_meter(NAME, meter_provider=provider, attributes=attributes)
        self._waited = meter.create_histogram(
            "job.wait_seconds",
            unit="s",
            description="From the submission (or its not_before) to the first run",
            explicit_bucket_boundaries_advisory=WAITED,
        )
        self._processed = meter.create_histogram(
            "job.processing_seconds",
            unit="s",
            description="From the start of a run to its end",
            explicit_bucket_boundaries_advisory=PROCESSED,
        )
        self._completed = meter.create_counter("job.completed_total", "1", "Jobs that completed")
        self._failed = meter.create_counter(
            "job.failures_total", "1", "Jobs that failed for good, by reason"
        )
        self._retried = meter.create_counter(
            "job.retries_total", "1", "Attempts that failed and are followed by another, by reason"
        )
        self._cancelled = meter.create_counter(
            "job.cancellations_total", "1", "Jobs that were cancelled"
        )
        self._breakers = meter.create_counter(
            "job.breaker_changes_total", "1", "Breakers that were opened or closed"
        )
        self._types: dict[str, Sequence[Attributes]] = {}
        self._others = _by_lane(OTHER_TYPES)
        self._reasons: dict[tuple[str, Priority, Reason], Attributes] = {}
        self._closed = False

    def started(self, type_: str, lane: Priority, *waited: float) -> None:
        """So many jobs' first runs began, each so many seconds after it could have."""
        told = [max(0.0, seconds) for seconds in waited]
        self._record_all(self._waited, told, self._of(type_, lane))

    def ran(self, type_: str, lane: Priority, *lasted: float) -> None:
        """So many runs have ended, however, each after so many seconds."""
        told = [max(0.0, seconds) for seconds in lasted]
        self._record_all(self._processed, told, self._of(type_, lane))

    def completed(self, type_: str, lane: Priority, jobs: int = 1) -> None:
        """The success of so many jobs is durable."""
        self._completed.add(jobs, self._of(type_, lane))

    def failed(self, type_: str, lane: Priority, reason: Reason) -> None:
        """A job's failure for good is durable."""
        self._failed.add(1, self._because(type_, lane, reason))

    def retried(self, type_: str, lane: Priority, reason: Reason) -> None:
        """An attempt's failure is durable, and another attempt follows."""
        self._retried.add(1, self._because(type_, lane, reason))

    def cancelled(self, type_: str, lane: Priority) -> None:
        """A cancel has won: counted by whoever cancelled."""
        self._cancelled.add(1, self._of(type_, lane))

    def breaker_changed(self, type_: str, state: BreakerState) -> None:
        """This worker has opened or closed the breaker of a type."""
        self._breakers.add(1, {**self._typed(type_), "job.state": state.value})

    def watch_breakers(self, held: Callable[[], Sequence[str]]) -> None:
        """Report the types that this names, each as 1."""

        def observe(_: CallbackOptions) -> Iterable[Observation]:
            return [] if self._closed else [Observation(1, self._typed(one)) for one in held()]

        self._gauge("job.breakers_open", "1", "Types that a breaker holds", observe)

    def watch_lanes(
        self, depths: Callable[[], Sequence[float]], oldest: Callable[[], Sequence[float]]
    ) -> None:
        """Report what these say whenever somebody collects: a number for each lane, or nothing."""
        self._gauge("job.queue_depth", "1", "Records that are not done", self._by_lane(depths))
        self._gauge("job.oldest_seconds", "s", "Age of the oldest of them", self._by_lane(oldest))

    def watch_standstills(
        self,
        lag: Callable[[], float],
        unread: Callable[[], Sequence[float]],
        idle: Callable[[], Sequence[float]],
        still: Callable[[], Sequence[float]],
    ) -> None:
        """Report what these say of a worker; 0 where everything moves."""

        def observe(_: CallbackOptions) -> Iterable[Observation]:
            return () if self._closed else (Observation(lag()),)

        self._gauge("job.loop_lag_seconds", "s", "Longest standstill of the event loop", observe)
        for name, description, read in (
            ("job.unread_seconds", "Records are not read", unread),
            ("job.idle_seconds", "Records wait and none is done", idle),
            ("job.position_seconds", "A position does not move", still),
        ):
            self._gauge(name, "s", description, self._by_lane(read))

    def watch_dead_letters(self, size: Callable[[], int | None]) -> None:
        """Report what this says; nothing where it says None."""

        def observe(_: CallbackOptions) -> Iterable[Observation]:
            open_letters = None if self._closed else size()
            return () if open_letters is None else (Observation(open_letters),)

        self._gauge("job.dlq_size", "1", "Open dead letters", observe)

    def close(self) -> None:
        """Report no gauge any more: what they spoke of is somebody else's."""
        self._closed = True

    def _gauge(
        self,
        name: str,
        unit: str,
        description: str,
        observe: Callable[[CallbackOptions], Iterable[Observation]],
    ) -> None:
        self._meter.create_observable_gauge(name, [observe], unit, description)

    def _by_lane(
        self, read: Callable[[], Sequence[float]]
    ) -> Callable[[CallbackOptions], Iterable[Observation]]:
        def observe(_: CallbackOptions) -> Iterable[Observation]:
            if self._closed:
                return ()
            return [
                Observation(number, {"job.lane": lane.label})
                for lane, number in zip(LANES, read(), strict=False)
            ]

        return observe

    def _typed(self, type_: str) -> Attributes:
        return {"job.type": self._of(type_, LANES[0])["job.type"]}

    def _of(self, type_: str, lane: Priority) -> Attributes:
        known = self._types.get(type_)
        if known is None:
            if len(self._types) >= TYPES_TOLD_APART:
                return self._others[lane]
            known = self._types[type_] = _by_lane(type_)
        return known[lane]

    def _because(self, type_: str, lane: Priority, reason: Reason) -> Attributes:
        of = self._of(type_, lane)
        key = (of["job.type"], lane, reason)
        known = self._reasons.get(key)
        if known is None:
            known = self._reasons[key] = {**of, "job.reason": reason.value}
        return known


def _by_lane(type_: str) -> list[Attributes]:
    return [{"job.type": type_, "job.lane": lane.label} for lane in LANES]


def _one_by_one(histogram: Histogram, values: Sequence[float], attributes: Attributes) -> None:
    for value in values:
        histogram.record(value, attributes)

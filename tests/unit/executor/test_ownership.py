"""Partitions that are assigned are served, whatever happened to them before."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any, ClassVar

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from penstock.errors import Unavailable
from penstock.executor import membership, ownership
from penstock.executor.arrivals import FunctionsChanged
from penstock.executor.membership import GroupMember
from penstock.executor.ownership import Ownership
from penstock.executor.partition import MAX_BATCH
from penstock.settings import KafkaSettings


class Owner:
    """Fails as long as it is told to."""

    def __init__(self, partition: int, fails: bool, closes: bool) -> None:
        self.partition = partition
        self.next_command = 0
        self._fails, self._closes = fails, closes
        self.arrived: list[object] = []
        self.first_batch = 0

    def begin_with(self, arrivals: int) -> None:
        self.first_batch = arrivals

    def put(self, arrival: object) -> None:
        self.arrived.append(arrival)

    async def open(self) -> None:
        pass

    async def run(self) -> None:
        if self._fails:
            raise Unavailable("a commit in doubt")
        await asyncio.Future()

    async def long_calls_ended(self, seconds: float) -> None:
        pass

    async def come_to_rest(self) -> None:
        pass

    async def close(self) -> None:
        if not self._closes:
            raise RuntimeError("a file that does not close")


class Commands:
    def add(self, owner: object) -> None:
        pass

    def remove(self, owner: object) -> None:
        pass


def owning(make: Callable[[int], Owner], ours: bool, monkeypatch: pytest.MonkeyPatch) -> Ownership:
    monkeypatch.setattr(ownership, "_REOPEN_SECONDS", (0.0,))
    owned = Ownership(make, Commands())  # type: ignore[arg-type]

    async def prove(partition: int, next_command: int) -> bool:
        return ours

    owned.prove = prove
    return owned


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - several tasks have to go on
            await asyncio.sleep(0)


async def test_a_partition_that_was_left_alone_is_served_when_assigned_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when nobody said meanwhile that it was revoked."""
    fails = [True]
    owned = owning(lambda p: Owner(p, bool(fails), True), False, monkeypatch)
    await owned.assigned({3})
    await until(lambda: owned._served[3].task.done())
    fails.clear()
    await owned.assigned({3})
    await until(lambda: owned.owner(3))
    await owned.close()


async def test_an_owner_that_does_not_close_is_succeeded(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error on the way down must not leave the partition without anybody."""
    fails = [True, True]
    owned = owning(lambda p: Owner(p, bool(fails and fails.pop()), False), True, monkeypatch)
    await owned.assigned({3})
    await until(lambda: not fails and owned.owner(3))
    await owned.close()


@pytest.mark.parametrize(("steady_seconds", "pauses"), [(3600.0, [1, 2, 3]), (0.0, [1, 1, 1])])
async def test_what_fails_as_soon_as_it_is_open_is_opened_ever_more_slowly(
    monkeypatch: pytest.MonkeyPatch, steady_seconds: float, pauses: list[int]
) -> None:
    """Opening is no recovery; only a while of service is. What was too much for one commit is not tried again whole."""
    fails = [True] * 3
    owners: list[Owner] = []

    def make(partition: int) -> Owner:
        owners.append(Owner(partition, bool(fails and fails.pop()), True))
        return owners[-1]

    owned = owning(make, True, monkeypatch)
    asked: list[int] = []

    class Pauses(tuple[float, ...]):
        def __getitem__(self, place: int) -> float:  # type: ignore[override]
            asked.append(place)
            return 0.0

    monkeypatch.setattr(ownership, "STEADY_SECONDS", steady_seconds)
    monkeypatch.setattr(ownership, "_REOPEN_SECONDS", Pauses((0.0,) * 9))
    await owned.assigned({3})
    await until(lambda: not fails and owned.owner(3))
    assert asked == pauses
    assert [owner.first_batch for owner in owners] == [MAX_BATCH, *(MAX_BATCH >> 2 * failures for failures in pauses)]
    await owned.close()


async def test_word_of_new_functions_reaches_every_owner(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that serve are told; a partition without an owner is none to tell."""
    owners: list[Owner] = []

    def make(partition: int) -> Owner:
        owners.append(Owner(partition, partition == 2, True))
        return owners[-1]

    owned = owning(make, False, monkeypatch)
    await owned.assigned({1, 2, 3})
    await until(lambda: owned.owner(1) and owned.owner(3) and owned._served[2].task.done())
    owned.functions_changed()
    assert {owner.partition: owner.arrived for owner in owners} == {
        1: [FunctionsChanged()],
        2: [],
        3: [FunctionsChanged()],
    }
    await owned.close()


class Busy(Owner):
    """Tells what happens to it; rests when the test says."""

    def __init__(self, partition: int) -> None:
        super().__init__(partition, False, True)
        self.happened: list[str] = []
        self.rested = asyncio.Event()

    async def long_calls_ended(self, seconds: float) -> None:
        self.happened.append("served on")

    async def come_to_rest(self) -> None:
        self.happened.append("resting")
        await self.rested.wait()
        self.happened.append("rested")

    async def close(self) -> None:
        self.happened.append("closed")


async def test_a_partition_comes_to_rest_before_it_is_handed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until then questions about its runs are answered here, by the one who still owns them."""
    owner = Busy(3)
    owned = owning(lambda _: owner, True, monkeypatch)
    await owned.assigned({3})
    await until(lambda: owned.owner(3))
    handing_over = asyncio.create_task(owned.revoked({3}))
    await until(lambda: owner.happened == ["served on", "resting"])
    assert owned.owner(3) is owner  # type: ignore[comparison-overlap]
    owner.rested.set()
    await handing_over
    assert owner.happened == ["served on", "resting", "rested", "closed"]
    assert owned.owner(3) is None


async def test_a_partition_that_finds_no_rest_is_handed_over_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that hangs keeps nobody from taking the partition over; one that is lost is not waited for at all."""
    monkeypatch.setattr(ownership, "REST_SECONDS", 0.01)
    owners = {3: Busy(3), 4: Busy(4)}
    owned = owning(owners.__getitem__, True, monkeypatch)
    await owned.assigned({3, 4})
    await until(lambda: owned.owner(3) and owned.owner(4))
    await owned.lost({4})
    await owned.revoked({3})
    assert owners[3].happened == ["served on", "resting", "closed"]
    assert owners[4].happened == ["closed"]


async def test_a_partition_that_comes_back_while_it_rests_is_served_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The group may give it to us anew before we have let go of it; the old owner's end must not be the new one's."""
    made: list[Busy] = []

    def make(partition: int) -> Owner:
        made.append(Busy(partition))
        return made[-1]

    owned = owning(make, True, monkeypatch)
    await owned.assigned({3})
    await until(lambda: owned.owner(3))
    handing_over = asyncio.create_task(owned.revoked({3}))
    await until(lambda: "resting" in made[0].happened)
    await owned.assigned({3})
    await until(lambda: len(made) == 2 and owned.owner(3) is made[1])  # type: ignore[comparison-overlap]
    made[0].rested.set()
    await handing_over
    assert owned.owner(3) is made[1]  # type: ignore[comparison-overlap]
    assert made[0].happened[-1] == "closed"
    await owned.close()


class Consumer:
    """A group member's consumer whose commits end as the test says."""

    answers: ClassVar[list[int | None]] = []
    ours: ClassVar[list[int]] = [3]
    broken_polls = 0

    def __init__(self, config: object) -> None:
        self.polls = 0

    def subscribe(self, *args: object, **callbacks: object) -> None:
        pass

    def poll(self, timeout: float) -> None:
        self.polls += 1
        if self.polls <= self.broken_polls:
            raise KafkaException(KafkaError(KafkaError._STATE))
        time.sleep(0.005)

    def commit(self, **options: object) -> None:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer is not None:
            raise KafkaException(KafkaError(answer))

    def assignment(self) -> list[TopicPartition]:
        return [TopicPartition("t", partition) for partition in self.ours]

    def close(self) -> None:
        pass


class Nobody:
    def progress(self) -> dict[int, int]:
        return {}


def member(monkeypatch: pytest.MonkeyPatch, **behaviour: Any) -> GroupMember:
    monkeypatch.setattr(membership, "Consumer", type("Fake", (Consumer,), behaviour))
    monkeypatch.setattr(membership, "PROVE_SECONDS", 0.3)
    return GroupMember(KafkaSettings(), "test", Nobody())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("answers", "ours", "expected"),
    [
        ([None], [3], True),
        ([None], [4], False),
        ([KafkaError.UNKNOWN_MEMBER_ID], [3], False),
        ([KafkaError.ILLEGAL_GENERATION], [3], False),
        ([KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.NETWORK_EXCEPTION, None], [3], True),
    ],
)
async def test_whose_a_partition_is(
    monkeypatch: pytest.MonkeyPatch, answers: list[int | None], ours: list[int], expected: bool
) -> None:
    """Only the group's own word counts: an error of a broker that is coming up says nothing."""
    ourselves = member(monkeypatch, answers=answers, ours=ours)
    assert await ourselves.prove(3, 0) is expected
    await ourselves.close()


async def test_a_coordinator_that_does_not_say_is_asked_again_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither yes nor no, and no thread that waits for ever."""
    ourselves = member(monkeypatch, answers=[KafkaError._TRANSPORT])
    with pytest.raises(Unavailable):
        await ourselves.prove(3, 0)
    await ourselves.close()


async def test_an_error_does_not_end_the_membership(monkeypatch: pytest.MonkeyPatch) -> None:
    """A member that does not poll would hold its partitions for minutes and learn of no change."""
    ourselves = member(monkeypatch, answers=[None], broken_polls=2)
    await until(lambda: ourselves._consumer.polls > 3)  # type: ignore[attr-defined]
    await ourselves.close()


class OneAtATime(Consumer):
    """As librdkafka's binding does it: one call at a time, and whoever waits looks again and again for a gap."""

    def __init__(self, config: object) -> None:
        super().__init__(config)
        self.busy = threading.Lock()

    def poll(self, timeout: float) -> None:
        with self.busy:
            time.sleep(0.02)

    def commit(self, **options: object) -> None:
        give_up = time.monotonic() + 0.5
        while not self.busy.acquire(blocking=False):
            if time.monotonic() > give_up:
                raise KafkaException(KafkaError(KafkaError._STATE))
            time.sleep(0.003)
        self.busy.release()


async def test_a_question_is_let_in_between_two_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that polls on and on would keep it out for good, and a partition that failed would never be reopened."""
    monkeypatch.setattr(membership, "Consumer", type("Fake", (OneAtATime,), {"answers": [None], "ours": [3]}))
    monkeypatch.setattr(membership, "PROVE_SECONDS", 0.3)
    taking_part = GroupMember(KafkaSettings(), "test", Nobody())  # type: ignore[arg-type]
    try:
        assert await taking_part.prove(3, 0)
    finally:
        await taking_part.close()

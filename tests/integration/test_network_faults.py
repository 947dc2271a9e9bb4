"""Lines between the services, Kafka and the app are slow, break, go silent or hold back; afterwards all is as it was.

One set of processes serves all tests, fault after fault, and none of them is ever restarted: what a fault leaves broken
fails the next test at the latest. Only after a failure the next test begins with new ones.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from penstock.cli.broker.installation import Installation
from tests.stack import wait_until

from .disturbed import EXECUTORS, KAFKA_TIMEOUT_SECONDS, World

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(180)]

#: What a sender may wait beyond ingest's own bound, on a busy machine.
SLACK_SECONDS = 3.0
SILENT = ["cut", "half_open", "hold"]
FIRST, OTHER = EXECUTORS


class Worlds:
    """The world of this file, made anew after a test that did not come to its end."""

    def __init__(self, installation: Installation, factory: pytest.TempPathFactory) -> None:
        self._installation = installation
        self._factory = factory
        self._world: World | None = None

    def sound(self) -> World:
        if self._world is not None and not self._world.is_sound:
            self.stop()
        if self._world is None:
            self._world = World(self._installation, self._factory.mktemp("disturbed"))
        self._world.is_sound = False
        return self._world

    def stop(self) -> None:
        world, self._world = self._world, None
        if world is not None:
            world.stop()


@pytest.fixture(scope="module")
def worlds(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worlds]:
    worlds = Worlds(installation, tmp_path_factory)
    yield worlds
    worlds.stop()


@pytest.fixture
def world(worlds: Worlds) -> World:
    """All services, with sound lines between them."""
    return worlds.sound()


@pytest.mark.parametrize("name", ["ingest", "matcher", FIRST])
def test_a_slow_line_that_breaks_again_and_again(world: World, name: str) -> None:
    """A tenth of a second in each direction, and resets in the middle of whatever goes on."""
    load, line = world.load(f"slow-{name}"), world.lines[name]
    load.wait_accepted(10)
    line.delay_seconds = 0.1
    for _ in range(4):
        load.wait_accepted(10)
        line.reset()
    world.wait_returned(10, 30)
    line.heal()
    world.finish(load)


@pytest.mark.parametrize("fault", SILENT)
def test_ingest_without_kafka_refuses_in_time(world: World, fault: str) -> None:
    """Senders hear 503 and why, within the bound; what was answered with 200 runs, and new functions are known."""
    load, line = world.load(f"ingest-{fault}"), world.lines["ingest"]
    load.wait_accepted(20)
    getattr(line, fault)()
    load.wait_refused(3)
    line.heal()
    load.wait_accepted(5)
    assert load.longest_seconds < KAFKA_TIMEOUT_SECONDS + SLACK_SECONDS
    assert set(load.answers) == {200, 503}
    world.finish(load)
    world.meet_newcomer(f"after-ingest-{fault}")


@pytest.mark.parametrize("fault", SILENT)
def test_a_matcher_that_its_group_gave_up_comes_back(world: World, fault: str) -> None:
    """Away for longer than the session, it reads on from where it had come to, also what is registered later."""
    load, line = world.load(f"matcher-{fault}"), world.lines["matcher"]
    load.wait_accepted(20)
    getattr(line, fault)()
    wait_until(lambda: not world.members("matcher"), 20, "the matcher's group gives it up")
    line.heal()
    world.wait_returned(20, 40)
    world.finish(load)
    world.meet_newcomer(f"after-matcher-{fault}")


@pytest.mark.parametrize("fault", ["half_open", "hold"])
def test_partitions_of_an_executor_that_is_not_heard_of_go_on_elsewhere(world: World, fault: str) -> None:
    """The other one takes them over; what the first had sent, and arrives after that, is refused; it joins again."""
    world.wait_owns(FIRST, 1, 30)
    load, line = world.load(f"executor-{fault}"), world.lines[FIRST]
    world.wait_returned(5, 30)
    getattr(line, fault)()
    world.wait_owns(OTHER, 4, 30)
    world.wait_returned(20, 30)
    line.heal()
    world.wait_owns(FIRST, 1, 40)
    world.finish(load)
    world.meet_newcomer(f"after-executor-{fault}")


def test_executors_that_are_cut_off_in_turn_carry_on_alone(world: World) -> None:
    """Whoever is left has all partitions and drives all runs, also one that was cut off itself just before."""
    world.wait_owns(FIRST, 1, 30)
    load = world.load("in-turn")
    for cut_off, left in ((FIRST, OTHER), (OTHER, FIRST)):
        world.lines[cut_off].cut()
        world.wait_owns(left, 4, 30)
        world.wait_returned(20, 30)
        world.lines[cut_off].heal()
        world.wait_owns(cut_off, 1, 40)
    world.finish(load)


def test_an_app_that_is_half_open_holds_up_no_other(world: World) -> None:
    """Its calls are given up after their time and made again, as attempts that count; others are called meanwhile."""
    load, line = world.load("half-open-app"), world.lines["app"]
    world.wait_returned(5, 30)
    line.half_open()
    dialled = line.accepted
    near = world.load("near-app", through_line=False)
    near.wait_accepted(20)
    wait_until(lambda: set(near.stop()) <= set(world.app.returned), 20, "runs of the app that answers")
    wait_until(lambda: line.accepted >= dialled + 5, 30, "calls that are made again")
    line.heal()
    world.finish(load, near)
    attempts = [attempt for (n, _), made in world.app.calls.items() if n in set(load.sent) for attempt in made]
    assert max(attempts) >= 1


def test_an_app_that_refuses_for_a_while(world: World) -> None:
    """Nobody listens: the calls are attempts that failed, and the runs go on when somebody does."""
    load, line = world.load("refusing-app"), world.lines["app"]
    load.wait_accepted(10)
    line.cut()
    load.wait_accepted(20)
    line.heal()
    world.finish(load)


def test_a_reply_that_breaks_off_is_an_attempt_that_counts(world: World) -> None:
    """The step ran and its result is lost with the connection: it is run again, as the next attempt."""
    load, line = world.load("broken-replies"), world.lines["app"]
    load.wait_accepted(5)
    line.piece_bytes, line.replies_to_break = 1000, 5
    wait_until(lambda: not line.replies_to_break, 30, "five replies of a thousand bytes or more")
    load.wait_accepted(5)
    world.finish(load)
    again = [made for (n, _), made in world.app.calls.items() if n in set(load.sent) and len(made) > 1]
    assert sum(len(made) - 1 for made in again) == 5
    assert all(made == list(range(len(made))) for made in again)

"""One seed: a few programs, a few runs of each, and every kind of trouble, until all is quiet; then the reckoning."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field, replace

from penstock.audit import local, waits
from penstock.audit.changelog import ChangelogAudit
from penstock.errors import Fenced
from penstock.executor.arrivals import RunFact, SignalSent
from penstock.functions.config import EventTrigger, FunctionConfig
from penstock.functions.table import FunctionTable
from penstock.kafka.produce import Outgoing
from penstock.messages.ids import FunctionKey, RunId, record_event_id, run_partition, signal_partition
from penstock.messages.records import Event, Function, RunEnded, RunStarted, SignalClaimed, StepFinished
from penstock.messages.topics import Topics
from penstock.runs.facts import CancelRequested
from penstock.runs.replies import Reply, parse_reply
from penstock.runs.run import Run
from penstock.state.memory import MemoryStore
from penstock.verification.programs import RETRIES, Pace, Program, Step, programs
from penstock.verification.reckoning import Cancels, SeenRun, reckon
from penstock.verification.usercode import Answer, UserCode, twice
from penstock.verification.usercode import Call as AppCall

from .broker import Broker, KeepingCodec
from .group import Group
from .matchers import Action, Matcher
from .owners import Died, Owner

CODEC = KeepingCodec()
T0 = 1_700_000_000_000
DAY_MS = 24 * 3600 * 1000
MAX_ACTIONS = 12000
MOST_MATCHERS = 2
#: Waiting for Kafka is over so soon; other timers of a matcher are for groups that nobody visits.
SOON_MS = 5000
CANCEL = '{"cancel":[{"event":"app/stop","if":"async.data.k == event.data.k"}]}'
UNREACHABLE = Answer(502, {"x-inngest-sdk": "py:v0", "x-inngest-req-version": "2"}, b'"bad gateway"')


TROUBLES = ("die", "die", "kill", "zombie", "wake", "matcher", "again", "duplicate", "cancel", "stop")
TROUBLES_OF_MATCHERS = ("join", "leave", "cut off", "back", "lag", "away")
STORM = ("matcher", "matcher", "matcher", "join", "cut off", "back", "away", "slow", "slow", "slow")


class Violation(AssertionError):
    """What must always hold did not."""


@dataclass
class Counts:
    """What happened, so that a simulation in which nothing happens can be told from one that holds."""

    runs: int = 0
    actions: int = 0
    deaths: int = 0
    zombies: int = 0
    duplicates: int = 0
    cancelled: int = 0
    moves: int = 0
    late: int = 0
    """What members of the matchers' group did after they had lost their partitions."""
    statuses: dict[str, int] = field(default_factory=dict)


class World:
    """Everything of one seed. In a storm, matchers have more trouble, and more to look back for."""

    def __init__(self, seed: int, *, storm: bool = False) -> None:
        self.seed = seed
        self.rng = random.Random(seed)
        self.storm = self.rng.random() < 0.15 or storm
        self.counts = Counts()
        self.topics = Topics("", event_partitions=2, run_partitions=2, wait_partitions=2)
        self.broker = Broker(self.topics)
        self.broker.now = T0
        self.programs = programs(self.rng, self.rng.randint(1, 3), Pace())
        if self.storm:
            self.programs = [with_foretold_waits(self.rng, each) for each in self.programs]
        self.code = UserCode("app", self.programs)
        self.table = self._register()
        self.machines = [MemoryStore(), MemoryStore(), MemoryStore()]
        self.owners = [self._own(partition) for partition in range(self.topics.run_partitions)]
        self.zombies: list[Owner] = []
        of_matchers = (self.topics.events, self.topics.internal_events, self.topics.waits, self.topics.correlations)
        places = [(each.name, p) for each in self.topics.specs() if each.name in of_matchers for p in range(2)]
        self.group = Group(places)
        self.disks = [MemoryStore()]
        """What matchers that are gone have left of their tables."""
        self.matchers = [self._new_matcher()]
        self.cut_off: list[tuple[Matcher, int]] = []
        """Matchers without a connection to the group's coordinator, and how much they still do."""
        self.lagging: frozenset[str] = frozenset()
        """Topics that matchers read only when they have nothing else to do."""
        self._rebalance()
        self.numbers: list[int] = []
        """The numbers k of the events that start a run each."""
        self.cancels = Cancels()
        self.answered: set[str] = set()
        self.repeated = False
        """Some event was sent twice, under one id."""

    def play(self) -> Counts:
        """Start runs, let trouble happen, wait until all have ended, and hold the outcome against the model."""
        for k in range(1, self.rng.randint(2, 5)):
            self._trigger(k)
        troubles, rate = (60, 0.2) if self.storm else (self.rng.randint(0, 60), 0.08)
        while self.counts.actions < MAX_ACTIONS:
            self.counts.actions += 1
            self.broker.now += self.rng.choice((0, 1, 1, 7))
            if troubles and self.rng.random() < rate:
                troubles -= 1
                self._trouble()
            elif not self._work() and not self._time_passes():
                break
        else:
            raise Violation(f"not quiet after {MAX_ACTIONS} actions: {self._alive()}")
        self._reckon()
        return self.counts

    # ---- what goes well

    def _work(self) -> bool:
        """One piece of work, whichever; False when there is none."""
        choices: list[tuple[str, int]] = []
        choices += [("turn", i) for i, owner in enumerate(self.owners) if owner.has_work()]
        choices += [("call", i) for i, owner in enumerate(self.owners) if owner.calls]
        of_matchers = self._matchers_work()
        choices += [("match", i) for i in range(len(of_matchers))]
        if not choices:
            return self._answer_a_wait()
        kind, which = self.rng.choice(choices)
        if kind == "turn":
            self._turn(which)
        elif kind == "call":
            self._answer_call(self.owners[which])
        else:
            self._let_match(*of_matchers[which])
        if self.rng.random() < 0.1:
            self._answer_a_wait()
        return True

    def _matchers_work(self) -> list[tuple[Matcher, Action]]:
        strays = [matcher for matcher, left in self.cut_off if left]
        found = [(matcher, action) for matcher in [*self.matchers, *strays] for action in matcher.work()]
        ahead = [each for each in found if each[1][1][0] not in self.lagging and not _is_slow(*each)]
        return ahead or found

    def _let_match(self, matcher: Matcher, action: Action) -> None:
        matcher.do(action)
        if matcher in self.matchers:
            if self.rng.random() < 0.2:
                matcher.commit()
            return
        self.counts.late += 1
        self.cut_off = [(each, left - (each is matcher)) for each, left in self.cut_off]

    def _turn(self, which: int, dies_after: int = 0) -> None:
        owner = self.owners[which]
        try:
            owner.turn(self.rng, dies_after)
        except Died:
            self._replace(which)
        except Fenced:
            raise Violation(f"the owner of partition {which} was fenced without a successor") from None

    def _answer_call(self, owner: Owner) -> None:
        call = owner.calls.pop(self.rng.randrange(len(owner.calls)))
        if call.attempt < RETRIES and self.rng.random() < 0.05:
            owner.answered(call, self._read(UNREACHABLE), {})
            return
        program, k = self._of(call.run_id)
        asked = AppCall(program.number, k, call.step_id, call.attempt, call.memory)
        self._webhooks(asked)
        answer = self.code.answer(asked)
        if self.rng.random() < 0.05:
            answer = twice(answer) or answer
        reply = self._read(answer)
        functions: dict[str, object] = {self.code.slug(p.number): key(p.number) for p in self.programs}
        owner.answered(call, reply, functions)
        if self.rng.random() < 0.05:
            self.counts.duplicates += 1
            owner.answered(call, reply, functions)

    def _read(self, answer: Answer) -> Reply:
        return parse_reply(answer.status, answer.headers, answer.body, self.broker.now)

    def _webhooks(self, call: AppCall) -> None:
        """While a step runs, it causes the event that a later step will wait for."""
        for step in self.code.due(call):
            if step.answers:
                self._send(self.code.answering(step.answers), {"k": call.k, "go": True})

    def _answer_a_wait(self) -> bool:
        """Send what a run waits for, once; False when none waits for something that is to come."""
        waiting = [
            (run, job)
            for run in self._live()
            for job in run.jobs.values()
            if job.kind in ("wait", "signal")
            and self._is_to_be_answered(run, job.step_id)
            and f"{run.id}/{job.step_id}" not in self.answered
        ]
        if not waiting:
            return False
        run, job = self.rng.choice(waiting)
        k = self._of(run.id)[1]
        if job.kind == "wait":
            self.answered.add(f"{run.id}/{job.step_id}")
            stopped = self._of(run.id)[0].steps[job.step_id].stopped
            self._send(self.code.stop if stopped else self.code.answering(job.step_id), {"k": k, "go": True})
            return True
        signal = self.code.signal(job.step_id, k)
        owner = self.owners[signal_partition(signal, self.topics.run_partitions)]

        def told(claim: SignalClaimed | None) -> None:
            if claim is not None and claim.run_id == run.id:
                self.answered.add(f"{run.id}/{job.step_id}")

        owner.put(SignalSent(signal, '{"go":true}', told))
        return True

    def _is_to_be_answered(self, run: Run, step_id: str) -> bool:
        step = self._of(run.id)[0].steps[step_id]
        return step.stopped or (step.answered and not step.foretold)

    def _time_passes(self) -> bool:
        """Nothing else can happen: on to the next timer of a run that is alive."""
        if not self._live():
            return False
        soon = [at for each in self.matchers if (at := each.loop.next_timer()) and at < self.broker.now + SOON_MS]
        if soon:
            self.broker.now = max(self.broker.now, min(soon))
            return True
        due = [at for owner in self.owners if (at := owner.next_timer()) is not None]
        if not due:
            raise Violation(f"nothing will ever happen again: {self._alive()}")
        for matcher in self.matchers:
            matcher.commit()
        if self._end_those_cut_off(min(due)):
            return True
        self.broker.now = max(self.broker.now, min(due))
        return True

    def _end_those_cut_off(self, until: int) -> bool:
        """An event's id counts for a day: who slept for longer over a second event of it would start another run."""
        if not self.cut_off or not self.repeated or until < T0 + DAY_MS // 2:
            return False
        for matcher, _ in self.cut_off:
            matcher.die()
        self.cut_off = []
        return True

    # ---- what goes wrong

    def _trouble(self) -> None:
        which = self.rng.randrange(len(self.owners))
        match self.rng.choice((*TROUBLES, *TROUBLES_OF_MATCHERS, *(STORM if self.storm else ()))):
            case "die":
                if self.owners[which].has_work():
                    self.counts.deaths += 1
                    self._turn(which, self.rng.choice((2, 3, 4)))
            case "kill":
                self.counts.deaths += 1
                self._replace(which)
            case "zombie":
                self._leave_zombie(which)
            case "wake":
                self._wake_zombie()
            case "matcher":
                self.counts.deaths += 1
                self._matcher_gone(self.rng.choice(self.matchers))
            case "again":
                self._repeat_a_record()
            case "duplicate":
                if self.broker.now < T0 + DAY_MS // 2:  # after a day, the same id starts another run
                    self._trigger(self.rng.choice(self.numbers), again=True)
            case "cancel":
                self._cancel()
            case "stop":
                self._stop()
            case _ as of_matchers:
                self._trouble_matchers(of_matchers)

    def _trouble_matchers(self, trouble: str) -> None:
        match trouble:
            case "join":
                if len(self.matchers) < MOST_MATCHERS:
                    self.matchers.append(self._new_matcher())
                    self._rebalance()
            case "leave":
                if len(self.matchers) > 1:
                    leaving = self.rng.choice(self.matchers)
                    leaving.commit()
                    self._matcher_gone(leaving)
            case "cut off":
                self._cut_off(self.rng.choice(self.matchers))
            case "back":
                self._connect_again()
            case "lag":
                topics = sorted({topic for topic, _ in self.group.places})
                self.lagging = frozenset(topic for topic in topics if self.rng.random() < 0.3)
            case "away":
                self.rng.choice(self.matchers).refusals = self.rng.choice((1, 2, 5))
            case "slow":
                self.rng.choice(self.matchers).slow_at = self.rng.choice(("land", "land", "learn", ""))

    def _matcher_gone(self, matcher: Matcher) -> None:
        """Killed, or gone by itself; another begins where the group's offsets stand, if none is left."""
        matcher.die()
        self.disks.append(matcher.machine)
        self.matchers.remove(matcher)
        self.matchers = self.matchers or [self._new_matcher()]
        self._rebalance()

    def _cut_off(self, matcher: Matcher) -> None:
        """It hears no more of the group, which gives its partitions to others; it reads and writes on for a while."""
        if len(self.cut_off) < 2 and matcher.told is None:
            self.counts.zombies += 1
            self.cut_off.append((matcher, self.rng.choice((0, 5, 30))))
            self.matchers.remove(matcher)
            self.matchers = self.matchers or [self._new_matcher()]
            self._rebalance()

    def _connect_again(self) -> None:
        """Who was cut off goes on where it was; then it is killed, or hears that it has lost everything."""
        if not self.cut_off:
            return
        matcher, left = self.cut_off.pop(0)
        if not left:
            self.cut_off.append((matcher, 30))
        elif len(self.matchers) < MOST_MATCHERS:
            self.matchers.append(matcher)
            self._rebalance()
        else:
            matcher.die()
            self.disks.append(matcher.machine)

    def _new_matcher(self) -> Matcher:
        """On a machine whose files are old, or on one that has none."""
        old = self.disks.pop(self.rng.randrange(len(self.disks))) if self.disks and self.rng.random() < 0.7 else None
        return Matcher(self.broker, self.group, old or MemoryStore(), self.table, CODEC, self.rng)

    def _rebalance(self) -> None:
        """Partitions move; each member hears of it when it does, and some store before what they have done."""
        for matcher in self.matchers:
            if self.rng.random() < 0.5:
                matcher.commit()
        self.counts.moves += 1
        for matcher, assignment in zip(self.matchers, self.group.rebalance(len(self.matchers)), strict=True):
            matcher.told = assignment

    def _replace(self, which: int) -> None:
        """The owner is gone; another takes over, on this machine or on one whose files are older."""
        self.owners[which].close()
        self.owners[which] = self._own(which)

    def _leave_zombie(self, which: int) -> None:
        """The owner is only cut off: it goes on for a while, and must write nothing."""
        if len(self.zombies) < 2 and self.owners[which].has_work():
            self.counts.zombies += 1
            self.zombies.append(self.owners[which])
            self.machines.append(MemoryStore())
            self.owners[which] = self._own(which)

    def _wake_zombie(self) -> None:
        if not self.zombies:
            return
        zombie = self.zombies.pop()
        before = len(self.broker.log(self.topics.run_state, zombie.partition))
        try:
            for _ in range(3):
                zombie.turn(self.rng, 0)
        except Fenced:
            pass
        zombie.close()
        if len(self.broker.log(self.topics.run_state, zombie.partition)) != before:
            raise Violation(f"a fenced owner has written to partition {zombie.partition}")

    def _repeat_a_record(self) -> None:
        """Every command and every event for a wait may arrive twice."""
        topic = self.rng.choice((self.topics.run_steps, self.topics.correlations))
        partition = self.rng.randrange(2)
        recent = [r for r in self.broker.log(topic, partition) if r.at > self.broker.now - DAY_MS // 2]
        if recent:
            self.counts.duplicates += 1
            record = self.rng.choice(recent)
            self.broker.send([Outgoing(topic, record.key, record.value, partition=partition)])

    def _cancel(self) -> None:
        live = self._live()
        if live:
            run = self.rng.choice(live)
            self.counts.cancelled += 1
            k = self._of(run.id)[1]
            self.cancels.ask(k)

            def applied(after: Run | None) -> None:
                if after is None or after.ended is None or after.ended.status == "Cancelled":
                    self.cancels.accepted.add(k)  # as the API says it

            owner = self.owners[run_partition(run.id, 2)]
            owner.put(RunFact(run.id, CancelRequested("by the simulation"), applied))

    def _stop(self) -> None:
        """An event that cancels a run, if its function is cancelled by any."""
        live = [run for run in self._live() if self._of(run.id)[0].cancellable]
        if live:
            run = self.rng.choice(live)
            self.counts.cancelled += 1
            k = self._of(run.id)[1]
            self.cancels.ask(k)
            self._send(self.code.stop, {"k": k})

    # ---- what must have come out

    def _reckon(self) -> None:
        problems: list[str] = []
        expected: dict[str, str] = {}
        seen: dict[RunId, SeenRun] = {}
        for partition in range(self.topics.run_partitions):
            audit = ChangelogAudit(partition, CODEC)
            for at, record in enumerate(self.broker.log(self.topics.run_state, partition)):
                audit.take(at, record.key or b"", record.value)
                decoded = CODEC.decode(record.value) if record.value is not None else None
                match decoded:
                    case RunStarted():
                        seen[decoded.run_id] = SeenRun(decoded)
                    case RunEnded():
                        seen[decoded.run_id].end = decoded
                    case StepFinished():
                        seen[decoded.run_id].steps[decoded.step_id] = decoded
            problems += map(str, audit.finish(self.broker.now).kept)
            problems += map(str, local.compare(partition, audit.folded, self.owners[partition].stored()).kept)
            expected |= audit.wait_keys()
        problems += map(str, waits.compare(expected, self._registered_waits()).kept)
        problems += reckon([*seen.values()], self.numbers, self.programs, self.cancels)
        for run in seen.values():
            if run.end is not None:
                self.counts.runs += 1
                self.counts.statuses[run.end.status] = self.counts.statuses.get(run.end.status, 0) + 1
        if problems:
            raise Violation("\n".join([f"seed {self.seed}", *problems[:20]]))

    def _registered_waits(self) -> set[str]:
        found: dict[str, bool] = {}
        for partition in range(self.topics.wait_partitions):
            for record in self.broker.log(self.topics.waits, partition):
                found[(record.key or b"").decode()] = record.value is not None
        return {key for key, alive in found.items() if alive}

    # ---- the small things

    def _register(self) -> FunctionTable:
        table = FunctionTable()
        for program in self.programs:
            name = self.code.slug(program.number)
            raw = CANCEL if program.cancellable else "{}"
            triggers = (EventTrigger(self.code.trigger(program.number)),)
            config = FunctionConfig(key(program.number), "app", name, name, "http://app", triggers, RETRIES, raw=raw)
            table.apply(Function(key(program.number), "app", name, name, 1, config.to_json(), T0), program.number)
        return table

    def _trigger(self, k: int, *, again: bool = False) -> None:
        number = k % len(self.programs)
        self._send(self.code.trigger(number), {"k": k}, event_id=f"go-{k}")
        if again:
            self.repeated = True
        else:
            self.numbers.append(k)

    def _send(self, name: str, data: dict[str, object], event_id: str = "") -> Event:
        partition = self.rng.randrange(2)
        at = len(self.broker.log(self.topics.events, partition))
        now = self.broker.now
        internal = record_event_id(self.topics.events, partition, at, now)
        event = Event(name, json.dumps(data), event_id or internal, now, internal_id=internal, received_at=now)
        self.broker.send([Outgoing(self.topics.events, None, CODEC.encode(event), partition=partition)])
        return event

    def _own(self, partition: int) -> Owner:
        return Owner(self.broker, partition, self.rng.choice(self._free(partition)), self.table, CODEC)

    def _free(self, partition: int) -> list[MemoryStore]:
        return [machine for machine in self.machines if partition not in machine._open]

    def _live(self) -> list[Run]:
        return [run for owner in self.owners for run in owner.live()]

    def _of(self, run_id: RunId) -> tuple[Program, int]:
        run = self.owners[run_partition(run_id, 2)].core.runs.load(run_id)
        assert run is not None
        data = json.loads(run.started.events[0])["data"]
        return self.programs[int(run.started.function.removeprefix("app/app-f"))], data["k"]

    def _alive(self) -> str:
        return "; ".join(f"{run.id}: {sorted(run.jobs)}" for run in self._live()[:5])


def with_foretold_waits(rng: random.Random, program: Program) -> Program:
    """More waits whose event comes before them, which nothing but looking back finds."""
    groups = [group for group in program.groups if not group[0].stopped]
    last = program.groups[len(groups) :]
    for place in range(len(program.groups), len(program.groups) + 2 * rng.randint(1, 2), 2):
        caused = f"p{program.number}g{place + 1}s0"
        groups.append((Step(f"p{program.number}g{place}s0", "run", answers=caused),))
        groups.append((Step(caused, "wait", seconds=Pace().long, answered=True, foretold=True),))
    return replace(program, groups=(*groups, *last))


def key(number: int) -> FunctionKey:
    return FunctionKey(f"app/app-f{number}")


def _is_slow(matcher: Matcher, action: Action) -> bool:
    return action[0] == matcher.slow_at


def play(seed: int, *, storm: bool = False) -> Counts:
    """One seed from begin to end; `Violation` when something that must hold does not."""
    try:
        return World(seed, storm=storm).play()
    except Exception as error:
        error.add_note(f"play it again: python -m tests.simulation {seed}{' --storm' if storm else ''}")
        raise

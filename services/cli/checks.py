"""The checks of `penstock doctor`. Each looks at one thing and says what it found and what to do about it.

A check that cannot be made because something else is away fails with the words of that.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from ..errors import PenstockError, Unavailable
from ..kafka.ranges import RangeReader, fixed_ranges
from ..kafka.topics import check_topics
from ..messages.codec import Codec
from ..messages.records import Event
from ..messages.topics import DAY_MS
from ..runs.gateway import shown_url
from ..settings import ExecutorSettings, KafkaSettings
from .cluster import Cluster, Lag, Topic
from .exit_codes import NotFound
from .server import Server

State = Literal["ok", "warn", "fail"]
#: Behind by more than so many records, somebody should look; a service under load is always a little behind.
LAG_WARN = 1_000
LAG_FAIL = 100_000
#: Rounding of the `Date` header, and the way there and back.
CLOCK_SECONDS = 3.0
#: History follows within a second; events that are younger than this may be on their way.
HISTORY_SECONDS = 5.0
#: Services that are members of a consumer group, by the group's name.
MEMBERS = ("matcher", "executor", "replayer")


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report."""

    state: State
    check: str
    text: str
    advice: str = ""


Check = Callable[[], Iterator[Finding]]


def examine(cluster: Cluster, kafka: KafkaSettings, executor: ExecutorSettings, server: Server) -> list[Finding]:
    """All checks, in the order in which their subjects depend on one another."""
    checks: tuple[tuple[str, Check], ...] = (
        ("Kafka", lambda: brokers(cluster, kafka)),
        ("topics", lambda: shapes(check_topics(kafka))),
        ("retention", lambda: retention(cluster.topics(), kafka, executor)),
        ("schema registry", lambda: registry(kafka)),
        ("services", lambda: services(cluster.members(), kafka)),
        ("lag", lambda: lags(cluster.lags())),
        ("server", lambda: answering(server)),
        ("clock", lambda: clock(server.clock_difference())),
        ("apps", lambda: apps(server)),
        ("history", lambda: history(newest_event_ids(kafka), server)),
        ("dead letters", lambda: dead_letters(server)),
    )
    return [finding for name, check in checks for finding in _findings(name, check)]


def _findings(name: str, check: Check) -> Sequence[Finding]:
    try:
        return tuple(check())
    except PenstockError as error:
        return (Finding("fail", name, str(error)),)


def brokers(cluster: Cluster, kafka: KafkaSettings) -> Iterator[Finding]:
    count = cluster.brokers()
    yield Finding("ok", "Kafka", f"{count} broker{'s' * (count > 1)} at {kafka.kafka_bootstrap_servers}")
    thin = [topic.name for topic in cluster.topics() if topic.replication < min(count, 3)]
    if thin:
        advice = (
            "raise the replication of the topics with kafka-reassign-partitions, and set PENSTOCK_REPLICATION_FACTOR=3"
        )
        yield Finding("warn", "replication", f"{len(thin)} topics have fewer replicas than there are brokers", advice)


def shapes(problems: Sequence[str]) -> Iterator[Finding]:
    for problem in problems:
        what, _, advice = problem.partition(": ")
        yield Finding("fail", "topics", what, advice)
    if not problems:
        yield Finding("ok", "topics", "all are there, with the shape that they need")


def retention(topics: Sequence[Topic], kafka: KafkaSettings, executor: ExecutorSettings) -> Iterator[Finding]:
    """How far back a replay can reach, and how long an ended run's state stays."""
    by_name = {topic.name: topic for topic in topics}
    events = by_name.get(kafka.topics().events)
    if events is not None:
        short = 0 <= events.retention_ms < DAY_MS
        span = "for ever" if events.retention_ms < 0 else f"for {events.retention_ms / DAY_MS:g} days"
        advice = "a replay reaches no further back: raise the topic's retention.ms" if short else ""
        yield Finding("warn" if short else "ok", "retention of events", f"Kafka keeps them {span}", advice)
    hours = executor.retention_run_state_seconds / 3600
    yield Finding("ok", "retention of run state", f"{hours:g} hours after a run's end (history keeps what it did)")


def registry(kafka: KafkaSettings) -> Iterator[Finding]:
    from ..kafka.schema_registry import codec, connect

    if not kafka.schema_registry_url:
        yield Finding("ok", "schema registry", "none is configured; records carry their schemas' fingerprints")
        return
    codec(connect(kafka))
    yield Finding("ok", "schema registry", f"{shown_url(kafka.schema_registry_url)} knows our schemas")


def services(members: dict[str, int], kafka: KafkaSettings) -> Iterator[Finding]:
    for name in MEMBERS:
        count = members.get(kafka.topic_prefix + name, 0)
        if count:
            yield Finding("ok", name, f"{count} process{'es' * (count > 1)}")
        else:
            yield Finding("fail", name, "no process is running", f"start `penstock {name}` (or `penstock dev`)")


def lags(found: Sequence[Lag]) -> Iterator[Finding]:
    groups: dict[str, int] = {}
    for each in found:
        groups[each.group] = groups.get(each.group, 0) + each.behind
    for group, behind in sorted(groups.items()):
        state: State = "fail" if behind > LAG_FAIL else "warn" if behind > LAG_WARN else "ok"
        advice = (
            "" if state == "ok" else "`penstock lag` shows the partitions; start more processes, or look at their logs"
        )
        yield Finding(state, f"lag of {group}", f"{behind} records", advice)


def answering(server: Server) -> Iterator[Finding]:
    complaint = server.answers()
    if complaint is not None:
        yield Finding("fail", "server", complaint, "")
        return
    about = server.describe()
    yield Finding("ok", "server", f"{server.url} answers (version {about.get('version')}, {about.get('mode')})")


def clock(seconds: float) -> Iterator[Finding]:
    """Times in ids, timers and retention are read from clocks: they must agree."""
    if abs(seconds) <= CLOCK_SECONDS:
        yield Finding("ok", "clock", "this machine and the server agree")
    else:
        yield Finding(
            "warn", "clock", f"the server's clock is {seconds:+.0f} s from this machine's", "let NTP set both"
        )


def apps(server: Server) -> Iterator[Finding]:
    rows = server.whole("/v1/apps")
    broken = [row for row in rows if row.get("error")]
    for row in broken:
        yield Finding(
            "warn", f"app {row['name']}", str(row["error"]), f"repair it, then `penstock apps sync {row['name']}`"
        )
    if not rows:
        yield Finding("warn", "apps", "none is registered", "`penstock apps sync URL`")
    elif not broken:
        yield Finding("ok", "apps", f"{len(rows)} registered")


def history(newest: Sequence[str], server: Server) -> Iterator[Finding]:
    """Does the read model have the newest events that lie on Kafka?"""
    missing = 0
    for event in newest:
        try:
            server.get(f"/v1/events/{event}")
        except NotFound:
            missing += 1
    if missing:
        advice = (
            "is `penstock history` running, on the same database as ingest? It catches up by itself; its log says more"
        )
        yield Finding("fail", "history", f"it has not the newest events of {missing} partitions", advice)
    else:
        yield Finding("ok", "history", "it is up to date")


def newest_event_ids(kafka: KafkaSettings) -> list[str]:
    """The last event of ours of each partition, unless it has only just come."""
    begins, ends = fixed_ranges(kafka, [kafka.topics().events], 0)
    last = {place: max(end - 20, begins[place]) for place, end in ends.items()}
    reader, found, codec = RangeReader(kafka, last, ends), dict[int, str](), Codec()
    try:
        while not reader.at_end:
            for message in reader.next_batch(500)[0]:
                if time.time() - message.timestamp()[1] / 1000 < HISTORY_SECONDS:
                    continue
                try:
                    record = codec.decode(message.value() or b"")
                except PenstockError:  # another client's event: its id is not in the record
                    continue
                if isinstance(record, Event) and record.internal_id:
                    found[message.partition() or 0] = record.internal_id
    finally:
        reader.close()
    return list(found.values())


def dead_letters(server: Server) -> Iterator[Finding]:
    since = int(time.time() * 1000) - DAY_MS
    try:
        rows = list(server.rows("/v1/dead-letters", {"from": since}, 100))
    except NotFound as error:
        raise Unavailable(str(error)) from error
    if rows:
        many = f"{len(rows)}{'+' * (len(rows) == 100)} in the last day"
        yield Finding("warn", "dead letters", many, "`penstock dead-letters list` tells the reasons")
    else:
        yield Finding("ok", "dead letters", "none in the last day")

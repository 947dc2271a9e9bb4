"""`penstock topics` and `penstock lag`: Kafka, as our services see it."""

from __future__ import annotations

from typing import Annotated

import typer

from ..options import AsJson

app = typer.Typer(help="Look at the topics that Penstock needs, make and check them.", no_args_is_help=True)


@app.command("list")
def list_topics(as_json: AsJson = False) -> None:
    """List our topics on the cluster, with their shape and how much they hold."""
    from dataclasses import asdict

    from ...settings import KafkaSettings
    from ..cluster import Cluster
    from ..output import print_json, print_table

    found = Cluster(KafkaSettings()).topics()
    if as_json:
        print_json([asdict(topic) for topic in found])
        return
    shown = [(t.name, t.partitions, t.replication, t.records, t.cleanup, days(t.retention_ms)) for t in found]
    columns = ("topic", "partitions", "replicas", "records", "cleanup", "retention")
    print_table(columns, shown, "none of our topics is there: run `penstock topics create`")


@app.command("create")
def create() -> None:
    """Make the topics that are missing, then check all."""
    from ...kafka.topics import create_topics
    from ...settings import KafkaSettings

    made = create_topics(KafkaSettings())
    print("created: " + ", ".join(made) if made else "nothing to create")
    check()


@app.command("check")
def check() -> None:
    """Hold the topics against the shape they need; exit code 2 when one differs."""
    from ...errors import TopicMismatch
    from ...kafka.topics import check_topics
    from ...settings import KafkaSettings

    settings = KafkaSettings()
    problems = check_topics(settings)
    if problems:
        raise TopicMismatch("\n".join(problems))
    print(f"all {len(settings.topics().specs())} topics are as they should be")


def lag(
    group: Annotated[str, typer.Option(help="Only groups whose name contains this.")] = "", as_json: AsJson = False
) -> None:
    """Show how far each service is behind its topics, by partition, and who owns the partition."""
    from dataclasses import asdict

    from ...settings import KafkaSettings
    from ..cluster import Cluster
    from ..output import print_json, print_table

    found = [each for each in Cluster(KafkaSettings()).lags() if group in each.group]
    if as_json:
        print_json([{**asdict(each), "lag": each.behind} for each in found])
        return
    shown = [
        (each.group, f"{each.topic}/{each.partition}", each.committed, each.end, each.behind, each.owner or "nobody")
        for each in found
    ]
    print_table(("group", "partition", "at", "end", "lag", "owner"), shown, "no service has read anything yet")


def days(millis: int) -> str:
    """A retention in words."""
    return "for ever" if millis < 0 else f"{millis / 86_400_000:g} d"

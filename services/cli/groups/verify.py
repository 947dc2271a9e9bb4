"""`penstock verify`: functions made from a seed run on an installation, and every run is held to what must come out."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from ..options import Key, Url

if TYPE_CHECKING:
    from ...settings import KafkaSettings
    from ...verification.plan import Plan
    from ...verification.verify import Listening


def verify(
    seed: Annotated[int, typer.Option(help="The first seed; the same seed makes the same functions and events.")] = 1,
    rounds: Annotated[int, typer.Option(min=1, help="How many seeds to play, one after the other.")] = 3,
    minutes: Annotated[float, typer.Option(min=0, help="Go on with further seeds until so much time is over.")] = 0,
    runs: Annotated[int, typer.Option(min=1, max=999, help="Events of each round; most start several runs.")] = 100,
    rate: Annotated[float, typer.Option(min=0.1, max=1000, help="Events a second.")] = 20,
    patience: Annotated[
        float, typer.Option(min=5, help="Seconds without anything happening after which a round is stuck.")
    ] = 300,
    poison: Annotated[
        bool, typer.Option(help="Also send bytes that are no events; they stay as dead letters.")
    ] = False,
    host: Annotated[str, typer.Option(help="Address on which the functions listen.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on which they listen; 0 takes a free one.")] = 0,
    app_url: Annotated[
        str, typer.Option(metavar="URL", help="Where executors reach them, when it is not that address.")
    ] = "",
    audited: Annotated[bool, typer.Option("--audit/--no-audit", help="Audit the topics in the end.")] = True,
    url: Url = "",
    key: Key = "",
) -> None:
    """Run functions made from a seed, and check that each run ends as it must; exit code 5 when one does not.

    Steps fail and are repeated, sleep, wait for events and signals, invoke one another, are cancelled; answers are
    slow, garbage or cut off. Kill what you like meanwhile: the outcome must stay the same.

    It needs the HTTP API and Kafka, and executors must reach it. Its apps are called verify-…; when all went well,
    their functions are archived in the end.

    Example: penstock verify --seed 7 --minutes 3
    """
    import asyncio

    from ...errors import InvalidInput
    from ...settings import ClientSettings, KafkaSettings
    from ...verification.errands import Installation, Rejected
    from ...verification.plan import Plan
    from ...verification.rounds import Violation
    from ...verification.stuck import Stuck
    from ...verification.verify import Listening, Seeds
    from ...verification.verify import verify as play
    from ..exit_codes import BadNews
    from ..ports import free_port
    from .audit import audit

    if app_url and not port:
        raise InvalidInput("--app-url says where executors reach the functions: say with --port where they listen")
    given = {name: value for name, value in (("url", url), ("signing_key", key)) if value}
    kafka = KafkaSettings()
    _check_topics(kafka)
    installation = Installation(ClientSettings().model_copy(update=given), kafka)
    plan = Plan(runs, rate, patience=patience, poison=poison)
    listening = Listening(host, port or free_port(), app_url)
    begun = [seed]
    try:
        seeds = Seeds(seed, rounds, minutes)
        check = audit if audited else _nothing
        asyncio.run(play(installation, listening, seeds, plan, lambda: _lags(kafka), check, _say, begun.append))
    except (Violation, Stuck, Rejected) as error:
        raise BadNews(f"{error}\nplay it again: {_again(begun[-1], plan, listening)}") from error


def _check_topics(kafka: KafkaSettings) -> None:
    """With other partition counts than the topics have, runs would be looked for where they are not."""
    from ...errors import InvalidSettings
    from ...kafka.topics import check_topics

    problems = check_topics(kafka)
    if problems:
        raise InvalidSettings("; ".join(problems))


def _again(seed: int, plan: Plan, listening: Listening) -> str:
    """The command that plays a seed's round as it was played, where the environment names the installation."""
    options = [f"--seed {seed} --rounds 1 --runs {plan.runs} --rate {plan.rate:g} --patience {plan.patience:g}"]
    options += ["--poison"] if plan.poison else []
    options += [f"--host {listening.host}"] if listening.host != "127.0.0.1" else []
    options += [f"--port {listening.port} --app-url {listening.url}"] if listening.url else []
    return " ".join(["penstock verify", *options])


def _lags(kafka: KafkaSettings) -> str:
    """How far each consumer group is."""
    from ..cluster import Cluster

    found = Cluster(kafka).lags()
    return "\n".join(f"{each.group} {each.topic}/{each.partition}: {each.committed} of {each.end}" for each in found)


def _nothing() -> None:
    pass


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)

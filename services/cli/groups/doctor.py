"""`penstock doctor`: is everything well, and if not, what to do."""

from __future__ import annotations

from typing import Annotated

import typer

from ..options import AsJson, Key, Url, connect


def doctor(
    url: Url = "",
    key: Key = "",
    strict: Annotated[bool, typer.Option("--strict", help="A warning counts as a failure.")] = False,
    as_json: AsJson = False,
) -> None:
    """Check Kafka, topics, services, lag, history, retention and clock; each line says what to do.

    The exit code is 5 when a check fails.
    """
    from dataclasses import asdict

    from ...settings import ExecutorSettings, KafkaSettings
    from ..checks import Finding, examine
    from ..cluster import Cluster
    from ..exit_codes import BadNews
    from ..output import print_json, print_table

    kafka = KafkaSettings()
    found: list[Finding] = []
    with connect(url, key) as server:
        found += examine(Cluster(kafka), kafka, ExecutorSettings(), server)
    if as_json:
        print_json([asdict(each) for each in found])
    else:
        print_table(
            ("state", "check", "found", "what to do"), [(f.state, f.check, f.text, f.advice) for f in found], ""
        )
    bad = [f for f in found if f.state == "fail" or (strict and f.state == "warn")]
    if bad:
        raise BadNews(f"{len(bad)} of {len(found)} checks: {', '.join(f.check for f in bad)}")

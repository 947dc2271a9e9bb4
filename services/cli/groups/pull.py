"""`penstock pull`: real events into local development."""

from __future__ import annotations

from typing import Annotated

import typer

from ..options import AsJson, Since, Until, Url


def pull(
    from_cluster: Annotated[
        str, typer.Option("--from-cluster", metavar="SERVERS", help="Bootstrap servers of the cluster to read.")
    ] = "",
    event: Annotated[
        list[str] | None, typer.Option("--event", help="Only this event (shop/* too); may be repeated.")
    ] = None,
    last: Annotated[str, typer.Option(help="Events of the last 30m, 1h, 7d; as --from.")] = "",
    since: Since = "",
    until: Until = "",
    limit: Annotated[int, typer.Option(min=0, help="End after so many events; 0 for all.")] = 0,
    rate: Annotated[float, typer.Option(min=0.1, max=10_000, help="Events to send in a second, at most.")] = 200.0,
    redact: Annotated[
        str,
        typer.Option(metavar="MODULE:FUNCTION", help="Called with each event (a dict); returns it changed, or None."),
    ] = "",
    redact_path: Annotated[
        list[str] | None, typer.Option(metavar="PATH", help="Replace what is there: data.email, data.items.*.name.")
    ] = None,
    from_prefix: Annotated[str, typer.Option(help="Prefix of the topics there.")] = "",
    security_protocol: Annotated[str, typer.Option(help="PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL.")] = "",
    sasl_mechanism: Annotated[str, typer.Option(help="PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512.")] = "",
    sasl_username: Annotated[
        str, typer.Option(help="The password comes from PENSTOCK_SOURCE_KAFKA_SASL_PASSWORD.")
    ] = "",
    ssl_ca_location: Annotated[str, typer.Option(help="File with the authority's certificate.")] = "",
    into_any: Annotated[
        bool, typer.Option("--into-any", help="Also into a server that is not for development.")
    ] = False,
    url: Url = "",
    as_json: AsJson = False,
) -> None:
    """Copy real events into the local dev server, where they start functions as if they had been sent there.

    The source is only read, without any consumer group. Its settings can also come from PENSTOCK_SOURCE_KAFKA_….

    penstock pull --from-cluster kafka.example.com:9092 --event 'shop/*' --last 1h --redact-path data.email
    """
    import time
    from dataclasses import asdict

    from ...errors import InvalidInput
    from ...pace import Pace
    from ...settings import SourceKafkaSettings
    from ..clock import now
    from ..moments import milliseconds, moment
    from ..options import connect
    from ..output import print_json, say
    from ..progress import progress
    from ..pulling import Source, Wish, pull, require_dev
    from ..redaction import redaction

    if not from_cluster and "kafka_bootstrap_servers" not in SourceKafkaSettings().model_fields_set:
        raise InvalidInput("name the cluster to read: --from-cluster, or PENSTOCK_SOURCE_KAFKA_BOOTSTRAP_SERVERS")
    options = {
        "kafka_bootstrap_servers": from_cluster,
        "kafka_security_protocol": security_protocol,
        "kafka_sasl_mechanism": sasl_mechanism,
        "kafka_sasl_username": sasl_username,
        "kafka_ssl_ca_location": ssl_ca_location,
        "topic_prefix": from_prefix,
    }
    begin, end = moment(last or since, now(), "--last" if last else "--from"), moment(until, now(), "--to")
    wish = Wish(tuple(event or ()), milliseconds(begin), milliseconds(end), limit)
    source = Source(SourceKafkaSettings.model_validate({name: value for name, value in options.items() if value}), wish)
    steady = Pace(rate)
    with connect(url, "") as server, progress("pulling", quiet=as_json) as bar:
        if not into_any:
            require_dev(server)
        taken_out = redaction(redact, redact_path or ())
        pulled = pull(source, server, taken_out, bar, lambda count: time.sleep(steady.wait(count, time.monotonic())))
    if as_json:
        print_json(asdict(pulled))
    else:
        rest = f"{pulled.left_out} left out, {pulled.undecodable} undecodable"
        say(f"{pulled.sent} events sent, of {pulled.read} records read ({rest})")

"""`penstock …`: every command that is no service. What a command needs is imported when it is called."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .. import __version__
from .groups import apps, audit, dead_letters, doctor, events, functions, pull, replays, runs, topics, verify

app = typer.Typer(
    name="penstock",
    help="Durable functions on Kafka.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"penstock {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


@app.command()
def dev(
    url: Annotated[
        list[str] | None, typer.Option("--url", "-u", help="URL of an app to sync; may be repeated.")
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of events, apps and API; 0 takes a free one.")
    ] = 8288,
    kafka_port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of the embedded broker, or the next free one; 0: any.")
    ] = 9092,
    data_dir: Annotated[Path, typer.Option(help="Where everything is kept across restarts.")] = Path(".penstock"),
    ephemeral: Annotated[bool, typer.Option("--ephemeral", help="Keep nothing.")] = False,
    retry_interval: Annotated[
        float | None, typer.Option(min=0, help="Seconds between retries, instead of the back-off table.")
    ] = None,
    no_poll: Annotated[bool, typer.Option("--no-poll", help="Do not ask apps for changes again and again.")] = False,
    ready_file: Annotated[
        Path | None, typer.Option(help="Write addresses and process ids here (JSON) when all is ready.")
    ] = None,
) -> None:
    """Run everything on this machine: a Kafka broker and all services.

    PENSTOCK_KAFKA_BOOTSTRAP_SERVERS uses another cluster instead of the embedded broker.
    """
    from rich.console import Console

    from ..settings import BrokerSettings, KafkaSettings
    from .dev import DevOptions, run_dev

    options = DevOptions(
        app_urls=tuple(url or ()),
        host=host,
        port=port,
        kafka_port=kafka_port,
        data_dir=data_dir,
        ephemeral=ephemeral,
        retry_interval=retry_interval,
        poll=not no_poll,
        ready_file=ready_file,
    )
    raise typer.Exit(run_dev(options, KafkaSettings(), BrokerSettings(), Console()))


@app.command()
def broker(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port, or the next free one; 0 takes any.")] = 9092,
    data_dir: Annotated[Path, typer.Option(help="Data is kept in its folder `kafka`.")] = Path(".penstock"),
    ephemeral: Annotated[bool, typer.Option("--ephemeral", help="Keep nothing.")] = False,
) -> None:
    """Run the embedded Kafka broker alone, and print its bootstrap servers."""
    from rich.console import Console

    from ..settings import BrokerSettings
    from .broker.alone import run_alone

    raise typer.Exit(run_alone(port, None if ephemeral else data_dir, BrokerSettings(), Console(stderr=True)))


for _name, _group in (
    ("events", events.app),
    ("runs", runs.app),
    ("functions", functions.app),
    ("apps", apps.app),
    ("replays", replays.app),
    ("dead-letters", dead_letters.app),
    ("topics", topics.app),
):
    app.add_typer(_group, name=_name)
app.command("replay")(replays.replay)
app.command("pull")(pull.pull)
app.command("lag")(topics.lag)
app.command("doctor")(doctor.doctor)
app.command("audit")(audit.audit)
app.command("verify")(verify.verify)

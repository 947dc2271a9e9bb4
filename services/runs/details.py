"""What a job waits for or asks for: the JSON object in its `detail`, by the job's kind.

    sleep    {until}
    wait     {event, if, since, until}
    cancel   {event, if, until}
    signal   {signal, conflict, until}
    invoke   {function, run_id, correlation_id, until}
    request  {op, opts}

Times are milliseconds since 1970. A step that finished carries on the detail of the job that it was, so that people
see what it waited for.
"""

from __future__ import annotations

import msgspec
import orjson

from ..messages.records import JobScheduled
from .gateway import shown_url


class _Signal(msgspec.Struct):
    signal: str


class _Invocation(msgspec.Struct):
    run_id: str


class _Request(msgspec.Struct):
    op: str
    opts: dict[str, object]


def detail(**fields: object) -> str:
    """JSON text of a detail; what is None is left out."""
    return orjson.dumps({key: value for key, value in fields.items() if value is not None}).decode()


def signal_of(job: JobScheduled) -> str:
    """The signal that a job of kind `signal` waits for."""
    return msgspec.json.decode(job.detail, type=_Signal).signal


def invoked_run_of(job: JobScheduled) -> str:
    """The run that a job of kind `invoke` waits for."""
    return msgspec.json.decode(job.detail, type=_Invocation).run_id


def shown(job: JobScheduled) -> str:
    """The detail as people may see it: of a request, what is asked and where, not the keys that go along."""
    if job.kind != "request":
        return job.detail
    op, opts = request_of(job)
    return detail(op=op, url=shown_url(opts.get("url")))


def request_of(job: JobScheduled) -> tuple[str, dict[str, object]]:
    """Opcode and options of a job of kind `request`."""
    found = msgspec.json.decode(job.detail, type=_Request)
    return found.op, found.opts

"""What GraphQL answers: every field of `schema.graphql` as a value, or as a function that is asked when it is selected.

The dictionaries are the types; graphql-core looks fields up by name. Resolvers block: they run in one thread a query.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from graphql import GraphQLResolveInfo, GraphQLSchema, build_schema

from ..errors import InvalidInput, InvalidRegistration, PenstockError
from ..functions.config import CronTrigger, EventTrigger, FunctionConfig, Trigger
from ..messages.ids import FunctionKey, app_uuid, function_uuid, is_ulid
from .asked import millis
from .event_list import EventFilter
from .graph_bounds import MAX_FIRST
from .paging import Found, Listed, PageRequest
from .read import HistoryReadModel
from .run_list import RunFilter, TimeField
from .shapes import Shape, event_json, timestamp
from .trace import output_of, parse_output_id, status_of, trace

Info: TypeAlias = GraphQLResolveInfo
_FIELDS: Mapping[str, TimeField] = {"QUEUED_AT": "queued", "STARTED_AT": "started", "ENDED_AT": "ended"}
_STATUSES = {
    "RUNNING": ("Running",),
    "QUEUED": (),
    "COMPLETED": ("Completed",),
    "FAILED": ("Failed",),
    "CANCELLED": ("Cancelled", "Unknown"),
    "SKIPPED": ("Skipped",),
}


class Unknown(PenstockError):
    """What was asked for is not there, or not yet."""


def schema(model: HistoryReadModel) -> GraphQLSchema:
    """The schema of the file, answering from the model."""
    built = build_schema(Path(__file__).with_name("schema.graphql").read_text("utf-8"))
    graph = _Graph(model)
    query = built.query_type
    if query is None:
        raise TypeError("schema.graphql has no type Query")
    for name, resolver in graph.resolvers().items():
        query.fields[name].resolve = resolver
    return built


class _Graph:
    """The fields of `Query`."""

    def __init__(self, model: HistoryReadModel) -> None:
        self._model = model

    def resolvers(self) -> dict[str, Callable[..., object]]:
        return {
            "event": self._event,
            "run": self._run,
            "runs": self._runs,
            "runTraceSpanOutputByID": self._output,
            "runTrigger": self._trigger,
            "functionRun": self._function_run,
            "functions": self._functions,
            "apps": self._apps,
            "eventV2": self._event_v2,
            "eventsV2": self._events,
        }

    def _event(self, _root: None, _info: Info, query: Mapping[str, str]) -> Shape:
        row = self._known_event(query["eventId"])
        return {
            "id": row.internal_id,
            "name": row.name,
            "createdAt": timestamp(row.received_at),
            "payload": row.data,
            "raw": event_json(row),
            "functionRuns": lambda _info: [
                self._function_run_shape(run) for run in self._model.events.runs_started(row.internal_id)
            ],
        }

    def _run(self, _root: None, _info: Info, runID: str) -> Shape:  # noqa: N803 - the protocol's name
        return self._run_shape(self._known_run(runID))

    def _function_run(self, _root: None, _info: Info, query: Mapping[str, str]) -> Shape:
        return self._function_run_shape(self._known_run(query["functionRunId"]))

    def _runs(
        self,
        _root: None,
        _info: Info,
        first: int,
        after: str = "",
        filter: Mapping[str, Any] | None = None,
        orderBy: Sequence[Mapping[str, str]] = (),  # noqa: N803
        preview: bool | None = None,
    ) -> Shape:
        wanted, order = self._run_filter(filter or {}), (orderBy or [{}])[0]
        request = PageRequest(_first(first), after or "", order.get("direction", "DESC") == "DESC")
        field = _FIELDS[order.get("field", "QUEUED_AT")]
        page = self._model.runs.page(wanted, request, field, True) if wanted is not None else Listed([])
        return _connection(
            page,
            self._run_shape,
            lambda row: row.run_id if field == "queued" else f"{getattr(row, f'{field}_at')}.{row.run_id}",
            bool(after),
            lambda: self._model.runs.count(wanted).count if wanted is not None else 0,
        )

    def _run_filter(self, given: Mapping[str, Any]) -> RunFilter | None:
        """None when the ids or statuses that are named stand for nothing there is."""
        statuses = tuple(name for status in given.get("status") or () for name in _STATUSES[status])
        functions = self._function_keys(given.get("functionIDs") or ())
        apps = self._app_names(given.get("appIDs") or ())
        named = ((given.get("status"), statuses), (given.get("functionIDs"), functions), (given.get("appIDs"), apps))
        if any(ids and not found for ids, found in named):
            return None
        return RunFilter(
            statuses,
            functions,
            apps,
            _FIELDS[given.get("timeField") or "QUEUED_AT"],
            _time(given, "from"),
            _time(given, "until"),
            cel=given.get("query") or "",
        )

    def _function_keys(self, ids: Sequence[str]) -> tuple[str, ...]:
        rows = self._model.functions.all(archived=True) if ids else ()
        return tuple(row.key for row in rows if _function_id(row.key) in ids)

    def _app_names(self, ids: Sequence[str]) -> tuple[str, ...]:
        return tuple(row.name for row in (self._model.apps.all() if ids else ()) if str(app_uuid(row.name)) in ids)

    def _output(self, _root: None, _info: Info, outputID: str) -> Shape:  # noqa: N803
        run_id, step_id = parse_output_id(outputID)
        run = self._known_run(run_id)
        if not step_id:
            return output_of(run.output or "null", run.status == "Failed") | {"input": None}
        step = self._model.runs.step(run_id, step_id)
        if step is None:
            raise Unknown(f"run {run_id} has no finished step {step_id[:60]!r}")
        return output_of(step.output, step.failed) | {"input": None}

    def _trigger(self, _root: None, _info: Info, runID: str) -> Shape:  # noqa: N803
        run = self._known_run(runID)
        rows = self._model.runs.events(runID)
        is_batch = run.event_count > 1
        return {
            "eventName": rows[0].name if rows else run.event_name,
            "IDs": self._model.runs.event_ids(runID),
            "timestamp": timestamp(run.received_at),
            "payloads": [event_json(row) for row in rows],
            "isBatch": is_batch,
            "batchID": run.run_id if is_batch else None,
            "cron": run.cron or None,
        }

    def _functions(self, _root: None, _info: Info) -> list[Shape]:
        return [self._function_shape(row) for row in self._model.functions.all()]

    def _apps(self, _root: None, _info: Info) -> list[Shape]:
        return [_app_shape(row.name, row) for row in self._model.apps.all()]

    def _event_v2(self, _root: None, _info: Info, id: str) -> Shape:
        return self._event_shape(self._known_event(id))

    def _events(
        self,
        _root: None,
        _info: Info,
        first: int,
        after: str = "",
        filter: Mapping[str, Any] | None = None,
    ) -> Shape:
        given = filter or {}
        wanted = EventFilter(
            tuple(given.get("eventNames") or ()),
            given.get("includeInternalEvents") is not False,
            _time(given, "from"),
            _time(given, "until"),
            cel=given.get("query") or "",
        )
        page = self._model.events.page(wanted, PageRequest(_first(first), after or ""))
        return _connection(
            page,
            self._event_shape,
            lambda row: row.internal_id,
            bool(after),
            lambda: self._model.events.count(wanted).count,
        )

    def _known_run(self, run_id: str) -> Found:
        row = self._model.runs.one(run_id) if is_ulid(run_id) else None
        if row is None:
            raise Unknown(f"no run has the id {run_id[:60]!r}; if it is new, ask again")
        return row

    def _known_event(self, event_id: str) -> Found:
        row = self._model.events.one(event_id)
        if row is None:
            raise Unknown(f"no event has the id {event_id[:60]!r}; if it is new, ask again")
        return row

    def _run_shape(self, row: Found) -> Shape:
        key, run_id = row.function, row.run_id
        is_batch = row.event_count > 1
        queued_at = timestamp(row.received_at)
        return {
            "id": run_id,
            "appID": str(app_uuid(_app_of(key))),
            "app": lambda _info: _app_shape(_app_of(key), self._model.apps.one(_app_of(key))),
            "functionID": _function_id(key),
            "function": lambda _info: self._function_of(key),
            "eventName": row.event_name,
            "status": status_of(row.status),
            "output": getattr(row, "output", None),
            "traceID": run_id,
            "isBatch": is_batch,
            "batchCreatedAt": queued_at if is_batch else None,
            "cronSchedule": row.cron or None,
            "queuedAt": queued_at,
            "startedAt": timestamp(row.started_at),
            "endedAt": timestamp(row.ended_at),
            "triggerIDs": lambda _info: self._model.runs.event_ids(run_id),
            "trace": lambda _info, preview=None: self._trace(row),
        }

    def _trace(self, row: Found) -> Shape:
        runs, run_id = self._model.runs, row.run_id
        found = trace(row, runs.steps(run_id), runs.attempts(run_id), runs.jobs(run_id))
        for span in found["childrenSpans"]:
            info = span["stepInfo"]
            if info is not None and info.get("runID"):
                info["triggeringEventID"] = next(iter(runs.event_ids(info["runID"])), None)
        return found

    def _function_run_shape(self, row: Found) -> Shape:
        return {
            "id": row.run_id,
            "status": status_of(row.status),
            "output": getattr(row, "output", None),
            "functionID": _function_id(row.function),
            "function": lambda _info: self._function_of(row.function),
            "eventID": row.event_internal_id,
            "startedAt": timestamp(row.started_at),
            "finishedAt": timestamp(row.ended_at),
        }

    def _function_of(self, key: str) -> Shape | None:
        row = self._model.functions.one(key)
        return None if row is None else self._function_shape(row)

    def _function_shape(self, row: Found) -> Shape:
        config = _readable(row.config)
        return {
            "id": _function_id(row.key),
            "name": row.name,
            "slug": row.slug,
            "version": row.version,
            "url": config and config.url,
            "triggers": config and [_trigger_shape(trigger) for trigger in config.triggers],
            "appID": str(app_uuid(row.app)),
            "app": lambda _info: _app_shape(row.app, self._model.apps.one(row.app)),
        }

    def _event_shape(self, row: Found) -> Shape:
        return {
            "id": row.internal_id,
            "idempotencyKey": row.id or None,
            "name": row.name,
            "occurredAt": timestamp(row.ts),
            "receivedAt": timestamp(row.received_at),
            "raw": event_json(row),
            "version": row.v,
            "runs": lambda _info: [
                self._run_shape(run) for run in self._model.events.runs_started(row.internal_id)[:MAX_FIRST]
            ],
        }


def _connection(
    page: Listed,
    shape: Callable[[Found], Shape],
    cursor_of: Callable[[Found], str],
    has_previous: bool,
    total: Callable[[], int],
) -> Shape:
    edges = [{"cursor": cursor_of(row), "node": shape(row)} for row in page.rows]
    return {
        "edges": edges,
        "pageInfo": {
            "hasNextPage": bool(page.next_cursor),
            "hasPreviousPage": has_previous,
            "startCursor": edges[0]["cursor"] if edges else None,
            # Behind the last item, or as far as a search came in its time.
            "endCursor": page.next_cursor or (edges[-1]["cursor"] if edges else None),
        },
        "totalCount": lambda _info: total(),
    }


def _app_shape(name: str, row: Found | None) -> Shape:
    found: dict[str, Any] = {"id": str(app_uuid(name)), "externalID": name, "name": name}
    if row is not None:
        found |= {"url": row.url, "error": row.error, "sdkLanguage": row.sdk, "framework": row.framework}
    return found


def _readable(config: str) -> FunctionConfig | None:
    """None for what another client wrote to the topic: such a function has neither URL nor triggers."""
    try:
        return FunctionConfig.from_json(config)
    except InvalidRegistration:
        return None


def _trigger_shape(trigger: Trigger) -> Shape:
    match trigger:
        case EventTrigger(event, expression):
            return {"type": "EVENT", "value": event, "condition": expression}
        case CronTrigger(cron):
            return {"type": "CRON", "value": cron, "condition": None}


def _app_of(key: str) -> str:
    """The app's name in a function's key, where its slashes are escaped."""
    return key.partition("/")[0].replace("%2F", "/").replace("%25", "%")


def _function_id(key: str) -> str:
    return str(function_uuid(FunctionKey(key)))


def _first(first: int | None) -> int:
    if first is None or not 1 <= first <= MAX_FIRST:
        raise InvalidInput(f"first must be from 1 to {MAX_FIRST}, not {first}")
    return first


def _time(given: Mapping[str, Any], name: str) -> int | None:
    value = given.get(name)
    return None if value is None else millis(str(value), name)

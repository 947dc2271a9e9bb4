"""A replay as the JSON that `/v1/replays` answers."""

from __future__ import annotations

from datetime import UTC, datetime

from .table import ReplayState

Shape = dict[str, object]


def replay_shape(state: ReplayState) -> Shape:
    asked, progress = state.asked, state.progress
    matched = progress.matched if progress else 0
    return {
        "id": asked.id,
        "function": asked.function,
        "event": asked.event,
        "if": asked.condition,
        "from": _time(asked.from_at),
        "to": _time(asked.to_at),
        "ignore_triggers": asked.ignore_triggers,
        "limit": asked.limit,
        "rate": state.rate,
        "dry_run": asked.dry_run,
        "created_at": _time(asked.created_at),
        "status": state.status,
        "total": state.total(),
        "done": state.done(),
        "matched": matched,
        "started": progress.started if progress else 0,
        "undecodable": progress.undecodable if progress else 0,
        "by_day": dict(sorted(progress.by_day.items())) if progress else {},
        "records_per_second": progress.records_per_second if progress else 0.0,
        "eta_seconds": _eta(state),
        "seconds_at_rate": round(matched / state.rate, 1),
        "held_back": progress.held_back if progress and state.status == "Running" else "",
        "updated_at": _time(progress.updated_at if progress else asked.created_at),
        "error": progress.error if progress and state.status == "Failed" else "",
        "partitions": [_partition(state, place) for place in sorted(asked.ends)],
    }


def _partition(state: ReplayState, place: str) -> Shape:
    topic, _, number = place.rpartition("/")
    return {
        "topic": topic,
        "partition": int(number),
        "begin": state.asked.begins[place],
        "position": state.positions()[place],
        "end": state.asked.ends[place],
    }


def _eta(state: ReplayState) -> float | None:
    """Seconds to the end of the range, by what was read lately."""
    if state.status != "Running" or state.progress is None or state.progress.records_per_second <= 0:
        return None
    return round((state.total() - state.done()) / state.progress.records_per_second, 1)


def _time(millis: int) -> str | None:
    """RFC 3339 with milliseconds, in UTC; None where there is none."""
    if not millis:
        return None
    return datetime.fromtimestamp(millis / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

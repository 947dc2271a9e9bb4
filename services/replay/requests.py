"""What people ask for: the body of `POST /v1/replays`, checked and bounded. Pure.

The *identity* is derived from what decides which events start: an equal request names equal runs, whenever it is made.
How many of them (`limit`), how fast (`rate`) and whether only to count (`dry_run`) do not change which run an event
gives; so a first try with a limit is part of the whole replay that follows, not another one.
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from ..errors import InvalidExpression, InvalidInput
from ..expressions.expression import compile_expression
from ..functions.config import FunctionConfig
from ..functions.table import FunctionTable
from ..messages.ids import ReplayId, ulid
from ..messages.incoming import EARLIEST_MS, LATEST_MS, MAX_NAME_CHARACTERS
from ..messages.records import Replay
from .selection import names

MAX_RATE = 20_000
MAX_CONDITION = 4096
MAX_NEAR = 3


def milliseconds(value: object) -> int:
    """Milliseconds since 1970, of an RFC 3339 time or of such a number."""
    if isinstance(value, str) and not value.isdigit():
        try:
            moment = datetime.fromisoformat(value)
        except ValueError as error:
            raise ValueError("must be a time such as 2026-08-31T12:00:00Z") from error
        value = int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
    found = int(value) if isinstance(value, int | str) and not isinstance(value, bool) else -1
    if not EARLIEST_MS <= found <= LATEST_MS:
        raise ValueError("must be a time of the years 1980 to 2100, such as 2026-08-31T12:00:00Z")
    return found


Moment = Annotated[int, BeforeValidator(milliseconds)]


class ReplayRequest(BaseModel):
    """The body, as people write it."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    function: str = Field(min_length=1, max_length=600)
    from_at: Moment = Field(default=0, alias="from")
    to_at: Moment = Field(default=0, alias="to")
    event: str = Field(default="", max_length=MAX_NAME_CHARACTERS)
    condition: str = Field(default="", alias="if", max_length=MAX_CONDITION)
    ignore_triggers: bool = False
    limit: int = Field(default=0, ge=0, lt=1 << 53)
    rate: float | None = Field(default=None, gt=0, le=MAX_RATE)
    dry_run: bool = False
    force: bool = False


class ResumeRequest(BaseModel):
    """The body of `…/resume`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rate: float | None = Field(default=None, gt=0, le=MAX_RATE)


def parse_request(body: bytes) -> ReplayRequest:
    """Read the body; `InvalidInput` names the field that is wrong and says how."""
    try:
        request = ReplayRequest.model_validate_json(body or b"{}")
    except ValidationError as error:
        raise InvalidInput(_words(error)) from error
    if request.from_at and request.to_at and request.from_at >= request.to_at:
        raise InvalidInput("from: must be before to")
    if request.condition:
        try:
            compile_expression(request.condition)
        except InvalidExpression as error:
            raise InvalidExpression(f"if: {error}") from error
    return request


def parse_resume(body: bytes) -> ResumeRequest:
    """Read the body, which may be empty."""
    try:
        return ResumeRequest.model_validate_json(body or b"{}")
    except ValidationError as error:
        raise InvalidInput(_words(error)) from error


def find_function(wanted: str, table: FunctionTable) -> FunctionConfig | None:
    """The function by its key, or by its slug where only one app has it."""
    exact = [f.config for f in table.functions() if f.config.key == wanted]
    by_slug = [f.config for f in table.functions() if wanted in (f.config.slug, _short(f.config))]
    found = exact or by_slug
    if len(found) > 1:
        keys = ", ".join(sorted(config.key for config in found))
        raise InvalidInput(f"function: several are called {wanted[:100]!r}: name one of {keys}")
    return found[0] if found else None


def unknown_function(wanted: str, table: FunctionTable) -> str:
    """Words for a function that is not there, with those that may have been meant."""
    keys = sorted(f.config.key for f in table.functions())
    near = difflib.get_close_matches(wanted, keys, MAX_NEAR, 0.4) or keys[:MAX_NEAR]
    hint = (
        f"did you mean {' or '.join(near)}?" if near else "no app is registered yet; sync one with `penstock apps sync`"
    )
    return f"no function is called {wanted[:100]!r}; {hint}"


def new_replay(
    request: ReplayRequest,
    function: FunctionConfig,
    default_rate: float,
    now: int,
    ranges: tuple[Mapping[str, int], Mapping[str, int]] = ({}, {}),
    runs_dated: int = 0,
) -> Replay:
    """The replay that a request means; `ranges` are the first offsets and the ends of what is to be read."""
    names(request.event, function)
    identity = identity_of(request, function, now)
    return Replay(
        id=_replay_id(request, identity, now),
        identity=identity,
        function=function.key,
        created_at=now,
        runs_dated=runs_dated or now,
        begins=ranges[0],
        ends=ranges[1],
        from_at=request.from_at,
        to_at=request.to_at,
        event=request.event,
        condition=request.condition,
        ignore_triggers=request.ignore_triggers,
        limit=request.limit,
        rate=request.rate or default_rate,
        dry_run=request.dry_run,
    )


def identity_of(request: ReplayRequest, function: FunctionConfig, now: int) -> str:
    """32 hex digits; a forced request shares them with no other."""
    parts = (
        function.key,
        request.from_at,
        request.to_at,
        request.event,
        request.condition,
        request.ignore_triggers,
        now if request.force else 0,
    )
    return hashlib.blake2b("\0".join(map(str, parts)).encode(), digest_size=16).hexdigest()


def _replay_id(request: ReplayRequest, identity: str, now: int) -> ReplayId:
    """Equal requests have equal ids, so that two made at once are one; counting again is always new.

    Its time says nothing.
    """
    seed = f"{identity}\0{request.limit}\0{now if request.dry_run else 0}".encode()
    digest = hashlib.blake2b(seed, digest_size=16).digest()
    return ReplayId(ulid(int.from_bytes(digest[:6], "big"), digest[6:]))


def _short(config: FunctionConfig) -> str:
    """The name that its author gave it: SDKs put the app's before it."""
    return config.slug.removeprefix(f"{config.app}-")


def _words(error: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(map(str, each['loc'])) or 'the body'}: {each['msg'].removeprefix('Value error, ')}"
        for each in error.errors()
    )

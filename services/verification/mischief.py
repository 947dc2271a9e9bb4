"""What goes wrong between an app and us, decided by seed and call alone, so that a seed means the same trouble."""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import Enum

from .programs import RETRIES
from .usercode import HEADERS, Answer, Call

PROBABILITY = 0.12
SLOW_SECONDS = (0.2, 3.0)
#: Not of an SDK, not JSON, cut off in the middle of a value, not what a step can be.
GARBAGE = (
    Answer(502, {"content-type": "text/html"}, b"<html><h1>Bad Gateway</h1></html>"),
    Answer(200, {"content-type": "text/html"}, b"<html>Welcome to nginx!</html>"),
    Answer(206, HEADERS, b'[{"op":"StepRun","id":"p0g0s0","data":"did '),
    Answer(206, HEADERS, b'{"op":7,"id":["x"]}'),
    Answer(206, HEADERS, b"\x00\xff\xfe" * 500),
    Answer(200, {}, b""),
)


class Trouble(Enum):
    """`CUT`: the connection breaks in the middle of the answer. `TWICE`: it reports all its steps two times."""

    CUT = "cut"
    SLOW = "slow"
    GARBAGE = "garbage"
    TWICE = "twice"


@dataclass(frozen=True, slots=True)
class Mischief:
    """Troubles of one seed. None of them changes an outcome: the last attempt of a call is always answered well."""

    seed: int

    def of(self, call: Call) -> Trouble | None:
        """What happens to this call."""
        rng = self._dice(call)
        if rng.random() >= PROBABILITY:
            return None
        harmless = (Trouble.SLOW, Trouble.TWICE)
        return rng.choice(harmless if call.attempt >= RETRIES else tuple(Trouble))

    def garbage(self, call: Call) -> Answer:
        return self._dice(call, "garbage").choice(GARBAGE)

    def seconds(self, call: Call) -> float:
        """How long a slow answer takes."""
        return self._dice(call, "slow").uniform(*SLOW_SECONDS)

    def _dice(self, call: Call, what: str = "") -> random.Random:
        return random.Random(f"{self.seed}/{call.k}/{call.target}/{len(call.memory)}/{call.attempt}/{what}")

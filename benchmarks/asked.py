"""What is asked of a fail-over, and whether it was so: pure, over what was measured."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from .outcome import Outcome, Restored
from .timings import Spread

#: From a kill -9 until every run goes on, the session timeout included.
KILL_SECONDS = 10.0
#: How much above the calm before the p99 may be while something is stopped or restarted as planned.
BUMP_MS = 2000.0
RESTORED_A_SECOND = 50_000.0


@dataclass(frozen=True, slots=True)
class Answer:
    """One thing that is asked, what was found, and whether that will do."""

    of: str
    asked: str
    found: str
    good: bool


def answers(outcomes: Iterable[Outcome], restores: Sequence[Restored]) -> list[Answer]:
    """Of every phase and restore that was measured, all that is asked of it."""
    return [*(each for outcome in outcomes for each in _of(outcome)), *_of_restores(restores)]


def table(found: Sequence[Answer]) -> list[str]:
    """The verdict, and a Markdown table with what it rests on."""
    bad = [f"{each.of}: {each.asked}" for each in found if not each.good]
    lines = [f"**Verdict: bad.** Missed: {'; '.join(bad)}." if bad else "**Verdict: good.**", ""]
    lines += ["| | asked | found | |", "|---|---|---|---|"]
    return lines + [
        f"| {each.of} | {each.asked} | {each.found} | {'kept' if each.good else '**missed**'} |" for each in found
    ]


def _of(outcome: Outcome) -> Iterator[Answer]:
    name, felt = outcome.name, range(1, len(outcome.moments))
    yield Answer(name, "no run is lost", f"{outcome.lost} of {outcome.runs}", outcome.lost == 0 < outcome.runs)
    breaches = "; ".join(outcome.findings[:3]) or "nothing"
    looked = f"{breaches}, in {outcome.stored_records:,} local records and the topics"
    yield Answer(name, "the audit finds nothing", looked, not outcome.findings and outcome.stored_records > 0)
    if outcome.kind == "kill":
        longest = max((outcome.longest_after(place) for place in felt), default=0.0)
        good = 0.0 < longest <= KILL_SECONDS
        yield Answer(name, f"the longest wait is at most {KILL_SECONDS:g} s", f"{longest:.2f} s", good)
        return
    yield Answer(name, "no call is repeated", str(outcome.repeated), outcome.repeated == 0)
    before = outcome.spread_in(0)
    for place in felt:
        yield _bump(f"{name}, {outcome.moments[place][0]}", before, outcome.spread_in(place))


def _bump(of: str, before: Spread | None, felt: Spread | None) -> Answer:
    asked = f"p99 is at most {BUMP_MS / 1000:g} s above that before"
    if before is None or felt is None:
        return Answer(of, asked, "nothing was measured", False)
    return Answer(of, asked, f"{felt.p99:.0f} ms, before {before.p99:.0f} ms", felt.p99 <= before.p99 + BUMP_MS)


def _of_restores(restores: Sequence[Restored]) -> Iterator[Answer]:
    """The speed is that of the whole changelog; where files are kept, as little is read as they lack."""
    for number, each in enumerate(restores):
        of = f"restore, {each.what}"
        read = f"{each.records:,} records, {each.written:,} written"
        # A few more than written: each owner begins with a record of its own. Fewer, when some were compacted away.
        yield Answer(of, "reads only what is missing", read, 0 < each.records <= each.written + 100)
        if number == 0:
            fast = each.a_second >= RESTORED_A_SECOND
            yield Answer(of, f"at least {RESTORED_A_SECOND:,.0f} records/s", f"{each.a_second:,.0f}", fast)

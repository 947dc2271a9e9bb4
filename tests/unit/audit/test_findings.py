"""What an audit found, counted and confirmed."""

from __future__ import annotations

from penstock.audit.findings import MAX_KEPT, Findings


def findings(*about: str, rule: str = "r") -> Findings:
    found = Findings()
    for each in about:
        found.add(rule, each, "is wrong")
    return found


def test_many_breaches_of_a_rule_are_counted_and_not_all_kept() -> None:
    """A million of them must not fill the memory."""
    found = findings(*map(str, range(MAX_KEPT + 5)))
    assert (len(found.kept), found.breaches["r"]) == (MAX_KEPT, MAX_KEPT + 5)
    assert list(found.lines())[-1] == "r: 5 more"


def test_parts_add_up() -> None:
    """Also what the parts did not keep."""
    found = findings("a")
    found.merge(findings(*map(str, range(MAX_KEPT + 5))))
    assert (len(found.kept), found.breaches["r"]) == (MAX_KEPT, MAX_KEPT + 6)


def test_only_what_is_found_again_counts() -> None:
    """What was in motion at the first look has come to rest at the second."""
    confirmed = findings("a", "b").confirmed_by(findings("b", "c"))
    assert [finding.about for finding in confirmed.kept] == ["b"]
    assert findings("a").confirmed_by(Findings()).clean

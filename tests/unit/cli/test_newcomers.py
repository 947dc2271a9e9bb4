"""What is new in a list that is asked for again."""

from __future__ import annotations

from penstock.cli.newcomers import Newcomers


def rows(*pairs: tuple[int, str]) -> list[dict[str, object]]:
    return [{"id": number, "status": status} for number, status in pairs]


def test_only_what_is_new_is_told_oldest_first() -> None:
    """The list is read no further than to what is known."""
    news = Newcomers("id")
    news.begin(rows((1, ""), (0, "")))
    assert news.since(rows((3, ""), (2, ""), (1, ""))) == rows((2, ""), (3, ""))
    assert news.since(rows((3, ""))) == []


def test_a_change_of_state_is_news() -> None:
    """The same run again, when it has ended."""
    news = Newcomers("id")
    news.begin(rows((1, "Running")), "status")
    assert news.since(rows((2, "Running"), (1, "Completed")), "status") == rows((1, "Completed"), (2, "Running"))
    assert news.since(rows((2, "Running"), (1, "Completed")), "status") == []

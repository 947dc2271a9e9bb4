"""The contact import on a virtual clock: every branch, and a week in milliseconds. As a user would write it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from datetime import timedelta
from pathlib import Path

import pytest

from examples.contact_import.address_book import SqliteAddressBook
from examples.contact_import.app import build_app
from examples.contact_import.rows import MAX_ROWS, Contact, UnusableFileError, parse
from penstock.testing import World

CSV = "name,email\nAda,ada@example.com\nGrace,grace@example.com\n,nobody@example.com\nEdsger,edsger@example.com\n"


class Book:
    """An address book in memory, whose second batch fails as often as it is told."""

    def __init__(self) -> None:
        self.saved: list[str] = []
        self.failures = 0

    def save(self, contacts: Iterable[Contact]) -> None:
        if self.saved and self.failures:
            self.failures -= 1
            raise ConnectionError("the address book is away")
        self.saved += [contact["email"] for contact in contacts]


@pytest.fixture
def book() -> Book:
    return Book()


@pytest.fixture
async def world(book: Book) -> AsyncIterator[World]:
    async with World(build_app(book, is_production=False)) as world:
        yield world


async def test_an_approved_upload_is_imported(world: World, book: Book) -> None:
    """The run waits for the review of its own upload, imports in batches, and knows who approved."""
    run = await world.start("contacts/uploaded", {"upload_id": "u1", "csv": CSV})
    assert run.step("parse the file").output["rejected"] == [{"line": 4, "reason": "no name"}]
    (wait,) = run.waiting_for
    assert (wait.kind, wait.what, wait.until - wait.since) == ("event", "contacts/reviewed", timedelta(days=7))

    await world.send("contacts/reviewed", {"upload_id": "another", "approved": True})
    assert run.status == "Running"
    assert book.saved == []

    await world.send("contacts/reviewed", {"upload_id": "u1", "approved": True, "by": "anna"})
    assert run.output == {"status": "imported", "imported": 3, "by": "anna"}
    assert book.saved == ["ada@example.com", "grace@example.com", "edsger@example.com"]


async def test_nobody_reviews_for_a_week(world: World, book: Book) -> None:
    """After seven days, and not a second before, the uploader is reminded and nothing is imported."""
    run = await world.start("contacts/uploaded", {"upload_id": "u1", "csv": CSV})
    await world.skip(days=6, hours=23, minutes=59, seconds=59)
    assert run.status == "Running"

    await world.skip(seconds=1)
    assert run.output == {"status": "reminded", "imported": 0}
    assert [event["data"] for event in world.events("contacts/review.reminded")] == [{"upload_id": "u1"}]

    await world.send("contacts/reviewed", {"upload_id": "u1", "approved": True})
    assert book.saved == []


async def test_a_rejected_upload_is_not_imported(world: World, book: Book) -> None:
    """Whoever reviews may say no."""
    run = await world.start("contacts/uploaded", {"upload_id": "u1", "csv": CSV})
    await world.send("contacts/reviewed", {"upload_id": "u1", "approved": False, "by": "anna"})
    assert run.output == {"status": "rejected", "imported": 0, "by": "anna"}
    assert book.saved == []


async def test_only_the_batch_that_failed_is_tried_again(world: World, book: Book) -> None:
    """The first batch is remembered; the second waits for its retries, minutes apart, and succeeds."""
    book.failures = 2
    run = await world.start("contacts/uploaded", {"upload_id": "u1", "csv": CSV})
    await world.send("contacts/reviewed", {"upload_id": "u1", "approved": True, "by": "anna"})
    (retry,) = run.waiting_for
    assert (retry.kind, retry.attempt, retry.error["message"]) == ("retry", 1, "the address book is away")

    await world.finish(run)
    assert run.output["imported"] == 3
    assert run.step("import batch 2").attempts == 3
    assert book.saved == ["ada@example.com", "grace@example.com", "edsger@example.com"]


async def test_a_file_without_the_columns_fails_at_once(world: World) -> None:
    """No retry would make it better; the message is for the uploader."""
    run = await world.start("contacts/uploaded", {"upload_id": "u1", "csv": "surname\nLovelace\n"})
    assert run.status == "Failed"
    assert run.error["message"] == "the first line must name the columns name, email; name is missing"


async def test_a_file_without_contacts_needs_no_review(world: World) -> None:
    """Nobody is asked about nothing; every row says why it was not taken."""
    text = "name,email\nAda,ada\nAda,ada@example.com,extra\nAda,ADA@example.com\n"
    run = await world.start("contacts/uploaded", {"upload_id": "u1", "csv": "name,email\nAda,ada\n"})
    assert run.output["status"] == "empty"
    twice = await world.start("contacts/uploaded", {"upload_id": "u2", "csv": text})
    assert [row["reason"] for row in twice.step("parse the file").output["rejected"]] == [
        "no e-mail address: 'ada'",
        "the same address as in a line before",
    ]


def test_a_batch_that_is_saved_twice_is_there_once(tmp_path: Path) -> None:
    """Steps run at least once; the later name counts."""
    book = SqliteAddressBook(tmp_path / "contacts.db")
    book.save([{"name": "Ada", "email": "ada@example.com"}, {"name": "Bob", "email": "bob@example.com"}])
    book.save([{"name": "Ada Lovelace", "email": "ada@example.com"}])
    assert book.count() == 2


def test_a_file_is_bounded() -> None:
    """What would make a run too large is refused with what to do."""
    rows = "".join(f"Name,n{number}@example.com\n" for number in range(MAX_ROWS + 1))
    with pytest.raises(UnusableFileError, match="split the file"):
        parse(f"name,email\n{rows}")
    assert parse("name,email\n") == {"contacts": [], "rejected": []}

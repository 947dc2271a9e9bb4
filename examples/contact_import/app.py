"""The import of contacts, with a person in the middle: an ordinary web app with one durable function.

    uploaded ─► parse ─► wait for the review, up to 7 days ─┬─ approved ─► import in batches, each retried by itself
                                                            ├─ rejected ─► nothing
                                                            └─ nobody looked ─► remind the uploader

`INNGEST_DEV=http://127.0.0.1:8288 python -m examples.contact_import.app 8000`, with `penstock dev` running.
"""

from __future__ import annotations

import datetime
import itertools
import os
import sys
from functools import partial
from pathlib import Path
from typing import Any

import fastapi
import inngest
import inngest.fast_api
import uvicorn

from .address_book import AddressBook, SqliteAddressBook
from .rows import Contact, Parsed, UnusableFileError, parse

UPLOADED = "contacts/uploaded"
REVIEWED = "contacts/reviewed"
REMINDED = "contacts/review.reminded"
REVIEW_TIME = datetime.timedelta(days=7)
BATCH = 2
Result = dict[str, Any]


def build_app(book: AddressBook, *, is_production: bool | None = None) -> fastapi.FastAPI:
    """The app over an address book; tests bring one of their own."""
    client = inngest.Inngest(app_id="contacts", is_production=is_production)

    @client.create_function(fn_id="import", trigger=inngest.TriggerEvent(event=UPLOADED), retries=3)
    async def import_contacts(ctx: inngest.Context) -> Result:
        parsed = await ctx.step.run("parse the file", partial(read, str(ctx.event.data["csv"])))
        if not parsed["contacts"]:
            return {"status": "empty", "imported": 0, "rejected": parsed["rejected"]}
        # TypeScript writes this condition as `match: "data.upload_id"`.
        review = await ctx.step.wait_for_event(
            "wait for the review",
            event=REVIEWED,
            if_exp="event.data.upload_id == async.data.upload_id",
            timeout=REVIEW_TIME,
        )
        if review is None:
            reminder = inngest.Event(name=REMINDED, data={"upload_id": ctx.event.data["upload_id"]})
            await ctx.step.send_event("remind the uploader", reminder)
            return {"status": "reminded", "imported": 0}
        if not review.data.get("approved"):
            return {"status": "rejected", "imported": 0, "by": review.data.get("by")}
        for number, batch in enumerate(batches(parsed["contacts"]), 1):
            await ctx.step.run(f"import batch {number}", partial(save, book, batch))
        return {"status": "imported", "imported": len(parsed["contacts"]), "by": review.data.get("by")}

    app = fastapi.FastAPI()
    inngest.fast_api.serve(app, client, [import_contacts])
    return app


async def read(text: str) -> Parsed:
    """Another attempt would find the same file: what is wrong with all of it ends the run at once."""
    try:
        return parse(text)
    except UnusableFileError as error:
        raise inngest.NonRetriableError(str(error)) from error


async def save(book: AddressBook, batch: list[Contact]) -> int:
    book.save(batch)
    return len(batch)


def batches(contacts: list[Contact]) -> list[list[Contact]]:
    """`itertools.batched`, which Python 3.11 does not have."""
    rest = iter(contacts)
    return list(iter(lambda: list(itertools.islice(rest, BATCH)), []))


if __name__ == "__main__":
    path = Path(os.environ.get("CONTACTS_DB", "contacts.db"))
    app = build_app(SqliteAddressBook(path))
    uvicorn.run(app, port=int(sys.argv[1]), log_level="warning", access_log=False)

"""The uploaded file, row by row: what can be imported, and why the rest cannot."""

from __future__ import annotations

import csv
import io
import re
from typing import TypedDict

COLUMNS = ("name", "email")
MAX_ROWS = 5000
_EMAIL = re.compile(r"[^@\s,]+@[^@\s,]+\.[^@\s,]+")


class Contact(TypedDict):
    name: str
    email: str


class Rejected(TypedDict):
    line: int
    reason: str


class Parsed(TypedDict):
    contacts: list[Contact]
    rejected: list[Rejected]


class UnusableFileError(ValueError):
    """The file as a whole cannot be read; the message is for whoever uploaded it."""


def parse(text: str) -> Parsed:
    """Every row with a name and an e-mail address that has not come before; the others with their reasons."""
    reader = csv.DictReader(io.StringIO(text, newline=""), skipinitialspace=True)
    missing = [column for column in COLUMNS if column not in (reader.fieldnames or ())]
    if missing:
        raise UnusableFileError(f"the first line must name the columns {', '.join(COLUMNS)}; {missing[0]} is missing")
    found: dict[str, Contact] = {}
    rejected: list[Rejected] = []
    for row in reader:
        if len(found) + len(rejected) >= MAX_ROWS:
            raise UnusableFileError(f"more than {MAX_ROWS} rows: split the file")
        contact: Contact = {"name": (row["name"] or "").strip(), "email": (row["email"] or "").strip().lower()}
        reason = _fault(contact, found)
        if reason is None:
            found[contact["email"]] = contact
        else:
            rejected.append({"line": reader.line_num, "reason": reason})
    return {"contacts": list(found.values()), "rejected": rejected}


def _fault(contact: Contact, found: dict[str, Contact]) -> str | None:
    if not contact["name"]:
        return "no name"
    if not _EMAIL.fullmatch(contact["email"]):
        return f"no e-mail address: {contact['email'][:60]!r}"
    return "the same address as in a line before" if contact["email"] in found else None

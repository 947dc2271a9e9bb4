"""Texts of strangers as any database can hold them: without NUL characters, and bounded as keys."""

from __future__ import annotations

import hashlib

MAX_KEY_CHARACTERS = 200


def plain(text: str) -> str:
    """The text without NUL characters, which PostgreSQL cannot hold."""
    return text.replace("\0", "\ufffd") if "\0" in text else text


def bounded_key(text: str) -> str:
    """The text as part of a primary key: a long one keeps its beginning, and a hash of the whole."""
    if len(text) <= MAX_KEY_CHARACTERS:
        return plain(text)
    return plain(text[:128]) + "…" + hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

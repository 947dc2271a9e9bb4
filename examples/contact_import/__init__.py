"""Contacts come in by CSV, a person looks them over, and what is approved is imported: `app`; `demo` runs it."""

"""Replay and backfill: runs of one function for events that lie on the topics already.

What is asked for (`requests`), which events that means (`selection`) and which runs (`starts`) are pure. The topic
`replays` holds every replay with what is wanted of it and how far it is (`table`, `log`); the replayer (`service`)
carries them out (`carrier`), and `api` is how people ask.
"""

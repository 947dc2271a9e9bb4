"""History: what happened, as a SQL read model. Filled from `run-state` and the event topics, read by the APIs.

The topics are the truth; the database may be deleted and is then filled again from what they retain.
"""

"""The matcher: reads events, commands the owners of runs to start or resume them.

What an event starts: `intake` takes a record from its arrival to its acknowledgement, `matching` decides (pure).

How an event finds its waits: `shapes` and `correlating` (pure) send it where its waits are; `pairing` takes what meets
there, `meeting` decides (pure), `waits` is the table, `restoration` brings it up to date, `ownership` holds the tables
of the partitions that are ours. `lookback`, `recent_names` (pure) and `rereading` find events that were matched before
their shape was known.

`records` makes records to send; `deliveries` bounds what is on its way; `acknowledgements` keeps the order in which
arrivals are done with; `app` is the Faust app; `faust_kafka` is how Faust is let into our Kafka; `service` runs it all.
"""

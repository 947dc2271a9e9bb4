"""The matcher: reads events, decides which functions they start, and commands their owners to start runs.

`matching` decides (pure); `records` makes records to send of what arrived; `acknowledgements` keeps the order in which
arrivals are done with; `app` is the Faust app; `faust_kafka` is how Faust is let into our Kafka; `service` runs it all.
"""

"""What lies on the topics: ids, records, their encoding, topic names, and state keys.

The `.avsc` files in `schemas/avro/` are the contract with any Kafka client; the dataclasses in `records` are their
Python shape, held equal by a test. Nothing here talks to a broker.
"""

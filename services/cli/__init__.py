"""The command line: `penstock dev` and its supervisor, the embedded broker, topics."""

"""The commands that talk to a running Penstock, one module a noun. Each imports what it needs when it is called."""

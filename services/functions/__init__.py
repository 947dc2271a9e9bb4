"""What a function is: its configuration, how an app registers it, and the table of all functions. Pure."""

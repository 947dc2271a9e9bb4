"""The examples, as their users run and test them."""

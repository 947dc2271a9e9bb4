"""`penstock verify` on real processes, with a monkey that kills, stops, adds and removes them."""

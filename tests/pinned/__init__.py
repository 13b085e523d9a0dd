"""Short runs of every task and variant whose results are committed: a change of the code must not change them."""

"""How fast we are, against whom, and with how much memory: what `repro bench` and `make bench` run."""

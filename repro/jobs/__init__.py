"""How runs are made: a plan of them, a queue, and processes that work it off."""

"""Task 3.1: copy-repeat (Fig. 4c, e, g)."""

"""Task 1.1: pattern generation (Fig. 1c-e)."""

"""Task 1.2: store-recall (Fig. 2a, b)."""

"""Word prediction task 3.2 (Fig. 4d, f, h)."""

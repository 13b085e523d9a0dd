"""Studies: many runs that differ in a few settings, and their comparison."""

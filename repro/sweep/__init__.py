"""Studies: many runs that differ in a few settings, trained by any number of workers and compared."""

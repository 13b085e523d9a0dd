"""A real Slurm and a real PostgreSQL on this machine: `make test-cluster`."""

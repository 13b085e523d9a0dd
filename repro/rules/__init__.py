"""Learning rules: from a trajectory and a learning signal to gradients."""

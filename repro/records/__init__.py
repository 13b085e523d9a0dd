"""Records of runs: the truth that figures and claims read."""

"""Learning rules: what the backward pass of a recurrent layer computes from its learning signal."""

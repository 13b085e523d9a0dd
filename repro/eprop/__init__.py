"""e-prop for any network: a learning rule is the backward pass of an ordinary torch layer."""

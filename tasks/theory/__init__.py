"""The paper's statements about gradients, held against autograd; and a map of where Eq. 10 holds."""

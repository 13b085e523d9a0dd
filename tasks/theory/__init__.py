"""The paper's statements about gradients, compared with autograd; and a map of where Eq. 10 holds."""

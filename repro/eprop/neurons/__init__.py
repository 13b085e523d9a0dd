"""The neurons: frozen parameters, a state, a pure step and its local derivatives (Eq. 2, 3)."""

"""How a target changes. One strategy per kind of target; none knows another."""

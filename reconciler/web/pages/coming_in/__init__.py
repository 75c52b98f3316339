"""How somebody comes in, and what they choose for themselves."""

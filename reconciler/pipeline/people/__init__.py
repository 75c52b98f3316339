"""People: how they come in, and what is kept of it."""

"""Real components, made small: each starts on a free port, and is ended by whoever started it."""

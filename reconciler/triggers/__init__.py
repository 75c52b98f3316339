"""What wakes us. None of these deploys; each reports what it saw."""
